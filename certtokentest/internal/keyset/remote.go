package keyset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken/internal/jwk"
)

const (
	fetchLimit = 10 * time.Second // of one fetch
	usualAge   = 5 * time.Minute  // that a set is used for if its answer doesn't say how long
	maxAge     = time.Hour        // that a set is used for at most
	minPause   = time.Second      // between two fetches, whatever asks for the second
)

// Remote is the set behind a jwks_uri. It is fetched when it is needed, used for as long
// as its answer's Cache-Control says, and fetched again early for a key that isn't in it,
// at most once a second.
type Remote struct {
	url    string
	client *http.Client

	mu    sync.Mutex
	now   *fetch    // under way; nil: none
	last  *fetch    // that has ended; nil: none
	keys  []Key     // of the last one that succeeded
	until time.Time // the keys are used until then
}

// fetch is one request for the set, for everybody who waits for it.
type fetch struct {
	done  chan struct{} // closed when the rest is there
	keys  []Key
	age   time.Duration
	err   error
	ended time.Time
}

var _ Source = (*Remote)(nil)

// NewRemote checks the URL and fetches nothing. Plain http is for this machine only.
func NewRemote(raw string, client *http.Client) (*Remote, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("the jwks_uri is not an absolute URL without user and fragment")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("the jwks_uri %q is not an https URL", raw)
	}
	return &Remote{url: raw, client: client}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is the set's.
func (r *Remote) URL() string { return r.url }

// Load returns the set at hand, or fetches it. A call during a fetch waits for it, or until
// its own context ends. Where the fetch fails, a set that may still be used is
// returned instead.
func (r *Remote) Load(ctx context.Context, again bool) ([]Key, error) {
	f, mine := r.begin(again)
	if mine {
		r.run(ctx, f)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.err != nil && time.Now().Before(r.until) {
		return r.keys, nil
	}
	return f.keys, f.err
}

// begin returns the fetch whose result counts: one that has ended, one under way, or a
// new one, which is the caller's to run.
func (r *Remote) begin(again bool) (f *fetch, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil {
		return r.now, false
	}
	if r.last != nil {
		now := time.Now()
		rests := now.Sub(r.last.ended) < minPause && (again || r.last.err != nil)
		if rests || !again && now.Before(r.until) {
			return r.last, false
		}
	}
	r.now = &fetch{done: make(chan struct{})}
	return r.now, true
}

// run fetches. Others wait for the result, so it doesn't end with the caller's context,
// and is there even if the client panics.
func (r *Remote) run(ctx context.Context, f *fetch) {
	f.err = errors.New("the fetch was broken off")
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f.ended = time.Now()
		r.now, r.last = nil, f
		if f.err == nil {
			r.keys, r.until = f.keys, f.ended.Add(f.age)
		}
		close(f.done)
	}()
	f.keys, f.age, f.err = r.get(ctx)
}

func (r *Remote) get(ctx context.Context) ([]Key, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("GET %s: status %d", r.url, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, jwk.MaxSet+1))
	if err != nil {
		return nil, 0, fmt.Errorf("GET %s: %w", r.url, err)
	}
	keys, err := parseRemote(data)
	if err != nil {
		return nil, 0, fmt.Errorf("GET %s: %w", r.url, err)
	}
	return keys, ageOf(resp.Header), nil
}

// ageOf is how long an answer may be used (RFC 9111 §5.2.2).
func ageOf(header http.Header) time.Duration {
	age := usualAge
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && seconds >= 0 {
				age = min(time.Duration(min(seconds, int(maxAge/time.Second)))*time.Second, maxAge)
			}
		}
	}
	return age
}
