package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/spf13/cobra"
)

type doctorCommand struct {
	console *console
	target  targetFlags
	cer     string
	json    bool

	checks []check
}

func newDoctor(c *console) *cobra.Command {
	d := &doctorCommand{console: c}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check one by one everything that can be wrong",
		Long: `Checks file, password, key, validity, thumbprint, connection, TLS, clock,
exchange and token one by one, and says what to do about what is wrong. What
can't be checked because of something before it is marked –. It asks for a real
token, which it doesn't print.

Without --scope, Entra ID is asked for Microsoft Graph.`,
		Example: `  certtoken doctor --tenant contoso.onmicrosoft.com --client-id ID \
    --cert private.pfx --cer public.cer`,
		Args: noArgs,
		RunE: d.run,
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print JSON")
	inGroup(cmd.Flags(), flagsOutput)
	d.target.addTo(cmd)
	cmd.Flags().StringVar(&d.cer, "cer", "", "`FILE` with the certificate that was uploaded, to compare")
	cmd.Flags().Lookup("cer").Annotations = map[string][]string{groupAnnotation: {flagsCertificate}}
	return cmd
}

// status is a check's outcome.
type status string

const (
	statusOK      status = "ok"
	statusFailed  status = "failed"
	statusSkipped status = "skipped"
)

// check is a line of the report. Advice under a check that is ok is a warning.
type check struct {
	Name   string `json:"name"`
	Status status `json:"status"`
	Detail string `json:"detail,omitempty"`
	Advice string `json:"advice,omitempty"`
}

func (d *doctorCommand) run(cmd *cobra.Command, _ []string) error {
	target, err := d.target.resolve(cmd, d.console, false)
	if err != nil {
		return err
	}
	cert, err := d.checkCertificate(cmd.Context(), target)
	if err != nil {
		return err
	}
	connected := d.checkConnection(cmd.Context(), target)
	token := d.checkExchange(cmd.Context(), target, cert, connected)
	d.checkToken(target, token)
	if cmd.Context().Err() != nil {
		return errInterrupted
	}
	return d.conclude()
}

// conclude prints the JSON report, and fails if a check did.
func (d *doctorCommand) conclude() error {
	failed := 0
	for _, c := range d.checks {
		if c.Status == statusFailed {
			failed++
		}
	}
	if d.json {
		err := d.console.printJSON(struct {
			OK     bool    `json:"ok"`
			Checks []check `json:"checks"`
		}{failed == 0, d.checks})
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return failf("%d of %d checks failed", failed, len(d.checks))
	}
	return nil
}

// add records a check, and prints it at once where the report is text.
func (d *doctorCommand) add(c check) {
	d.checks = append(d.checks, c)
	if !d.json {
		d.print(c)
	}
}

func (d *doctorCommand) ok(name, format string, args ...any) {
	d.add(check{name, statusOK, fmt.Sprintf(format, args...), ""})
}

func (d *doctorCommand) skip(name, format string, args ...any) {
	d.add(check{name, statusSkipped, fmt.Sprintf(format, args...), ""})
}

// fail records an error with its advice.
func (d *doctorCommand) fail(name string, err error) {
	first, _ := headline(err)
	d.add(check{name, statusFailed, first, adviceText(err)})
}

// adviceText is an error's advice, but for that to run this very command.
func adviceText(err error) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.Join(adviceFor(err), " "), doctorHint))
}

var marks = map[status]struct {
	sign  string
	style style
}{
	statusOK:      {"✓", green},
	statusFailed:  {"✗", red},
	statusSkipped: {"–", dim},
}

const nameWidth = 12

func (d *doctorCommand) print(c check) {
	on := d.console.colourOut
	mark := marks[c.Status]
	indent := "\n" + strings.Repeat(" ", nameWidth+3)
	detail := strings.Join(wrap(printable(c.Detail), helpWidth-nameWidth-3), indent)
	d.console.printf("%s %-*s %s\n", paint(on, mark.style, mark.sign), nameWidth, c.Name, detail)
	for _, line := range wrap(printable(c.Advice), helpWidth-nameWidth-5) {
		d.console.printf("%s%s\n", strings.Repeat(" ", nameWidth+5), paint(on, yellow, line))
	}
}

// Names of the checks, in their order.
const (
	checkFile       = "file"
	checkPassword   = "password"
	checkKey        = "key"
	checkKeyType    = "key type"
	checkValidity   = "validity"
	checkThumbprint = "thumbprint"
	checkNetwork    = "network"
	checkTLS        = "tls"
	checkClock      = "clock"
	checkExchange   = "exchange"
	checkToken      = "token"
)

const (
	expiryWarning = 30 * 24 * time.Hour
	clockLimit    = time.Minute // the shortest assertion's lifetime
)

// checkExchange asks for a token.
func (d *doctorCommand) checkExchange(ctx context.Context, t *target, cert *certtoken.Certificate, connected bool) *certtoken.Token {
	switch {
	case cert == nil:
		d.skip(checkExchange, "needs a certificate that can sign")
		return nil
	case !connected:
		d.skip(checkExchange, "needs a connection")
		return nil
	}
	if len(t.scopes) == 0 && t.entra {
		t.scopes = []string{"https://graph.microsoft.com/.default"}
	}
	client, err := t.client(cert)
	if err != nil {
		d.fail(checkExchange, err)
		return nil
	}
	defer client.Close()
	begin := time.Now()
	token, err := t.acquire(ctx, client)
	var refused *certtoken.TokenError
	switch {
	case errors.As(err, &refused):
		d.add(check{checkExchange, statusFailed, refusal(refused), adviceText(err)})
		return nil
	case err != nil:
		d.fail(checkExchange, err)
		return nil
	}
	d.ok(checkExchange, "token granted in %v", time.Since(begin).Round(time.Millisecond))
	return token
}

// refusal is the server's answer in short.
func refusal(e *certtoken.TokenError) string {
	text := strings.TrimSpace(fmt.Sprintf("refused: %d %s", e.StatusCode, e.Code))
	description, _, _ := strings.Cut(e.Description, " Trace ID:") // which Entra ID appends
	for _, code := range e.AADSTS {
		name := fmt.Sprintf("AADSTS%d", code)
		if !strings.Contains(description, name) {
			text += ", " + name
		}
	}
	if description != "" {
		text += ": " + description
	}
	if e.CorrelationID != "" {
		text += " (correlation id " + e.CorrelationID + ")"
	}
	return text
}

// checkToken looks into the token, for display only: its claims are the
// resource's business.
func (d *doctorCommand) checkToken(t *target, token *certtoken.Token) {
	if token == nil {
		d.skip(checkToken, "needs the exchange")
		return
	}
	claims := claimsOf(token)
	c := check{Name: checkToken, Status: statusOK}
	c.Detail = fmt.Sprintf("%s token, valid for %s", token.Type(), span(time.Until(token.ExpiresAt()).Round(time.Second)))
	if len(claims.Audience) > 0 {
		c.Detail += ", audience " + strings.Join(claims.Audience, ", ")
	}
	granted := strings.Join(token.Scopes(), " ")
	switch {
	case granted != strings.Join(strings.Fields(strings.Join(t.scopes, " ")), " "):
		c.Advice = fmt.Sprintf("The server granted %q, which isn't what was asked for.", granted)
	case t.entra && claims.readable && len(claims.Roles) == 0:
		c.Advice = "It has no roles. If the resource answers 403, the app lacks an application permission, or an administrator's consent to it."
	case len(claims.Roles) > 0:
		c.Detail += ", roles " + strings.Join(claims.Roles, ", ")
	}
	d.add(c)
}
