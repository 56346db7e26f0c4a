package certtokentest_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The socketless form inside a bubble: time costs nothing, whether the server
// and the certificate were made outside or inside.
func TestInsideBubble(t *testing.T) {
	outside := newFixture(t)
	for name, make := range map[string]func(t *testing.T) *fixture{
		"made outside": func(*testing.T) *fixture { return outside },
		"made inside":  func(t *testing.T) *fixture { return newFixture(t) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := *make(t)
				f.t = t
				f.srv.Reset()
				start := time.Now()
				f.srv.Fail(certtokentest.Fault{Delay: time.Minute, BodyDelay: time.Minute})
				var wg sync.WaitGroup
				for range 3 {
					form := f.form()
					wg.Go(func() {
						r, err := f.tryPost(form)
						assert.NoError(t, err)
						assert.Equal(t, http.StatusOK, r.status, r.text)
					})
				}
				wg.Wait()
				assert.Equal(t, 2*time.Minute, time.Since(start))

				f.srv.Fail(certtokentest.Fault{Delay: time.Hour})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := f.do(tokenRequest(t, f.srv.TokenURL(), f.form()).WithContext(ctx))
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 2*time.Minute+time.Second, time.Since(start))
			})
		})
	}
}

// A whole client inside a bubble: an hour passes, the token is renewed.
func TestClientInsideBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, certtokentest.WithOpaqueTokens())
		client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), clientID, f.cert,
			certtoken.WithHTTPClient(f.srv.Client()))
		require.NoError(t, err)
		defer client.Close()
		first, err := client.Token(t.Context(), graphScope)
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(certtokentest.DefaultLifetime), first.ExpiresAt())
		time.Sleep(time.Hour)
		second, err := client.Token(t.Context(), graphScope)
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken(), second.AccessToken())
		assert.Equal(t, 2, f.srv.Count())
	})
}

// An http.Client's own time limit is a context too.
func TestClientTimeoutInsideBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.srv.FailAlways(certtokentest.Fault{BodyDelay: time.Hour})
		hc := f.srv.Client()
		hc.Timeout = time.Second
		resp, err := hc.PostForm(f.srv.TokenURL(), f.form())
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = resp.Body.Read(make([]byte, 1))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// An assertion is used up until it ends, and forgotten afterwards.
func TestReplayMemoryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		form := f.form()
		assert.Equal(t, http.StatusOK, f.post(form).status)
		assert.Equal(t, 50027, f.post(form).code())
		time.Sleep(5*time.Minute + certtokentest.DefaultLeeway)
		assert.Equal(t, 700024, f.post(form).code())
	})
}
