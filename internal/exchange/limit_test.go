package exchange

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A rush opens no more connections than there are requests at once, if as many are kept.
func TestLimitKeepsConnections(t *testing.T) {
	own := New(nil, "")
	own.Limit(time.Second, 200)
	transport := own.HTTP.Transport.(*http.Transport)
	assert.Equal(t, 200, transport.MaxIdleConnsPerHost)
	assert.Equal(t, 200, transport.MaxIdleConns)
	own = New(nil, "")
	own.Limit(time.Second, 32)
	assert.Equal(t, 32, own.HTTP.Transport.(*http.Transport).MaxIdleConnsPerHost)

	users := &http.Transport{MaxIdleConnsPerHost: 7}
	New(&http.Client{Transport: users}, "").Limit(time.Second, 200)
	assert.Equal(t, 7, users.MaxIdleConnsPerHost, "the user's transport is left alone")
}

// silent is an endpoint that doesn't answer.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestLimitEndsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := New(&http.Client{Transport: silent{}}, "")
		x.Limit(3*time.Second, 1)
		start := time.Now()
		_, err := x.Post(t.Context(), nil, "https://as.example.com/token", url.Values{}, "")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no answer within 3s")
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}
