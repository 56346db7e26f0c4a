// Package answer holds what a request is answered, and gives it either to a
// connection or to a caller in the same process, with the delays and the broken
// endings that a test asked for. It never knows why an answer is as it is.
package answer

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Answer is what a request gets.
type Answer struct {
	Status    int
	Header    http.Header
	Body      []byte
	Delay     time.Duration // before the header
	BodyDelay time.Duration // between header and body
	Drip      time.Duration // before each byte of the body
	Deaf      bool          // the end of the caller's context doesn't end the delays
	Ending    Ending
}

// Ending is how the body ends.
type Ending int

// The endings.
const (
	Whole   Ending = iota
	Reset          // the connection breaks before any answer
	Cut            // it breaks in the middle of the body
	Endless        // the body is repeated without end
)

// JSON is an answer whose body is an encoded value.
func JSON(status int, v any) *Answer {
	a := &Answer{Status: status, Header: make(http.Header), Body: Encode(v)}
	a.Header.Set("Content-Type", "application/json; charset=utf-8")
	return a
}

// Encode writes values as JSON that are always encodable: strings, numbers, and
// lists and maps of them.
func Encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("certtokentest: " + err.Error())
	}
	return data
}

// ErrReset is what a reset connection looks like to the caller.
var ErrReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// wait sleeps for d unless the context ends. Nothing but timer and context is
// waited for, so that time in a synctest bubble moves on.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
