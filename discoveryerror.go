package certtoken

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/advice"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/syntax"
)

// placeError is what was wrong at one place where metadata may be.
type placeError struct {
	place string // its URL
	err   error
}

// unfit is what is wrong with metadata, and what to do about it.
type unfit struct{ what, todo string }

func (e *unfit) Error() string  { return e.what }
func (e *unfit) Advice() string { return e.todo }

var errNoMetadata = errors.New("it is not metadata")

// statusError is an answer whose status isn't 200.
type statusError struct {
	status int
	wait   time.Duration // that the server asks for before the next request
}

func (e statusError) Error() string { return fmt.Sprintf("it answered %d", e.status) }

// IsTemporary reports whether the server may answer otherwise later.
func (e statusError) IsTemporary() bool { return exchange.IsTemporary(e.status) }

// unanswered is a request that got no answer, or half of one.
type unanswered struct{ error }

func (e unanswered) Unwrap() error { return e.error }

// discoveryError is what was wrong at each place, in one line that ends with Advice.
type discoveryError []placeError

func (e *discoveryError) Error() string {
	text := "discovery: " + strings.Join(e.told().lines(), "; ")
	if what := e.Advice(); what != "" {
		text += "; " + what
	}
	return text
}

// Unwrap is for [errors.Is] and [errors.As]: all places, also those that aren't told of.
func (e *discoveryError) Unwrap() []error {
	errs := make([]error, len(*e))
	for i, at := range *e {
		errs[i] = at.err
	}
	return errs
}

// Advice is what to do about the faults that are told, or "": a connection that failed is
// its own explanation.
func (e *discoveryError) Advice() string {
	told := e.told()
	var all []string
	for _, at := range told {
		if what := adviceOf(at.err); what != "" && !slices.Contains(all, what) {
			all = append(all, what)
		}
	}
	var status statusError
	var none unanswered
	switch {
	case len(all) > 0:
		return strings.Join(all, "; ")
	case errors.As(&told, &none):
		return ""
	case errors.As(&told, &status) && status.IsTemporary():
		return advice.Later
	}
	return "give the issuer exactly as the server's documentation has it; for a server without metadata, " +
		"give the token endpoint to Issuer"
}

// adviceOf is the advice that an error has.
func adviceOf(err error) string {
	var advised interface{ Advice() string }
	if errors.As(err, &advised) {
		return advised.Advice()
	}
	return ""
}

// told leaves out the places that have no metadata, if another one has: a server has them at
// one of three.
func (e discoveryError) told() discoveryError {
	told := slices.DeleteFunc(slices.Clone(e), func(at placeError) bool {
		var status statusError
		return errors.Is(at.err, errNoMetadata) || errors.As(at.err, &status) &&
			(status.status == http.StatusNotFound || status.status == http.StatusGone)
	})
	if len(told) == 0 {
		return e
	}
	return told
}

// lines has one text for all places with the same fault, without its advice.
func (e discoveryError) lines() (lines []string) {
	places := make(map[string][]string)
	for _, at := range e {
		what := strings.TrimSuffix(at.err.Error(), "; "+adviceOf(at.err))
		if places[what] == nil {
			lines = append(lines, what)
		}
		if name := at.name(); !slices.Contains(places[what], name) {
			places[what] = append(places[what], name)
		}
	}
	for i, what := range lines {
		lines[i] = fmt.Sprintf("%s: %s", strings.Join(places[what], ", "), what)
	}
	return lines
}

// name is the place's URL without secrets, or that of its host, where no place at that host
// would have answered.
func (at placeError) name() string {
	var none unanswered
	if u, err := url.Parse(at.place); err == nil && errors.As(at.err, &none) {
		return syntax.EndpointName(u.Scheme + "://" + u.Host)
	}
	return syntax.EndpointName(at.place)
}
