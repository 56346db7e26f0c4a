package spiffe

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"net"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/certtoken/certtoken"
)

// rawAgent sends what it is given, over a real connection, so that go-spiffe reads it.
type rawAgent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	x509 *workload.X509SVIDResponse
	jwt  *workload.JWTSVIDResponse
}

func (a *rawAgent) FetchX509SVID(
	_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer,
) error {
	if err := stream.Send(a.x509); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func (a *rawAgent) FetchJWTSVID(context.Context, *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	return a.jwt, nil
}

// serve starts the agent, and returns its address as an option, with time for a busy machine.
func (a *rawAgent) serve(t *testing.T) Option {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, a)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return func(c *config) {
		WithAddress("tcp://" + listener.Addr().String())(c)
		WithTimeout(maxTimeout)(c)
	}
}

// message is a good X.509-SVID as the agent sends it.
func message(t *testing.T, id, hint string) *workload.X509SVID {
	t.Helper()
	now := time.Now()
	made := svidOf(t, spiffeid.RequireFromString(id), elliptic.P256(), now.Add(-time.Minute), now.Add(time.Hour))
	cert, key, err := made.MarshalRaw()
	require.NoError(t, err)
	return &workload.X509SVID{SpiffeId: id, X509Svid: cert, X509SvidKey: key, Bundle: cert, Hint: hint}
}

// token is a JWT-SVID as the agent sends it, with claims besides those that it must have.
func token(t *testing.T, id, hint string, more jwt.MapClaims) *workload.JWTSVID {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	claims := jwt.MapClaims{"sub": id, "aud": server, "exp": time.Now().Add(life).Unix()}
	for name, value := range more {
		claims[name] = value
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(key)
	require.NoError(t, err)
	return &workload.JWTSVID{SpiffeId: id, Svid: signed, Hint: hint}
}

// What go-spiffe refuses is an error of the kind that it would be here.
func TestKindsOfUnusableAnswers(t *testing.T) {
	mine := myApp.String()
	now := time.Now()
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		is     error
	}{
		"ended long ago":       {jwt.MapClaims{"exp": now.Add(-3 * time.Minute).Unix()}, certtoken.ErrExpired},
		"just ended":           {jwt.MapClaims{"exp": now.Add(-3 * time.Second).Unix()}, certtoken.ErrExpired},
		"begins later":         {jwt.MapClaims{"nbf": now.Add(3 * time.Minute).Unix()}, certtoken.ErrNotYetValid},
		"issued in the future": {jwt.MapClaims{"iat": now.Add(3 * time.Minute).Unix()}, certtoken.ErrNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			agent := &rawAgent{jwt: &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{token(t, mine, "", c.claims)}}}
			source, err := NewJWTSource(agent.serve(t))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, source.Close()) })
			_, err = source.Assertion(t.Context(), server)
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, "check the clock")
		})
	}

	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	other, err := x509.MarshalPKCS8PrivateKey(x25519)
	require.NoError(t, err)
	good := message(t, mine, "").X509SvidKey
	p256, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7})
	require.NoError(t, err)
	p192, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 1})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		key []byte
		is  error
	}{
		"another key":         {good, certtoken.ErrKeyMismatch},
		"a key of X25519":     {other, certtoken.ErrUnsupported},
		"a key of X448":       {bytes.Replace(other, []byte{101, 110}, []byte{101, 111}, 1), certtoken.ErrUnsupported},
		"a key of another EC": {bytes.ReplaceAll(good, p256, p192), certtoken.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			bad := message(t, mine, "")
			bad.X509SvidKey = c.key
			agent := &rawAgent{x509: &workload.X509SVIDResponse{Svids: []*workload.X509SVID{bad}}}
			source, err := NewX509Source(agent.serve(t))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, source.Close()) })
			_, err = source.Certificate(t.Context())
			require.ErrorIs(t, err, c.is)
			assert.ErrorIs(t, source.Health(), c.is)
		})
	}
}

// What is bad beside the SVID that was asked for doesn't matter, nor that another one has the
// same hint.
func TestAnswersWithMoreThanTheSVID(t *testing.T) {
	const otherID, hint = "spiffe://example.org/other", "internal"
	mine := myApp.String()
	badX509, badJWT := message(t, otherID, hint), token(t, otherID, hint, jwt.MapClaims{"exp": 1})
	badX509.X509SvidKey = []byte("bad")
	mineX509, mineJWT := message(t, mine, hint), token(t, mine, hint, nil)
	mineX509.Bundle = []byte("bad")
	agent := &rawAgent{
		x509: &workload.X509SVIDResponse{
			Svids:            []*workload.X509SVID{badX509, mineX509},
			FederatedBundles: map[string][]byte{"spiffe://example.net": []byte("bad")},
		},
		jwt: &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{badJWT, mineJWT}},
	}
	opts := []Option{agent.serve(t), WithID(mine), WithHint(hint)}
	x509Source, err := NewX509Source(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, x509Source.Close()) })
	cert, err := x509Source.Certificate(t.Context())
	require.NoError(t, err)
	assert.Equal(t, mineX509.X509Svid, cert.Leaf.Raw)
	jwtSource, err := NewJWTSource(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, jwtSource.Close()) })
	assertion, err := jwtSource.Assertion(t.Context(), server)
	require.NoError(t, err)
	assert.Equal(t, mineJWT.Svid, assertion)
}

// What an SVID itself says counts, and not what the agent says of it.
func TestAnSVIDOfAnotherIDThanIsSaid(t *testing.T) {
	const otherID = "spiffe://example.org/other"
	false509, falseJWT := message(t, otherID, ""), token(t, otherID, "", nil)
	false509.SpiffeId, falseJWT.SpiffeId = myApp.String(), myApp.String()
	agent := &rawAgent{
		x509: &workload.X509SVIDResponse{Svids: []*workload.X509SVID{false509}},
		jwt:  &workload.JWTSVIDResponse{Svids: []*workload.JWTSVID{falseJWT}},
	}
	opts := []Option{agent.serve(t), WithID(myApp.String())}
	x509Source, err := NewX509Source(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, x509Source.Close()) })
	_, err = x509Source.Certificate(t.Context())
	assert.ErrorIs(t, err, certtoken.ErrNoCertificate)
	jwtSource, err := NewJWTSource(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, jwtSource.Close()) })
	_, err = jwtSource.Assertion(t.Context(), server)
	assert.ErrorIs(t, err, certtoken.ErrNoCertificate)
}
