// Package agentfile reads the configuration file of "certtoken agent". It knows what
// may stand where, and nothing of what the values mean. It is strict: whatever it
// doesn't know is a mistake, and all mistakes are told at once, with their lines.
package agentfile

import (
	"fmt"
	"slices"
	"strings"
)

// Value is a text of the file, with the line that it stands in.
type Value struct {
	Text string
	Line int // 0: the file doesn't have it
}

// File is what a configuration file says.
type File struct {
	Listen      []Value
	Socket      Value
	SocketMode  Value
	SocketGroup Value
	Audit       Value
	Metrics     Value
	Identities  []Identity
}

// Identity is an application, what it may ask for, and for whom.
type Identity struct {
	Line     int
	Name     Value
	Settings map[string]Value // by the keys of Settings
	Scopes   []Value
	Callers  []Caller
}

// Caller is who may ask.
type Caller struct {
	Kind  string // one of Callers
	Value Value
	Name  Value // for the audit log; may be missing
}

// Settings are the keys of an identity that say who it is and how it gets tokens. They
// are those of the command's flags, with _ for -.
var Settings = []string{
	"tenant", "client_id", "certificate", "key", "select", "password_file", "authority", "token_url", "ca",
	"audience", "alg", "thumbprint", "typ", "kid", "x5c", "lifetime", "backdate", "allow_http_loopback", "timeout",
}

// Callers are the ways to say who may ask.
var Callers = []string{"secret_file", "user", "group", "anyone_on_socket"}

// Mistake is something in the file that can't be.
type Mistake struct {
	Line int // 0: it is about the whole file
	Text string
}

func (m Mistake) Error() string {
	if m.Line == 0 {
		return m.Text
	}
	return fmt.Sprintf("line %d: %s", m.Line, m.Text)
}

// Mistakes are all that were found, in the order of their lines.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Add notes one more.
func (m *Mistakes) Add(line int, format string, args ...any) {
	*m = append(*m, Mistake{line, fmt.Sprintf(format, args...)})
}

// Err returns the mistakes in the order of their lines, or nil if there are none.
func (m Mistakes) Err() error {
	if len(m) == 0 {
		return nil
	}
	sorted := slices.Clone(m)
	slices.SortStableFunc(sorted, func(a, b Mistake) int { return a.Line - b.Line })
	return sorted
}
