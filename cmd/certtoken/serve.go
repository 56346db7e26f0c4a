package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
	"github.com/certtoken/certtoken/internal/tlsalert"
	"github.com/spf13/cobra"
)

type serveCommand struct {
	console  *console.Console
	clients  []string
	jwksURIs []string
	addr     string
	http     bool
	tenant   string
	issuer   string
	audience []string
	loose    bool
	grants   bool
	scopes   []string
	lifetime duration
	offset   duration
	fail     []string
	first    int
	dpop     bool
	graph    graphFlags
	nonces   bool
	caFile   caFile
	tlsNames []string
	json     bool
	quiet    bool
}

func newServe(c *console.Console) *cobra.Command {
	s := &serveCommand{console: c, lifetime: duration(certtokentest.DefaultLifetime)}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a token endpoint on this machine to test clients",
		Long: `Runs a token endpoint on this machine's loopback address until it is
interrupted. It checks assertions as a real server does and answers as Entra ID
does, or with --issuer as any OAuth server does. With --fail it fails in the way
that you choose. No other server accepts its tokens.

It prints its address, the file with the CA that clients have to trust, and a
command to try. For every token request it writes a line to standard error, and
one for every TLS handshake that fails: what the client minds about it. A
--ca-file that exists is replaced only if it holds nothing but certificates.

--fail SPEC is one of
  throttle:DURATION  status:CODE   aadsts:CODE  error:CODE     delay:DURATION
  reset              empty         html         notjson        truncated
  redirect:URL       no-token      no-expiry    oversized`,
		Example: `  certtoken serve --client my-app=public.cer
  certtoken serve --client my-app=public.cer --issuer self --addr 127.0.0.1:8443
  certtoken serve --client my-app=jwks.json --issuer self
  certtoken serve --client my-app=public.cer --graph --propagation 30s
  certtoken serve --client my-app=public.cer --fail throttle:2s --fail-first 1`,
		Args: noArgs,
		RunE: s.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&s.clients, "client", nil,
		"`ID=FILE`: a client and its certificate, or with --issuer its JWK Set; repeat it for several")
	flags.StringArrayVar(&s.jwksURIs, "jwks-uri", nil,
		"with --issuer, `ID=URL`: a client and where its JWK Set is fetched; repeat it for several")
	flags.StringVar(&s.addr, "addr", "127.0.0.1:0", "loopback `ADDRESS` to listen on; port 0 stands for any free port")
	flags.BoolVar(&s.http, "http", false, "speak plain http, for clients that can't be told to trust a CA")
	flags.StringVar(&s.tenant, "tenant", "",
		"the only `TENANT` (default "+certtokentest.DefaultTenant+" and every other)")
	flags.StringVar(&s.issuer, "issuer", "", "be an OAuth server with this issuer `URL`; self stands for its own address")
	flags.StringArrayVar(&s.audience, "audience", nil, "`AUD` to accept in assertions besides the usual one")
	flags.BoolVar(&s.loose, "loose-audience", false,
		"with --issuer, accept the token URL and a list as audience too, as many servers do")
	flags.BoolVar(&s.grants, "grant-only", false,
		"with --issuer, take a JWT bearer grant alone as the client's proof, as Salesforce and Google do")
	flags.StringArrayVar(&s.scopes, "scope", nil, "the only `SCOPE` to grant; repeat it for several (default any)")
	flags.BoolVar(&s.dpop, "dpop", false, "with --issuer, want DPoP proofs and bind tokens to their key (RFC 9449)")
	flags.BoolVar(&s.nonces, "dpop-nonce", false, "with --dpop, want a nonce in them")
	s.graph.addTo(flags)
	flags.Var(&s.lifetime, "lifetime", "`DURATION` of the tokens' validity")
	flags.Var(&s.offset, "clock-offset", "`DURATION` by which its clock is ahead; a negative one: behind")
	flags.StringArrayVar(&s.fail, "fail", nil, "fail as `SPEC` says; if repeated, they take turns")
	flags.IntVar(&s.first, "fail-first", 0, "fail only the first `N` requests")
	flags.StringVar((*string)(&s.caFile), "ca-file", "",
		"`FILE` to write the CA to, new or with certificates only (default a temporary one)")
	flags.StringArrayVar(&s.tlsNames, "tls-name", nil,
		"another `NAME` or IP address for its TLS certificate; repeat it for several")
	flags.BoolVar(&s.json, "json", false, "print the address and the rest as JSON")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "don't log requests")
	completeWords(cmd, "fail", faultWords()...)
	completeWords(cmd, "issuer", "self", "https://")
	completeWords(cmd, "addr", "127.0.0.1:0", "127.0.0.1:8443", "[::1]:0")
	return cmd
}

func (s *serveCommand) run(cmd *cobra.Command, _ []string) error {
	faults, err := faultsOf(s.fail, s.first)
	if err != nil {
		return err
	}
	if s.http && len(s.tlsNames) > 0 {
		return failure.Usagef("--tls-name and --http exclude each other: plain http has no certificate")
	}
	if err := checkTLSNames(s.tlsNames); err != nil {
		return err
	}
	if err := s.caFile.check(cmd.Context()); err != nil {
		return err
	}
	clients, err := readServedClients(cmd.Context(), s.console, s.clients, s.jwksURIs)
	if err != nil {
		return err
	}
	endpoint, err := s.endpoint(clients)
	if err != nil {
		return err
	}
	for _, client := range clients {
		if err := client.register(endpoint, s.issuer == ""); err != nil {
			return err
		}
	}
	if faults != nil {
		endpoint.FailFunc(faults)
	}
	listener, hostPort, err := listenLoopback(cmd.Context(), s.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	return s.serve(cmd.Context(), endpoint, listener, s.scheme()+hostPort, clients)
}

func (s *serveCommand) scheme() string {
	if s.http {
		return "http://"
	}
	return "https://"
}

// serve answers until the context ends.
func (s *serveCommand) serve(
	ctx context.Context, endpoint *certtokentest.Server, listener net.Listener, base string, clients []servedClient,
) error {
	out := log.New(s.console.Err, "", log.Ltime)
	server := &http.Server{
		Handler:           endpoint,
		ReadHeaderTimeout: 10 * time.Second,
	}
	if !s.quiet {
		server.Handler = &requestLogger{endpoint: endpoint, out: out}
	}
	info := serveInfo{TokenURL: s.tokenURL(base), Issuer: s.issuerURL(base), scopes: s.scopes, dpop: s.dpop}
	if s.graph.on {
		info.GraphURL, info.Applications = base+graphPath, applicationsOf(clients)
	}
	if !s.http {
		ca, config, err := newServeTLS(listener.Addr(), s.tlsNames)
		if err != nil {
			return failure.Errorf("%w", err)
		}
		server.TLSConfig = config
		file, cleanup, err := s.caFile.write(ca)
		if err != nil {
			return err
		}
		defer cleanup()
		info.CAFile = file
	}
	report := &tlsFailures{out: out, caFile: info.CAFile}
	failures := &tlsalert.Failures{Report: report.report, Other: report.other}
	server.ErrorLog = log.New(failures, "", 0)
	if err := info.announce(s.console, clients, s.json); err != nil {
		return err
	}
	return serveUntil(ctx, server, failures.Listener(listener), !s.http)
}

// endpoint makes the server that the flags describe.
func (s *serveCommand) endpoint(clients []servedClient) (*certtokentest.Server, error) {
	const remembered = 256 // for the log of requests
	opts := []certtokentest.Option{
		certtokentest.WithTokenLifetime(time.Duration(s.lifetime)),
		certtokentest.WithClockOffset(time.Duration(s.offset)),
		certtokentest.WithRequestLimit(remembered),
	}
	switch {
	case userinfo.In(s.issuer):
		return nil, failure.Usagef("--issuer has a user or a password in it").
			Advise("Leave out what stands before the @: an issuer's URL never has it.")
	case s.tenant != "" && s.issuer != "":
		return nil, failure.Usagef("--tenant and --issuer exclude each other: an issuer has no tenants")
	case s.tenant != "":
		opts = append(opts, certtokentest.WithTenants(s.tenant))
	case s.issuer == "self":
		opts = append(opts, certtokentest.WithIssuer(""))
	case s.issuer != "":
		opts = append(opts, certtokentest.WithIssuer(s.issuer))
	}
	if s.loose {
		if s.issuer == "" {
			return nil, failure.Usagef("--loose-audience goes with --issuer: Entra ID takes the token URL alone")
		}
		opts = append(opts, certtokentest.WithLooseAudience())
	}
	if s.grants {
		if s.issuer == "" {
			return nil, failure.Usagef("--grant-only goes with --issuer: Entra ID wants the client's own proof as well")
		}
		opts = append(opts, certtokentest.WithGrantOnly())
	}
	switch {
	case s.nonces && !s.dpop:
		return nil, failure.Usagef("--dpop-nonce goes with --dpop")
	case s.dpop && s.issuer == "":
		return nil, failure.Usagef("--dpop goes with --issuer: Entra ID grants no such tokens")
	case s.dpop:
		opts = append(opts, certtokentest.WithDPoP(certtokentest.DPoPRules{Required: true, Nonces: s.nonces}))
	}
	graph, err := s.graph.option(s.issuer, s.http, clients)
	if err != nil {
		return nil, err
	}
	opts = append(opts, graph)
	if len(s.scopes) > 0 {
		opts = append(opts, certtokentest.WithScopes(s.scopes...))
	}
	if len(s.audience) > 0 {
		opts = append(opts, certtokentest.WithAudiences(s.audience...))
	}
	if s.lifetime < duration(time.Second) {
		return nil, failure.Usagef("--lifetime: give a second or more, such as 5m")
	}
	return newEndpoint(opts)
}

// newEndpoint makes the server. It turns the panic for a mistaken option, which a
// flag has caused, into an error.
func newEndpoint(opts []certtokentest.Option) (server *certtokentest.Server, err error) {
	defer func() {
		if mistake, ok := recover().(error); ok {
			err = failure.Usagef("%w", failure.Clean(mistake))
		}
	}()
	return certtokentest.New(opts...), nil
}

func (s *serveCommand) tokenURL(base string) string {
	switch {
	case s.issuer == "self":
		return base + "/token"
	case s.issuer != "":
		u, err := url.Parse(s.issuer)
		if err != nil {
			return base + "/token" // the endpoint has refused it
		}
		return base + strings.TrimSuffix(u.Path, "/") + "/token"
	}
	tenant := s.tenant
	if tenant == "" {
		tenant = certtokentest.DefaultTenant
	}
	return base + "/" + tenant + "/oauth2/v2.0/token"
}

// issuerURL is the issuer's URL. It is "" for Entra ID, where assertions name the
// token endpoint.
func (s *serveCommand) issuerURL(base string) string {
	if s.issuer == "self" {
		return base
	}
	return strings.TrimSuffix(s.issuer, "/")
}
