package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

const statusTimeout = 15 * time.Second

func newAgentStatus(c *console.Console) *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask the running agent whether it can hand out tokens",
		Long: `Asks the agent of a configuration for its readiness, and fails if it doesn't run
or if one of its certificates can't be used. It is meant for probes too.`,
		Example: "  certtoken agent status --config agent.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := agentConfigPath(config)
			if err != nil {
				return err
			}
			file, err := readAgentFile(cmd.Context(), path)
			if err != nil {
				return err
			}
			return askStatus(cmd.Context(), c, path, file)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "`FILE` with the agent's configuration ($"+envAgentConfig+")")
	return cmd
}

// askStatus prints the readiness of the agent.
func askStatus(ctx context.Context, c *console.Console, path string, file *agentfile.File) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	client, host := statusClient(path, file)
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+agent.ReadyPath, nil)
	if err != nil {
		return failure.Errorf("listen: %q is no address", host)
	}
	answer, err := client.Do(request)
	if err != nil {
		return failure.Errorf("the agent doesn't answer: %w", err).
			Advise(`Start it: "certtoken agent --config ` + path + `".`)
	}
	defer answer.Body.Close()
	var health agent.Health
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAgentAnswer)).Decode(&health); err != nil {
		return failure.Errorf("what answers there is no agent: %w", err)
	}
	for _, id := range health.Identities {
		c.Printf("%s: %s\n", console.Printable(id.Name), console.Printable(c.Hide(identityState(id, "ready"))))
	}
	if answer.StatusCode != http.StatusOK || !health.Ready {
		return failure.Errorf("the agent isn't ready")
	}
	return nil
}

// statusClient reaches the agent over its socket if it has one.
func statusClient(path string, file *agentfile.File) (*http.Client, string) {
	transport := &http.Transport{} // without a proxy
	host := ""
	if len(file.Listen) > 0 {
		host = file.Listen[0].Text
	}
	if socket := file.Socket.Text; socket != "" {
		host = "localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", besideConfig(path, socket))
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: noRedirect}, host
}

// identityState says how an identity is. The word is for one that gets tokens.
func identityState(id agent.IdentityHealth, well string) string {
	switch {
	case id.Problem != "":
		return settingNames(id.Problem)
	case id.Warning != "":
		return well + "; " + id.Warning
	}
	return well
}
