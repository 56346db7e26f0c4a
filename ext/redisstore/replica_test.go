package redisstore_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/require"
)

const (
	clientID = "6731de76-14a6-49ae-97bc-6eba6914391e"
	scope    = "https://graph.microsoft.com/.default"
)

var secret = bytes.Repeat([]byte("secret--"), 4)

// fleet is a token endpoint with the certificate that all replicas have.
type fleet struct {
	*certtokentest.Server
	cert *certtoken.Certificate
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{Server: certtokentest.New(), cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
	f.Register(clientID, f.cert.Leaf)
	return f
}

// replica is a client as a process of its own would have it, with an empty cache.
type replica struct {
	*certtoken.Client
	t *attempt

	mu       sync.Mutex
	failures []error // of the store
}

func (f *fleet) newReplica(t *attempt, store certtoken.Store, secrets ...[]byte) *replica {
	t.Helper()
	if len(secrets) == 0 {
		secrets = [][]byte{secret}
	}
	r := &replica{t: t}
	client, err := certtoken.NewClient(f.Authority(), clientID, f.cert,
		certtoken.WithHTTPClient(f.Server.Client()),
		certtoken.WithStore(store, secrets...),
		certtoken.WithHooks(certtoken.Hooks{StoreFailed: r.storeFailed}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	r.Client = client
	return r
}

func (r *replica) storeFailed(e certtoken.Event) {
	r.t.noteFailure(e.Err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, e.Err)
}

// storeFailures are what the hook was told so far.
func (r *replica) storeFailures() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.failures...)
}

// token gets a token, which no trouble of the store may prevent, and waits
// until it is stored.
func (r *replica) token() string {
	r.t.Helper()
	token, err := r.Token(r.t.Context(), scope)
	require.NoError(r.t, err)
	require.NoError(r.t, r.Close())
	return token.AccessToken()
}
