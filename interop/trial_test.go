package interop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// trial is one attempt of the whole client to get a token from a judge. As
// newTrial makes it, everything is right.
type trial struct {
	judge *judge
	alg   certtoken.Algorithm

	id      string // of the client, another one for each time that it is tried
	known   bool   // to the server
	signs   *certtoken.Certificate
	keys    []key // registered
	options []certtoken.AuthorityOption
	scopes  []string

	ahead  time.Duration                            // of this machine's clock before the server's
	replay bool                                     // ask twice with one assertion
	forge  func(*testing.T, *trial) (string, error) // sends this assertion instead of the client's
}

func newTrial(t *testing.T, j *judge, alg certtoken.Algorithm) *trial {
	cert := newCertificate(t, "client")
	return &trial{
		judge: j, alg: alg,
		known: true,
		signs: cert, keys: []key{keyOf(cert)},
		scopes: []string{scope},
	}
}

// run makes the attempt and checks what holds for every answer.
func (tr *trial) run(t *testing.T) (token *certtoken.Token, err error) {
	t.Helper()
	if places := tr.judge.places; places != nil {
		places <- struct{}{}
		defer func() { <-places }()
	}
	err = promptly(t, func() error {
		tr.id = "client-" + rand.Text()
		if tr.known {
			tr.judge.register(t, registration{id: tr.id, algorithm: tr.alg, keys: tr.keys})
		}
		began := time.Now()
		if tr.ahead == 0 {
			token, err = tr.attempt(t, tr.judge.http.Transport)
		} else {
			withClock(t, tr.ahead, tr.judge.http.Transport, func(t *testing.T, transport http.RoundTripper) {
				token, err = tr.attempt(t, transport)
			})
		}
		if err == nil && (tr.ahead != 0 || tr.forge != nil) && time.Since(began) >= prompt {
			return fmt.Errorf("%w: it was granted after %v", errLate, time.Since(began))
		}
		return err
	})
	return token, err
}

// errLate says that what was granted may have been granted because it took so long.
var errLate = errors.New("late")

// prompt is the most that may pass between a signature and a server's look at its times, so
// that what is granted and what isn't doesn't depend on it: between the times that are tried
// and those that a server takes there are 15 s at least.
const prompt = 12 * time.Second

// promptly does something that depends on times. Where it fails and has taken long, because
// the machine is too busy, it is done again.
func promptly(t *testing.T, f func() error) (err error) {
	t.Helper()
	for range 4 {
		began := time.Now()
		if err = f(); err == nil || time.Since(began) < prompt || t.Failed() {
			return err
		}
		t.Logf("once more: it took %v: %v", time.Since(began), err)
	}
	return err
}

// requireAnHour wants a token to live for an hour from when it was granted, which was after
// the given time.
func requireAnHour(t *testing.T, asked time.Time, token *certtoken.Token) {
	t.Helper()
	require.False(t, token.ExpiresAt().Before(asked.Add(time.Hour-30*time.Second)), token.ExpiresAt())
	require.False(t, token.ExpiresAt().After(time.Now().Add(time.Hour+30*time.Second)), token.ExpiresAt())
}

func (tr *trial) attempt(t *testing.T, transport http.RoundTripper) (*certtoken.Token, error) {
	t.Helper()
	wire := &wire{next: transport, replay: tr.replay}
	if tr.forge != nil {
		assertion, err := tr.forge(t, tr)
		require.NoError(t, err)
		wire.forged = assertion
	}
	client, err := certtoken.NewClient(tr.judge.authority(tr.alg, tr.options...), tr.id, tr.signs,
		certtoken.WithHTTPClient(&http.Client{Transport: wire}), patient)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()

	ctx, cancel := context.WithTimeout(t.Context(), programAnswer)
	defer cancel()
	began := time.Now()
	if tr.replay {
		_, err := client.Token(ctx, tr.scopes...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotReached, err)
		}
	}
	token, err := client.Acquire(ctx, certtoken.Request{Scopes: tr.scopes, Fresh: true})
	if err != nil {
		tr.checkError(t, err, wire)
		return nil, err
	}
	require.NotEmpty(t, token.AccessToken())
	require.Equal(t, "Bearer", token.Type())
	requireAnHour(t, began, token)
	if tr.judge.bindsTokens != nil {
		require.Equal(t, thumbprintS256(tr.judge.bindsTokens), boundTo(t, token))
	}
	return token, nil
}

// boundTo is the cnf claim of a JWT access token (RFC 8705 §3.1).
func boundTo(t *testing.T, token *certtoken.Token) string {
	t.Helper()
	parts := strings.Split(token.AccessToken(), ".")
	require.Len(t, parts, 3)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims struct {
		Confirmation map[string]string `json:"cnf"`
	}
	require.NoError(t, json.Unmarshal(payload, &claims))
	return claims.Confirmation["x5t#S256"]
}

func thumbprintS256(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// errNotReached says that a trial failed before what it was about.
var errNotReached = errors.New("not reached")

// checkError holds the promises of TokenError against a real server's answer.
func (tr *trial) checkError(t *testing.T, err error, wire *wire) {
	t.Helper()
	var te *certtoken.TokenError
	require.ErrorAs(t, err, &te)
	if tr.judge.silent && te.StatusCode == http.StatusForbidden {
		require.Empty(t, te.Code)
	} else {
		require.Contains(
			t,
			[]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusInternalServerError},
			te.StatusCode,
		)
		require.NotEmpty(t, te.Code)
	}
	require.NotEmpty(t, te.CorrelationID)
	require.Equal(t, thumbprint(tr.signs), te.Thumbprint)
	require.Zero(t, te.RetryAfter)
	if te.StatusCode < http.StatusInternalServerError {
		if te.Code != "jti_known" { // a name of fosite's own
			require.NotEmpty(t, te.Advice(), "%v", te)
		}
		require.LessOrEqual(t, wire.sinceLastToken(), tr.attempts(), "a refusal is final")
	}
	for _, assertion := range wire.assertions() {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, te, te), assertion)
	}
}

// attempts are the requests that a refusal may take: one more where the clocks differ.
func (tr *trial) attempts() int {
	if tr.ahead != 0 {
		return 2
	}
	return 1
}

// wire is what lies between client and server.
type wire struct {
	next   http.RoundTripper
	forged string // sent in place of every assertion
	replay bool   // the first assertion is sent again and again

	mu    sync.Mutex
	sent  []string
	since int // requests since the last answer that was a token
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := readForm(req)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	assertion := form.Get("client_assertion")
	switch {
	case w.forged != "":
		assertion = w.forged
	case w.replay && len(w.sent) > 0:
		assertion = w.sent[0]
	}
	w.sent = append(w.sent, assertion)
	w.since++
	w.mu.Unlock()

	form.Set("client_assertion", assertion)
	resp, err := w.next.RoundTrip(withForm(req, form))
	if err == nil && resp.StatusCode == http.StatusOK {
		w.mu.Lock()
		w.since = 0
		w.mu.Unlock()
	}
	return resp, err
}

func (w *wire) assertions() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.sent...)
}

func (w *wire) sinceLastToken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since
}

func readForm(req *http.Request) (url.Values, error) {
	defer req.Body.Close()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	return url.ParseQuery(string(body))
}

func withForm(req *http.Request, form url.Values) *http.Request {
	body := form.Encode()
	again := req.Clone(req.Context())
	again.Body = io.NopCloser(strings.NewReader(body))
	again.ContentLength = int64(len(body))
	again.GetBody = nil
	return again
}

// signedAt signs an assertion as the client would if its machine's clock were
// off by the given time. In a bubble time is free.
func signedAt(shift time.Duration, change func(*certtoken.Assertion)) func(*testing.T, *trial) (string, error) {
	return func(t *testing.T, tr *trial) (jwt string, err error) {
		assertion := certtoken.Assertion{
			ClientID:  tr.id,
			Audience:  tr.judge.audience(),
			Algorithm: tr.alg,
			Lifetime:  time.Minute, // this and the next as Issuer has them
			Backdate:  30 * time.Second,
			Type:      "client-authentication+jwt",
		}
		if tr.judge.needsKeyID {
			assertion.KeyID = keyID(tr.signs)
		}
		if tr.judge.noThumbprint {
			assertion.Thumbprint = certtoken.ThumbprintNone
		}
		if change != nil {
			change(&assertion)
		}
		at := time.Now().Add(shift)
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(at))
			jwt, err = assertion.Sign(t.Context(), tr.signs)
		})
		return jwt, err
	}
}
