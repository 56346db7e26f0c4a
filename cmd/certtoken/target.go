package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// azureDevOpsScope is Azure DevOps, by the id that it has in every tenant.
const azureDevOpsScope = "499b84ac-1321-427f-aa17-267ca6975798/.default"

const defaultTimeout = 30 * time.Second

// targetFlags say who asks which server for what, and how. All commands that make
// a token request share them.
type targetFlags struct {
	serverFlags
	clientID   string
	scopes     []string
	params     []string
	agent      string
	cert       certFlags
	audience   string
	alg        string
	thumbprint string
	typ        string
	kid        string
	x5c        bool
	lifetime   duration
	backdate   duration
	ca         string
	timeout    duration
	loopback   bool
	mtls       bool
	bound      bool
	dpop       bool
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
		s.StringVar(&f.tenant, "tenant", "", "Entra ID `TENANT`: GUID or domain ($"+azureenv.TenantID+")")
		s.StringVar(&f.clientID, "client-id", "", "`ID` of the application ($"+azureenv.ClientID+")")
		s.StringArrayVar(&f.scopes, "scope", nil,
			"`SCOPE` to ask for, such as RESOURCE/.default; repeat it for several")
		s.StringArrayVar(&f.params, "param", nil,
			"`NAME=VALUE` to send beside the rest, such as resource=URL; repeat it for several; no secrets")
		s.StringVar(&f.agent, "agent-identity", "",
			"client `ID` of an agent identity of Entra ID that the token is for; the application is its blueprint")
	})
	add(flagsCertificate, func(s *pflag.FlagSet) {
		s.StringVar(&f.cert.file, "cert", "",
			"`FILE` with the certificate and its key, or a key alone: PFX, PEM or JWK, - is standard input ($"+
				azureenv.CertificatePath+")")
		f.cert.addTo(s)
	})
	add(flagsServer, func(s *pflag.FlagSet) {
		s.StringVar(&f.authority, "authority", "",
			"`SERVER`: entra, entra-usgov, entra-china, adfs:HOST or an issuer's URL, whose metadata are asked "+
				"(default entra, or by $"+azureenv.AuthorityHost+")")
		s.StringVar(&f.tokenURL, "token-url", "",
			"`URL` of the token endpoint of any OAuth server, if it isn't to be looked up")
	})
	add(flagsAssertion, func(s *pflag.FlagSet) {
		s.StringVar(&f.audience, "audience", "",
			"`AUD` claim of the assertion (default: the issuer, or the token endpoint)")
		s.StringVar(&f.alg, "alg", "",
			"`ALG` that signs it: "+strings.Join(algorithms, ", ")+" (default PS256 for Entra ID, else by the key)")
		s.StringVar(&f.thumbprint, "thumbprint", "",
			"`WHICH` thumbprint it carries: x5t#S256, x5t, both or none (default x5t#S256, for ADFS x5t)")
		s.StringVar(&f.typ, "typ", "",
			"`TYP` in its header (default JWT for Entra ID and ADFS, else client-authentication+jwt)")
		s.StringVar(&f.kid, "kid", "", "key `ID` in its header (default none)")
		s.BoolVar(&f.x5c, "x5c", false, "send the certificate chain in its header ($"+azureenv.SendChain+")")
		s.Var(&f.lifetime, "lifetime", "`DURATION` of its validity, 1s to 1h (default 5m for Entra ID and ADFS, else 1m)")
		s.Var(&f.backdate, "backdate",
			"`DURATION` by which its nbf and iat are set back, 0s to 1h, against clocks that differ")
	})
	add(flagsConnection, func(s *pflag.FlagSet) {
		s.StringVar(&f.ca, "ca", "", "`FILE` with root certificates to trust besides the system's")
		s.Var(&f.timeout, "timeout", "`DURATION` after which to give up")
		s.BoolVar(&f.loopback, "allow-http-loopback", false, "allow plain http to this machine")
		s.BoolVar(&f.mtls, "mtls", false, "prove the client by the TLS handshake instead of an assertion (RFC 8705)")
		s.BoolVar(&f.bound, flagBound, false,
			"show the certificate in the TLS handshake too, so that the token is bound to it (RFC 8705)")
		s.BoolVar(&f.dpop, "dpop", false, "bind the token to a key by a proof (DPoP, RFC 9449)")
		s.BoolVarP(&f.verbose, "verbose", "v", false, "log to standard error what is done")
	})
	completeWords(cmd, "authority", "entra", "entra-usgov", "entra-china", "adfs:", "https://")
	completeWords(cmd, "scope", "https://graph.microsoft.com/.default", "https://management.azure.com/.default",
		"https://vault.azure.net/.default", "https://storage.azure.com/.default", azureDevOpsScope)
	completeWords(cmd, "param", "resource=", "audience=", "authorization_details=", "requested_token_type=")
	completeWords(cmd, "alg", algorithms...)
	completeWords(cmd, "thumbprint", "x5t#S256", "x5t", "both", "none")
	completeWords(cmd, "typ", "JWT", "client-authentication+jwt")
}

// resolve is describe for a command that asks the server at once: it also finds the token
// endpoint, if the server's metadata must name it.
func (f *targetFlags) resolve(cmd *cobra.Command, c *console.Console, needScope bool) (*target, error) {
	t, err := f.describe(cmd, c, needScope)
	if err != nil {
		return nil, err
	}
	ctx, cancel := t.limited(cmd.Context())
	defer cancel()
	defer c.Waiting("asking " + t.origin + " for its metadata")()
	return t, t.locate(ctx)
}

// describe adds the environment to the flags and makes a target of both, without asking a
// server: the caller uses locate before it makes a client. Everything that is missing is
// reported at once. With needScope, that includes the scope, if the server wants one.
func (f *targetFlags) describe(cmd *cobra.Command, c *console.Console, needScope bool) (*target, error) {
	server, err := f.server()
	if err != nil {
		return nil, err
	}
	env, err := f.environment(cmd, server)
	if err != nil {
		return nil, err
	}
	if err := f.missing(cmd, server, env, needScope); err != nil {
		return nil, err
	}
	parameters, err := f.parameters()
	if err != nil {
		return nil, err
	}
	opts, err := f.authorityOptions(cmd)
	if err != nil {
		return nil, err
	}
	handshake, err := f.handshake(server)
	if err != nil {
		return nil, err
	}
	opts = append(append(server.dialect, opts...), handshake...)
	client, err := env.httpClient(cmd.Context(), c, f.ca)
	if err != nil {
		return nil, err
	}
	t := &target{
		authority:  server.authority(opts...),
		entra:      server.entra,
		onBehalfOf: server.onBehalfOf,
		origin:     server.origin,
		clientID:   f.clientID,
		scopes:     f.scopes,
		params:     parameters,
		agent:      f.agent,
		bound:      f.bound || f.mtls,
		cert:       f.cert,
		env:        env,
		http:       client,
		timeout:    time.Duration(f.timeout),
	}
	if server.issuer != "" {
		t.discovery = &discovery{server.issuer, client, opts}
	}
	if f.verbose {
		c.StayStill() // the log's lines would stand in the one that moves
		t.log = slog.New(slog.NewTextHandler(c.Err, nil))
	}
	if t.timeout <= 0 {
		return nil, failure.Usagef("--timeout: give a duration over 0, such as 30s")
	}
	return t, t.validate()
}

// handshake is what --mtls and --bound ask for, or nothing.
func (f *targetFlags) handshake(server *server) ([]certtoken.AuthorityOption, error) {
	flag := flagBound
	switch {
	case f.mtls && f.bound:
		return nil, failure.Usagef("--mtls and --bound exclude each other: a token of --mtls is bound already")
	case f.mtls:
		flag = "mtls"
	case !f.bound:
		return nil, nil
	}
	option, err := server.handshake(flag)
	return []certtoken.AuthorityOption{option}, err
}

// parameters are those of --param. The library checks them.
func (f *targetFlags) parameters() (url.Values, error) {
	all := make(url.Values)
	for _, given := range f.params {
		name, value, ok := strings.Cut(given, "=")
		if !ok {
			return nil, failure.Usagef("--param %q has no =: give NAME=VALUE", console.Printable(name))
		}
		all.Add(name, value)
	}
	return all, nil
}

// environment fills in the flags that were not given, and reads what no flag is for. The
// library's ClientFromEnvironment reads the same variables by the same code. Those that
// say how Entra ID is asked are not read for other servers.
func (f *targetFlags) environment(cmd *cobra.Command, server *server) (*environment, error) {
	given := cmd.Flags().Changed
	if !given("client-id") {
		f.clientID = azureenv.Get(azureenv.ClientID)
	}
	f.cert.from = "--cert"
	if !given("cert") {
		f.cert.file, f.cert.from = azureenv.Get(azureenv.CertificatePath), azureenv.CertificatePath
	}
	if !given("x5c") {
		send, err := azureenv.SendsChain()
		if err != nil {
			return nil, failure.Usagef("%w", err).Advise("Or give --x5c or --x5c=false, which wins over it.")
		}
		f.x5c = send
	}
	if !server.entra {
		return &environment{}, nil
	}
	if _, err := azureenv.Tenants(); err != nil { // a request for one token needs no other tenant
		return nil, failure.Usagef("%w", err)
	}
	if f.cert.file != "" || !azureenv.IsFederated() {
		return &environment{}, nil
	}
	return federatedEnvironment(given)
}

// missing names every flag that is needed and not there.
func (f *targetFlags) missing(cmd *cobra.Command, server *server, env *environment, needScope bool) error {
	var names, advice []string
	need := func(value, flag, help string) {
		if value == "" {
			names = append(names, "--"+flag)
			advice = append(advice, fmt.Sprintf("%-12s %s", "--"+flag, help))
		}
	}
	if server.needTenant {
		need(f.tenant, "tenant", "the tenant's GUID or domain, or set "+azureenv.TenantID)
	}
	need(f.clientID, "client-id", "the application's id, or set "+azureenv.ClientID)
	if env.assertionFile == "" {
		need(f.cert.file, "cert", "the certificate with its key, or set "+azureenv.CertificatePath)
	}
	if needScope && server.entra {
		need(strings.TrimSpace(strings.Join(f.scopes, "")), "scope", "such as https://graph.microsoft.com/.default")
	}
	if len(names) == 0 {
		return nil
	}
	return failure.Usagef("missing %s", strings.Join(names, ", ")).Advise(advice...).Advise(seeHelp(cmd))
}

// authorityOptions are the options that the flags ask for.
func (f *targetFlags) authorityOptions(cmd *cobra.Command) ([]certtoken.AuthorityOption, error) {
	var opts []certtoken.AuthorityOption
	given := cmd.Flags().Changed
	if given("audience") {
		opts = append(opts, certtoken.WithAudience(f.audience))
	}
	if given("alg") {
		opts = append(opts, certtoken.WithAlgorithm(algorithm(f.alg)))
	}
	if given("thumbprint") {
		which, ok := thumbprints[strings.ToLower(f.thumbprint)]
		if !ok {
			return nil, failure.Usagef("--thumbprint %q is unknown", f.thumbprint).Advise("Give x5t#S256, x5t, both or none.")
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
	if given("backdate") {
		opts = append(opts, certtoken.WithBackdate(time.Duration(f.backdate)))
	}
	if f.loopback {
		opts = append(opts, certtoken.WithLoopbackHTTP())
	}
	if f.dpop {
		opts = append(opts, certtoken.WithDPoP())
	}
	return opts, nil
}

var thumbprints = map[string]certtoken.Thumbprint{
	"x5t#s256": certtoken.ThumbprintSHA256,
	"x5t":      certtoken.ThumbprintSHA1,
	"both":     certtoken.ThumbprintBoth,
	"none":     certtoken.ThumbprintNone,
}
