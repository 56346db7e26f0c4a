package main

import (
	"context"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// agentCommand is "certtoken agent".
type agentCommand struct {
	console *console.Console
	config  string
	audit   string
	metrics string
	quiet   bool
	target  targetFlags
	one     oneIdentityFlags
}

// oneIdentityFlags say the rest about the one identity that flags describe.
type oneIdentityFlags struct {
	name    string
	listen  []string
	socket  string
	secrets []string
	users   []string
	groups  []string
}

func newAgent(c *console.Console) *cobra.Command {
	a := &agentCommand{console: c}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Hand out tokens to the programs of this machine",
		Long: `Runs until it is interrupted and hands out access tokens to programs of any
language on this machine. They ask it as they would ask a managed identity of
Azure App Service, or an OAuth token endpoint with client id and secret, and
never see the certificate or its key.

The configuration is a YAML file, or flags for one identity. It is read again
when it changes and on SIGHUP; a mistaken one is reported, and the one before
stays. Decisions and all else are written to standard error as lines of JSON.`,
		Example: `  certtoken agent secret billing.secret
  certtoken agent --config agent.yaml
  eval "$(certtoken agent env billing --config agent.yaml)"

  certtoken agent --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --scope https://graph.microsoft.com/.default \
    --secret-file billing.secret`,
		Args: noArgs,
		RunE: a.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&a.config, "config", "", "`FILE` with the configuration ($"+envAgentConfig+")")
	flags.StringVar(&a.audit, "audit", "", "`FILE` for the decisions, in place of standard error")
	flags.StringVar(&a.metrics, "metrics", "", "`ADDRESS` to answer Prometheus at (default nowhere)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "don't write down the decisions")
	a.one.addTo(flags)
	a.target.addTo(cmd)
	flags.Lookup("mtls").Hidden = true  // its tokens are of no use without the certificate
	flags.Lookup("dpop").Hidden = true  // nor without the key
	flags.Lookup("param").Hidden = true // the agent is asked for a scope alone
	cmd.AddCommand(newAgentCheck(c), newAgentEnv(c), newAgentSecret(c), newAgentStatus(c))
	return cmd
}

func (f *oneIdentityFlags) addTo(flags *pflag.FlagSet) {
	set := pflag.NewFlagSet(flagsAgent, pflag.ContinueOnError)
	set.SortFlags = false
	set.StringVar(&f.name, "name", "default", "`NAME` of the identity")
	set.StringArrayVar(&f.listen, "listen", nil,
		"loopback `ADDRESS` to listen on (default "+defaultAgentListen+", without --socket); repeat it for several")
	set.StringVar(&f.socket, "socket", "", "`PATH` of a Unix socket to listen on")
	set.StringArrayVar(&f.secrets, "secret-file", nil, "`FILE` with the secret of a caller; repeat it for several")
	set.StringArrayVar(&f.users, "user", nil, "`USER` who may ask over the socket; repeat it for several")
	set.StringArrayVar(&f.groups, "group", nil, "`GROUP` that may ask over the socket; repeat it for several")
	inGroup(set, flagsAgent)
	flags.AddFlagSet(set)
}

// source says where the configuration is: in the file of this name, or, if that is "",
// in the flags.
func (a *agentCommand) source(cmd *cobra.Command) (string, error) {
	var given []string
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"config", "audit", "metrics", "quiet", "verbose"}, f.Name) {
			given = append(given, "--"+f.Name)
		}
	})
	switch {
	case len(given) == 0:
		return agentConfigPath(a.config)
	case a.config != "":
		return "", failure.Usagef("--config and %s exclude each other: the file says it", given[0])
	}
	return "", nil
}

// fromFlags makes a configuration of the flags, and of the environment as other
// commands do.
func (a *agentCommand) fromFlags(cmd *cobra.Command) (*agentConfig, error) {
	if a.target.mtls {
		return nil, failure.Usagef("--mtls: such tokens are of no use without the certificate, which the agent keeps")
	}
	if a.target.bound {
		return nil, failure.Usagef("--bound: such tokens are of no use without the certificate, which the agent keeps")
	}
	if len(a.target.params) > 0 {
		return nil, failure.Usagef("--param: the agent is asked for a scope alone, and sends no parameters")
	}
	if a.target.agent != "" {
		return nil, failure.Usagef("--agent-identity: the agent is asked for a scope alone, and gets its own tokens")
	}
	if a.target.dpop {
		return nil, failure.Usagef("--dpop: such tokens are of no use without the key, which the agent keeps")
	}
	server, err := a.target.server()
	if err != nil {
		return nil, err
	}
	env, err := a.target.environment(cmd, server)
	if err != nil {
		return nil, err
	}
	if env.assertionFile != "" {
		return nil, failure.Usagef("the agent signs by a certificate, and %s names an assertion that is signed already",
			azureenv.FederatedFile).Advise("Give --cert FILE, which wins over the variable.")
	}
	if err := a.target.missing(cmd, server, env, true); err != nil {
		return nil, err
	}
	if a.target.cert.file == "-" {
		return nil, failure.Usagef("--cert can't be standard input: the agent follows the file")
	}
	pass, err := a.target.cert.password.read(cmd.Context(), a.console)
	if err != nil {
		return nil, err
	}
	settings := a.settings(cmd)
	id := agentfile.Identity{Name: agentfile.Value{Text: a.one.name, Line: 1}}
	for _, scope := range a.target.scopes {
		for word := range strings.FieldsSeq(scope) {
			id.Scopes = append(id.Scopes, agentfile.Value{Text: word})
		}
	}
	if id.Callers = a.one.callers(); len(id.Callers) == 0 {
		return nil, failure.Usagef("nobody may ask: give --secret-file, --user or --group").
			Advise(`"certtoken agent secret FILE" makes a secret.`)
	}
	return &agentConfig{
		file:    a.one.file(id),
		sources: []*agentSource{{name: a.one.name, settings: settings, password: pass}},
	}, nil
}

// settings are the flags by their names in a configuration file.
func (a *agentCommand) settings(cmd *cobra.Command) map[string]string {
	settings := map[string]string{"client_id": a.target.clientID, "certificate": a.target.cert.file}
	for _, key := range agentfile.Settings {
		if flag := cmd.Flags().Lookup(flagOfSetting(key)); flag.Changed {
			settings[key] = flag.Value.String()
		}
	}
	if a.target.tenant != "" { // it may come from the environment
		settings["tenant"] = a.target.tenant
	}
	if a.target.x5c {
		settings["x5c"] = "true"
	}
	return settings
}

func (f *oneIdentityFlags) callers() []agentfile.Caller {
	var callers []agentfile.Caller
	for _, of := range []struct {
		kind   string
		values []string
	}{{"secret_file", f.secrets}, {"user", f.users}, {"group", f.groups}} {
		for _, value := range of.values {
			callers = append(callers, agentfile.Caller{Kind: of.kind, Value: agentfile.Value{Text: value}})
		}
	}
	return callers
}

func (f *oneIdentityFlags) file(id agentfile.Identity) *agentfile.File {
	file := &agentfile.File{Identities: []agentfile.Identity{id}}
	if len(f.listen) == 0 && f.socket == "" {
		f.listen = []string{defaultAgentListen}
	}
	for _, address := range f.listen {
		file.Listen = append(file.Listen, agentfile.Value{Text: address, Line: 1})
	}
	if f.socket != "" {
		file.Socket = agentfile.Value{Text: f.socket, Line: 1}
	}
	return file
}

// run runs the agent.
func (a *agentCommand) run(cmd *cobra.Command, _ []string) error {
	log := newAgentLog(a.console)
	clients := newAgentClients(a.console, log.own)
	defer clients.close()
	cfg, err := a.load(cmd, clients)
	if err != nil {
		return err
	}
	if err := log.openAudit(a.auditFile(cfg), a.quiet); err != nil {
		return err
	}
	defer log.close()
	return runAgent(cmd.Context(), &agentRun{
		cfg: cfg, clients: clients, log: log, console: a.console,
		reload: func(ctx context.Context) (*agentConfig, error) {
			next, err := loadAgent(ctx, cfg.path, clients)
			return a.withFlags(next), err
		},
	})
}

func (a *agentCommand) load(cmd *cobra.Command, clients *agentClients) (*agentConfig, error) {
	path, err := a.source(cmd)
	if err != nil {
		return nil, err
	}
	if path != "" {
		cfg, err := loadAgent(cmd.Context(), path, clients)
		return a.withFlags(cfg), err
	}
	cfg, err := a.fromFlags(cmd)
	if err != nil {
		return nil, err
	}
	return a.withFlags(cfg), cfg.complete(cmd.Context(), clients)
}

// withFlags lets the flags win that go with a file too.
func (a *agentCommand) withFlags(cfg *agentConfig) *agentConfig {
	if a.metrics != "" && cfg.file != nil {
		cfg.file.Metrics.Text = a.metrics
	}
	return cfg
}

// auditFile is where the decisions go; "" is standard error.
func (a *agentCommand) auditFile(cfg *agentConfig) string {
	if a.audit == "" && cfg.file.Audit.Text != "" {
		return besideConfig(cfg.path, cfg.file.Audit.Text)
	}
	return a.audit
}
