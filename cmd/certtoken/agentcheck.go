package main

import (
	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

func newAgentCheck(c *console.Console) *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration without starting the agent",
		Long: `Reads the agent's configuration and everything that it names, and tells every
mistake with its line. It asks no server: "certtoken doctor" does that.`,
		Example: "  certtoken agent check --config agent.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return checkAgent(cmd, c, config)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "`FILE` with the configuration ($"+envAgentConfig+")")
	return cmd
}

func checkAgent(cmd *cobra.Command, c *console.Console, flag string) error {
	path, err := agentConfigPath(flag)
	if err != nil {
		return err
	}
	clients := newAgentClients(c, nil)
	defer clients.close()
	cfg, err := loadAgent(cmd.Context(), path, clients)
	if err != nil {
		return err
	}
	made, err := agent.New(agent.Config{Identities: cfg.identities})
	if err != nil {
		return failure.Usagef("%s: %w", path, err)
	}
	defer made.Close()
	health := made.Health(cmd.Context())
	for i, id := range health.Identities {
		if id.Problem == "" && id.Warning == "" && keyIsOpen(cfg.sources[i]) {
			id.Warning = "everybody on this machine may read the private key: chmod o-rwx"
		}
		state := identityState(id, "ok")
		c.Printf("%s: %s\n", id.Name, console.Printable(c.Hide(state)))
	}
	if !health.Ready {
		return failure.Errorf("%s: an identity can't get tokens", path)
	}
	return nil
}
