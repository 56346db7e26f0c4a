package certtokentest

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// remote is a key as a vault has it: slow, and cancellable.
type remote struct {
	key   *rsa.PrivateKey
	noPSS bool
	slow  time.Duration
}

func (r remote) Public() crypto.PublicKey { return r.key.Public() }

func (r remote) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return r.key.Sign(random, digest, opts)
}

func (r remote) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(r.slow):
	}
	if _, ok := opts.(*rsa.PSSOptions); ok && r.noPSS {
		return nil, errors.ErrUnsupported
	}
	return r.key.Sign(rand.Reader, digest, opts)
}

type reloading struct {
	certtoken.CertSource
	reload func(context.Context, *certtoken.Certificate) error
}

func (r reloading) Reload(ctx context.Context, refused *certtoken.Certificate) error {
	return r.reload(ctx, refused)
}

func remoteCert(t *testing.T, r remote) *certtoken.Certificate {
	t.Helper()
	cert := NewCertificate(t, WithSharedKey())
	r.key = cert.Signer.(*rsa.PrivateKey)
	cert, err := certtoken.NewCertificate(r, cert.Leaf, nil)
	require.NoError(t, err)
	return cert
}

func TestSourcesThatConform(t *testing.T) {
	cert := NewCertificate(t)
	root := NewCertificate(t, AsCA())
	path := filepath.Join(t.TempDir(), "pair.pem")
	key, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	data := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})...)
	require.NoError(t, os.WriteFile(path, data, 0o600))

	for name, source := range map[string]certtoken.CertSource{
		"certificate": cert,
		"with chain":  NewCertificate(t, SignedBy(root)),
		"function":    certtoken.CertSourceFunc(cert.Certificate),
		"file":        certtoken.CertFile(path),
		"remote":      remoteCert(t, remote{}),
		"no PSS":      remoteCert(t, remote{noPSS: true}),
		"with a reload": reloading{cert,
			func(context.Context, *certtoken.Certificate) error { return errors.New("no other") }},
	} {
		t.Run(name, func(t *testing.T) {
			TestCertSource(t, func(*testing.T) certtoken.CertSource { return source })
		})
	}
}

// Each way to break the promises, and the check that notices.
func TestSourcesThatDont(t *testing.T) {
	a, b := NewCertificate(t), NewCertificate(t)
	now := time.Now()
	function := func(f func(context.Context) (*certtoken.Certificate, error)) certtoken.CertSource {
		return certtoken.CertSourceFunc(f)
	}
	give := func(cert *certtoken.Certificate) certtoken.CertSource {
		return function(func(context.Context) (*certtoken.Certificate, error) { return cert, nil })
	}
	var calls atomic.Int32
	shared := *a
	tests := []struct {
		name   string
		check  func(context.Context, certtoken.CertSource) error
		source certtoken.CertSource
		err    string
	}{
		{"nothing", checkPair, give(nil), "nil and no error"},
		{"mismatch", checkPair, give(&certtoken.Certificate{Leaf: a.Leaf, Signer: b.Signer}), "no pair"},
		{"error", checkPair,
			function(func(context.Context) (*certtoken.Certificate, error) { return nil, errors.New("down") }), "down"},
		{"expired", checkPair,
			NewCertificate(t, WithSharedKey(),
				WithValidity(now.Add(-2*time.Hour), now.Add(-time.Hour))), "not valid now"},
		{"leaf in chain", checkPair,
			give(&certtoken.Certificate{Leaf: a.Leaf, Signer: a.Signer,
				Chain: []*x509.Certificate{a.Leaf}}), "is the leaf"},
		{"signs for another key", checkSigns,
			give(&certtoken.Certificate{Leaf: a.Leaf, Signer: liar{a.Signer, b.Signer}}), "doesn't verify"},
		{"fails under load", checkManyGoroutines, function(func(context.Context) (*certtoken.Certificate, error) {
			if calls.Add(1) > 10 {
				return nil, errors.New("too many")
			}
			return a, nil
		}), "too many"},
		{"changes what it gave", checkReadOnly, function(func(context.Context) (*certtoken.Certificate, error) {
			if calls.Add(1)%2 == 0 {
				shared.Leaf, shared.Signer = b.Leaf, b.Signer
			} else {
				shared.Leaf, shared.Signer = a.Leaf, a.Signer
			}
			return &shared, nil
		}), "changed"},
		{"another error when cancelled", checkCancelled,
			function(func(ctx context.Context) (*certtoken.Certificate, error) {
				if ctx.Err() != nil {
					return nil, errors.New("aborted")
				}
				return a, nil
			}), "doesn't wrap"},
		{"nothing when cancelled", checkCancelled, function(func(ctx context.Context) (*certtoken.Certificate, error) {
			if ctx.Err() != nil {
				return nil, nil
			}
			return a, nil
		}), "nil and no error"},
		{"broken by a cancelled call", checkCancelled,
			function(func() func(context.Context) (*certtoken.Certificate, error) {
				var broken bool
				return func(ctx context.Context) (*certtoken.Certificate, error) {
					broken = broken || ctx.Err() != nil
					if broken {
						return nil, context.Canceled
					}
					return a, nil
				}
			}()), "after a cancelled call"},
		{"breaks by reload", checkReloader, func() certtoken.CertSource {
			current := a
			source := function(func(context.Context) (*certtoken.Certificate, error) {
				return current, nil
			})
			return reloading{source, func(context.Context, *certtoken.Certificate) error { current = nil; return nil }}
		}(), "after Reload"},
		{"shows its key", checkSecrecy, talkative{a}, "shows the private key"},
		{"no certificate and no key id", checkPair, give(&certtoken.Certificate{Signer: a.Signer}), "Leaf is nil"},
		{"issuers of nothing", checkPair,
			give(&certtoken.Certificate{Signer: a.Signer, KeyID: "k", Chain: []*x509.Certificate{b.Leaf}}),
			"there is no Leaf"},
		{"bare, signs for another key", checkSigns,
			give(&certtoken.Certificate{Signer: liar{a.Signer, b.Signer}, KeyID: "k"}), "doesn't verify with the key"},
		{"bare, changes its id", checkReadOnly, function(func(context.Context) (*certtoken.Certificate, error) {
			shared.Leaf, shared.Signer, shared.KeyID = nil, a.Signer, strconv.Itoa(int(calls.Add(1)))
			return &shared, nil
		}), "changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls.Store(0)
			assert.ErrorContains(t, tt.check(t.Context(), tt.source), tt.err)
		})
	}
}

// TestCertSource is for sources of every kind of key, with and without a certificate.
func TestSourcesOfEveryKind(t *testing.T) {
	for _, kind := range KeyKinds() {
		cert := NewCertificate(t, WithKeyKind(kind), WithSharedKey())
		bare, err := certtoken.NewKey(cert.Signer, "")
		require.NoError(t, err)
		for name, source := range map[string]certtoken.CertSource{"certificate": cert, "bare": bare} {
			t.Run(kind.String()+"/"+name, func(t *testing.T) {
				TestCertSource(t, func(*testing.T) certtoken.CertSource { return source })
			})
			t.Run(kind.String()+"/"+name+"/talkative", func(t *testing.T) {
				for _, verb := range []string{"%v", "%#v", "%x"} {
					err := checkSecrecy(t.Context(), printing{source, verb})
					if kind == P256 || kind == P384 || kind == P521 {
						continue // Go prints nothing of an ECDSA key behind its pointer
					}
					assert.ErrorContains(t, err, "shows the private key", verb)
				}
			})
		}
	}
}

// printing prints its key by a verb.
type printing struct {
	certtoken.CertSource
	verb string
}

func (p printing) String() string {
	cert, err := p.Certificate(context.Background())
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf(p.verb, cert.Signer)
}

// liar says it has one key and signs with another.
type liar struct{ says, has crypto.Signer }

func (l liar) Public() crypto.PublicKey { return l.says.Public() }

func (l liar) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return l.has.Sign(random, digest, opts)
}

// talkative prints its key.
type talkative struct{ certtoken.CertSource }

func (s talkative) String() string {
	cert, err := s.Certificate(context.Background())
	if err != nil {
		return err.Error()
	}
	return cert.Signer.(*rsa.PrivateKey).D.String()
}

// A call that never comes back is noticed.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		err := within(func(context.Context) error { <-release; return nil })
		assert.ErrorContains(t, err, "not back")
	})
}

func TestGoroutinesLeft(t *testing.T) {
	cert := NewCertificate(t, WithSharedKey())
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		source := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
			for range 4 { // more than may end meanwhile of what other tests have left
				go func() { <-release }()
			}
			return cert, nil
		})
		assert.ErrorContains(t, checkGoroutines(t.Context(), source), "left")
	})
}

func TestSkips(t *testing.T) {
	var skip skipError
	cert := NewCertificate(t, WithSharedKey())
	assert.ErrorAs(t, checkReloader(t.Context(), cert), &skip)
	assert.ErrorAs(t, checkContextSigner(t.Context(), cert), &skip)
	assert.ErrorAs(t, checkPS256(t.Context(), remoteCert(t, remote{noPSS: true})), &skip)
	assert.NoError(t, checkContextSigner(t.Context(), remoteCert(t, remote{slow: time.Millisecond})))
}
