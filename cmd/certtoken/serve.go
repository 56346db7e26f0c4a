package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/spf13/cobra"
)

type serveCommand struct {
	console  *console
	clients  []string
	addr     string
	http     bool
	tenant   string
	issuer   string
	audience []string
	scopes   []string
	lifetime duration
	offset   duration
	fail     []string
	first    int
	caFile   string
	json     bool
	quiet    bool
}

func newServe(c *console) *cobra.Command {
	s := &serveCommand{console: c, lifetime: duration(certtokentest.DefaultLifetime)}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a token endpoint on this machine, to try clients with",
		Long: `Runs a token endpoint on this machine's loopback address until it is
interrupted. It checks assertions for real, answers as Entra ID does, or with
--issuer as any OAuth server does, and fails on request. Its tokens are worth
nothing elsewhere.

It prints its address, the file of the CA that its clients have to trust, and a
command to try; every token request is a line on standard error. The --ca-file
is replaced only if it holds nothing but CERTIFICATE blocks.

--fail SPEC is one of
  throttle:DURATION  status:CODE   aadsts:CODE  error:CODE     delay:DURATION
  reset              empty         html         notjson        truncated
  redirect:URL       no-token      no-expiry    oversized`,
		Example: `  certtoken serve --client my-app=public.cer
  certtoken serve --client my-app=public.cer --issuer self --addr 127.0.0.1:8443
  certtoken serve --client my-app=public.cer --fail throttle:2s --fail-first 1`,
		Args: noArgs,
		RunE: s.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&s.clients, "client", nil, "`ID=FILE`: a client and its certificate; repeat it for several")
	flags.StringVar(&s.addr, "addr", "127.0.0.1:0", "loopback `ADDRESS` to listen on; port 0 is any that is free")
	flags.BoolVar(&s.http, "http", false, "plain http, for clients that can't be given a CA")
	flags.StringVar(&s.tenant, "tenant", "", "the only `TENANT` (default "+certtokentest.DefaultTenant+" and every other)")
	flags.StringVar(&s.issuer, "issuer", "", "be an OAuth server with this issuer `URL`; self is its own address")
	flags.StringArrayVar(&s.audience, "audience", nil, "`AUD` to accept in assertions besides the usual one")
	flags.StringArrayVar(&s.scopes, "scope", nil, "the only `SCOPE` to grant; repeat it for several (default any)")
	flags.Var(&s.lifetime, "lifetime", "`DURATION` of the tokens' validity")
	flags.Var(&s.offset, "clock-offset", "`DURATION` by which its clock is ahead, or with - behind")
	flags.StringArrayVar(&s.fail, "fail", nil, "fail as `SPEC` says; several take turns")
	flags.IntVar(&s.first, "fail-first", 0, "fail only the first `N` requests")
	flags.StringVar(&s.caFile, "ca-file", "", "`FILE` to write the CA to, new or with certificates only (default a temporary one)")
	flags.BoolVar(&s.json, "json", false, "print the address and the rest as JSON")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "don't log requests")
	return cmd
}

func (s *serveCommand) run(cmd *cobra.Command, _ []string) error {
	faults, err := s.faults()
	if err != nil {
		return err
	}
	if err := s.checkCAFile(); err != nil {
		return err
	}
	clients, err := s.readClients()
	if err != nil {
		return err
	}
	endpoint, err := s.endpoint()
	if err != nil {
		return err
	}
	for _, client := range clients {
		endpoint.Register(client.id, client.cert.leaf)
	}
	if faults != nil {
		endpoint.FailFunc(faults)
	}
	listener, base, err := s.listen(cmd.Context())
	if err != nil {
		return err
	}
	defer listener.Close()
	return s.serve(cmd.Context(), endpoint, listener, base, clients)
}

// serve answers until the context ends.
func (s *serveCommand) serve(ctx context.Context, endpoint *certtokentest.Server, listener net.Listener, base string, clients []servedClient) error {
	server := &http.Server{
		Handler:           endpoint,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(s.console.err, "", 0),
	}
	if !s.quiet {
		server.Handler = &requestLogger{endpoint: endpoint, out: log.New(s.console.err, "", log.Ltime)}
	}
	info := serveInfo{TokenURL: s.tokenURL(base), Issuer: s.issuerURL(base)}
	if !s.http {
		ca, config, err := newServeTLS(listener.Addr())
		if err != nil {
			return failf("%w", err)
		}
		server.TLSConfig = config
		file, cleanup, err := s.writeCA(ca)
		if err != nil {
			return err
		}
		defer cleanup()
		info.CAFile = file
	}
	if err := s.announce(info, clients); err != nil {
		return err
	}
	return serveUntil(ctx, server, listener, !s.http)
}

// serveUntil serves until the context ends, and then lets requests in progress
// end for a moment.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, withTLS bool) error {
	ended := make(chan error, 1)
	go func() {
		if withTLS {
			ended <- server.ServeTLS(listener, "", "")
		} else {
			ended <- server.Serve(listener)
		}
	}()
	select {
	case err := <-ended:
		return failf("%w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // breaks what is left
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return failf("%w", err)
	}
	return nil
}

// endpoint makes the server from the flags. What is wrong with them is wrong
// usage.
func (s *serveCommand) endpoint() (*certtokentest.Server, error) {
	const remembered = 256 // for the log of requests
	opts := []certtokentest.Option{
		certtokentest.WithTokenLifetime(time.Duration(s.lifetime)),
		certtokentest.WithClockOffset(time.Duration(s.offset)),
		certtokentest.WithRequestLimit(remembered),
	}
	switch {
	case s.tenant != "" && s.issuer != "":
		return nil, usagef("--tenant and --issuer exclude each other: an issuer has no tenants")
	case s.tenant != "":
		opts = append(opts, certtokentest.WithTenants(s.tenant))
	case s.issuer == "self":
		opts = append(opts, certtokentest.WithIssuer(""))
	case s.issuer != "":
		opts = append(opts, certtokentest.WithIssuer(s.issuer))
	}
	if len(s.scopes) > 0 {
		opts = append(opts, certtokentest.WithScopes(s.scopes...))
	}
	if len(s.audience) > 0 {
		opts = append(opts, certtokentest.WithAudiences(s.audience...))
	}
	if s.lifetime < duration(time.Second) {
		return nil, usagef("--lifetime must be a second or more")
	}
	return newEndpoint(opts)
}

// newEndpoint turns the panic of a mistaken option into an error.
func newEndpoint(opts []certtokentest.Option) (server *certtokentest.Server, err error) {
	defer func() {
		if mistake, ok := recover().(error); ok {
			err = usagef("%w", clean(mistake))
		}
	}()
	return certtokentest.New(opts...), nil
}

// servedClient is a client and the certificate that it proves itself with.
type servedClient struct {
	id   string
	file string
	cert *shownCert
}

func (s *serveCommand) readClients() ([]servedClient, error) {
	if len(s.clients) == 0 {
		return nil, usagef("missing --client").
			advise("Give an id and a public certificate: --client my-app=public.cer",
				"\"certtoken cert new\" makes one.")
	}
	var clients []servedClient
	for _, spec := range s.clients {
		id, file, ok := strings.Cut(spec, "=")
		if !ok || id == "" || file == "" {
			return nil, usagef("--client %q: give ID=FILE", spec)
		}
		data, err := readFile(s.console, file)
		if err != nil {
			return nil, err
		}
		cert, err := servedCert(data)
		if err != nil {
			return nil, failf("%s: %w", file, err).advise("Give its public certificate, DER or PEM; \"certtoken cert show\" tells what a file is.")
		}
		clients = append(clients, servedClient{id, file, cert})
	}
	return clients, nil
}

// listen opens the socket, on loopback only, and returns the server's address.
func (s *serveCommand) listen(ctx context.Context) (net.Listener, string, error) {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return nil, "", usagef("--addr %q: give ADDRESS:PORT", s.addr)
	}
	dial := host
	if strings.EqualFold(host, "localhost") {
		dial = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(dial)
	if err != nil || !ip.IsLoopback() {
		return nil, "", usagef("--addr %q is not a loopback address", s.addr).
			advise("This server hands out tokens to try clients with: it listens on 127.0.0.1,", "::1 or localhost only.")
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(dial, port))
	if err != nil {
		return nil, "", failf("%w", err).advise("Choose another port with --addr; port 0 is any that is free.")
	}
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, "", failf("%w", err)
	}
	scheme := "https://"
	if s.http {
		scheme = "http://"
	}
	return listener, scheme + net.JoinHostPort(host, port), nil
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

// issuerURL is the audience of assertions, "" for Entra ID.
func (s *serveCommand) issuerURL(base string) string {
	if s.issuer == "self" {
		return base
	}
	return strings.TrimSuffix(s.issuer, "/")
}

// checkCAFile makes sure that nothing but a CA of before is overwritten.
func (s *serveCommand) checkCAFile() error {
	switch {
	case s.caFile == "":
		return nil
	case s.caFile == "-":
		return usagef("--ca-file can't be standard output: give a FILE")
	}
	info, err := os.Stat(s.caFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return failf("%w", fileError(err))
	case info.Mode().IsRegular() && info.Size() <= maxCertFile:
		data, err := readFile(s.console, s.caFile)
		if err != nil || onlyCertificates(data) {
			return err
		}
	}
	return failf("%s: not a CA file of serve; choose another --ca-file", s.caFile)
}

// onlyCertificates tells whether there is nothing but CERTIFICATE blocks in data,
// or nothing at all.
func onlyCertificates(data []byte) bool {
	for {
		data = bytes.TrimSpace(data)
		if len(data) == 0 {
			return true
		}
		if !bytes.HasPrefix(data, []byte("-----BEGIN CERTIFICATE-----")) {
			return false
		}
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" {
			return false
		}
		data = rest
	}
}

// writeCA writes the CA for clients to trust. A temporary file goes with the
// server.
func (s *serveCommand) writeCA(ca []byte) (file string, cleanup func(), err error) {
	if s.caFile != "" {
		if err := os.WriteFile(s.caFile, ca, 0o644); err != nil {
			return "", nil, failf("%w", fileError(err))
		}
		return s.caFile, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "certtoken-serve-")
	if err != nil {
		return "", nil, failf("%w", fileError(err))
	}
	file = filepath.Join(dir, "ca.pem")
	cleanup = func() { _ = os.RemoveAll(dir) } // it's in the temporary folder anyway
	if err := os.WriteFile(file, ca, 0o644); err != nil {
		cleanup()
		return "", nil, failf("%w", fileError(err))
	}
	return file, cleanup, nil
}

// serveInfo is what a client has to know.
type serveInfo struct {
	TokenURL string   `json:"token_url"`
	Issuer   string   `json:"issuer,omitempty"`
	CAFile   string   `json:"ca_file,omitempty"`
	Clients  []string `json:"clients"`
	Command  string   `json:"command"`
}

func (s *serveCommand) announce(info serveInfo, clients []servedClient) error {
	for _, client := range clients {
		info.Clients = append(info.Clients, client.id)
	}
	lines := s.tryLines(info, clients[0])
	info.Command = strings.Join(lines, " ")
	if s.json {
		return s.console.printJSON(info)
	}
	rows := []row{{"Endpoint", info.TokenURL}}
	if info.Issuer != "" {
		rows = append(rows, row{"Issuer", info.Issuer})
	}
	if info.CAFile != "" {
		rows = append(rows, row{"CA file", info.CAFile})
	}
	for _, client := range clients {
		rows = append(rows, row{"Client", client.id + ", " + client.cert.subject()})
	}
	printRows(s.console, rows)
	s.console.printf("\nTry it:\n  %s\n\nInterrupt it (Ctrl-C) to end it.\n", strings.Join(lines, " \\\n    "))
	return s.console.out.failed
}

// tryLines is a command that gets a token here, a line each.
func (s *serveCommand) tryLines(info serveInfo, client servedClient) []string {
	authority, scope := "entra", "https://graph.microsoft.com/.default"
	if info.Issuer != "" {
		authority, scope = info.Issuer, "read"
	}
	if len(s.scopes) > 0 {
		scope = s.scopes[0]
	}
	lines := []string{
		"certtoken token --authority " + shellWord(authority),
		"--token-url " + shellWord(info.TokenURL),
		fmt.Sprintf("--client-id %s --cert %s", shellWord(client.id), shellWord(privateFile(client.file))),
		"--scope " + shellWord(scope),
	}
	if info.CAFile == "" {
		return append(lines, "--allow-http-loopback")
	}
	return append(lines, "--ca "+shellWord(info.CAFile))
}

// privateFile guesses where the private key of a public certificate is.
func privateFile(public string) string {
	guess := filepath.Join(filepath.Dir(public), "private.pfx")
	if _, err := os.Stat(guess); err == nil {
		return guess
	}
	return "private.pfx"
}

// servedCert reads a public certificate, or that of a PEM with its key too.
func servedCert(data []byte) (*shownCert, error) {
	shown, err := parsePublic(data, "")
	if err == nil {
		return shown, nil
	}
	cert, parseErr := certtoken.ParseCertificate(data)
	if parseErr != nil {
		return nil, clean(parseErr)
	}
	return certOf(cert), nil
}
