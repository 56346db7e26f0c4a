package main

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/userinfo"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/rotate"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// registrarFlags say how the server learns of new keys.
type registrarFlags struct {
	graph            string
	servicePrincipal bool
	graphURL         string
	graphScope       string
	proofAudience    string
	jwks             string
	jwksMaxAge       duration
	program          string
	args             []string
}

func (f *registrarFlags) addTo(set *pflag.FlagSet) {
	set.StringVar(&f.graph, "graph", "", "object `ID` of the application, whose keys are those at Microsoft Graph")
	set.BoolVar(&f.servicePrincipal, "service-principal", false, "with --graph, the object id is a service principal's")
	set.StringVar(&f.graphURL, "graph-url", "",
		"with --graph, its `URL` with the version (default the cloud's, such as https://graph.microsoft.com/v1.0)")
	set.StringVar(&f.graphScope, "graph-scope", "",
		"with --graph, the `SCOPE` of its tokens (default by --graph-url, or the public cloud's if that is on this machine)")
	set.StringVar(&f.proofAudience, "proof-audience", "",
		"with --graph, the `AUD` of the proof (default 00000002-0000-0000-c000-000000000000)")
	set.StringVar(&f.jwks, "jwks", "", "`FILE` with the JWK Set that the server fetches")
	set.Var(&f.jwksMaxAge, "jwks-max-age", "with --jwks, `DURATION` for which it may be cached (default 5m)")
	set.StringVar(&f.program, "exec", "", "`PROGRAM` that registers and removes keys")
	set.StringArrayVar(&f.args, "exec-arg", nil, "with --exec, an `ARGUMENT` for the program; repeat it for several")
}

// registrar makes what the flags describe, for a target.
func (f *registrarFlags) registrar(cmd *cobra.Command, t *target) (rotate.Registrar, error) {
	given := 0
	for _, value := range []string{f.graph, f.jwks, f.program} {
		if value != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return nil, failure.Usagef("missing --graph, --jwks or --exec: how the server learns of a new key").
			Advise("--graph ID     the application's object id, for Entra ID",
				"--jwks FILE    the JWK Set that the server fetches",
				"--exec PROGRAM a program of yours").Advise(seeHelp(cmd))
	case given > 1:
		return nil, failure.Usagef("--graph, --jwks and --exec exclude each other")
	}
	if err := f.checkCompany(cmd); err != nil {
		return nil, err
	}
	switch {
	case f.graph != "":
		return f.graphRegistrar(t)
	case f.jwks != "":
		if f.jwksMaxAge < 0 {
			return nil, failure.Usagef("--jwks-max-age: give a duration that isn't negative, such as 5m")
		}
		set := jwks.Options{MaxAge: time.Duration(f.jwksMaxAge)}
		return rotate.JWKSOptions{Set: set}.Registrar(f.jwks), nil
	}
	program, err := exec.LookPath(f.program)
	if err != nil {
		return nil, failure.Usagef("--exec: %w", err).
			Advise("Give the name of a program that may be run; it isn't run by a shell.")
	}
	if err := absolute(&program); err != nil { // it is recorded where keys were registered
		return nil, err
	}
	return rotate.ExecOptions{Env: withoutPassword(t.cert.password.env)}.Registrar(program, f.args...), nil
}

// withoutPassword is the environment without the variables that hold the certificate's
// password, which is no business of a program that registers public keys.
func withoutPassword(variable string) []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == envPassword || name == variable
	})
}

// companions are the flags that go with one of the registrars.
var companions = map[string][]string{
	"graph": {"service-principal", "graph-url", "graph-scope", "proof-audience"},
	"jwks":  {"jwks-max-age"},
	"exec":  {"exec-arg"},
}

func (f *registrarFlags) checkCompany(cmd *cobra.Command) error {
	for _, owner := range []string{"graph", "jwks", "exec"} {
		for _, name := range companions[owner] {
			if cmd.Flags().Changed(name) && !cmd.Flags().Changed(owner) {
				return failure.Usagef("--%s goes with --%s", name, owner)
			}
		}
	}
	return nil
}

func (f *registrarFlags) graphRegistrar(t *target) (rotate.Registrar, error) {
	graph := f.graphURL
	if national := cloudGraph(t.origin); graph == "" && national != "" {
		graph = national + "/v1.0"
	}
	opts := rotate.GraphOptions{
		ServicePrincipal: f.servicePrincipal,
		URL:              graph, // "" is the public cloud's
		Scope:            f.graphScope,
		Audience:         f.proofAudience,
		HTTPClient:       t.http,
	}
	if userinfo.In(f.graphURL) {
		return nil, failure.Usagef("--graph-url has a user or a password in it").Advise(withoutUser)
	}
	if opts.Scope == "" && isLoopbackURL(f.graphURL) {
		opts.Scope = publicGraphScope
	}
	return opts.Registrar(strings.ToLower(f.graph)), nil // of one spelling, as it is recorded
}

// publicGraphScope asks for Microsoft Graph in the public cloud.
const publicGraphScope = "https://graph.microsoft.com/.default"

// isLoopbackURL reports whether a URL is of this machine, as that of "certtoken serve" is,
// whose tokens are for the public cloud's Microsoft Graph.
func isLoopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// absolute makes paths of names, for the state and for logs: their reader may be in
// another folder.
func absolute(names ...*string) error {
	for _, name := range names {
		if *name == "" {
			continue
		}
		path, err := filepath.Abs(*name)
		if err != nil {
			return failure.Errorf("%w", err)
		}
		*name = path
	}
	return nil
}
