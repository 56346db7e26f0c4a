package main

import (
	"fmt"
	"strings"

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
	checkNetwork    = "network"
	checkTLS        = "tls"
	checkClock      = "clock"
	checkExchange   = "exchange"
	checkToken      = "token"
)

// outcome is a check's outcome.
type outcome string

const (
	outcomeOK      outcome = "ok"
	outcomeFailed  outcome = "failed"
	outcomeSkipped outcome = "skipped"
)

// check is one line of the report. A check that is ok can have advice too: then
// the advice is a warning.
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
	checks  []check
}

// conclude ends the report. It returns an error if a check has failed.
func (l *checklist) conclude() error {
	failed := 0
	for _, c := range l.checks {
		if c.Status == outcomeFailed {
			failed++
		}
	}
	if l.json {
		err := l.console.PrintJSON(struct {
			OK     bool    `json:"ok"`
			Checks []check `json:"checks"`
		}{failed == 0, l.checks})
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return failure.Errorf("%d of %d checks failed", failed, len(l.checks))
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
