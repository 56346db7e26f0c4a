package main

import (
	"net/url"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
)

// server decides which server is meant.
func (f *serverFlags) server() (*server, error) {
	if userinfo.In(f.tokenURL) {
		return nil, failure.Usagef("--token-url has a user or a password in it").Advise(withoutUser)
	}
	authority := f.authority
	switch {
	case authority == "" && isOfEntra(f.tokenURL):
		return f.entraElsewhere(), nil
	case authority == "" && f.tokenURL != "":
		return f.generic(f.tokenURL)
	case authority == "":
		return f.entraOfEnvironment()
	}
	if userinfo.In(authority) {
		return nil, failure.Usagef("--authority has a user or a password in it").Advise(withoutUser)
	}
	if host := cloudHosts[strings.ToLower(authority)]; host != "" {
		return f.entra(host), nil
	}
	if scheme, host, ok := strings.Cut(authority, ":"); ok && strings.EqualFold(scheme, "adfs") {
		return f.adfs(strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/"))
	}
	u, err := url.Parse(withScheme(authority))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, failure.Usagef("--authority %q is unknown", authority).
			Advise("Give entra, entra-usgov, entra-china, adfs:HOST, or an issuer's URL, which begins with https://.")
	}
	if host := entraHostOf(u); host != "" {
		return f.entraByURL(u, host)
	}
	return f.generic(authority)
}

func (f *serverFlags) adfs(host string) (*server, error) {
	if err := f.refuseTenant(); err != nil {
		return nil, err
	}
	if f.tokenURL != "" {
		return nil, failure.Usagef("--token-url and --authority adfs:HOST exclude each other: the host makes the URL")
	}
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return certtoken.ADFS(host, opts...)
		},
		onBehalfOf: true,
		origin:     "https://" + host,
	}, nil
}

// generic is any server that takes assertions by RFC 7523. Without a token URL, its
// metadata names the endpoint.
func (f *serverFlags) generic(issuer string) (*server, error) {
	if err := f.refuseTenant(); err != nil {
		return nil, err
	}
	if f.tokenURL == "" {
		return discovered(issuer)
	}
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return certtoken.Issuer(issuer, f.tokenURL, opts...)
		},
		origin: originOf(f.tokenURL),
	}, nil
}

func (f *serverFlags) refuseTenant() error {
	if f.tenant == "" {
		return nil
	}
	return failure.Usagef("--tenant is for Entra ID, and --authority or --token-url names another server").
		Advise("Leave it out. If the server speaks Entra ID's dialect, as \"certtoken serve\" does,",
			"add --authority entra.")
}

// discovered is a server whose metadata name the token endpoint. Until they are asked, its
// authority has the issuer in the endpoint's place, so that flags can be checked.
func discovered(issuer string) (*server, error) {
	if strings.ContainsAny(issuer, "?#") {
		return nil, failure.Usagef("--authority: an issuer has neither a query nor a fragment (RFC 8414 §2)")
	}
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return certtoken.Issuer(issuer, issuer, opts...)
		},
		origin: originOf(issuer),
		issuer: issuer,
	}, nil
}
