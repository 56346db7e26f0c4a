package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// faultsOf makes a function that decides which request fails, and how, from --fail
// and --fail-first. It is nil without --fail.
func faultsOf(specs []string, first int) (func(*certtokentest.Request) *certtokentest.Fault, error) {
	if len(specs) == 0 {
		if first != 0 {
			return nil, failure.Usagef("--fail-first goes with --fail")
		}
		return nil, nil
	}
	if first < 0 {
		return nil, failure.Usagef("--fail-first must not be negative")
	}
	var list []certtokentest.Fault
	for _, spec := range specs {
		fault, err := parseFault(spec)
		if err != nil {
			return nil, err
		}
		list = append(list, fault)
	}
	var count atomic.Int64
	return func(*certtokentest.Request) *certtokentest.Fault {
		n := int(count.Add(1) - 1)
		if first > 0 && n >= first {
			return nil
		}
		return &list[n%len(list)]
	}, nil
}

var shapes = map[string]certtokentest.Shape{
	"reset":     certtokentest.ResetConnection,
	"empty":     certtokentest.EmptyBody,
	"html":      certtokentest.HTML,
	"notjson":   certtokentest.NotJSON,
	"truncated": certtokentest.TruncatedBody,
	"no-token":  certtokentest.NoToken,
	"no-expiry": certtokentest.NoExpiry,
	"oversized": certtokentest.OversizedBody,
}

// faultWords are what --fail takes, as far as it is known before its value.
func faultWords() []string {
	words := []string{"throttle:", "status:", "aadsts:", "error:", "delay:", "redirect:"}
	return append(words, slices.Sorted(maps.Keys(shapes))...)
}

// parseFault reads a SPEC of --fail: a name, and for some names a value.
func parseFault(spec string) (certtokentest.Fault, error) {
	name, value, _ := strings.Cut(spec, ":")
	if shape, ok := shapes[name]; ok && value == "" {
		return certtokentest.Fault{Shape: shape}, nil
	}
	fault, ok := certtokentest.Fault{}, false
	switch name {
	case "throttle":
		var d duration
		ok = value == "" || d.Set(value) == nil && d >= 0
		fault = certtokentest.Throttle(time.Duration(d))
	case "delay":
		var d duration
		ok = d.Set(value) == nil && d > 0
		fault.Delay = time.Duration(d)
	case "status":
		fault.Status, ok = number(value, 200, 599)
	case "aadsts":
		fault.Code, ok = number(strings.TrimPrefix(value, "AADSTS"), 1000, 999999999)
	case "error":
		fault.Error, ok = value, value != ""
	case "redirect":
		fault.Shape, fault.Location, ok = certtokentest.Redirect, value, value != ""
	}
	if !ok {
		return fault, failure.Usagef("--fail %q is unknown", spec).
			Advise("For example throttle:2s, status:503, aadsts:700027, delay:5s or reset;", `see "certtoken serve --help".`)
	}
	return fault, nil
}

func number(text string, least, most int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= least && n <= most
}
