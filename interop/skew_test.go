package interop

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// withClock runs f while this machine's clock seems to be off by the given time. In
// the bubble time stands still, but for what f waits for. A connection can't be used
// in there, so requests go through the transport that f is given: it has them sent
// from outside.
func withClock(t *testing.T, ahead time.Duration, real http.RoundTripper, f func(*testing.T, http.RoundTripper)) {
	t.Helper()
	bridge := &bridge{requests: make(chan *http.Request), answers: make(chan answered)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for req := range bridge.requests {
			bridge.answers <- send(real, req)
		}
	}()
	defer func() {
		close(bridge.requests)
		<-ended
	}()
	at := time.Now().Add(ahead)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		f(t, bridge)
	})
}

// bridge leads out of a bubble. Its channels are from outside, so that the bubble's
// time doesn't run while it waits at them.
type bridge struct {
	mu       sync.Mutex // one request at a time
	requests chan *http.Request
	answers  chan answered
}

type answered struct {
	resp *http.Response
	err  error
}

func (b *bridge) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	_ = req.Body.Close()
	again := req.Clone(context.Background()) // the bubble's context can't leave it
	again.Body, again.GetBody = io.NopCloser(bytes.NewReader(body)), nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests <- again
	a := <-b.answers
	if a.err == nil {
		a.resp.Request = req
	}
	return a.resp, a.err
}

// send reads the whole answer, as its body can't be read in the bubble either.
func send(real http.RoundTripper, req *http.Request) answered {
	ctx, cancel := context.WithTimeout(context.Background(), programAnswer)
	defer cancel()
	resp, err := real.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return answered{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return answered{resp, err}
}
