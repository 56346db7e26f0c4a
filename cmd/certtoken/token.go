package main

import (
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

type tokenCommand struct {
	console *console.Console
	source  tokenSource
	output  tokenOutput
}

func newToken(c *console.Console) *cobra.Command {
	t := &tokenCommand{console: c, source: tokenSource{console: c}}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Get an access token",
		Long: `Gets an access token and prints it, and nothing else, on standard output.

With --authority ISSUER any server that takes private_key_jwt is asked. Its
metadata name the token endpoint, unless --token-url does. With --token-url
alone the assertion's audience is --audience, or the token URL.

--subject-token exchanges a token (RFC 8693), and at Entra ID and ADFS gets one
on behalf of its user. --bound binds the token to the certificate: it is of use
only over connections that show the same certificate.

With --dpop the token is bound to a key that ends with the command, and is of
use once, for the request of --proof-for: --header prints token and proof.

Variables of the environment are used where flags are not given, as Azure's own
libraries use them. Without a certificate, the token of a platform such as
Kubernetes is the assertion ($AZURE_FEDERATED_TOKEN_FILE).`,
		Example: `  certtoken token --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --scope https://graph.microsoft.com/.default

  certtoken token --header --scope https://graph.microsoft.com/.default |
    curl --header @- https://graph.microsoft.com/v1.0/organization

  az keyvault secret show --vault-name V --name CERT --query value -o tsv |
    certtoken token --cert - --scope https://management.azure.com/.default

  certtoken token --authority https://idp.example --client-id ID \
    --cert client.pem --scope orders.read

  certtoken token --authority https://idp.example --client-id ID \
    --cert client.pem --scope orders --subject-token users-token.txt

  certtoken token --authority https://idp.example --client-id ID \
    --cert client.pem --scope orders \
    --dpop --proof-for "GET https://api.example/orders" --header |
    curl --header @- https://api.example/orders`,
		Args: noArgs,
		RunE: t.run,
	}
	cmd.Flags().StringVarP(&t.output.format, "output", "o", "",
		"`FORMAT`: token, json, header, env (lines for sh), powershell (lines for it) or exec-credential (for kubectl)")
	cmd.Flags().BoolVar(&t.output.json, "json", false, "the same as --output json: token, type, scope and validity")
	cmd.Flags().BoolVar(&t.output.header, "header", false, "the same as --output header: a line of HTTP")
	t.source.proof.addTo(cmd)
	inGroup(cmd.Flags(), flagsOutput)
	completeWords(cmd, "output", outputFormats...)
	t.source.addTo(cmd)
	t.source.exchange.addTo(cmd)
	return cmd
}

func (t *tokenCommand) run(cmd *cobra.Command, _ []string) error {
	if err := t.output.resolve(); err != nil {
		return err
	}
	if t.output.format == outputJSON {
		t.console.StayStill()
	}
	if err := t.source.proof.resolve(&t.source.target, t.output.format); err != nil {
		return err
	}
	token, err := t.source.get(cmd)
	if err != nil {
		return err
	}
	return t.output.print(t.console, token)
}
