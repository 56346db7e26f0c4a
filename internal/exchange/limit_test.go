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

// silent is an endpoint that doesn't answer.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestLimitEndsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := New(&http.Client{Transport: silent{}}, "", 3*time.Second)
		start := time.Now()
		_, err := x.Post(t.Context(), &Request{Endpoint: "https://as.example.com/token", Form: url.Values{}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no answer within 3s")
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}
