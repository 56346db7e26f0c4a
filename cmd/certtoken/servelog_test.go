package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/certtoken/certtoken/certtokentest"
)

// A client can't fill the log: its id, its scope and what the endpoint says of
// them are cut.
func TestRequestTextIsBounded(t *testing.T) {
	long := strings.Repeat("ä", 100_000)
	for name, r := range map[string]certtokentest.Request{
		"granted":  {Status: 200, ClientID: long, Scope: long, AccessToken: "t"},
		"refused":  {Status: 401, ClientID: long, Tenant: "t", Code: 700016, Error: long, Description: long},
		"reset":    {ClientID: long},
		"no error": {Status: 500, ClientID: long},
	} {
		if text := requestText(&r); len(text) > 1000 {
			t.Errorf("%s: a line of %d bytes", name, len(text))
		} else if !strings.Contains(text, "ää…") {
			t.Errorf("%s: %s", name, text)
		}
	}
	for want, r := range map[string]certtokentest.Request{
		"200 app: token granted for read":                {Scope: "read"},
		"200 app: token granted for https://a b":         {Form: url.Values{"resource": {"https://a", "b"}}},
		"200 app: token granted, no scope was asked for": {},
	} {
		r.Status, r.ClientID, r.AccessToken = 200, "app", "t"
		if got := requestText(&r); got != want {
			t.Error(got)
		}
	}
	short := certtokentest.Request{Status: 401, ClientID: "app", Error: "invalid_client", Description: "no"}
	if got := requestText(&short); got != "401 app: invalid_client: no" {
		t.Error(got)
	}
}
