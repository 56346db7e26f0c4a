package spiffe

import (
	"strings"

	"github.com/certtoken/certtoken/certsource"
)

const (
	maxName    = 200 // bytes of a name or an address in an error
	maxMessage = 512 // bytes of what the agent said
)

// quoted makes the agent's words fit for an error: on one line, and without tokens.
func quoted(message string) string {
	return `"` + strings.ReplaceAll(certsource.Text(message, maxMessage), `"`, `\"`) + `"`
}

// cut shortens what may be of any length.
func cut(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
