package main

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// Formats of --output.
const (
	outputToken          = "token"
	outputJSON           = "json"
	outputHeader         = "header"
	outputEnv            = "env"
	outputPowerShell     = "powershell"
	outputExecCredential = "exec-credential"
)

var outputFormats = []string{outputToken, outputJSON, outputHeader, outputEnv, outputPowerShell, outputExecCredential}

// tokenOutput is how a token is printed.
type tokenOutput struct {
	format string
	json   bool
	header bool
}

// resolve joins the flags into one format.
func (o *tokenOutput) resolve() error {
	given := []string{}
	for flag, set := range map[string]bool{outputJSON: o.json, outputHeader: o.header} {
		if set {
			given = append(given, flag)
		}
	}
	switch {
	case len(given) > 1:
		return failure.Usagef("--json and --header exclude each other")
	case len(given) == 1 && o.format != "" && o.format != given[0]:
		return failure.Usagef("--%s and --output %s exclude each other", given[0], o.format)
	case len(given) == 1:
		o.format = given[0]
	case o.format == "":
		o.format = outputToken
	case !slices.Contains(outputFormats, o.format):
		return failure.Usagef("--output: give %s", strings.Join(outputFormats, ", "))
	}
	if o.format == outputExecCredential {
		_, err := execVersion()
		return err
	}
	return nil
}

// print writes a token to standard output.
func (o *tokenOutput) print(c *console.Console, t *issuedToken) error {
	switch o.format {
	case outputJSON:
		return c.PrintJSON(newTokenJSON(t))
	case outputHeader:
		if t.typ == notAccess {
			return failure.Errorf("what the server issued is no access token, which a header could carry").
				Advise("Without --header it is printed alone: it is shown to another server.")
		}
		c.Printf("Authorization: %s %s\n", t.typ, t.reveal())
		if t.proof != "" {
			c.Printf("DPoP: %s\n", t.proof)
		}
	case outputEnv:
		c.Printf("%s", lines(t.variables(), exportLine))
	case outputPowerShell:
		c.Printf("%s", lines(t.variables(), powershellLine))
	case outputExecCredential:
		return printExecCredential(c, t)
	default:
		c.Printf("%s\n", t.reveal())
	}
	return nil
}

// variables are those of the environment in which a script finds a token.
func (t *issuedToken) variables() []variable {
	return []variable{
		{"CERTTOKEN_ACCESS_TOKEN", t.reveal()},
		{"CERTTOKEN_TOKEN_TYPE", t.typ},
		{"CERTTOKEN_EXPIRES_ON", strconv.FormatInt(t.expiresAt.Unix(), 10)},
	}
}

type tokenJSON struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	Scope       string `json:"scope"`
	ExpiresAt   string `json:"expires_at"`
	ExpiresIn   int64  `json:"expires_in"`
	Proof       string `json:"dpop_proof,omitempty"`
}

func newTokenJSON(t *issuedToken) tokenJSON {
	return tokenJSON{
		AccessToken: t.reveal(),
		TokenType:   t.typ,
		Scope:       strings.Join(t.scopes, " "),
		ExpiresAt:   t.expiresAt.UTC().Format(time.RFC3339),
		ExpiresIn:   int64(math.Round(time.Until(t.expiresAt).Seconds())),
		Proof:       t.proof,
	}
}

// envExecInfo is how kubectl says which version of the answer it takes.
const envExecInfo = "KUBERNETES_EXEC_INFO"

// execVersions are the versions of client.authentication.k8s.io that are alike in all
// that is answered here.
var execVersions = []string{"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"}

type execCredential struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Status     execStatus `json:"status"`
}

type execStatus struct {
	Token               string `json:"token"`
	ExpirationTimestamp string `json:"expirationTimestamp"`
}

// execVersion is the version that kubectl asks for; by default the newest.
func execVersion() (string, error) {
	info := os.Getenv(envExecInfo)
	if info == "" {
		return execVersions[0], nil
	}
	var asked struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal([]byte(info), &asked); err != nil || asked.Kind != "ExecCredential" {
		return "", failure.Usagef("%s is not an ExecCredential", envExecInfo).
			Advise("kubectl sets it. To try the command by hand, leave it out.")
	}
	if !slices.Contains(execVersions, asked.APIVersion) {
		return "", failure.Usagef("%s asks for a version that isn't known", envExecInfo).
			Advise("Write apiVersion: " + execVersions[0] + " into the user's exec section of the kubeconfig.")
	}
	return asked.APIVersion, nil
}

// printExecCredential answers kubectl (client.authentication.k8s.io).
func printExecCredential(c *console.Console, t *issuedToken) error {
	version, err := execVersion()
	if err != nil {
		return err
	}
	if t.typ != bearer {
		return failure.Errorf("kubectl sends Bearer tokens only, and this one is %s", console.Printable(t.typ))
	}
	return c.PrintJSON(execCredential{
		APIVersion: version,
		Kind:       "ExecCredential",
		Status:     execStatus{t.reveal(), t.expiresAt.UTC().Format(time.RFC3339)},
	})
}
