package mtls

import (
	"context"
	"crypto"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func bind(t *testing.T, s *Bindings, p *Pair) *Binding {
	t.Helper()
	b, err := s.Bind(p)
	require.NoError(t, err)
	return b
}

// A certificate has one binding, whether it is in use or the next one. Its signer may
// have been renewed.
func TestACertificateHasOneBinding(t *testing.T) {
	s := New(&http.Client{Transport: new(http.Transport)}, false)
	a, other := newPair(t, "a"), newPair(t, "b")
	first := bind(t, s, a)
	assert.Same(t, first, bind(t, s, a), "the next one")
	s.Adopt(first)
	renewed := *a
	assert.Same(t, first, bind(t, s, &renewed), "the one in use")
	assert.Same(t, &renewed, first.pair.Load())
	second := bind(t, s, other)
	assert.NotSame(t, first, second)
	assert.NotEqual(t, first.Sum(), second.Sum())
	assert.True(t, s.InUse(first), "until a token was granted with the next one")
}

// The newest certificate with which a token was granted is the one in use.
func TestTheNewestGrantedIsInUse(t *testing.T) {
	s := New(&http.Client{Transport: new(http.Transport)}, false)
	assert.True(t, s.InUse(nil), "none yet")
	old := bind(t, s, newPair(t, "old"))
	recent := bind(t, s, newPair(t, "new"))
	s.Adopt(recent)
	assert.Nil(t, s.next)
	for name, late := range map[string]*Binding{"older": old, "the same": recent, "none": nil} {
		s.Adopt(late)
		assert.True(t, s.InUse(recent), name)
		assert.False(t, s.InUse(late) && late != recent, name)
	}
	// An older answer leaves the next one alone.
	next := bind(t, s, newPair(t, "next"))
	s.Adopt(old)
	assert.Same(t, next, s.next)
	s.Adopt(next)
	assert.True(t, s.InUse(next))
	assert.False(t, s.InUse(recent))
	assert.Nil(t, (*Binding)(nil).Client())
}

// What can't present a certificate is refused, and nothing is bound.
func TestABaseThatPresentsNothing(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
	for name, base := range map[string]http.RoundTripper{
		"another type":   http.NewFileTransport(http.Dir(t.TempDir())),
		"nil":            (*http.Transport)(nil),
		"DialTLSContext": &http.Transport{DialTLSContext: dial},
		//lint:ignore SA1019 a user's transport may still have it
		"DialTLS": &http.Transport{DialTLS: func(string, string) (net.Conn, error) { return nil, io.EOF }},
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, CheckBase(base))
			s := New(&http.Client{Transport: base}, false)
			b, err := s.Bind(newPair(t, "a"))
			require.Error(t, err)
			assert.Nil(t, b)
			assert.Nil(t, s.next)
			good := bind(t, New(new(http.Client), false), newPair(t, "a"))
			over, err := NewPresenter(t.Context(), base).Of(good)
			require.Error(t, err)
			assert.Nil(t, over)
		})
	}
}

// Connections with a certificate end at some time, and resume no session, whatever the
// base says.
func TestBoundConnections(t *testing.T) {
	config := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for given, want := range map[time.Duration]time.Duration{0: 90 * time.Second, time.Second: time.Second} {
		base := &http.Transport{IdleConnTimeout: given, TLSClientConfig: config}
		b := bind(t, New(&http.Client{Transport: base}, false), newPair(t, "a"))
		made := b.Client().Transport.(*http.Transport)
		assert.Equal(t, want, made.IdleConnTimeout)
		assert.Nil(t, made.TLSClientConfig.ClientSessionCache)
		assert.False(t, made.TLSClientConfig.InsecureSkipVerify)
	}
}

// The newest binding's connections are kept; a request with an older one doesn't
// displace them, and one with the same uses them.
func TestThePresenterKeepsTheNewest(t *testing.T) {
	s := New(&http.Client{Transport: new(http.Transport)}, false)
	old, recent := bind(t, s, newPair(t, "old")), bind(t, s, newPair(t, "new"))
	p := NewPresenter(t.Context(), new(http.Transport))
	kept, err := p.Of(recent)
	require.NoError(t, err)
	late, err := p.Of(old)
	require.NoError(t, err)
	assert.True(t, late.(*http.Transport).DisableKeepAlives)
	again, err := p.Of(recent)
	require.NoError(t, err)
	assert.Same(t, kept, again)
	_, err = p.Of(nil)
	assert.Error(t, err)
}

// remoteSigner is asked with a context.
type remoteSigner struct {
	crypto.Signer
	ctx context.Context
}

func (s *remoteSigner) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.ctx = ctx
	return s.Sign(nil, digest, opts)
}

func TestASignatureEndsWithTheHandshake(t *testing.T) {
	remote := &remoteSigner{Signer: newPair(t, "a").Signer}
	_, err := handshakeSigner{t.Context(), remote}.Sign(nil, make([]byte, 32), crypto.SHA256)
	require.NoError(t, err)
	assert.Equal(t, t.Context(), remote.ctx)
}
