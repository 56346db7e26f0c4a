package main

import (
	"net"
	"path/filepath"

	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/spf13/cobra"
)

// Environment variables by which Azure's SDKs find a managed identity.
const (
	envIdentityEndpoint = "IDENTITY_ENDPOINT"
	envIdentityHeader   = "IDENTITY_HEADER"
)

// envOthers are variables that make SDKs ask another kind of managed identity.
var envOthers = []string{"IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"}

func newAgentEnv(c *console.Console) *cobra.Command {
	var config, shell string
	cmd := &cobra.Command{
		Use:   "env NAME",
		Short: "Print the variables by which programs find the agent",
		Long: `Prints, for a shell to run, the environment variables by which programs with one
of Azure's SDKs ask the agent for tokens of the identity NAME. One of them is
the caller's secret: the user who runs this must be able to read its file.`,
		Example: `  eval "$(certtoken agent env billing)"
  certtoken agent env billing --shell powershell | Out-String | iex`,
		Args: exactArgs("the NAME of an identity"),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := shells[shell]
			if !ok {
				return failure.Usagef("--shell: give sh, powershell, cmd or dotenv")
			}
			vars, err := agentEnv(cmd, config, args[0])
			if err != nil {
				return err
			}
			c.Printf("%s", write(vars))
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "`FILE` with the agent's configuration ($"+envAgentConfig+")")
	cmd.Flags().StringVar(&shell, "shell", "sh", "`SHELL` that reads it: sh, powershell, cmd or dotenv")
	completeWords(cmd, "shell", "sh", "powershell", "cmd", "dotenv")
	return cmd
}

// agentEnv are the variables for an identity.
func agentEnv(cmd *cobra.Command, flag, name string) ([]variable, error) {
	path, err := agentConfigPath(flag)
	if err != nil {
		return nil, err
	}
	file, err := readAgentFile(cmd.Context(), path)
	if err != nil {
		return nil, err
	}
	id, caller := findCaller(file, name)
	if id == nil {
		return nil, failure.Errorf("%s: there is no identity named %q", path, name)
	}
	var vars []variable
	if file.Socket.Text != "" {
		socket, err := filepath.Abs(besideConfig(path, file.Socket.Text))
		if err != nil {
			return nil, failure.Errorf("%w", err)
		}
		vars = append(vars, variable{envAgent, socket})
	}
	if len(file.Listen) == 0 || caller == "" { // only certtoken asks over a socket
		if len(vars) == 0 {
			return nil, failure.Errorf("%s: SDKs ask over TCP, with a secret: add listen and a secret_file", path)
		}
		return vars, nil
	}
	secret, err := readSecret(cmd.Context(), besideConfig(path, caller))
	if err == nil {
		err = agent.Secret(caller, secret).Check() // it stands in a shell's text
	}
	if err != nil {
		return nil, failure.Errorf("%w", failure.Clean(err))
	}
	endpoint, err := endpointOf(file.Listen)
	if err != nil {
		return nil, failure.Errorf("%s: %w", path, err)
	}
	vars = append(vars, variable{envIdentityEndpoint, endpoint}, variable{envIdentityHeader, secret})
	if first, _ := firstOf(file, caller); first != id {
		vars = append(vars, variable{azureenv.ClientID, id.Settings["client_id"].Text})
	}
	for _, other := range envOthers {
		vars = append(vars, variable{name: other})
	}
	return vars, nil
}

// findCaller finds an identity, and the file of its first caller with a secret.
func findCaller(file *agentfile.File, name string) (*agentfile.Identity, string) {
	for i := range file.Identities {
		id := &file.Identities[i]
		if id.Name.Text != name {
			continue
		}
		for _, caller := range id.Callers {
			if caller.Kind == "secret_file" {
				return id, caller.Value.Text
			}
		}
		return id, ""
	}
	return nil, ""
}

// firstOf is the identity that a caller gets who names none.
func firstOf(file *agentfile.File, secretFile string) (*agentfile.Identity, bool) {
	for i := range file.Identities {
		for _, caller := range file.Identities[i].Callers {
			if caller.Kind == "secret_file" && caller.Value.Text == secretFile {
				return &file.Identities[i], true
			}
		}
	}
	return nil, false
}

// endpointOf is the URL for IDENTITY_ENDPOINT.
func endpointOf(listen []agentfile.Value) (string, error) {
	host, port, err := net.SplitHostPort(listen[0].Text)
	if err != nil || port == "0" {
		return "", failure.Errorf("listen: give an address with a port that stays, such as %s", defaultAgentListen)
	}
	return "http://" + net.JoinHostPort(host, port) + agent.AppServicePath, nil
}
