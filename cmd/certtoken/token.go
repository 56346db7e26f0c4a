package main

import (
	"math"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

type tokenCommand struct {
	console *console.Console
	target  targetFlags
	json    bool
	header  bool
}

func newToken(c *console.Console) *cobra.Command {
	t := &tokenCommand{console: c}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Get an access token",
		Long: `Gets an access token and prints it, and nothing else, on standard output.

With --token-url and without --authority, any server that takes private_key_jwt
is asked. The assertion's audience is then --audience, or the token URL.`,
		Example: `  certtoken token --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --scope https://graph.microsoft.com/.default

  certtoken token --header --scope https://graph.microsoft.com/.default |
    curl --header @- https://graph.microsoft.com/v1.0/organization

  az keyvault secret show --vault-name V --name CERT --query value -o tsv |
    certtoken token --cert - --scope https://management.azure.com/.default

  certtoken token --token-url https://idp.example/token --client-id ID \
    --audience https://idp.example --cert client.pem --scope orders.read`,
		Args: noArgs,
		RunE: t.run,
	}
	cmd.Flags().BoolVar(&t.json, "json", false, "print JSON: token, type, scope and validity")
	cmd.Flags().BoolVar(&t.header, "header", false, "print it as the line of an Authorization header")
	inGroup(cmd.Flags(), flagsOutput)
	t.target.addTo(cmd)
	return cmd
}

func (t *tokenCommand) run(cmd *cobra.Command, _ []string) error {
	if t.json && t.header {
		return failure.Usagef("--json and --header exclude each other")
	}
	target, err := t.target.resolve(cmd, t.console, true)
	if err != nil {
		return err
	}
	cert, err := target.cert.load(cmd.Context(), t.console)
	if err != nil {
		return err
	}
	client, err := target.client(cert.Certificate)
	if err != nil {
		return err
	}
	defer client.Close()
	token, err := target.acquire(cmd.Context(), client)
	if err != nil {
		return t.adviseDeviations(err, cert)
	}
	return t.print(token)
}

// adviseDeviations says after a refused handshake what is unusual about the
// certificate: a server whose parser is strict refuses it for that.
func (t *tokenCommand) adviseDeviations(err error, cert *openedCert) error {
	if !t.target.mtls || len(cert.deviations) == 0 || !isAlert(err) {
		return err
	}
	return failure.Errorf("%w", err).Advise(console.Wrap("The endpoint ended the TLS handshake. Strict programs, "+
		"such as those in Go, refuse this certificate: "+console.Printable(strings.Join(cert.deviations, "; "))+
		". A certificate made anew is better: \"certtoken cert new\".", adviceWidth)...)
}

func (t *tokenCommand) print(token *certtoken.Token) error {
	switch {
	case t.json:
		return t.console.PrintJSON(newTokenJSON(token))
	case t.header:
		t.console.Printf("Authorization: %s %s\n", token.Type(), token.AccessToken())
	default:
		t.console.Printf("%s\n", token.AccessToken())
	}
	return nil
}

type tokenJSON struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	Scope       string `json:"scope"`
	ExpiresAt   string `json:"expires_at"`
	ExpiresIn   int64  `json:"expires_in"`
}

func newTokenJSON(token *certtoken.Token) tokenJSON {
	return tokenJSON{
		AccessToken: token.AccessToken(),
		TokenType:   token.Type(),
		Scope:       strings.Join(token.Scopes(), " "),
		ExpiresAt:   token.ExpiresAt().UTC().Format(time.RFC3339),
		ExpiresIn:   int64(math.Round(time.Until(token.ExpiresAt()).Seconds())),
	}
}
