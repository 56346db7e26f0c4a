package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A body that breaks off is no answer, whatever its status says: the request failed as
// one that the network cut.
func TestBodiesThatBreakOff(t *testing.T) {
	broken := errors.New("connection reset")
	for _, status := range []int{200, 400, 401, 503} {
		a, err := post(t.Context(), func(*http.Request) (*http.Response, error) {
			resp := respond(status)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(granted), iotest.ErrReader(broken)))
			return resp, nil
		})
		var failure *Failure
		require.ErrorAs(t, err, &failure, "%d", status)
		assert.ErrorIs(t, err, broken)
		assert.Zero(t, a)
	}
}

// What can't be decoded grants nothing, and of a refusal the status counts.
func TestBodiesThatAreNotWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		name, encoding string
		body           []byte
		granted        bool
	}{
		{"gzip that is broken at once", "gzip", []byte("\x1f\x8bx"), false},
		{"gzip that breaks off", "gzip", compressed(granted)[:20], false},
		{"an encoding that is not known", "br", []byte(granted), false},
		{"as it is", "identity", []byte(granted), true},
		{"the older name of gzip, decoded on the way", "x-gzip", []byte(granted), true},
		{"the older name of gzip", "x-gzip", compressed(granted), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, status := range []int{200, 400} {
				a, err := post(t.Context(), func(*http.Request) (*http.Response, error) {
					resp := respond(status, "Content-Encoding", c.encoding)
					resp.Body = io.NopCloser(bytes.NewReader(c.body))
					return resp, nil
				})
				var refusal *Refusal
				var unusable *Unusable
				switch {
				case status == 400:
					require.ErrorAs(t, err, &refusal)
				case c.granted:
					require.NoError(t, err)
					assert.Equal(t, "abc", a.Access)
				default:
					require.ErrorAs(t, err, &unusable)
				}
			}
		})
	}
}

func TestStatusesThatAreNoAnswer(t *testing.T) {
	for status, want := range map[int]string{
		101: "a token comes with status 200", 199: "a token comes with status 200", 302: "it redirects",
		399: "it redirects",
	} {
		_, err := Read(&Request{Endpoint: endpoint}, respond(status), []byte(granted))
		var unusable *Unusable
		require.ErrorAs(t, err, &unusable)
		assert.ErrorContains(t, err, want)
	}
	_, err := Read(&Request{Endpoint: endpoint}, respond(299), []byte(granted))
	assert.NoError(t, err)
}

// An error of a RoundTripper stays what it is where the context has not ended, or where
// it isn't about that.
func TestErrorsBesideTheContext(t *testing.T) {
	own := errors.New("no route")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := post(ctx, func(*http.Request) (*http.Response, error) {
		cancel(errors.New("the program ends"))
		return nil, own
	})
	require.ErrorIs(t, err, own)
	assert.NotContains(t, err.Error(), "the program ends")
}
