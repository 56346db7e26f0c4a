package main

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Environment variables that Azure's own tools read too. Flags win over them.
const (
	envClientID  = "AZURE_CLIENT_ID"
	envCertPath  = "AZURE_CLIENT_CERTIFICATE_PATH"
	envSendChain = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"
)

const defaultTimeout = 30 * time.Second

// targetFlags say who asks which server for what, and how. All commands that make
// a token request share them.
type targetFlags struct {
	serverFlags
	clientID   string
	scopes     []string
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
		s.StringArrayVar(&f.scopes, "scope", nil,
			"`SCOPE` to ask for, such as RESOURCE/.default; repeat it for several")
	})
	add(flagsCertificate, func(s *pflag.FlagSet) {
		s.StringVar(&f.cert.file, "cert", "",
			"`FILE` with the certificate: PFX or PEM, - is standard input ($"+envCertPath+")")
		f.cert.addTo(s)
	})
	add(flagsServer, func(s *pflag.FlagSet) {
		s.StringVar(&f.authority, "authority", "",
			"`SERVER`: entra, entra-usgov, entra-china, adfs:HOST or an issuer's URL (default entra, or by $"+envHost+")")
		s.StringVar(&f.tokenURL, "token-url", "", "`URL` of the token endpoint; without --authority, that of any OAuth server")
	})
	add(flagsAssertion, func(s *pflag.FlagSet) {
		s.StringVar(&f.audience, "audience", "",
			"`AUD` claim of the assertion (default: the issuer, or the token endpoint)")
		s.StringVar(&f.alg, "alg", "",
			"`ALG` that signs it: RS256, RS384, RS512, PS256, PS384, PS512 (default PS256 for Entra ID, else RS256)")
		s.StringVar(&f.thumbprint, "thumbprint", "",
			"`WHICH` thumbprint it carries: x5t#S256, x5t, both or none (default x5t#S256, for ADFS x5t)")
		s.StringVar(&f.typ, "typ", "",
			"`TYP` in its header (default JWT for Entra ID and ADFS, else client-authentication+jwt)")
		s.StringVar(&f.kid, "kid", "", "key `ID` in its header (default none)")
		s.BoolVar(&f.x5c, "x5c", false, "send the certificate chain in its header ($"+envSendChain+")")
		s.Var(&f.lifetime, "lifetime", "`DURATION` of its validity, 1s to 1h (default 5m for Entra ID and ADFS, else 1m)")
		s.Var(&f.backdate, "backdate",
			"`DURATION` by which its nbf and iat are set back, 0s to 1h, against clocks that differ")
	})
	add(flagsConnection, func(s *pflag.FlagSet) {
		s.StringVar(&f.ca, "ca", "", "`FILE` with root certificates to trust besides the system's")
		s.Var(&f.timeout, "timeout", "`DURATION` after which to give up")
		s.BoolVar(&f.loopback, "allow-http-loopback", false, "allow plain http to this machine")
		s.BoolVar(&f.mtls, "mtls", false, "prove the client by the TLS handshake instead of an assertion (RFC 8705)")
		s.BoolVarP(&f.verbose, "verbose", "v", false, "log to standard error what is done")
	})
	completeWords(cmd, "authority", "entra", "entra-usgov", "entra-china", "adfs:", "https://")
	completeWords(cmd, "alg", algorithms...)
	completeWords(cmd, "thumbprint", "x5t#S256", "x5t", "both", "none")
	completeWords(cmd, "typ", "JWT", "client-authentication+jwt")
}

var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// resolve adds the environment to the flags and makes a target of both. Everything
// that is missing is reported at once. With needScope, that includes the scope, if
// the server wants one.
func (f *targetFlags) resolve(cmd *cobra.Command, c *console.Console, needScope bool) (*target, error) {
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
	client, err := httpClient(cmd.Context(), c, f.ca)
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
		t.log = slog.New(slog.NewTextHandler(c.Err, nil))
	}
	if t.timeout <= 0 {
		return nil, failure.Usagef("--timeout: give a duration over 0, such as 30s")
	}
	return t, t.validate()
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
		opts = append(opts, certtoken.WithAlgorithm(certtoken.Algorithm(strings.ToUpper(f.alg))))
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
	return opts, nil
}

var thumbprints = map[string]certtoken.Thumbprint{
	"x5t#s256": certtoken.ThumbprintSHA256,
	"x5t":      certtoken.ThumbprintSHA1,
	"both":     certtoken.ThumbprintBoth,
	"none":     certtoken.ThumbprintNone,
}
