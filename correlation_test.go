package certtoken_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const correlation = "0c5f3f3e-7a31-4b6c-9d7a-111111111111"

// A caller's id is sent, and comes back in the error and the events of the request.
func TestACallersCorrelationID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ids []string
		r := newRig(t, certtoken.WithHooks(certtoken.Hooks{
			RequestEnd: func(_ context.Context, e certtoken.Event) { ids = append(ids, e.CorrelationID) },
		}))
		req := certtoken.Request{Scopes: []string{graph}, CorrelationID: correlation}
		r.server.Fail(certtokentest.Fault{Code: 700016})
		_, err := r.client.Acquire(t.Context(), req)
		var refused *certtoken.TokenError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, correlation, refused.CorrelationID)
		assert.ErrorContains(t, err, correlation)
		time.Sleep(time.Minute)
		first := r.request(t, req)
		assert.Equal(t, []string{correlation, correlation}, ids)
		assert.Equal(t, correlation, r.server.LastRequest().Header.Get("client-request-id"))

		// It is no part of what the token is cached by, and a renewal has an id of its own.
		req.CorrelationID = "another"
		assert.Same(t, first, r.request(t, req))
		time.Sleep(time.Until(first.RenewAt()))
		assert.Same(t, first, r.request(t, req))
		synctest.Wait()
		require.Len(t, ids, 3)
		assert.NotContains(t, []string{correlation, "another", ""}, ids[2])
	})
}

// Who joins a request shares the id of the one who started it.
func TestCallersWhoJoinShareACorrelationID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.server.FailAlways(certtokentest.Fault{Delay: time.Second, Code: 700016})
		errs := make(chan error, 2)
		var all sync.WaitGroup
		for _, id := range []string{"first", "second"} {
			all.Go(func() {
				_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, CorrelationID: id})
				errs <- err
			})
			synctest.Wait()
		}
		all.Wait()
		for range 2 {
			var refused *certtoken.TokenError
			require.ErrorAs(t, <-errs, &refused)
			assert.Equal(t, "first", refused.CorrelationID)
		}
		assert.Equal(t, 1, r.server.Count())
	})
}

func TestCorrelationIDsThatCantBeSent(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"a b", "a\r\nX-Evil: 1", "ä", "\x00", strings.Repeat("x", 129)} {
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, CorrelationID: id})
		assert.ErrorContains(t, err, "CorrelationID", "%q", id)
	}
	assert.Zero(t, r.server.Count())
}
