package spiffe

import (
	"crypto/elliptic"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// The same SVID again is the same value, and changes nothing but what was wrong.
func TestAnSVIDThatComesAgain(t *testing.T) {
	now := time.Now()
	raw := svid(t, elliptic.P256(), now, now.Add(time.Hour))
	pair := func() *certtoken.Certificate {
		cert, err := certtoken.NewCertificate(raw.PrivateKey, raw.Certificates[0], nil)
		require.NoError(t, err)
		return cert
	}
	before, first := pair(), pair()
	known := standing{id: myApp, newest: first, previous: before, err: ErrUnavailable}.taking(myApp, pair())
	assert.Same(t, first, known.newest)
	assert.Same(t, before, known.previous)
	assert.NoError(t, known.err)
}

// The same SVID with another chain is taken: a CA's certificate was replaced.
func TestAnSVIDThatComesAgainWithAnotherChain(t *testing.T) {
	now := time.Now()
	leaf, ca := svid(t, elliptic.P256(), now, now.Add(time.Hour)), svid(t, elliptic.P256(), now, now.Add(time.Hour))
	with := func(chain ...*x509.Certificate) *certtoken.Certificate {
		return &certtoken.Certificate{Leaf: leaf.Certificates[0], Signer: leaf.PrivateKey, Chain: chain}
	}
	before, bare, chained := with(), with(), with(ca.Certificates[0])
	known := standing{id: myApp, newest: bare, previous: before}.taking(myApp, chained)
	assert.Same(t, chained, known.newest)
	assert.Same(t, before, known.previous)
	assert.Same(t, chained, known.taking(myApp, with(ca.Certificates[0])).newest)
}

// An SVID that outlives the one that has replaced it is used until it ends.
func TestAnSVIDThatOutlivesTheNewest(t *testing.T) {
	now := time.Now()
	long, short := svid(t, elliptic.P256(), now, now.Add(time.Hour)), svid(t, elliptic.P256(), now,
		now.Add(time.Minute))
	first := &certtoken.Certificate{Leaf: long.Certificates[0], Signer: long.PrivateKey}
	second := &certtoken.Certificate{Leaf: short.Certificates[0], Signer: short.PrivateKey}
	known := standing{}.taking(myApp, first).taking(myApp, second)
	for at, want := range map[time.Duration]*certtoken.Certificate{
		0: second, 30 * time.Second: second, 2 * time.Minute: first, 2 * time.Hour: nil,
	} {
		cert, err := known.inUse(now.Add(at))
		require.NoError(t, err)
		assert.Same(t, want, cert, at)
	}
}

// With one SVID over and the next not valid yet, there is none.
func TestAnSVIDBetweenTwo(t *testing.T) {
	now := time.Now()
	over, next := svid(t, elliptic.P256(), now.Add(-time.Hour), now.Add(-time.Minute)),
		svid(t, elliptic.P256(), now.Add(time.Minute), now.Add(time.Hour))
	known := standing{}
	for _, raw := range []*certtoken.Certificate{
		{Leaf: over.Certificates[0], Signer: over.PrivateKey}, {Leaf: next.Certificates[0], Signer: next.PrivateKey},
	} {
		known = known.taking(myApp, raw)
	}
	cert, err := known.inUse(now)
	assert.Nil(t, cert)
	assert.ErrorIs(t, err, certtoken.ErrNotYetValid)
}
