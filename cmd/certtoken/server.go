package main

import (
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
)

// serverFlags say which server is asked for a token.
type serverFlags struct {
	tenant    string
	authority string
	tokenURL  string
}

// Environment variables that are used where these flags are not given.
const (
	envTenant = "AZURE_TENANT_ID"
	envHost   = "AZURE_AUTHORITY_HOST"
)

// server is the server that the flags name.
type server struct {
	authority  func(...certtoken.AuthorityOption) certtoken.Authority
	dialect    []certtoken.AuthorityOption // the flags' options come after these and win
	entra      bool
	needTenant bool
	origin     string
}

// withoutUser is what to do about user:password@ in a URL.
const withoutUser = "Leave out what stands before the @: the application proves who it is with its certificate."

// cloud is one of the clouds of Entra ID.
type cloud struct {
	name      string
	host      string
	authority func(string, ...certtoken.AuthorityOption) certtoken.Authority
}

var clouds = []cloud{
	{"entra", "login.microsoftonline.com", certtoken.Entra},
	{"entra-usgov", "login.microsoftonline.us", certtoken.EntraUSGov},
	{"entra-china", "login.partner.microsoftonline.cn", certtoken.EntraChina},
}

func cloudNamed(name string) *cloud {
	for i := range clouds {
		if clouds[i].name == name {
			return &clouds[i]
		}
	}
	return nil
}

// server decides which server is meant.
func (f *serverFlags) server() (*server, error) {
	if userinfo.In(f.tokenURL) {
		return nil, failure.Usagef("--token-url has a user or a password in it").Advise(withoutUser)
	}
	authority := f.authority
	switch {
	case authority == "" && f.tokenURL != "":
		return f.generic(f.tokenURL)
	case authority == "":
		named, err := authorityFromEnv()
		if err != nil {
			return nil, err
		}
		authority = named
	}
	if userinfo.In(authority) {
		return nil, failure.Usagef("--authority has a user or a password in it").Advise(withoutUser)
	}
	if c := cloudNamed(strings.ToLower(authority)); c != nil {
		return f.entra(c), nil
	}
	if scheme, host, ok := strings.Cut(authority, ":"); ok && strings.EqualFold(scheme, "adfs") {
		return f.adfs(host)
	}
	u, err := url.Parse(authority)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, failure.Usagef("--authority %q is unknown", authority).
			Advise("Give entra, entra-usgov, entra-china, adfs:HOST, or an issuer's URL.")
	}
	return f.generic(authority)
}

// authorityFromEnv is the cloud that AZURE_AUTHORITY_HOST names.
func authorityFromEnv() (string, error) {
	host := os.Getenv(envHost)
	if host == "" {
		return "entra", nil
	}
	if userinfo.In(host) {
		return "", failure.Usagef("%s has a user or a password in it", envHost).Advise(withoutUser)
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://")
	bare, _, _ = strings.Cut(bare, "/")
	for _, c := range clouds {
		if strings.EqualFold(bare, c.host) {
			return c.name, nil
		}
	}
	return "", failure.Usagef("%s is %q, which is none of Entra ID's clouds", envHost, host).
		Advise("Give --authority; for another endpoint that speaks Entra ID's dialect,",
			"--authority entra and --token-url.")
}

func (f *serverFlags) entra(c *cloud) *server {
	if f.tokenURL != "" {
		return f.entraElsewhere()
	}
	if f.tenant == "" {
		f.tenant = os.Getenv(envTenant)
	}
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return c.authority(f.tenant, opts...)
		},
		entra:      true,
		needTenant: true,
		origin:     "https://" + c.host,
	}
}

// entraElsewhere is Entra ID's dialect at another endpoint: a regional one, an
// External ID tenant, "certtoken serve".
func (f *serverFlags) entraElsewhere() *server {
	return &server{
		authority: func(opts ...certtoken.AuthorityOption) certtoken.Authority {
			return certtoken.Issuer(f.tokenURL, f.tokenURL, opts...)
		},
		dialect: []certtoken.AuthorityOption{
			certtoken.WithAlgorithm(certtoken.PS256),
			certtoken.WithAssertionType("JWT"),
			certtoken.WithLifetime(5 * time.Minute),
		},
		entra:  true,
		origin: originOf(f.tokenURL),
	}
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
		origin: "https://" + host,
	}, nil
}

// generic is any server that takes assertions by RFC 7523.
func (f *serverFlags) generic(issuer string) (*server, error) {
	if err := f.refuseTenant(); err != nil {
		return nil, err
	}
	if f.tokenURL == "" {
		return nil, failure.Usagef("--authority %s also needs --token-url", issuer).
			Advise("The server's metadata names it as token_endpoint:",
				strings.TrimSuffix(beforeQuery(issuer), "/")+"/.well-known/openid-configuration")
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
	return failure.Usagef("--tenant is for Entra ID only").
		Advise("For Entra ID's dialect at another endpoint, add --authority entra.")
}

// beforeQuery is a URL without query and fragment.
func beforeQuery(raw string) string {
	if at := strings.IndexAny(raw, "?#"); at >= 0 {
		return raw[:at]
	}
	return raw
}

func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

// handshake is the option by which the certificate in the TLS handshake proves who
// the client is, instead of an assertion (RFC 8705). Entra ID has its own form.
func (s *server) handshake() (certtoken.AuthorityOption, error) {
	switch {
	case s.needTenant:
		return certtoken.WithMTLSPoP(), nil
	case s.entra:
		return nil, failure.Usagef("--mtls of Entra ID has an endpoint of its own: it excludes --token-url")
	}
	return certtoken.WithTLSClientAuth(), nil
}
