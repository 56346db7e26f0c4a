package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
)

// renewals is how very many tokens are renewed that were fetched together.
type renewals struct {
	tokens, quota int // quota: requests a second; 0: any number

	due     time.Duration // in which they were renewed
	granted int
	refused int
	most    int // granted in a second
	calls   int // of callers meanwhile
	failed  int
	p50     time.Duration
	p999    time.Duration
	slowest time.Duration
}

const renewalsLife = 40 // seconds: due after 27 to 33, handed out for 38

// throttle is an endpoint that grants so many requests in a second.
type throttle struct {
	endpoint
	quota atomic.Int64 // 0: any number

	mu      sync.Mutex
	granted map[int64]int // by second
	refused int
	first   time.Time
	last    time.Time
}

func (t *throttle) RoundTrip(req *http.Request) (*http.Response, error) {
	if quota := t.quota.Load(); quota > 0 {
		now := time.Now()
		t.mu.Lock()
		full := t.granted[now.Unix()] >= int(quota)
		if full {
			t.refused++
		} else {
			t.granted[now.Unix()]++
			if t.first.IsZero() {
				t.first = now
			}
			t.last = now
		}
		t.mu.Unlock()
		if full {
			_, _ = io.Copy(io.Discard, req.Body)
			return &http.Response{
				Status: "429 Too Many Requests", StatusCode: http.StatusTooManyRequests,
				Header:  http.Header{"Content-Type": {"application/json"}, "Retry-After": {"1"}},
				Body:    io.NopCloser(strings.NewReader(`{"error":"temporarily_unavailable"}`)),
				Request: req,
			}, nil
		}
	}
	return t.endpoint.RoundTrip(req)
}

// measureRenewals has callers ask for all of the tokens again and again, until each was
// renewed.
func measureRenewals(cfg settings, id identity) ([]renewals, error) {
	var all []renewals
	for _, quota := range []int{cfg.renewals, cfg.renewals / 8} { // a second
		r, err := renewOnce(id, cfg.renewals, quota)
		if errors.Is(err, errTooSlow) {
			return all, nil // the table says so
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

var errTooSlow = errors.New("the machine is too slow to fetch the tokens before the first are due")

func renewOnce(id identity, n, quota int) (renewals, error) {
	r := renewals{tokens: n, quota: quota}
	t := &throttle{granted: make(map[int64]int)}
	t.expiresIn = renewalsLife
	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, id.free,
		certtoken.WithHTTPClient(&http.Client{Transport: t}), certtoken.WithCacheLimit(n))
	if err != nil {
		return r, err
	}
	defer client.Close()
	scopes := scopeNames(n)
	begun := time.Now()
	together(32, func(i int) error {
		for ; i < n; i += 32 {
			if _, err := client.Token(context.Background(), scopes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if took := time.Since(begun); took > renewalsLife/2*time.Second {
		return r, errTooSlow
	}
	t.quota.Store(int64(quota))
	ctx, cancel := context.WithDeadline(context.Background(), begun.Add((renewalsLife-3)*time.Second))
	defer cancel()
	var waits []time.Duration
	for i := 0; ctx.Err() == nil; i++ {
		start := time.Now()
		if _, err := client.Token(ctx, scopes[spread(i, n)]); err != nil && ctx.Err() == nil {
			r.failed++
		}
		if waits = append(waits, time.Since(start)); i%64 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(waits)
	r.calls, r.p50, r.p999 = len(waits), waits[len(waits)/2], waits[len(waits)-len(waits)/1000-1]
	r.slowest, r.due, r.refused = waits[len(waits)-1], t.last.Sub(t.first), t.refused
	for _, granted := range t.granted {
		r.granted += granted
		r.most = max(r.most, granted)
	}
	return r, nil
}

func renewalsChecks(all []renewals) (list []check) {
	for _, r := range all {
		list = append(list,
			atMost("renewals of "+thousands(int64(r.tokens))+" tokens, endpoint grants "+thousands(int64(r.quota))+
				" a second: callers who got an error", float64(r.failed), 0, ""),
			atMost("the same: refused by the endpoint : renewed", float64(r.refused)/float64(max(1, r.granted)), 0.05, ""),
			atMost("the same: the callers' 99.9th percentile", micros(r.p999), 100, " µs"))
	}
	return list
}

func renewalsTable(line func(string, ...any), all []renewals) {
	line("## Very many tokens that are due together")
	line("")
	if len(all) == 0 {
		line("Not measured: %v.", errTooSlow)
		line("")
		return
	}
	line("| tokens | endpoint grants, a second | renewed | in | most in a second | refused | callers: median | 99.9 %% | slowest | failed |")
	line("|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range all {
		line("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s of %s |", thousands(int64(r.tokens)), thousands(int64(r.quota)),
			thousands(int64(r.granted)), duration(r.due), thousands(int64(r.most)), thousands(int64(r.refused)),
			duration(r.p50), duration(r.p999), duration(r.slowest), thousands(int64(r.failed)), thousands(int64(r.calls)))
	}
	line("")
	line("The tokens live for %d s and are fetched at once. From then on a caller asks for any of them, in no order, and the "+
		"endpoint answers 429 with `Retry-After: 1` beyond what it grants. A token of an hour leaves 90 times as long.",
		renewalsLife)
	line("")
}
