package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/certfile"
)

// testEntra is an Entra ID that scripts reach by its real names: HTTPS_PROXY leads every
// host to it.
type testEntra struct {
	server *certtokentest.Server
	proxy  *certtokentest.Proxy
}

var entras sync.Map // of each script, a *testEntra

// cmdEntra is
//
//	entra MODE
//
// It starts the server where there is none yet, puts its CA into $CA and its proxy into
// $HTTPS_PROXY, and writes identity-token, ended-token and nameless-token, assertions of a
// platform's for the client my-app, and user-token, a user's token for it. public.cer, if
// there is one, is registered for it too. my-agent is an agent identity of it in contoso.com.
// MODE is what the proxy does to connections: tunnel; intercept, which puts the proxy's CA
// into $PROXYCA; or a status, with which it refuses them.
func cmdEntra(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: entra tunnel|intercept|STATUS")
		}
		entra := entraOf(t, ts)
		entra.proxy.ClearFaults()
		entra.proxy.Intercept(args[0] == "intercept")
		if status, err := strconv.Atoi(args[0]); err == nil {
			entra.proxy.FailAlways(certtokentest.Fault{Status: status, Body: "<h1>No</h1>"})
		}
	}
}

func entraOf(t *testing.T, ts *testscript.TestScript) *testEntra {
	if known, ok := entras.Load(ts); ok {
		return known.(*testEntra)
	}
	server := certtokentest.NewServer(t)
	entra := &testEntra{server: server, proxy: certtokentest.NewProxy(t, server)}
	entras.Store(ts, entra)
	if data, err := os.ReadFile(ts.MkAbs("public.cer")); err == nil {
		public, err := certfile.ParsePublic(data)
		ts.Check(err)
		server.Register("my-app", public.Certificates[0])
	}
	const pod = "system:serviceaccount:production:my-app"
	idp := certtokentest.NewIdentityProvider("https://cluster.example")
	server.Federate("my-app", idp.Federation(pod, certtokentest.ExchangeAudience))
	write := func(env, name string, data []byte) {
		ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600))
		if env != "" {
			ts.Setenv(env, ts.MkAbs(name))
		}
	}
	write("", "identity-token", []byte(idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour)))
	write("", "ended-token", []byte(idp.Assertion(pod, certtokentest.ExchangeAudience, -time.Hour)))
	write("", "nameless-token", []byte(idp.Assertion("", certtokentest.ExchangeAudience, time.Hour)))
	server.RegisterAgent(certtokentest.Agent{ID: "my-agent", Blueprint: "my-app", Tenant: "contoso.com"})
	write("", "user-token", []byte(server.UserToken("alice@contoso.com", "my-app")))
	write("CA", "entra.pem", server.CAPEM())
	write("PROXYCA", "proxy.pem", entra.proxy.CAPEM())
	ts.Setenv("HTTPS_PROXY", entra.proxy.URL().String())
	return entra
}

// cmdTokenProxy starts a cluster's token proxy in front of the server, and puts its URL
// into $TOKENPROXY and the file with its certificate into $TOKENPROXYCA. The certificate is
// for example.com.
func cmdTokenProxy(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		entra, ok := entras.Load(ts)
		if neg || len(args) > 0 || !ok {
			ts.Fatalf("usage: tokenproxy, after entra")
		}
		proxy := httptest.NewTLSServer(http.StripPrefix("/exchange", entra.(*testEntra).server))
		t.Cleanup(proxy.Close)
		file := ts.MkAbs("tokenproxy.pem")
		ts.Check(os.WriteFile(filepath.Clean(file), pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600))
		ts.Setenv("TOKENPROXY", proxy.URL+"/exchange")
		ts.Setenv("TOKENPROXYCA", file)
	}
}

// cmdAsked prints a line for each token request that the server had since the last time:
// its host, its path, and who signed its assertion.
func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	entra, ok := entras.Load(ts)
	if neg || len(args) > 0 || !ok {
		ts.Fatalf("usage: asked, after entra")
	}
	server := entra.(*testEntra).server
	for _, r := range server.Requests() {
		fmt.Fprintf(ts.Stdout(), "%s %s by %v\n", r.Host, r.Path, r.AssertionClaims["iss"])
	}
	server.Reset()
}
