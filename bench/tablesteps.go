package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tableSteps is how long the slowest of a million new slots took, by the benchmark of the
// table itself, which can't be reached from here.
type tableSteps []tableStep

type tableStep struct {
	name    string // growth, eviction or expiry, and whether the collector ran
	figures map[string]float64
}

const tableStepsTake = 90 * time.Second

func measureTableSteps(cfg settings, bench string) (tableSteps, error) {
	if !cfg.budget.allows("the table's slowest step", tableStepsTake) {
		return nil, nil
	}
	cmd := exec.Command("go", "test", "-run", "NONE", "-bench", "TableFilling", "-benchtime", "1x", "./internal/cache")
	cmd.Dir = filepath.Join(bench, "..")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var steps tableSteps
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		name, rest, is := strings.Cut(strings.TrimPrefix(lines.Text(), "BenchmarkTableFilling/"), " ")
		if is && strings.HasPrefix(lines.Text(), "BenchmarkTableFilling/") {
			steps = append(steps, tableStep{name, figuresOf(rest)})
		}
	}
	return steps, nil
}

// figuresOf are the figures of a line of a benchmark, by their units.
func figuresOf(line string) map[string]float64 {
	figures := make(map[string]float64)
	words := strings.Fields(line) // how often it ran, and then pairs
	for i := 1; i+1 < len(words); i += 2 {
		if x, err := strconv.ParseFloat(words[i], 64); err == nil {
			figures[words[i+1]] = x
		}
	}
	return figures
}

// Units of the benchmark.
const (
	stepMedian = "median-ns"
	step999    = "p99.9-ns"
	stepMost   = "slowest-ns"
	stepAlone  = "slowest-alone-ns"
)

func (s tableSteps) checks() (list []check) {
	for _, step := range s {
		if strings.Contains(step.name, "collector=false") {
			what, _, _ := strings.Cut(step.name, "/")
			list = append(list, atMost("slowest of a million new slots, "+strings.ReplaceAll(what, "_", " ")+
				": what the table itself takes", step.figures[stepAlone]/1e6, 1, " ms"))
		}
	}
	return list
}

func (s tableSteps) table(line func(string, ...any)) {
	if len(s) == 0 {
		return
	}
	line("| a million new slots in the table | median | 99.9 %% | slowest | slowest in which the system did nothing |")
	line("|---|---|---|---|---|")
	for _, step := range s {
		name := strings.NewReplacer("/collector=true", ", with the collector", "/collector=false", "", "_", " ").
			Replace(strings.TrimRight(step.name, "-0123456789"))
		line("| %s | %s | %s | %s | %s |", name, nanos(step.figures[stepMedian]), nanos(step.figures[step999]),
			nanos(step.figures[stepMost]), nanos(step.figures[stepAlone]))
	}
	line("")
	line("`go test -run NONE -bench TableFilling -benchtime 1x ./internal/cache`, the thread's time on the processor. The " +
		"system hands out memory by pages, and clears each, on a virtual machine a second time by its host; the last column " +
		"is without the steps in which it did so or gave the processor to another program.")
	line("")
}
