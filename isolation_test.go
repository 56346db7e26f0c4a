package certtoken_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// mirror grants tokens that say for whom they are: tenant, client, user and scopes of the
// request, as they stood in the request. It is slow, fails and panics now and then.
type mirror struct {
	requests, panics atomic.Int64
}

// mirrored is what such a token says. Scopes are sorted: they are a set.
func mirrored(tenant, client, user string, scopes []string) string {
	return strings.Join([]string{tenant, client, user, strings.Join(slices.Sorted(slices.Values(scopes)), "+")}, "|")
}

func (m *mirror) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	n := m.requests.Add(1)
	select {
	case <-time.After(rand.N(4 * time.Millisecond)):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	status, body := http.StatusOK, ""
	switch {
	case n%97 == 0:
		m.panics.Add(1)
		panic("the RoundTripper panics")
	case n%31 == 0:
		return nil, errors.New("the connection broke")
	case n%17 == 0:
		status, body = http.StatusBadRequest, `{"error":"invalid_grant","error_description":"not now"}`
	default:
		tenant, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
		_, user, _ := strings.Cut(req.PostForm.Get("assertion"), ".user-")
		user, _, _ = strings.Cut(user, ".")
		says := mirrored(tenant, req.PostForm.Get("client_id"), user, strings.Fields(req.PostForm.Get("scope")))
		body = fmt.Sprintf(`{"access_token":"%s#%d","token_type":"Bearer","expires_in":%d,"refresh_in":1}`,
			says, n, 2+n%3)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, nil
}

// stress is what the goroutines of an isolation test share.
type stress struct {
	t       *testing.T
	mirror  mirror
	cert    *certtoken.Certificate
	store   certtoken.Store
	clients [6]atomic.Pointer[certtoken.Client] // each is closed and replaced again and again

	calls, granted, wrong, closed, late, panics atomic.Int64
}

// clientID of a client; three share one, so that they share tokens in the store.
func (s *stress) clientID(i int) string { return fmt.Sprintf("app-%d", i/3) }

// newClient makes a client that shares a store with all others. Its source panics now and
// then, and so do two of its hooks.
func (s *stress) newClient(i int) *certtoken.Client {
	now := func(n int64) func() {
		var calls atomic.Int64
		return func() {
			if calls.Add(1)%n == 0 {
				s.panics.Add(1)
				panic("a part of the user's panics")
			}
		}
	}
	source, end, failed := now(89), now(101), now(3)
	client, err := certtoken.NewClient(
		certtoken.Entra("tenant-0.example"),
		s.clientID(i),
		certtoken.CertSourceFunc(
			func(context.Context) (*certtoken.Certificate, error) { source(); return s.cert, nil },
		),
		certtoken.WithHTTPClient(&http.Client{Transport: &s.mirror}),
		certtoken.WithTenants("*"),
		certtoken.WithStore(s.store, []byte("a secret of 32 bytes for a test!")),
		certtoken.WithCacheLimit(64),
		certtoken.WithUserCacheLimit(16), // so that tokens are thrown out, too
		certtoken.WithHooks(certtoken.Hooks{
			RequestEnd:    func(context.Context, certtoken.Event) { end() },
			RenewalFailed: func(certtoken.Event) { failed() },
		}),
	)
	require.NoError(s.t, err)
	return client
}

// call asks a random client for a random tenant, user and set of scopes, and looks at
// what it gets.
func (s *stress) call() {
	i := rand.IntN(len(s.clients))
	if rand.IntN(400) == 0 {
		if err := s.clients[i].Swap(s.newClient(i)).Close(); err != nil {
			s.late.Add(1) // its goroutines had no processor for 10 s
		}
		s.closed.Add(1)
	}
	tenant, user := fmt.Sprintf("tenant-%d.example", rand.IntN(5)), ""
	req := certtoken.Request{Tenant: tenant, Scopes: []string{fmt.Sprintf("api://%d/.default", rand.IntN(6))}}
	if rand.IntN(2) == 0 {
		user = fmt.Sprint(rand.IntN(8))
		req.Grant = certtoken.OnBehalfOf("head.user-" + user + ".signature")
	}
	if rand.IntN(4) == 0 {
		req.Scopes = append(req.Scopes, fmt.Sprintf("api://%d/.default", 6+rand.IntN(3)))
		rand.Shuffle(len(req.Scopes), func(a, b int) { req.Scopes[a], req.Scopes[b] = req.Scopes[b], req.Scopes[a] })
	}
	req.Fresh = rand.IntN(100) == 0
	if rand.IntN(100) == 0 {
		req.Claims = `{"access_token":{"nbf":{"essential":true}}}`
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(100))*time.Millisecond)
	defer cancel()
	s.calls.Add(1)
	token, err := s.clients[i].Load().Acquire(ctx, req)
	if err != nil {
		return
	}
	s.granted.Add(1)
	says, _, _ := strings.Cut(token.AccessToken(), "#")
	if want := mirrored(tenant, s.clientID(i), user, req.Scopes); says != want {
		s.wrong.Add(1)
		s.t.Errorf("a token for another: got %s, want %s", says, want)
	}
}

// Nobody is given another's token: 64 goroutines ask for random tenants, users and scopes
// of clients that share a store, while parts of the user's panic, requests fail, tokens
// expire and are thrown out, callers leave and clients are closed. It is quick by default.
// With CERTTOKEN_ISOLATION=280s and -race it is a stress:
//
//	CERTTOKEN_ISOLATION=280s go test -race -run TestIsolation -v -timeout 20m .
func TestIsolation(t *testing.T) {
	const goroutines, least = 64, 30 // calls of each
	long := time.Duration(0)
	if given := os.Getenv("CERTTOKEN_ISOLATION"); given != "" {
		var err error
		long, err = time.ParseDuration(given)
		require.NoError(t, err, "CERTTOKEN_ISOLATION is a duration such as 280s")
	}
	cert, err := certtokentest.MakeCertificate()
	require.NoError(t, err)
	zero, err := certtoken.NewCertificate(zeroSigner{cert.Signer.Public()}, cert.Leaf, nil)
	require.NoError(t, err)
	s := &stress{t: t, cert: zero, store: certtoken.NewMemoryStore()}
	for i := range s.clients {
		s.clients[i].Store(s.newClient(i))
	}
	end := time.Now().Add(long)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for n := 0; n < least || time.Now().Before(end); n++ {
				s.call()
			}
		})
	}
	all.Wait()
	for i := range s.clients {
		assert.NoError(t, s.clients[i].Load().Close())
	}
	t.Logf("%d calls, %d tokens handed out, %d of them wrong; %d token requests; %d panics; %d clients closed, %d late",
		s.calls.Load(), s.granted.Load(), s.wrong.Load(), s.mirror.requests.Load(),
		s.panics.Load()+s.mirror.panics.Load(), s.closed.Load(), s.late.Load())
	assert.Zero(t, s.wrong.Load())
	assert.Positive(t, s.granted.Load(), "a test of failures shows nothing")
}
