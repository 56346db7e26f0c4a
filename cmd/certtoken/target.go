package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Environment variables that Azure's own tools read. Flags win.
const (
	envTenant    = "AZURE_TENANT_ID"
	envClientID  = "AZURE_CLIENT_ID"
	envCertPath  = "AZURE_CLIENT_CERTIFICATE_PATH"
	envSendChain = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"
	envHost      = "AZURE_AUTHORITY_HOST"
)

const defaultTimeout = 30 * time.Second

// targetFlags say who asks which server for what, and how. All commands that
// deal with a server share them.
type targetFlags struct {
	tenant     string
	clientID   string
	scopes     []string
	cert       certFlags
	authority  string
	tokenURL   string
	audience   string
	alg        string
	thumbprint string
	typ        string
	kid        string
	x5c        bool
	lifetime   duration
	ca         string
	timeout    duration
	loopback   bool
	mtls       bool
	verbose    bool
}

func (f *targetFlags) addTo(cmd *cobra.Command) {
	f.timeout = duration(defaultTimeout)
	add := func(group string, define func(*pflag.FlagSet)) {
		set := pflag.NewFlagSet(group, pflag.ContinueOnError)
		set.SortFlags = false
		define(set)
		inGroup(set, group)
		cmd.Flags().AddFlagSet(set)
	}
	cmd.Flags().SortFlags = false
	add(flagsWho, func(s *pflag.FlagSet) {
		s.StringVar(&f.tenant, "tenant", "", "Entra ID `TENANT`: GUID or domain ($"+envTenant+")")
		s.StringVar(&f.clientID, "client-id", "", "`ID` of the application ($"+envClientID+")")
		s.StringArrayVar(&f.scopes, "scope", nil, "`SCOPE` to ask for, for Entra ID RESOURCE/.default; repeat it for several")
	})
	add(flagsCertificate, func(s *pflag.FlagSet) {
		s.StringVar(&f.cert.file, "cert", "", "`FILE` with the certificate: PFX or PEM, - is standard input ($"+envCertPath+")")
		f.cert.addTo(s)
	})
	add(flagsServer, func(s *pflag.FlagSet) {
		s.StringVar(&f.authority, "authority", "", "`SERVER`: entra, entra-usgov, entra-china, adfs:HOST or an issuer's URL (default entra, or by $"+envHost+")")
		s.StringVar(&f.tokenURL, "token-url", "", "token endpoint's `URL`; without --authority, of any OAuth server")
	})
	add(flagsAssertion, func(s *pflag.FlagSet) {
		s.StringVar(&f.audience, "audience", "", "`AUD` of the assertion (default: the issuer, or the token endpoint)")
		s.StringVar(&f.alg, "alg", "", "`ALG` of the signature: RS256, RS384, RS512, PS256, PS384, PS512 (default PS256 for Entra ID, else RS256)")
		s.StringVar(&f.thumbprint, "thumbprint", "", "`WHICH` thumbprint it carries: x5t#S256, x5t, both or none (default x5t#S256, for ADFS x5t)")
		s.StringVar(&f.typ, "typ", "", "`TYP` of its header (default JWT for Entra ID and ADFS, else client-authentication+jwt)")
		s.StringVar(&f.kid, "kid", "", "key `ID` in its header (default none)")
		s.BoolVar(&f.x5c, "x5c", false, "send the certificate chain in its header ($"+envSendChain+")")
		s.Var(&f.lifetime, "lifetime", "`DURATION` of its validity, 1s to 1h (default 5m for Entra ID and ADFS, else 1m)")
	})
	add(flagsConnection, func(s *pflag.FlagSet) {
		s.StringVar(&f.ca, "ca", "", "`FILE` with an extra root certificate")
		s.Var(&f.timeout, "timeout", "`DURATION` after which to give up")
		s.BoolVar(&f.loopback, "allow-http-loopback", false, "allow plain http to this machine")
		s.BoolVar(&f.mtls, "mtls", false, "prove the client by the TLS handshake instead of an assertion (RFC 8705)")
		s.BoolVarP(&f.verbose, "verbose", "v", false, "say on standard error what is done")
	})
	completeWords(cmd, "authority", "entra", "entra-usgov", "entra-china", "adfs:", "https://")
	completeWords(cmd, "alg", algorithms...)
	completeWords(cmd, "thumbprint", "x5t#S256", "x5t", "both", "none")
	completeWords(cmd, "typ", "JWT", "client-authentication+jwt")
}

func completeWords(cmd *cobra.Command, flag string, words ...string) {
	complete := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // a flag that isn't defined
	}
}

var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// target is what the flags and the environment come to.
type target struct {
	authority certtoken.Authority
	entra     bool
	origin    string // an address of the server, to try the connection
	clientID  string
	scopes    []string
	cert      certFlags
	http      *http.Client
	timeout   time.Duration
	log       *slog.Logger // nil: say nothing
}

// resolve puts the environment under the flags, and reports everything that is
// missing at once, with needScope also a scope where the server wants one.
func (f *targetFlags) resolve(cmd *cobra.Command, c *console, needScope bool) (*target, error) {
	f.fillFromEnv(cmd)
	server, err := f.server()
	if err != nil {
		return nil, err
	}
	if err := f.missing(cmd, server, needScope); err != nil {
		return nil, err
	}
	opts, err := f.authorityOptions(cmd)
	if err != nil {
		return nil, err
	}
	if f.mtls {
		proof, err := server.handshake()
		if err != nil {
			return nil, err
		}
		opts = append(opts, proof)
	}
	client, err := httpClient(c, f.ca)
	if err != nil {
		return nil, err
	}
	t := &target{
		authority: server.authority(append(server.dialect, opts...)...),
		entra:     server.entra,
		origin:    server.origin,
		clientID:  f.clientID,
		scopes:    f.scopes,
		cert:      f.cert,
		http:      client,
		timeout:   time.Duration(f.timeout),
	}
	if f.verbose {
		t.log = slog.New(slog.NewTextHandler(c.err, nil))
	}
	if t.timeout <= 0 {
		return nil, usagef("--timeout must be positive")
	}
	return t, t.validate()
}

// handshake proves the client by its certificate in the TLS handshake instead of
// by an assertion (RFC 8705); Entra ID has a form of its own.
func (s *server) handshake() (certtoken.AuthorityOption, error) {
	switch {
	case s.needTenant:
		return certtoken.WithMTLSPoP(), nil
	case s.entra:
		return nil, usagef("--mtls of Entra ID has an endpoint of its own: it excludes --token-url")
	}
	return certtoken.WithTLSClientAuth(), nil
}

func (f *targetFlags) fillFromEnv(cmd *cobra.Command) {
	for _, e := range []struct {
		flag, env string
		value     *string
	}{
		{"client-id", envClientID, &f.clientID},
		{"cert", envCertPath, &f.cert.file},
	} {
		if !cmd.Flags().Changed(e.flag) {
			*e.value = os.Getenv(e.env)
		}
	}
	if send, err := strconv.ParseBool(os.Getenv(envSendChain)); err == nil && !cmd.Flags().Changed("x5c") {
		f.x5c = send
	}
}

// missing names every flag that is needed and not there.
func (f *targetFlags) missing(cmd *cobra.Command, server *server, needScope bool) error {
	var names, advice []string
	need := func(value, flag, help string) {
		if value == "" {
			names = append(names, "--"+flag)
			advice = append(advice, fmt.Sprintf("%-12s %s", "--"+flag, help))
		}
	}
	if server.needTenant {
		need(f.tenant, "tenant", "the tenant's GUID or domain, or set "+envTenant)
	}
	need(f.clientID, "client-id", "the application's id, or set "+envClientID)
	need(f.cert.file, "cert", "the certificate with its key, or set "+envCertPath)
	if needScope && server.entra {
		need(strings.TrimSpace(strings.Join(f.scopes, "")), "scope", "such as https://graph.microsoft.com/.default")
	}
	if len(names) == 0 {
		return nil
	}
	return usagef("missing %s", strings.Join(names, ", ")).advise(advice...).advise(seeHelp(cmd))
}

// authorityOptions are those that the flags ask for, over the server's dialect.
func (f *targetFlags) authorityOptions(cmd *cobra.Command) ([]certtoken.AuthorityOption, error) {
	var opts []certtoken.AuthorityOption
	given := cmd.Flags().Changed
	if given("audience") {
		opts = append(opts, certtoken.WithAudience(f.audience))
	}
	if given("alg") {
		opts = append(opts, certtoken.WithAlgorithm(certtoken.Algorithm(strings.ToUpper(f.alg))))
	}
	if given("thumbprint") {
		which, ok := thumbprints[strings.ToLower(f.thumbprint)]
		if !ok {
			return nil, usagef("--thumbprint %q is unknown", f.thumbprint).advise("Give x5t#S256, x5t, both or none.")
		}
		opts = append(opts, certtoken.WithThumbprintHeader(which))
	}
	if given("typ") {
		opts = append(opts, certtoken.WithAssertionType(f.typ))
	}
	if f.kid != "" {
		opts = append(opts, certtoken.WithKeyID(f.kid))
	}
	if f.x5c {
		opts = append(opts, certtoken.WithX5C())
	}
	if given("lifetime") {
		opts = append(opts, certtoken.WithLifetime(time.Duration(f.lifetime)))
	}
	if f.loopback {
		opts = append(opts, certtoken.WithLoopbackHTTP())
	}
	return opts, nil
}

var thumbprints = map[string]certtoken.Thumbprint{
	"x5t#s256": certtoken.ThumbprintSHA256,
	"x5t":      certtoken.ThumbprintSHA1,
	"both":     certtoken.ThumbprintBoth,
	"none":     certtoken.ThumbprintNone,
}

// validate lets the library find what is wrong with the flags' values.
func (t *target) validate() error {
	none := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
		return nil, certtoken.ErrNoCertificate
	})
	client, err := t.client(none)
	if err != nil {
		return err
	}
	return client.Close()
}

// client makes a client; what is wrong with it is wrong usage.
func (t *target) client(source certtoken.CertSource, opts ...certtoken.Option) (*certtoken.Client, error) {
	opts = append([]certtoken.Option{
		certtoken.WithHTTPClient(t.http),
		certtoken.WithUserAgent("certtoken-cli/" + strings.Trim(version(), "()")),
		certtoken.WithRequestTimeouts(requestTimeouts(t.timeout)),
	}, opts...)
	if t.log != nil {
		opts = append(opts, certtoken.WithLogger(t.log))
	}
	client, err := certtoken.NewClient(t.authority, t.clientID, source, opts...)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return client, nil
}

// requestTimeouts are the limits of one attempt and of a whole request: the
// library's own, or longer ones where --timeout is longer.
func requestTimeouts(timeout time.Duration) (attempt, whole time.Duration) {
	whole = min(max(timeout, 30*time.Second), 10*time.Minute)
	return whole / 3, whole
}

// acquire gets a token within the time limit.
func (t *target) acquire(ctx context.Context, client *certtoken.Client) (*certtoken.Token, error) {
	limit := fmt.Errorf("no token within %v: %w", t.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, limit)
	defer cancel()
	token, err := client.Token(ctx, t.scopes...)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return token, err
}

// httpClient is net/http's with proxies from the environment and, on request,
// one more root certificate.
func httpClient(c *console, caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	data, err := readFile(c, caFile)
	if err != nil {
		return nil, err
	}
	certs, err := caCertificates(data)
	if err != nil {
		return nil, failf("--ca %s: %w", caFile, err)
	}
	for _, cert := range certs {
		roots.AddCert(cert)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

func caCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	if block, _ := pem.Decode(data); block == nil {
		der, err := x509.ParseCertificates(data)
		if err != nil {
			return nil, err
		}
		certs, data = der, nil
	}
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

// duration is a flag: a Go duration such as 90s, or a number of seconds.
type duration time.Duration

var _ pflag.Value = (*duration)(nil)

func (d *duration) Set(text string) error {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		*d = duration(time.Duration(seconds) * time.Second)
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("give a duration such as 90s or 5m, or a number of seconds")
	}
	*d = duration(parsed)
	return nil
}

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Type() string { return "duration" }
