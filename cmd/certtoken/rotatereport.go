package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
	"github.com/certtoken/certtoken/rotate"
)

// rotationJSON is how far a rotation is, for programs.
type rotationJSON struct {
	rotate.Status
	Attention []string `json:"attention,omitempty"`
}

// printRotation says how far a rotation is.
func printRotation(c *console.Console, s rotate.Status, attention []string, asJSON bool) error {
	if s.File == "" { // nothing is known, and the error says why
		return nil
	}
	for i, text := range attention {
		attention[i] = c.Hide(text)
	}
	if s.Failing != nil {
		failing := *s.Failing
		failing.Error, failing.Advice = c.Hide(inFlags(failing.Error)), c.Hide(inFlags(failing.Advice))
		s.Failing = &failing
	}
	if asJSON {
		return c.PrintJSON(rotationJSON{s, attention})
	}
	printRows(c, rotationRows(s, time.Now()))
	for _, text := range attention {
		c.Printf("\n")
		for _, line := range console.Wrap("Attention: "+console.Printable(text), adviceWidth) {
			c.Printf("%s\n", line)
		}
	}
	return c.WriteError()
}

func rotationRows(s rotate.Status, now time.Time) []row {
	rows := []row{{"File", s.File}}
	if s.Registrar != "" {
		rows = append(rows, row{"Registered", "at " + s.Registrar})
	}
	if s.Current.Thumbprint != "" {
		rows = append(rows, row{"In use", keyText(s.Current, now)})
	}
	if s.New != nil {
		rows = append(rows, row{"New", keyText(*s.New, now)})
	}
	for _, key := range s.Retired {
		text := keyText(key, now)
		if !key.RemoveAt.IsZero() {
			text += ", to be removed " + day10(key.RemoveAt) + ", " + times.Relative(key.RemoveAt.Sub(now))
		}
		rows = append(rows, row{"Old", text})
	}
	for _, key := range s.Orphans {
		rows = append(rows, row{"By hand", "remove " + keyText(key, now) + ": " + key.Note})
	}
	if s.Waiting != "" {
		rows = append(rows, row{"Waiting", s.Waiting})
	}
	if f := s.Failing; f != nil {
		rows = append(rows, row{"Failing", string(f.Step) + ", " + timesText(f.Count) + ": " + f.Error})
	}
	if s.Held {
		rows = append(rows, row{"Held", "another process rotates the file now, so this run made no step"})
	}
	if s.Step != "" {
		rows = append(rows, row{"Next", string(s.Step) + ", " + dueText(s.Due, now) + ": " + s.Step.Explain()})
	}
	return rows
}

func timesText(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// keyText names a key as portals do, and says when it ends.
func keyText(key rotate.Key, now time.Time) string {
	name := key.SHA1
	if name == "" {
		name = key.Thumbprint
	}
	parts := []string{name}
	if key.Subject != "" {
		parts = append([]string{key.Subject}, parts...)
	}
	if key.ID != "" && key.ID != name {
		parts = append(parts, "key id "+key.ID)
	}
	if !key.NotAfter.IsZero() {
		parts = append(parts, "until "+day10(key.NotAfter)+", "+endText(key.NotAfter.Sub(now)))
	}
	return strings.Join(parts, ", ")
}

// endText rounds like the other commands, for which a new certificate has 365 days left.
func endText(left time.Duration) string {
	if left < 0 {
		return times.Relative(left)
	}
	return "in " + times.Days(left)
}

func day10(t time.Time) string { return t.Local().Format(time.DateOnly) }

func dueText(due, now time.Time) string {
	if !due.After(now) {
		return "due now"
	}
	return times.Local(due, now)
}

// rotateWords replaces the names of package rotate's options by flags.
func rotateWords(err error) error {
	if err == nil {
		return nil
	}
	return &reworded{err}
}

type reworded struct{ err error }

func (e *reworded) Unwrap() error { return e.err }

func (e *reworded) Error() string { return inFlags(e.err.Error()) }

func wrapAdvice(text string) []string { return console.Wrap(sentence(inFlags(text)), adviceWidth) }

// inFlags is a text of the library's in this command's words.
func inFlags(text string) string { return rotateNames.Replace(flagNames(text)) }

var rotateNames = strings.NewReplacer(
	"certtoken: ", "",
	"rotate: ", "",
	"give Options.Certificate a shorter Validity", "give fewer --days",
	", or give Options.Issue", "",
	"Options.KeyID", "--key-id",
	"Options.Before", "--before",
	"Options.Every", "--every",
	"Options.RemoveAfter", "--remove-after",
	"Options.Settle", "--settle",
	"call Rotation.Begin once", "run this once with --now",
	"Options.Probe", "--scope",
	"Options.Certificate", "--days",
	"graph: \"", "--graph: \"",
	"graph: the URL", "--graph-url",
	"with the option for service principals", "with --service-principal",
	"with that option", "with --service-principal",
	"try the audience", "try --proof-audience",
	"GraphOptions.Scope", "--graph-scope",
	"GraphOptions.Audience", "--proof-audience",
	"GraphOptions.URL", "--graph-url",
	"GraphOptions.ServicePrincipal", "--service-principal",
)

// checkRegular reports why a file can't be rotated.
func checkRegular(name string) error {
	if _, err := os.Stat(name); err != nil {
		return failure.Errorf("--cert: %w", failure.File(err))
	}
	return nil
}

// rotationFailed is the error of a step, with what to do about it in lines of its own.
func rotationFailed(err error) error {
	var step *rotate.Error
	if !errors.As(err, &step) {
		return rotateWords(err)
	}
	if errors.Is(err, rotate.ErrState) { // only a person can mend that
		return spoiled(step.Err)
	}
	return failure.Errorf("%s: %w", step.Step, rotateWords(step.Err)).
		Advise(wrapAdvice(step.Advice)...).
		Advise("The next run tries it again.")
}

// spoiled is the error of a state file that can't be used.
func spoiled(err error) error {
	return failure.Errorf("%w", rotateWords(err)).Advise(wrapAdvice("restore the state file from a backup; without " +
		"one, see to it that the certificate in the file is registered, and remove FILE.rotation.json and FILE.next: " +
		"the next run begins anew; keys that were added before aren't reported any more, so remove by hand those that " +
		"the registration still has")...)
}
