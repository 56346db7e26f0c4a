package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// numberHeader numbers the requests, so that log finds a request among those that
// the endpoint remembers.
const numberHeader = "X-Certtoken-Serve"

// requestLogger writes a line for each token request after it was answered.
type requestLogger struct {
	endpoint *certtokentest.Server
	out      *log.Logger
	count    atomic.Int64
}

func (l *requestLogger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.endpoint.Graph() != nil && strings.HasPrefix(r.URL.Path, graphPath+"/") {
		answered := &statusWriter{ResponseWriter: w}
		defer func() { l.out.Print(console.Printable(graphText(r, answered.status))) }()
		w = answered
	}
	number := strconv.FormatInt(l.count.Add(1), 10)
	r.Header.Set(numberHeader, number)
	defer l.log(number) // a fault may end the request by a panic
	l.endpoint.ServeHTTP(w, r)
}

func (l *requestLogger) log(number string) {
	for _, r := range slices.Backward(l.endpoint.Requests()) {
		if r.Header.Get(numberHeader) == number {
			l.out.Print(console.Printable(requestText(&r)))
			return
		}
	}
}

// Bounds on what a client can write into the log: it chooses its id, and the
// endpoint repeats it in its description.
const (
	maxLogField = 128
	maxLogText  = 512
)

// requestText describes a request in one line. It holds neither the assertion nor
// the token.
func requestText(r *certtokentest.Request) string {
	client := cut(r.ClientID, maxLogField)
	text := fmt.Sprintf("%d %s", r.Status, client)
	switch {
	case r.Status == 0:
		text = "connection reset " + client
	case r.AccessToken != "":
		text += ": token granted" + grantedFor(r)
	case r.Error != "":
		text += ": " + cut(r.Error, maxLogField)
	}
	if r.Code != 0 && r.Tenant != "" { // of Entra ID; another server doesn't answer it
		text += fmt.Sprintf(": AADSTS%d", r.Code)
	}
	if r.Description != "" {
		text += ": " + cut(r.Description, maxLogText)
	}
	if r.Fault != nil {
		text += " (by --fail)"
	}
	return text
}

// grantedFor says what was asked for: scopes, or as at Entra ID's older endpoint resources.
func grantedFor(r *certtokentest.Request) string {
	asked := cmp.Or(r.Scope, strings.Join(r.Form["resource"], " "))
	if asked == "" {
		return ", no scope was asked for"
	}
	return " for " + cut(asked, maxLogField)
}

// cut shortens a text to this many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// graphText describes a request to Microsoft Graph in one line.
func graphText(r *http.Request, status int) string {
	object, action := path.Split(r.URL.Path)
	if r.Method == http.MethodGet {
		object, action = r.URL.Path, "read"
	}
	object = strings.TrimSuffix(strings.TrimPrefix(object, graphPath+"/"), "/")
	outcome := "connection reset"
	if status != 0 {
		outcome = strconv.Itoa(status)
	}
	return fmt.Sprintf("%s Microsoft Graph: %s %s", outcome, cut(action, maxLogField), cut(object, maxLogField))
}

// statusWriter remembers the status of an answer, 0 if there was none.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
