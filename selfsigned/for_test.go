package selfsigned_test

import (
	"context"
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 a key that is refused
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// rawSigner returns r and s one after the other, as PKCS #11 does.
type rawSigner struct{ *ecdsa.PrivateKey }

func (s rawSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	der, err := s.PrivateKey.Sign(random, digest, opts)
	if err != nil {
		return nil, err
	}
	var r, n big.Int
	var seq cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&n) {
		return nil, errors.New("no signature")
	}
	size := (s.Curve.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), n.FillBytes(make([]byte, size))...), nil
}

// remoteSigner signs with a context only.
type remoteSigner struct {
	crypto.Signer
	seen *context.Context
}

func (s remoteSigner) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	*s.seen = ctx
	return s.Signer.Sign(rand.Reader, digest, opts)
}

func (s remoteSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("signed without a context")
}

var _ certtoken.ContextSigner = remoteSigner{}

// messageSigner wants the message, not its digest, as some smart cards do.
type messageSigner struct{ crypto.Signer }

func (s messageSigner) SignMessage(random io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return crypto.SignMessage(s.Signer, random, msg, opts)
}

func (s messageSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("it hashes by itself")
}

// answer is a signer that answers with these bytes or this error.
type answer struct {
	crypto.Signer
	sig []byte
	err error
}

func (s answer) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.sig, s.err }

type contextKey struct{}

// signers are the forms in which a key can be at hand.
func signers(t *testing.T, key crypto.Signer, seen *context.Context) map[string]crypto.Signer {
	t.Helper()
	all := map[string]crypto.Signer{
		"in memory": key,
		"opaque":    opaque{key},
		"message":   messageSigner{key},
		"remote":    remoteSigner{key, seen},
	}
	if ec, ok := key.(*ecdsa.PrivateKey); ok {
		all["raw"] = rawSigner{ec}
		all["remote and raw"] = remoteSigner{rawSigner{ec}, seen}
		all["message and raw"] = messageSigner{rawSigner{ec}}
	}
	return all
}

func TestForTakesEverySigner(t *testing.T) {
	for _, k := range keyCases {
		key := k.generate(t)
		var seen context.Context
		for name, signer := range signers(t, key, &seen) {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				seen = nil
				ctx := context.WithValue(t.Context(), contextKey{}, name)
				before := time.Now().Truncate(time.Second)
				cert, err := selfsigned.For(ctx, signer, selfsigned.Options{Subject: "hsm", Validity: 24 * time.Hour})
				require.NoError(t, err)
				k.check(t, cert.Leaf)
				assert.Equal(t, "hsm", cert.Leaf.Subject.CommonName)
				assert.WithinRange(t, cert.Leaf.NotAfter, before.Add(24*time.Hour), time.Now().Add(24*time.Hour))
				assert.Equal(t, signer.Public(), cert.Signer.Public())
				if _, ok := signer.(certtoken.ContextSigner); ok {
					require.NotNil(t, seen)
					assert.Equal(t, name, seen.Value(contextKey{}))
				}
			})
		}
	}
}

func TestRequestTakesEverySigner(t *testing.T) {
	for _, k := range keyCases {
		key := k.generate(t)
		var seen context.Context
		for name, signer := range signers(t, key, &seen) {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				request, err := selfsigned.Request(t.Context(), signer, selfsigned.Options{
					Subject: "hsm", DNSNames: []string{"a.example"}, URIs: []string{"spiffe://example.org/a"},
				})
				require.NoError(t, err)
				assert.NoError(t, request.CheckSignature())
				assert.Equal(t, k.signature, request.SignatureAlgorithm)
				assert.Equal(t, "hsm", request.Subject.CommonName)
				assert.Equal(t, []string{"a.example"}, request.DNSNames)
				assert.Equal(t, "spiffe://example.org/a", request.URIs[0].String())
				assert.Equal(t, key.Public(), request.PublicKey)
			})
		}
	}
}

// The usage that a request asks for is that of the certificate, byte for byte.
func TestRequestAsksForTheUsageOfACertificate(t *testing.T) {
	for _, k := range keyCases {
		t.Run(k.name, func(t *testing.T) {
			cert := newCert(t, k.opts)
			request, err := selfsigned.Request(t.Context(), cert.Signer, selfsigned.Options{})
			require.NoError(t, err)
			found := 0
			for _, wanted := range request.Extensions {
				for _, is := range cert.Leaf.Extensions {
					if wanted.Id.Equal(is.Id) {
						found++
						assert.Equal(t, is, wanted)
					}
				}
			}
			assert.Equal(t, 2, found)
		})
	}
}

func TestRequestReportsEveryMistake(t *testing.T) {
	_, err := selfsigned.Request(t.Context(), nil, selfsigned.Options{
		Validity: time.Hour, Key: selfsigned.EC, DNSNames: []string{"a b"},
	})
	for _, part := range []string{"Validity is not part", "this one exists", "Signer is nil", `DNS name "a b"`} {
		assert.ErrorContains(t, err, part)
	}
}

func TestForRefusesKeys(t *testing.T) {
	small := publicOf{&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		signer crypto.Signer
		is     error
		says   string
	}{
		"none":       {nil, certtoken.ErrNoPrivateKey, "Signer is nil"},
		"nil key":    {(*rsa.PrivateKey)(nil), certtoken.ErrNoPrivateKey, "Signer is nil"},
		"nil EC key": {(*ecdsa.PrivateKey)(nil), certtoken.ErrNoPrivateKey, "Signer is nil"},
		"small RSA":  {small, certtoken.ErrKeySize, "1024 bits"},
		"P-224":      {p224, certtoken.ErrUnsupported, "P-224"},
		"DSA":        {publicOf{&dsa.PublicKey{}}, certtoken.ErrUnsupported, "dsa"},
		"no public":  {publicOf{nil}, certtoken.ErrNoPrivateKey, "public"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := selfsigned.For(t.Context(), tt.signer, selfsigned.Options{})
			assert.ErrorContains(t, err, tt.says)
			assert.ErrorIs(t, err, tt.is)
			_, err = selfsigned.Request(t.Context(), tt.signer, selfsigned.Options{})
			assert.ErrorContains(t, err, tt.says)
			assert.ErrorIs(t, err, tt.is)
		})
	}
}

// publicOf is a signer that must not be asked to sign.
type publicOf struct{ pub crypto.PublicKey }

func (s publicOf) Public() crypto.PublicKey { return s.pub }

func (s publicOf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	panic("it was asked to sign")
}

func TestForRefusesSignaturesThatArent(t *testing.T) {
	failed := errors.New("the token was removed")
	for _, k := range keyCases {
		key := k.generate(t)
		other := k.generate(t)
		for name, signer := range map[string]crypto.Signer{
			"error":       answer{Signer: key, err: failed},
			"nothing":     answer{Signer: key},
			"zeros":       answer{Signer: key, sig: make([]byte, 64)},
			"another key": mixed{key, other},
		} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				_, err := selfsigned.For(t.Context(), signer, selfsigned.Options{})
				require.Error(t, err)
				if name == "error" {
					assert.ErrorIs(t, err, failed)
				}
				_, err = selfsigned.Request(t.Context(), signer, selfsigned.Options{})
				assert.Error(t, err)
			})
		}
	}
}

// mixed has the public half of one key and signs with another.
type mixed struct{ public, private crypto.Signer }

func (s mixed) Public() crypto.PublicKey { return s.public.Public() }

func (s mixed) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.private.Sign(random, digest, opts)
}

func TestForIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := keyCases[1].generate(t)
	_, err := selfsigned.For(ctx, key, selfsigned.Options{})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = selfsigned.Request(ctx, key, selfsigned.Options{})
	assert.ErrorIs(t, err, context.Canceled)
}

// A key that is never in memory signs, and can't be written.
func TestCertificateOfAnHSM(t *testing.T) {
	cert, err := selfsigned.For(t.Context(), opaque{keyCases[1].generate(t)}, selfsigned.Options{})
	require.NoError(t, err)
	_, err = selfsigned.EncodePEM(cert)
	assert.ErrorIs(t, err, selfsigned.ErrKeyNotExportable)
	der, err := selfsigned.EncodeCER(cert)
	require.NoError(t, err)
	_, err = x509.ParseCertificate(der)
	assert.NoError(t, err)
}

// onlyPSS is an RSA key that makes no signatures by PKCS #1 v1.5.
type onlyPSS struct{ crypto.Signer }

func (s onlyPSS) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, ok := opts.(*rsa.PSSOptions); !ok {
		return nil, fmt.Errorf("by PKCS #1: %w", errors.ErrUnsupported)
	}
	return s.Signer.Sign(random, digest, opts)
}

func TestAKeyThatMakesPSSSignaturesOnly(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	cert, err := selfsigned.For(t.Context(), onlyPSS{key}, selfsigned.Options{Subject: "cloud"})
	require.NoError(t, err)
	assert.Equal(t, x509.SHA256WithRSAPSS, cert.Leaf.SignatureAlgorithm)
	request, err := selfsigned.Request(t.Context(), onlyPSS{key}, selfsigned.Options{Subject: "cloud"})
	require.NoError(t, err)
	assert.Equal(t, x509.SHA256WithRSAPSS, request.SignatureAlgorithm)
	assert.NoError(t, request.CheckSignature())
	_, err = selfsigned.For(
		t.Context(),
		answer{Signer: key, err: errors.ErrUnsupported},
		selfsigned.Options{Subject: "x"},
	)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}
