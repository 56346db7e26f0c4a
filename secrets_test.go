package certtoken_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/secrettest"
)

// shortest is the shortest secret to look for, in bytes: what is shorter, such as
// the empty payload of a forged assertion, is found anywhere by chance.
const shortest = 8

// watch collects everything that is printed in a test and looks for secrets in it.
type watch struct {
	mu      sync.Mutex
	out     bytes.Buffer
	secrets map[string]string // what to look for: what it is
}

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

// text adds a secret text, whole and in pieces, plain and encoded.
func (w *watch) text(what, secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets == nil {
		w.secrets = make(map[string]string)
	}
	if len(secret) < shortest {
		return
	}
	const piece = 24
	pieces := []string{secret}
	for at := 0; at+piece < len(secret); at += piece {
		pieces = append(pieces, secret[at:at+piece])
	}
	for _, s := range pieces {
		w.secrets[s] = what
		w.secrets[url.QueryEscape(s)] = what
	}
	w.encoded(what, []byte(secret))
}

// bytes adds a secret that isn't text.
func (w *watch) bytes(what string, secret []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.secrets == nil {
		w.secrets = make(map[string]string)
	}
	w.encoded(what, secret)
}

func (w *watch) encoded(what string, secret []byte) {
	if len(secret) < shortest {
		return
	}
	head := secret[:min(len(secret), 24)]
	w.secrets[hex.EncodeToString(head)] = what + " in hex"
	w.secrets[strings.ToUpper(hex.EncodeToString(head))] = what + " in hex"
	w.secrets[fmt.Sprintf("% x", head[:min(len(head), 8)])] = what + " in a dump"
	w.secrets[strings.Trim(fmt.Sprint(head), "[]")] = what + " as numbers"
	w.secrets[strings.Trim(fmt.Sprintf("%#v", head), "[]byte{}")] = what + " as numbers"
	w.secrets[base64.StdEncoding.EncodeToString(head)] = what + " in base64"
	w.secrets[base64.RawURLEncoding.EncodeToString(head)] = what + " in base64url"
}

// assertion adds the secret parts of a client assertion; the header is none.
func (w *watch) assertion(jwt string) {
	_, secret, _ := strings.Cut(jwt, ".")
	payload, signature, _ := strings.Cut(secret, ".")
	w.text("an assertion's payload", payload)
	w.text("an assertion's signature", signature)
}

// key adds a private key: its numbers, and every piece of its files.
func (w *watch) key(key *rsa.PrivateKey) {
	w.der(key)
	w.bytes("the private exponent", key.D.Bytes())
	w.mu.Lock()
	w.secrets[key.D.String()[:40]] = "the private exponent in decimal"
	w.mu.Unlock()
	for _, p := range key.Primes {
		w.bytes("a prime", p.Bytes())
		w.mu.Lock()
		w.secrets[p.String()[:40]] = "a prime in decimal"
		w.mu.Unlock()
	}
}

// der adds what PKCS #1 and PKCS #8 write of a key, piece by piece, so that a PEM
// that is wrapped or cut is found too. Both begin with the public key, which is
// no secret, and go on alike.
func (w *watch) der(key *rsa.PrivateKey) {
	const what, piece, dumped = "the private key's DER", 24, 8
	pkcs1 := x509.MarshalPKCS1PrivateKey(key)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // an RSA key can be written
	}
	secret := pkcs1[bytes.Index(pkcs1, key.D.Bytes()):]
	for shift := range 3 { // three bytes are four digits of base64
		for at := shift; at+piece <= len(secret); at += piece {
			w.bytes(what, secret[at:at+piece])
			w.mu.Lock()
			w.secrets[string(secret[at:at+piece])] = what
			w.mu.Unlock()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, der := range [][]byte{pkcs1, pkcs8} {
		start := len(der) - len(secret)
		for at := start + dumped - start%dumped; at+dumped <= len(der); at += dumped {
			w.secrets[fmt.Sprintf("% x", der[at:at+dumped])] = what + " in a dump"
		}
	}
}

// print has the watch see a value in every way that a program might print it.
func print[T any](w *watch, v T) { secrettest.Print(w, v) }

// dump prints a value as a failed assertion does: spew follows every pointer.
func dump(w *watch, v any) {
	mock := &failure{w}
	assert.Equal(mock, v, "something else")
	assert.Equal(mock, secrettest.Hold(v), secrettest.Holder[any]{})
	assert.Nil(mock, v)
	assert.Empty(mock, v)
	assert.Contains(mock, []any{v}, 1)
}

type failure struct{ w *watch }

func (f *failure) Errorf(format string, args ...any) { fmt.Fprintf(f.w, format, args...) }

// check looks through all that was printed.
func (w *watch) check(t *testing.T) {
	t.Helper()
	require.NotEmpty(t, w.out.String())
	require.NotEmpty(t, w.secrets)
	if what, near := w.find(); what != "" {
		t.Errorf("%s was printed: …%s…", what, near)
	}
}

// find returns what was printed that is secret, and what stands around it.
func (w *watch) find() (what, near string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	byHead := make(map[string][]string)
	for secret := range w.secrets {
		byHead[secret[:shortest]] = append(byHead[secret[:shortest]], secret)
	}
	text := w.out.String()
	for at := range max(0, len(text)-shortest+1) { // once, however many secrets there are
		for _, secret := range byHead[text[at:at+shortest]] {
			if strings.HasPrefix(text[at:], secret) {
				return w.secrets[secret], text[max(0, at-300):min(len(text), at+len(secret)+20)]
			}
		}
	}
	return "", ""
}

// The watch finds what it is there to find.
func TestWatchFindsSecrets(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	key := cert.Signer.(*rsa.PrivateKey)
	const secret = "a secret of a certain length, longer than a piece"
	leaks := map[string]func(*watch){
		"plain":       func(w *watch) { print(w, secret) },
		"a piece":     func(w *watch) { print(w, secret[20:]) },
		"bytes":       func(w *watch) { print(w, []byte(secret)) },
		"query":       func(w *watch) { print(w, url.Values{"a": {secret}}.Encode()) },
		"field":       func(w *watch) { dump(w, struct{ s *[]byte }{ptr([]byte(secret))}) },
		"hex":         func(w *watch) { print(w, hex.EncodeToString([]byte(secret))) },
		"key":         func(w *watch) { print(w, *key) },
		"key as JSON": func(w *watch) { data, _ := json.Marshal(key); _, _ = w.Write(data) },
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for kind, der := range map[string][]byte{"PKCS #1": x509.MarshalPKCS1PrivateKey(key), "PKCS #8": pkcs8} {
		for form, text := range keyForms(der) {
			leaks[kind+", "+form] = func(w *watch) { _, _ = io.WriteString(w, text) }
			leaks[kind+", middle of "+form] = func(w *watch) {
				_,
					_ = io.WriteString(w, text[len(text)/2:][:min(len(text)/4, 320)])
			}
		}
	}
	for name, leak := range leaks {
		t.Run(name, func(t *testing.T) {
			var w watch
			w.text("the secret", secret)
			w.key(key)
			leak(&w)
			what, _ := w.find()
			assert.NotEmpty(t, what)
		})
	}
	t.Run("nothing in a certificate", func(t *testing.T) {
		var w watch
		w.key(key)
		for _, text := range keyForms(cert.Leaf.Raw) {
			fmt.Fprintln(&w, text)
		}
		for _, text := range keyForms(x509.MarshalPKCS1PublicKey(&key.PublicKey)) {
			fmt.Fprintln(&w, text)
		}
		print(&w, cert.Leaf)
		w.check(t)
	})
}

// keyForms is DER in the ways that programs write it.
func keyForms(der []byte) map[string]string {
	return map[string]string{
		"bytes":     string(der),
		"hex":       hex.EncodeToString(der),
		"upper hex": strings.ToUpper(hex.EncodeToString(der)),
		"a dump":    hex.Dump(der),
		"numbers":   fmt.Sprint(der),
		"Go syntax": fmt.Sprintf("%#v", der),
		"base64":    base64.StdEncoding.EncodeToString(der),
		"base64url": base64.RawURLEncoding.EncodeToString(der),
		"PEM":       string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"quoted":    strconv.Quote(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))),
	}
}

func ptr[T any](v T) *T { return &v }

// secretive is a rig whose every secret is watched.
type secretive struct {
	*rig
	watch *watch
}

func newSecretive(t *testing.T, source certtoken.CertSource, opts ...certtoken.Option) *secretive {
	t.Helper()
	w := new(watch)
	server := certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Hour))
	say := func(name string) func(certtoken.Event) {
		return func(e certtoken.Event) { fmt.Fprintln(w, name); print(w, e) }
	}
	opts = append([]certtoken.Option{
		certtoken.WithLogger(
			slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
		),
		certtoken.WithLogger(slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		certtoken.WithHooks(certtoken.Hooks{
			Hit: say("hit"), Miss: say("miss"),
			RequestStart: func(ctx context.Context, e certtoken.Event) context.Context {
				say("start")(e)
				return ctx
			},
			RequestEnd:          func(_ context.Context, e certtoken.Event) { say("end")(e) },
			RenewalFailed:       say("renewal failed"),
			CertificateLoaded:   say("loaded"),
			CertificateExpiring: say("expiring"),
			CertificateRefused:  say("refused"),
			ClockCorrected:      say("clock"),
			AlgorithmFallback:   say("fallback"),
			StoreFailed:         say("store"),
		}),
		certtoken.WithExpiryWarning(200 * 365 * 24 * time.Hour),
	}, opts...)
	s := &secretive{rig: newRigOf(t, server, source, opts...), watch: w}
	w.key(s.cert.Signer.(*rsa.PrivateKey))
	return s
}

// check learns what was sent and granted, and looks for it.
func (s *secretive) check(t *testing.T) {
	t.Helper()
	for _, req := range s.server.Requests() {
		s.watch.assertion(req.Assertion)
		if req.AccessToken != "" {
			s.watch.text("an access token", req.AccessToken)
		}
	}
	s.watch.check(t)
}

// printError prints an error with all that is in it.
func (s *secretive) printError(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for e := range chainOf(err) {
		print(s.watch, e)
		dump(s.watch, e)
	}
	var te *certtoken.TokenError
	if errors.As(err, &te) {
		print(s.watch, *te)
	}
}

// chainOf walks through everything that an error wraps.
func chainOf(err error) func(func(error) bool) {
	var walk func(error, func(error) bool) bool
	walk = func(err error, yield func(error) bool) bool {
		if err == nil {
			return true
		}
		if !yield(err) {
			return false
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			return walk(e.Unwrap(), yield)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				if !walk(inner, yield) {
					return false
				}
			}
		}
		return true
	}
	return func(yield func(error) bool) { walk(err, yield) }
}

func TestValuesShowNoSecret(t *testing.T) {
	s := newSecretive(
		t,
		nil,
		certtoken.WithStore(certtoken.NewMemoryStore(), []byte("the store's key, which is a secret of some length")),
	)
	s.watch.text("the store's key", "the store's key, which is a secret of some length")
	tok := s.token(t, graph)
	s.token(t, graph)
	print(s.watch, tok)
	print(s.watch, *tok)
	dump(s.watch, tok)
	dump(s.watch, *tok)
	source := s.client.TokenSource(graph)
	_, err := source.Token()
	require.NoError(t, err)
	print(s.watch, source)
	print(s.watch, s.client)
	print(s.watch, s.client.Transport(s.server.Transport(), graph))
	print(s.watch, s.cert)
	print(s.watch, *s.cert)
	print(s.watch, s.server.Authority())
	print(s.watch, certtoken.Assertion{ClientID: "a", Audience: "b"})
	assert.Contains(t, s.watch.out.String(), "certtoken.Token(Bearer")
	s.check(t)
}

func TestFileSourceShowsNoSecret(t *testing.T) {
	const password, wrong = "pa55word-of-the-file", "wr0ng-passw0rd-of-the-file"
	s := newSecretive(t, nil)
	s.watch.text("the password", password)
	s.watch.text("the wrong password", wrong)
	data, err := pkcs12.Modern.Encode(s.cert.Signer, s.cert.Leaf, nil, password)
	require.NoError(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "private.pfx")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	keyText := keyPEM(t, s.cert)
	s.watch.text("the key file", string(keyText[40:200]))

	good := certtoken.CertFile(path, certtoken.WithPassword(password))
	print(s.watch, good)
	cert, err := good.Certificate(t.Context())
	require.NoError(t, err)
	print(s.watch, cert)
	print(s.watch, good)
	dump(s.watch, good.Health())

	bad := certtoken.CertFile(path, certtoken.WithPassword(wrong))
	_, err = bad.Certificate(t.Context())
	require.ErrorIs(t, err, certtoken.ErrWrongPassword)
	s.printError(t, err)
	print(s.watch, bad)
	for name, content := range map[string][]byte{
		"truncated":   keyText[:len(keyText)/2],
		"key only":    keyText,
		"mismatch":    append(bytes.Clone(keyText), certPEM(certtokentest.NewCertificate(t).Leaf)...),
		"broken":      bytes.Replace(keyText, []byte("M"), []byte("!"), 3),
		"in one line": bytes.ReplaceAll(keyText, []byte("\n"), nil),
		"JSON":        []byte(fmt.Sprintf("{%q:%q}", "value", keyText)),
	} {
		_, err := certtoken.ParseCertificate(content)
		require.Error(t, err, name)
		s.printError(t, err)
	}
	client, err := certtoken.NewClient(s.server.Authority(), appID, bad, certtoken.WithHTTPClient(s.server.Client()))
	require.NoError(t, err)
	_, err = client.Token(t.Context(), graph)
	s.printError(t, err)
	s.printError(t, client.Check(t.Context()))
	print(s.watch, client)
	require.NoError(t, client.Close())
	s.token(t, graph)
	s.check(t)
}

// spew, which prints the values of a failed assertion, follows every pointer.
func TestFailedAssertionsShowNoPassword(t *testing.T) {
	const password = "pa55word-of-the-file"
	w := new(watch)
	w.text("the password", password)
	dump(w, certtoken.CertFile("private.pfx", certtoken.WithPassword(password)))
	w.check(t)
}

// A server, a proxy or a transport that sends the assertion back doesn't get it
// into errors and logs.
func TestEchoesShowNoSecret(t *testing.T) {
	type reply func(assertion string) (*http.Response, error)
	respond := func(status int, header http.Header, body string) (*http.Response, error) {
		if header == nil {
			header = http.Header{"Content-Type": {"application/json"}}
		}
		return &http.Response{
			StatusCode: status,
			Status:     fmt.Sprint(status),
			Header:     header,
			Body:       io.NopCloser(strings.NewReader(body)),
		}, nil
	}
	object := func(status int, fields map[string]any) (*http.Response, error) {
		data, _ := json.Marshal(fields)
		return respond(status, nil, string(data))
	}
	for name, r := range map[string]reply{
		"error_description": func(a string) (*http.Response, error) {
			return object(400, map[string]any{"error": "invalid_client",
				"error_description": "AADSTS700027: bad: " + a + " and " + a})
		},
		"description, without the header": func(a string) (*http.Response, error) {
			_, rest, _ := strings.Cut(a, ".")
			return object(400, map[string]any{"error": "invalid_client", "error_description": rest})
		},
		"description, at the cut": func(a string) (*http.Response, error) {
			return object(400, map[string]any{"error": "x", "error_description": strings.Repeat("x", 4000) + " " + a})
		},
		"description, at the end": func(a string) (*http.Response, error) {
			return object(400, map[string]any{"error": "x", "error_description": strings.Repeat("x ", 490) + a})
		},
		"every field": func(a string) (*http.Response, error) {
			return object(401, map[string]any{"error": a, "error_description": a, "error_uri": "https://x/?a=" + a,
				"suberror": a,
				"claims":   `{"a":"` + a + `"}`, "trace_id": a, "correlation_id": a, "timestamp": a,
				"error_codes": []int{700027}})
		},
		"a form": func(a string) (*http.Response, error) {
			return object(400, map[string]any{"error": "invalid_request",
				"error_description": url.Values{"client_assertion": {a}}.Encode()})
		},
		"HTML": func(a string) (*http.Response, error) {
			return respond(502, http.Header{"Content-Type": {"text/html"}}, "<pre>"+a+"</pre>")
		},
		"headers": func(a string) (*http.Response, error) {
			return respond(400, http.Header{"Content-Type": {a}, "Retry-After": {a}, "Date": {a},
				"Www-Authenticate": {a}}, a)
		},
		"a content type": func(a string) (*http.Response, error) {
			return respond(200, http.Header{"Content-Type": {"text/" + a}}, "x")
		},
		"a redirect": func(a string) (*http.Response, error) {
			return respond(307, http.Header{"Location": {"https://example.com/" + a + "?a=" + a}}, a)
		},
		"a redirect to a host of that name": func(a string) (*http.Response, error) {
			return respond(307, http.Header{"Location": {"https://" + a + "/"}}, a)
		},
		"200, the wrong fields": func(a string) (*http.Response, error) {
			return object(200, map[string]any{"client_assertion": a})
		},
		"200, token_type": func(a string) (*http.Response, error) {
			return object(200, map[string]any{"access_token": "x", "expires_in": 1, "token_type": a + " " + a})
		},
		"an error": func(a string) (*http.Response, error) {
			return nil, errors.New("posting client_assertion=" + a + " failed")
		},
		"a typed error": func(a string) (*http.Response, error) {
			return nil, &url.Error{Op: "Post", URL: "https://x/?a=" + a, Err: echo{a}}
		},
		"a wrapped error": func(a string) (*http.Response, error) { return nil, fmt.Errorf("attempt: %w", echo{a}) },
		"an error of the body": func(a string) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{},
				Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), brokenReader{echo{a}}))}, nil
		},
		"a panic": func(a string) (*http.Response, error) { panic(echo{a}) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var sent []string
				hc := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
					data, err := io.ReadAll(req.Body)
					if err != nil {
						return nil, err
					}
					form, err := url.ParseQuery(string(data))
					if err != nil {
						return nil, err
					}
					sent = append(sent, form.Get("client_assertion"))
					resp, err := r(form.Get("client_assertion"))
					if resp != nil {
						resp.Request = req
					}
					return resp, err
				})}
				s := newSecretive(t, nil, certtoken.WithHTTPClient(hc))
				_, err := s.client.Token(t.Context(), graph)
				s.printError(t, err)
				_, err = s.client.TokenSource(vault).Token()
				s.printError(t, err)
				var retrieve *oauth2.RetrieveError
				if errors.As(err, &retrieve) {
					print(s.watch, *retrieve)
					dump(s.watch, retrieve)
				}
				_, err = (&http.Client{Transport: s.client.Transport(nil, apiScope)}).Get(apiURL)
				s.printError(t, err)
				require.NotEmpty(t, sent)
				for _, assertion := range sent {
					require.Greater(t, len(assertion), 300)
					s.watch.assertion(assertion)
				}
				s.check(t)
			})
		})
	}
}

// echo is an error that says too much.
type echo struct{ what string }

func (e echo) Error() string { return "could not send " + e.what }

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

// A 200 that can't be used holds an access token all the same.
func TestUnusableGrantsShowNoSecret(t *testing.T) {
	for name, fault := range map[string]certtokentest.Fault{
		"cut off":  {Shape: certtokentest.TruncatedBody},
		"too long": {Shape: certtokentest.OversizedBody},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSecretive(t, nil)
				s.server.FailAlways(fault)
				_, err := s.client.Token(t.Context(), graph)
				s.printError(t, err)
				require.NotEmpty(t, s.server.LastRequest().AccessToken)
				s.check(t)
			})
		})
	}
}

func TestPanicsShowNoSecret(t *testing.T) {
	const secret = "the vault's secret that a panic says"
	for name, p := range map[string]any{
		"a text":   secret,
		"an error": errors.New(secret),
		"a struct": echo{secret},
		"bytes":    []byte(secret),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecretive(
				t,
				certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic(p) }),
			)
			s.watch.text("what the panic said", secret)
			_, err := s.client.Token(t.Context(), graph)
			s.printError(t, err)
			s.printError(t, s.client.Check(t.Context()))
			s.check(t)
		})
	}
}

// Everything that hooks and logs are told, over a client's life.
func TestLifeOfAClientShowsNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := new(rotating)
		s := newSecretive(t, source, certtoken.WithTenants("*"), certtoken.WithCapabilities("cp1"))
		source.current.Store(s.cert)
		newAPI(s.rig)
		s.server.SetClockOffset(time.Hour)
		s.token(t, graph)
		s.server.SetClockOffset(0)
		hc := s.httpClient()
		resp, err := hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		s.server.RevokeAll()
		resp, err = hc.Get(apiURL)
		require.Equal(t, 200, status(t, resp, err))
		print(s.watch, resp.Request.Header)
		fmt.Fprintf(s.watch, "%+v", resp.Request)
		s.server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
			return &certtokentest.Fault{Code: 700027, Description: "you said " + req.Assertion}
		})
		source.next = certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("next"))
		time.Sleep(50 * time.Minute)
		s.hit(t, graph)
		synctest.Wait()
		_, err = s.client.Token(t.Context(), vault)
		s.printError(t, err)
		_, err = s.client.Token(t.Context(), vault) // remembered
		s.printError(t, err)
		_, err = s.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, MinValidity: 9 * time.Hour})
		s.printError(t, err)
		for _, want := range []string{"hit", "miss", "renewal failed", "refused", "clock", "loaded", "expiring"} {
			assert.Contains(t, s.watch.out.String(), want+"\n")
		}
		s.check(t)
	})
}
