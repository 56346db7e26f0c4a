package certtoken

import "github.com/certtoken/certtoken/internal/inside"

// Package rotate sees through these what no user needs to see.
func init() {
	inside.ClientOf = func(client any) inside.Client { return insideOf(client.(*Client)) }
	inside.FileOf = func(source any) (inside.File, bool) {
		s, ok := source.(*FileSource)
		if !ok || s == nil {
			return inside.File{}, false
		}
		return s.inside(), true
	}
}

func insideOf(c *Client) inside.Client {
	if c == nil || c.own == nil {
		return inside.Client{}
	}
	about := inside.Client{
		ID: c.id, Scopes: c.authority.checkScopes(), GrantOnly: c.authority.grantOnly,
		Ahead: c.requester.server.Ahead,
		Twin:  func(source any) (any, error) { return twinOf(c, source.(CertSource)) },
	}
	if credential, ok := c.requester.credential.(*certCredential); ok {
		about.Source = credential.source
	}
	return about
}

// twinOf makes a client that differs in the source. What tells or keeps its tokens elsewhere
// is left out: it is for finding out whether the endpoint grants one.
func twinOf(c *Client, source CertSource) (*Client, error) {
	same := func(cfg *config) {
		*cfg = c.cfg
		cfg.hooks, cfg.store, cfg.storeKeys, cfg.keepWarm, cfg.propagation = nil, nil, nil, nil, 0
	}
	return NewClient(c.authority, c.id, source, same)
}

func (s *FileSource) inside() inside.File {
	return inside.File{
		Path: s.path, KeyFile: s.cfg.keyFile, Thumbprint: s.cfg.thumbprint, BareKey: s.cfg.forKey,
		Password: func() (string, bool) {
			opts := s.cfg.options()
			return opts.Password, opts.HasPassword
		},
		Granted: s.back.newest,
	}
}
