package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/spf13/cobra"
)

type assertionCommand struct {
	console *console.Console
	target  targetFlags
	decode  bool
	curl    bool
	reveal  bool
}

func newAssertion(c *console.Console) *cobra.Command {
	a := &assertionCommand{console: c}
	cmd := &cobra.Command{
		Use:   "assertion",
		Short: "Print the signed assertion that a token request would carry",
		Long: `Prints the client assertion that "certtoken token" would send with the same
flags: a signed JWT that proves who the client is. Nothing is sent, but with
--authority ISSUER and no --token-url the server is asked for its metadata.
If the environment names a platform's token and no certificate, that token is
the assertion.

Keep the assertion secret: it gets a token for anyone who has it, until it
expires.`,
		Example: `  certtoken assertion --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --decode

  certtoken assertion --token-url https://idp.example/token --client-id ID \
    --cert client.pem --scope orders.read --curl --reveal | sh`,
		Args: noArgs,
		RunE: a.run,
	}
	cmd.Flags().BoolVar(&a.decode, "decode", false, "print the assertion's header and claims as JSON instead")
	cmd.Flags().BoolVar(&a.curl, "curl", false,
		"print the token request as a curl command instead; the assertion is left out")
	cmd.Flags().BoolVar(&a.reveal, "reveal", false, "with --curl: include the assertion")
	inGroup(cmd.Flags(), flagsOutput)
	a.target.addTo(cmd)
	return cmd
}

func (a *assertionCommand) run(cmd *cobra.Command, _ []string) error {
	switch {
	case a.decode && a.curl:
		return failure.Usagef("--decode and --curl exclude each other")
	case a.target.mtls:
		return failure.Usagef("--mtls sends no assertion")
	case a.target.bound:
		return failure.Usagef("--bound is about the connection, of which nothing is printed here: leave it out")
	case a.target.dpop:
		return failure.Usagef("--dpop sends a proof beside the assertion, of a key that isn't kept: use \"certtoken token\"")
	case a.reveal && !a.curl:
		return failure.Usagef("--reveal goes with --curl")
	}
	target, err := a.target.resolve(cmd, a.console, a.curl)
	if err != nil {
		return err
	}
	if a.curl && target.env.proxy != nil {
		return failure.Usagef("--curl and %s exclude each other: the request would not go through the token proxy",
			azureenv.TokenProxy)
	}
	cert, err := target.load(cmd.Context(), a.console)
	if err != nil {
		return err
	}
	ctx, cancel := target.limited(cmd.Context())
	defer cancel()
	req, err := target.record(ctx, cert.Certificate)
	if err != nil {
		return err
	}
	assertion := req.form.Get("client_assertion")
	switch {
	case a.curl:
		a.console.Printf("%s\n", req.curl(a.target.ca, a.reveal))
		return nil
	case a.decode:
		parts, err := jwt.Split(assertion)
		if err != nil {
			return err
		}
		return a.console.PrintJSON(parts)
	}
	a.console.Printf("%s\n", assertion)
	return nil
}

// recorded is a token request that wasn't sent.
type recorded struct {
	url  string
	form url.Values
}

// record lets the library make the request that "certtoken token" would send,
// and keeps it instead of sending it.
func (t *target) record(ctx context.Context, cert *certtoken.Certificate) (*recorded, error) {
	var r recorder
	dry := *t
	dry.http = &http.Client{Transport: &r}
	dry.log = nil
	if len(dry.scopes) == 0 && dry.entra {
		// The library wants a scope, though the assertion doesn't hold it.
		dry.scopes = []string{"https://graph.microsoft.com/.default"}
	}
	client, err := dry.client(cert)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if _, err := dry.acquire(ctx, client); r.got == nil {
		return nil, err
	}
	return r.got, nil
}

// recorder keeps a request. It answers with a refusal that is final, so that the
// library does not try again.
type recorder struct{ got *recorded }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, errors.Join(err, req.Body.Close())
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	r.got = &recorded{url: req.URL.String(), form: form}
	return &http.Response{
		StatusCode: http.StatusBadRequest,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(bytes.NewReader([]byte(`{"error":"invalid_request"}`))),
		Request:    req,
	}, req.Body.Close()
}

// The order in which the fields of a token request are shown. Any others stand between.
var (
	firstFields = []string{"grant_type", "client_id", "scope", "claims"}
	lastFields  = []string{"client_assertion_type", "client_assertion"}
)

// fields are the names of the form in the order in which they are shown.
func (r *recorded) fields() []string {
	names := slices.Clone(firstFields)
	for _, name := range slices.Sorted(maps.Keys(r.form)) {
		if !slices.Contains(firstFields, name) && !slices.Contains(lastFields, name) {
			names = append(names, name)
		}
	}
	return append(names, lastFields...)
}

// curl writes the request as a curl command for a POSIX shell.
func (r *recorded) curl(ca string, reveal bool) string {
	lines := []string{"curl --silent --show-error --fail-with-body"}
	if ca != "" {
		lines = append(lines, "--cacert "+shellQuote(ca))
	}
	lines = append(lines, "--header 'Accept: application/json'")
	for _, name := range r.fields() {
		for _, value := range r.form[name] {
			if name == "client_assertion" && !reveal {
				value = "[redacted; --reveal puts it in]"
			}
			lines = append(lines, "--data-urlencode "+shellQuote(name+"="+value))
		}
	}
	lines = append(lines, shellQuote(r.url))
	return strings.Join(lines, " \\\n  ")
}
