package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// agentConfig is a configuration with all that it names.
type agentConfig struct {
	path       string // "": flags
	file       *agentfile.File
	sources    []*agentSource
	identities []agent.Identity
	stamps     map[string]stamp // of the files whose change makes it another
}

// loadAgent reads a configuration file and what it names. The error has every mistake.
// What is returned beside it is good for its stamps only.
func loadAgent(ctx context.Context, path string, clients *agentClients) (*agentConfig, error) {
	cfg := &agentConfig{path: path, stamps: stampsOf([]string{path})} // before it is read, so that no change is missed
	var err error
	if cfg.file, err = readAgentFile(ctx, path); err != nil {
		return cfg, err
	}
	for i := range cfg.file.Identities {
		cfg.sources = append(cfg.sources, newAgentSource(path, &cfg.file.Identities[i]))
	}
	maps.Copy(cfg.stamps, stampsOf(cfg.watched()))
	return cfg, cfg.complete(ctx, clients)
}

// complete checks a configuration and makes the identities of it.
func (c *agentConfig) complete(ctx context.Context, clients *agentClients) error {
	var mistakes agentfile.Mistakes
	c.check(&mistakes)
	c.build(ctx, clients, &mistakes)
	return configError(c.path, mistakes.Err())
}

// readAgentFile reads a configuration file and nothing that it names.
func readAgentFile(ctx context.Context, path string) (*agentfile.File, error) {
	data, err := readTrusted(ctx, path, maxAgentConfig, false)
	if err != nil {
		return nil, err
	}
	file, err := agentfile.Parse(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	return file, configError(path, err)
}

// configError tells mistakes, each with the name of the file.
func configError(path string, err error) error {
	var mistakes agentfile.Mistakes
	if !errors.As(err, &mistakes) {
		return err
	}
	var errs []error
	for _, one := range mistakes {
		if path == "" { // flags have no lines
			errs = append(errs, errors.New(one.Text))
		} else if one.Line > 0 {
			errs = append(errs, fmt.Errorf("%s:%d: %s", path, one.Line, one.Text))
		} else {
			errs = append(errs, fmt.Errorf("%s: %s", path, one.Text))
		}
	}
	return failure.Usagef("%w", errors.Join(errs...)).Advise(`See "certtoken agent --help".`)
}

// check looks at what is about the agent as a whole.
func (c *agentConfig) check(mistakes *agentfile.Mistakes) {
	f := c.file
	if len(f.Listen) == 0 && f.Socket.Line == 0 {
		mistakes.Add(0, "neither listen nor socket is there: nobody could ask")
	}
	if f.SocketMode.Line != 0 {
		if _, err := c.socketMode(); err != nil {
			mistakes.Add(f.SocketMode.Line, "socket_mode: %v", err)
		}
	}
	if f.SocketGroup.Line != 0 && f.SocketMode.Line == 0 {
		mistakes.Add(f.SocketGroup.Line, "socket_group needs a socket_mode that lets the group in, such as \"0660\"")
	}
}

// socketMode is who may connect to the socket. By default that is its owner alone where
// everybody who can connect is a caller, and everybody where the kernel says who does.
func (c *agentConfig) socketMode() (fs.FileMode, error) {
	if c.file.SocketMode.Text == "" {
		if !c.hasCaller("anyone_on_socket") && (c.hasCaller("user") || c.hasCaller("group")) {
			return 0o666, nil
		}
		return 0o600, nil
	}
	mode, err := strconv.ParseUint(c.file.SocketMode.Text, 8, 12)
	if err != nil || mode&^0o777 != 0 {
		return 0, errors.New(`give the mode in quotes, as in "0660"`)
	}
	return fs.FileMode(mode), nil
}

// hasCaller reports whether an identity lists a caller of this kind.
func (c *agentConfig) hasCaller(kind string) bool {
	for _, id := range c.file.Identities {
		if slices.ContainsFunc(id.Callers, func(caller agentfile.Caller) bool { return caller.Kind == kind }) {
			return true
		}
	}
	return false
}

// checkSockets refuses sockets that let in more than the configuration says, where
// everybody who can connect is a caller. systemd may have opened them, or the configuration
// of before.
func (c *agentConfig) checkSockets(paths []string) error {
	if !c.hasCaller("anyone_on_socket") || !modesCount {
		return nil
	}
	allowed, err := c.socketMode()
	if err != nil {
		return err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return failure.Errorf("%w", failure.File(err))
		}
		if mode := info.Mode().Perm(); mode&0o222&^allowed != 0 {
			return failure.Errorf("%s has mode %04o, so anyone_on_socket lets in more than socket_mode says, which is %04o",
				path, mode, allowed).Advise("Name users in place of anyone_on_socket, or set socket_mode and restart the agent.")
		}
	}
	return nil
}

// build makes the agent's identities.
func (c *agentConfig) build(ctx context.Context, clients *agentClients, mistakes *agentfile.Mistakes) {
	onSocket := c.file.Socket.Line != 0
	for i := range c.file.Identities {
		id, source := &c.file.Identities[i], c.sources[i]
		made := agent.Identity{Name: id.Name.Text, ClientID: source.settings["client_id"]}
		note := func(line int, err error) {
			for _, text := range c.textsOf(err) {
				mistakes.Add(line, "identity %s: %s", strconv.Quote(id.Name.Text), text)
			}
		}
		if client, err := clients.get(ctx, source); err != nil {
			note(id.Line, err)
		} else {
			made.Client, made.Certificate = client.client, client.source
		}
		for _, scope := range id.Scopes {
			if err := agent.CheckScope(scope.Text); err != nil {
				note(scope.Line, err)
			}
			made.Scopes = append(made.Scopes, scope.Text)
		}
		for _, caller := range id.Callers {
			one, err := source.caller(ctx, caller)
			if err == nil {
				err = one.Check()
			}
			switch {
			case err != nil:
				note(caller.Value.Line, err)
			case caller.Kind != "secret_file" && !onSocket:
				note(caller.Value.Line, errors.New("a "+caller.Kind+" can ask over a socket only, and there is none"))
			}
			made.Callers = append(made.Callers, one)
		}
		c.identities = append(c.identities, made)
	}
}

// textsOf lists the mistakes that an error joins, with the names that the configuration has.
func (c *agentConfig) textsOf(err error) []string {
	var texts []string
	for line := range strings.SplitSeq(failure.Clean(err).Error(), "\n") {
		line = strings.TrimPrefix(line, "agent: ")
		texts = append(texts, console.Printable(c.named(line)))
	}
	return texts
}

// named is a text with the names of the configuration's settings, or of the flags that
// stand for it.
func (c *agentConfig) named(text string) string {
	if c.path == "" {
		return flagNames(text)
	}
	return settingNames(text)
}

// watched are the files that the configuration names, besides the certificates, which
// their sources follow.
func (c *agentConfig) watched() []string {
	var names []string
	for i, source := range c.sources {
		names = append(names, source.files()...)
		for _, caller := range c.file.Identities[i].Callers {
			if caller.Kind == "secret_file" {
				names = append(names, besideConfig(c.path, caller.Value.Text))
			}
		}
	}
	return names
}

// stamp is what a file looks like from outside.
type stamp struct {
	size int64
	mode fs.FileMode
	time time.Time
	err  string
}

// stampsOf looks at files, without reading them.
func stampsOf(names []string) map[string]stamp {
	stamps := map[string]stamp{}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			stamps[name] = stamp{err: err.Error()}
			continue
		}
		stamps[name] = stamp{size: info.Size(), mode: info.Mode(), time: info.ModTime()}
	}
	return stamps
}

// keysOf are the files of stamps.
func keysOf(stamps map[string]stamp) []string { return slices.Collect(maps.Keys(stamps)) }

func sameStamps(a, b map[string]stamp) bool {
	return maps.EqualFunc(a, b, func(x, y stamp) bool {
		return x.size == y.size && x.mode == y.mode && x.time.Equal(y.time) && x.err == y.err
	})
}
