package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of go test -json, see go doc test2json and go help buildjson.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a package that is built
	Test       string
	Output     string
}

// printer prints what go test prints without -json: a line for each package, before
// it the output of the tests that failed. With verbose it prints everything.
type printer struct {
	out     io.Writer
	notes   io.Writer // a line for each test that ended: action, package, test
	verbose bool

	running map[string]*packageRun // by import path
}

// packageRun is what a package has written until now.
type packageRun struct {
	tests  []*testRun // as they began
	byName map[string]*testRun
	own    strings.Builder // output of no test
}

type testRun struct {
	ended  string // pass, skip, fail; "" while it runs
	output strings.Builder
}

func newPrinter(out, notes io.Writer, verbose bool) *printer {
	return &printer{out: out, notes: notes, verbose: verbose, running: make(map[string]*packageRun)}
}

// read reads the events of one go test.
func (p *printer) read(events io.Reader) error {
	lines := bufio.NewReader(events) // a line may be of any length
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				e = event{Action: "build-output", Output: line} // of another program
			}
			if err := p.take(e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (p *printer) take(e event) error {
	var err error
	switch e.Action {
	case "build-output":
		_, err = io.WriteString(p.out, e.Output)
	case "output":
		p.output(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			return p.end(e)
		}
		p.of(e).test(e.Test).ended = e.Action
		if !strings.Contains(e.Test, "/") {
			_, err = fmt.Fprintln(p.notes, e.Action, e.Package, e.Test)
		}
	}
	return err
}

// of returns the run of the event's package.
func (p *printer) of(e event) *packageRun {
	run := p.running[e.Package]
	if run == nil {
		run = &packageRun{byName: make(map[string]*testRun)}
		p.running[e.Package] = run
	}
	return run
}

func (r *packageRun) test(name string) *testRun {
	t := r.byName[name]
	if t == nil {
		t = &testRun{}
		r.byName[name] = t
		r.tests = append(r.tests, t)
	}
	return t
}

func (p *printer) output(e event) {
	switch {
	case p.verbose:
		fmt.Fprint(p.out, e.Output)
	case e.Test == "":
		p.of(e).own.WriteString(e.Output)
	case !strings.HasPrefix(e.Output, "=== "): // RUN, PAUSE, CONT, NAME
		p.of(e).test(e.Test).output.WriteString(e.Output)
	}
}

// end prints a package that has ended. Where it failed, tests that haven't ended are
// printed too: one of them may have ended the process.
func (p *printer) end(e event) error {
	run := p.of(e)
	delete(p.running, e.Package)
	var text strings.Builder
	if e.Action == "fail" {
		for _, t := range run.tests {
			if t.ended != "pass" && t.ended != "skip" {
				text.WriteString(t.output.String())
			}
		}
	}
	for line := range strings.Lines(run.own.String()) {
		if line != "PASS\n" { // the line of the package says it too
			text.WriteString(line)
		}
	}
	_, err := io.WriteString(p.out, text.String())
	return err
}
