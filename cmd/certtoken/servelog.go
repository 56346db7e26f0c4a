package main

import (
	"fmt"
	"log"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// numberHeader marks a request, so that it is found in what the endpoint
// remembers.
const numberHeader = "X-Certtoken-Serve"

// requestLogger writes a line for each token request, once it is answered.
type requestLogger struct {
	endpoint *certtokentest.Server
	out      *log.Logger
	count    atomic.Int64
}

func (l *requestLogger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// requestText is a request for people. It holds neither assertion nor token.
func requestText(r *certtokentest.Request) string {
	text := fmt.Sprintf("%d %s", r.Status, r.ClientID)
	switch {
	case r.Status == 0:
		text = "connection reset " + r.ClientID
	case r.AccessToken != "":
		text += ": token granted for " + r.Scope
	case r.Error != "":
		text += ": " + r.Error
	}
	if r.Code != 0 && r.Tenant != "" { // of Entra ID; another server doesn't answer it
		text += fmt.Sprintf(": AADSTS%d", r.Code)
	}
	if r.Description != "" {
		text += ": " + r.Description
	}
	if r.Fault != nil {
		text += " (by --fail)"
	}
	return text
}
