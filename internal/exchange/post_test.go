package exchange

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// post sends a form with a secret code to what answers.
func post(ctx context.Context, answer roundTrip) (Answer, error) {
	c := New(&http.Client{Transport: answer}, "agent/1", AttemptLimit)
	return c.Post(ctx, &Request{
		Endpoint: endpoint + "?p=1", CorrelationID: "id",
		Form: url.Values{"grant_type": {"authorization_code"}, "code": {"a-code-of-some-length"}},
	})
}

func compressed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

const granted = `{"access_token":"abc","expires_in":3600}`

func TestPostSends(t *testing.T) {
	a, err := post(t.Context(), func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		assert.Equal(t, "code=a-code-of-some-length&grant_type=authorization_code", string(body))
		assert.Equal(t, "POST https://issuer.example/token?p=1", req.Method+" "+req.URL.String())
		assert.Equal(t, http.Header{
			"Content-Type": {
				"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "User-Agent": {"agent/1"},
			"Client-Request-Id": {"id"}, "Return-Client-Request-Id": {"true"},
		}, req.Header)
		return body200([]byte(granted)), nil
	})
	require.NoError(t, err)
	assert.Equal(t, Answer{Access: "abc", Type: Bearer, Lifetime: time.Hour, Date: askedAt}, a)
}

func body200(body []byte, header ...string) *http.Response {
	resp := respond(200, header...)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

// Bodies are bounded, also in what they come to.
func TestBodies(t *testing.T) {
	for name, c := range map[string]struct {
		body   []byte
		header []string
		err    string // "": a token
	}{
		"gzip":                      {body: compressed(granted), header: []string{"Content-Encoding", "gzip"}},
		"gzip by its older name":    {body: compressed(granted), header: []string{"Content-Encoding", "x-gzip"}},
		"gzip that no header names": {body: compressed(granted)},
		"said to be gzip":           {body: []byte(granted), header: []string{"Content-Encoding", "gzip"}},
		"a bomb": {
			body: compressed(strings.Repeat(" ", 8<<20) + granted), err: "larger than 1048576 bytes",
		},
		"broken gzip": {body: compressed(granted)[:30], err: "broken gzip"},
		"a wrong checksum": {
			body: append(compressed(granted)[:50], 1, 2, 3, 4, 5, 6, 7, 8, 9), err: "broken gzip",
		},
		"gzip in gzip": {body: compressed(string(compressed(granted))), err: "not a JSON object"},
		"another encoding": {
			body: []byte("abc"), header: []string{"Content-Encoding", "br"},
			err: "its encoding can't be read: it is br",
		},
		"as long as may be": {body: []byte(granted + strings.Repeat(" ", MaxBody-len(granted)))},
		"a byte longer than may be": {
			body: []byte(granted + strings.Repeat(" ", MaxBody-len(granted)+1)), err: "larger than 1048576 bytes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := post(
				t.Context(),
				func(*http.Request) (*http.Response, error) { return body200(c.body, c.header...), nil },
			)
			if c.err == "" {
				require.NoError(t, err)
				assert.Equal(t, "abc", a.Access)
				return
			}
			var unusable *Unusable
			require.ErrorAs(t, err, &unusable)
			assert.ErrorContains(t, err, c.err)

			// A refusal counts, though its body can't be read.
			_, err = post(t.Context(), func(*http.Request) (*http.Response, error) {
				resp := body200(c.body, append(c.header, "Retry-After", "7")...)
				resp.StatusCode = 429
				return resp, nil
			})
			var refused *Refusal
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, 7*time.Second, refused.RetryAfter)
		})
	}
}

type own struct{ text string }

func (e *own) Error() string { return e.text }

// An error of the user's RoundTripper shows no secret, and is found by Is and As.
func TestFailures(t *testing.T) {
	cause := &own{"posting code=a-code-of-some-length with eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln failed"}
	for name, answer := range map[string]roundTrip{
		"the request": func(*http.Request) (*http.Response, error) { return nil, cause },
		"wrapped": func(*http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Post", URL: "https://x/?code=a-code-of-some-length",
				Err: fmt.Errorf("x: %w", cause)}
		},
		"the body": func(*http.Request) (*http.Response, error) {
			resp := respond(200)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{cause}))
			return resp, nil
		},
	} {
		_, err := post(t.Context(), answer)
		var failure *Failure
		require.ErrorAs(t, err, &failure, name)
		assert.ErrorIs(t, err, cause, name)
		var found *own
		assert.ErrorAs(t, err, &found, name)
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			assert.NotContains(t, fmt.Sprintf(verb, err), "a-code", name)
			assert.NotContains(t, fmt.Sprintf(verb, err), "eyJ", name)
		}
		assert.ErrorContains(t, err, "https://issuer.example/token: ", name)
		assert.ErrorContains(t, err, "code=[removed] with [removed] failed", name)
	}
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }

func TestAttemptLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		hangs := func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		_, err := post(t.Context(), hangs)
		assert.Equal(t, AttemptLimit, time.Since(start))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no answer within 10s")

		reason := errors.New("the caller has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		_, err = post(ctx, hangs)
		assert.ErrorIs(t, err, reason)
	})
}
