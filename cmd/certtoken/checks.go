package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// Names of the checks, in their order.
const (
	checkFile       = "file"
	checkPassword   = "password"
	checkKey        = "key"
	checkKeyType    = "key type"
	checkValidity   = "validity"
	checkThumbprint = "thumbprint"
	checkFederation = "federation"
	checkNetwork    = "network"
	checkTLS        = "tls"
	checkClock      = "clock"
	checkMetadata   = "metadata"
	checkExchange   = "exchange"
	checkToken      = "token"
)

// outcome is a check's outcome.
type outcome string

const (
	outcomeOK      outcome = "ok"
	outcomeWarning outcome = "warning" // tokens are granted, and something should be done
	outcomeFailed  outcome = "failed"
	outcomeSkipped outcome = "skipped"
)

// check is one line of the report. A check that is ok can have advice too, about what may
// follow.
type check struct {
	Name   string  `json:"name"`
	Status outcome `json:"status"`
	Detail string  `json:"detail,omitempty"`
	Advice string  `json:"advice,omitempty"`
}

// checklist collects the checks of the doctor. With text as output, each check is
// printed as soon as it is made; with JSON, all of them are printed at the end.
type checklist struct {
	console *console.Console
	json    bool
	within  time.Duration // how long before its end a certificate is worth a warning
	checks  []check
	end     *certificateEnd // nil: there is no certificate
	probed  *probe          // nil: the server was not tried yet
}

// certificateEnd is when the certificate ends, for a program that watches it.
type certificateEnd struct {
	NotAfter string `json:"not_after"`
	DaysLeft int    `json:"days_left"` // rounded, as the text has it; negative after the end
	EndsSoon bool   `json:"ends_soon"` // within --fail-within, or over
}

func (l *checklist) count(of outcome) int {
	n := 0
	for _, c := range l.checks {
		if c.Status == of {
			n++
		}
	}
	return n
}

// conclude ends the report. It returns an error if a check has failed, and errWarnings if
// none has and one is a warning.
func (l *checklist) conclude() error {
	failed, warnings := l.count(outcomeFailed), l.count(outcomeWarning)
	if l.json {
		err := l.console.PrintJSON(struct {
			OK          bool            `json:"ok"`
			Warnings    int             `json:"warnings"`
			Certificate *certificateEnd `json:"certificate,omitempty"`
			Checks      []check         `json:"checks"`
		}{failed == 0, warnings, l.end, l.checks})
		if err != nil {
			return err
		}
	}
	switch {
	case failed > 0:
		return failure.Errorf("%d of %d checks failed", failed, len(l.checks))
	case warnings > 0:
		return failure.Errorf("%w, and %d of %d checks warned", errWarnings, warnings, len(l.checks))
	}
	return nil
}

// add records a check, and prints it at once where the report is text.
func (l *checklist) add(c check) {
	c.Detail, c.Advice = l.console.Hide(c.Detail), l.console.Hide(c.Advice)
	l.checks = append(l.checks, c)
	if !l.json {
		l.print(c)
	}
}

func (l *checklist) ok(name, format string, args ...any) {
	l.add(check{name, outcomeOK, fmt.Sprintf(format, args...), ""})
}

func (l *checklist) skip(name, format string, args ...any) {
	l.add(check{name, outcomeSkipped, fmt.Sprintf(format, args...), ""})
}

// fail records an error with its advice.
func (l *checklist) fail(name string, err error) {
	first, _ := headline(err)
	l.add(check{name, outcomeFailed, first, adviceText(err)})
}

// adviceText is an error's advice without the advice to run the doctor, which is
// running already.
func adviceText(err error) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.Join(adviceFor(err), " "), doctorHint))
}

var marks = map[outcome]struct {
	sign  string
	style console.Style
}{
	outcomeOK:      {"✓", console.Green},
	outcomeWarning: {"!", console.Yellow},
	outcomeFailed:  {"✗", console.Red},
	outcomeSkipped: {"–", console.Dim},
}

const nameWidth = 12

func (l *checklist) print(c check) {
	mark := marks[c.Status]
	indent := "\n" + strings.Repeat(" ", nameWidth+3)
	detail := strings.Join(console.Wrap(console.Printable(c.Detail), helpWidth-nameWidth-3), indent)
	l.console.Printf("%s %-*s %s\n", l.console.Styled(mark.style, mark.sign), nameWidth, c.Name, detail)
	for _, line := range console.Wrap(console.Printable(c.Advice), helpWidth-nameWidth-5) {
		l.console.Printf("%s%s\n", strings.Repeat(" ", nameWidth+5), l.console.Styled(console.Yellow, line))
	}
}
