package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

func TestExitStatus(t *testing.T) {
	unreachable := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{failure.Errorf("x"), 1},
		{fs.ErrNotExist, 1},
		{certtoken.ErrBadResponse, 1},
		{&net.DNSError{IsNotFound: true}, 1},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, 1},
		{failure.Usagef("x"), 2},
		{failure.Usagef("x: %w", certtoken.ErrWrongPassword), 2},
		{fmt.Errorf("a: %w", failure.Usagef("x")), 2},
		{failure.Errorf("a.pfx: %w", certtoken.ErrWrongPassword), 3},
		{fmt.Errorf("a: %w", certtoken.ErrExpired), 3},
		{&certtoken.TokenError{StatusCode: 401, Code: "invalid_client"}, 4},
		{fmt.Errorf("a: %w", &certtoken.TokenError{StatusCode: 400, Code: "invalid_scope"}), 4},
		{&certtoken.TokenError{StatusCode: 503}, 5},
		{&certtoken.TokenError{StatusCode: 429}, 5},
		{fmt.Errorf("no token within 1s: %w", context.DeadlineExceeded), 5},
		{fmt.Errorf("a: %w", unreachable), 5},
		{&net.DNSError{IsTemporary: true}, 5},
		{failure.Errorf("%w", errAttention), 6},
		{&net.DNSError{IsNotFound: true, Name: "idp.exmaple"}, 1},
		{&net.DNSError{IsNotFound: true, Name: "login.microsoftonline.com"}, 5}, // it exists: the network is gone
		{failure.ErrInterrupted, 130},
	} {
		if got := exitStatus(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}

// The table in the reference has every exit status.
func TestExitStatusesAreDocumented(t *testing.T) {
	var documented []int
	for _, s := range exitStatuses {
		documented = append(documented, s.status)
	}
	want := []int{
		statusDone, statusFailure, statusUsage, statusCertificate, statusRefused, statusTemporary, statusWarning,
		statusInterrupted,
	}
	if !slices.Equal(documented, want) {
		t.Errorf("%v, want %v", documented, want)
	}
}

// An error is one line of JSON, with what the server said, and without what is to
// be hidden.
func TestReportJSON(t *testing.T) {
	var out bytes.Buffer
	c := console.With(os.Stdin, t.Output(), &out)
	c.HideWith(func(text string) string { return strings.ReplaceAll(text, "hunter2", "[removed]") })
	reportJSON(c, fmt.Errorf("hunter2\nsecond: %w", &certtoken.TokenError{
		StatusCode: 429, Code: "invalid_client", AADSTS: []int{700027, 90055}, RetryAfter: 1500 * time.Millisecond,
		TraceID: "trace", CorrelationID: "correlation", Description: `"quoted" hunter2`,
	}))
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "hunter2") {
		t.Errorf("%q", out.String())
	}
	var got struct{ Error errorJSON }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	e := got.Error
	if !strings.HasPrefix(e.Message, "[removed]; second: ") || len(e.Advice) == 0 {
		t.Errorf("%+v", e)
	}
	e.Message, e.Advice = "", nil
	want := errorJSON{ExitStatus: 5, Temporary: true, HTTPStatus: 429, Code: "invalid_client",
		AADSTS: []int{700027, 90055}, RetryAfter: 2, TraceID: "trace", CorrelationID: "correlation"}
	if fmt.Sprint(e) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", e, want)
	}
}
