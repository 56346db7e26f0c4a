package spiffe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/certtoken/certtoken"
)

// What can be wrong. Errors wrap these with the detail; use [errors.Is]. Trouble with an
// SVID itself wraps the sentinels of certtoken: ErrNoCertificate where the agent has none
// with the ID or hint that was asked for, ErrExpired, ErrNotYetValid, ErrKeyMismatch,
// ErrKeySize, and ErrUnsupported for another kind of key, or for an agent that lacks a part
// of the Workload API. The code of gRPC is what its package status says of an error.
var (
	// ErrNoIdentity says that the agent has no identity for this process: it isn't
	// registered, or its registration hasn't reached the agent yet.
	ErrNoIdentity = errors.New("the agent has no identity for this process")

	// ErrUnavailable says that the agent can't be reached, doesn't answer, or can't get an
	// SVID from its server.
	ErrUnavailable = errors.New("the agent can't give an SVID now")

	// ErrClosed is what a source answers after its Close.
	ErrClosed = errors.New("spiffe: the source is closed")
)

// agentError is what the agent answered, in one line with advice.
type agentError struct {
	text  string
	kind  error // one of the sentinels; nil: none fits
	cause error
}

func (e *agentError) Error() string { return e.text }

func (e *agentError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.cause}
	}
	return []error{e.kind, e.cause}
}

// explain says of an answer of the agent what it means and what to do.
func explain(c *config, err error) error {
	said, isStatus := status.FromError(err)
	if !isStatus { // go-spiffe couldn't use the answer
		text := fmt.Sprintf("spiffe: %s: unusable answer of the agent: %s", c.address, quoted(err.Error()))
		advice, kind := meaningOfUnusable(err)
		return &agentError{text: text + advice, kind: kind, cause: err}
	}
	what, advice, kind := meaningOf(said.Code())
	if wanted := c.wanted(); kind == ErrNoIdentity && wanted != "" {
		what += " with " + wanted
	}
	text := fmt.Sprintf("spiffe: %s: %s (%s", c.address, what, said.Code())
	if said.Message() != "" {
		text += ": " + quoted(said.Message())
	}
	text += ")"
	if advice != "" {
		text += "; " + advice
	}
	return &agentError{text: text, kind: kind, cause: err}
}

// meaningOfUnusable is advice about an answer that go-spiffe refuses, and one of the
// sentinels. go-spiffe's errors are of no kind, so its words are what there is; for other
// words kind is nil.
func meaningOfUnusable(err error) (advice string, kind error) {
	const clocks = "; check the clock of this machine and of the agent's server"
	text := err.Error()
	switch {
	case strings.HasSuffix(text, "token has expired"):
		return clocks, certtoken.ErrExpired
	case strings.HasSuffix(text, "token not valid yet (nbf)"),
		strings.HasSuffix(text, "token issued in the future (iat)"):
		return clocks, certtoken.ErrNotYetValid
	case strings.HasSuffix(text, "certificate does not match private key"):
		return "", certtoken.ErrKeyMismatch
	case strings.Contains(text, "unsupported private key type"), strings.HasSuffix(text, "unknown elliptic curve"),
		strings.Contains(text, "private key with unknown algorithm"):
		return "", certtoken.ErrUnsupported
	}
	return "", nil
}

// meaningOf is what a code of gRPC means by the SPIFFE Workload Endpoint, section 6, and in
// SPIRE's agent. kind is one of the sentinels, or nil.
func meaningOf(code codes.Code) (what, advice string, kind error) {
	switch code {
	case codes.PermissionDenied:
		return ErrNoIdentity.Error(),
			"register the process (with SPIRE an entry whose selectors fit), or wait until the entry has reached the agent",
			ErrNoIdentity
	case codes.Unavailable:
		return ErrUnavailable.Error(),
			"check that it runs, that its socket is at this address, and that it reaches its server", ErrUnavailable
	case codes.DeadlineExceeded:
		return "the agent doesn't answer", "check that it runs", ErrUnavailable
	case codes.Unimplemented:
		return "the agent lacks this part of the Workload API", "", certtoken.ErrUnsupported
	case codes.InvalidArgument:
		return "the agent refused the request", "", nil
	}
	return ErrUnavailable.Error(), "", ErrUnavailable
}

// isRefusal reports whether the agent has decided, so that an SVID which it gave before
// must not be used any more (SPIFFE Workload API, sections 5.2.1 and 6.2.1).
func isRefusal(err error) bool { return status.Code(err) == codes.PermissionDenied }

// takesBack reports whether the agent has taken back the identity: it has refused, or what
// it lists lacks that.
func takesBack(err error) bool { return isRefusal(err) || errors.Is(err, certtoken.ErrNoCertificate) }

// errSilent is the cause with which [WithTimeout] ends a caller's context.
var errSilent = errors.New("the agent doesn't answer")

// gaveUp is the error of a caller who has waited in vain. before is what the agent said
// last, or nil.
func gaveUp(ctx context.Context, c *config, kind string, before error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errSilent) {
		cause = fmt.Errorf("%w: it hasn't answered within %v; check that it runs", ErrUnavailable, c.timeout)
	}
	err := fmt.Errorf("spiffe: gave up waiting for %s from %s: %w", kind, c.address, cause)
	if before != nil {
		return fmt.Errorf("%w; before that: %w", err, before)
	}
	return err
}
