package main

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/selfsigned"
)

// grantsAlways is an authorization server that grants the same token to everybody.
func grantsAlways(t *testing.T, claims string) (flags []string) {
	t.Helper()
	return grantsWhen(t, claims, func() {})
}

// grantsWhen is one that calls a function before it answers a request for a token.
func grantsWhen(t *testing.T, claims string, before func()) (flags []string) {
	t.Helper()
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + ".c2ln"
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q}`, server.URL, server.URL+"/token")
			return
		}
		before()
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600,"scope":"read"}`, token)
	}))
	t.Cleanup(server.Close)
	pair, err := selfsigned.EncodePEM(certtokentest.NewCertificate(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return []string{
		"--authority", server.URL, "--client-id", "app", "--scope", "read",
		"--cert", write("cert.pem", pair), "--ca", write("ca.pem", ca),
	}
}

// A server may ignore the certificate in the handshake. Who asked for a bound token is told
// that it got another.
func TestUnboundTokenIsReported(t *testing.T) {
	const unbound = "did not bind the token"
	run := func(args ...string) (status int, text string) {
		var out, err strings.Builder
		status = execute(t.Context(), console.With(os.Stdin, &out, &err), args)
		return status, out.String() + strings.Join(strings.Fields(out.String()+err.String()), " ")
	}
	flags := grantsAlways(t, `{"aud":"api"}`)
	if status, text := run(append([]string{"token", "--bound"}, flags...)...); status != statusDone ||
		!strings.Contains(text, unbound) {
		t.Errorf("token --bound: %d: %s", status, text)
	}
	if status, text := run(append([]string{"doctor", "--bound"}, flags...)...); status != statusWarning ||
		!strings.Contains(text, unbound) || !strings.Contains(text, "! token") {
		t.Errorf("doctor --bound: %d: %s", status, text)
	}
	if status, text := run(append([]string{"token"}, flags...)...); status != statusDone ||
		strings.Contains(text, unbound) {
		t.Errorf("token: %d: %s", status, text)
	}
	flags = grantsAlways(t, `{"aud":"api","cnf":{"x5t#S256":"thumbprint"}}`)
	if status, text := run(append([]string{"token", "--bound"}, flags...)...); status != statusDone ||
		strings.Contains(text, unbound) {
		t.Errorf("token --bound, bound: %d: %s", status, text)
	}
}
