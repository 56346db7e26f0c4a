package tpm

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// newest is what a source has when it has looked at what is due.
func newest(t *testing.T, source *Source) *certtoken.Certificate {
	t.Helper()
	_, _ = source.Certificate(t.Context()) // the files are looked at behind this caller
	synctest.Wait()
	cert, err := source.Certificate(t.Context())
	require.NoError(t, err)
	return cert
}

// A renewed certificate is found in the file, and while there is a damaged one the last good
// pair stays, and Health says why.
func TestRenewal(t *testing.T) {
	s := startTPM(t)
	key := s.make(t, NewKey{Key: selfsigned.EC})
	certify := func(day int) ([]byte, *x509.Certificate) { // valid at the time that a bubble begins with
		from := time.Date(1999, time.December, day, 0, 0, 0, 0, time.UTC)
		cert := certtokentest.NewCertificate(t, certtokentest.WithKey(s.alone(t, key)),
			certtokentest.WithValidity(from, from.AddDate(1, 0, 0)))
		return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}), key), cert.Leaf
	}
	first, leaf := certify(1)
	second, renewed := certify(2)
	path := s.write(t, "private.tpm", first)
	synctest.Test(t, func(t *testing.T) {
		source, err := FromFile(path, WithDevice(filepath.Join(s.dir, "not used")))
		require.NoError(t, err)
		now := func() *certtoken.Certificate { return newest(t, source) }
		cert := now()
		assert.True(t, cert.Leaf.Equal(leaf))
		time.Sleep(fileInterval)
		assert.Same(t, cert, now(), "nothing has changed")

		s.write(t, "private.tpm", second)
		time.Sleep(fileInterval)
		assert.True(t, now().Leaf.Equal(renewed))

		s.write(t, "private.tpm", second[:len(second)/2])
		time.Sleep(fileInterval)
		assert.True(t, now().Leaf.Equal(renewed))
		assert.ErrorContains(t, source.Health(), path)
		assert.Error(t, source.Reload(t.Context(), nil))

		s.write(t, "private.tpm", first)
		time.Sleep(time.Minute)
		assert.True(t, now().Leaf.Equal(leaf))
		assert.NoError(t, source.Health())
	})
}

// A file may hold today's certificate and the next one from the start: the next is used once it
// is valid, though the file doesn't change.
func TestNextCertificate(t *testing.T) {
	s := startTPM(t)
	key := s.make(t, NewKey{Key: selfsigned.EC})
	start := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) // of a bubble
	day := 24 * time.Hour
	certify := func(from, to time.Duration) []byte {
		cert := certtokentest.NewCertificate(t, certtokentest.WithKey(s.alone(t, key)),
			certtokentest.WithValidity(start.Add(from), start.Add(to)))
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	}
	certs := slices.Concat(certify(-day, 3*day), certify(2*day, 5*day))
	both := s.write(t, "private.tpm", slices.Concat(certs, key))
	alone, beside := s.write(t, "key.tpm", key), s.write(t, "public.pem", certs)
	for path, opts := range map[string][]Option{both: nil, alone: {WithCertificateFile(beside)}} {
		synctest.Test(t, func(t *testing.T) {
			source, err := FromFile(path, append(opts, WithDevice(filepath.Join(s.dir, "not used")))...)
			require.NoError(t, err)
			now := func() *certtoken.Certificate { return newest(t, source) }
			first := now()
			time.Sleep(fileInterval)
			assert.Same(t, first, now(), "nothing has changed")
			time.Sleep(2 * day)
			assert.False(t, first.Leaf.Equal(now().Leaf), "the next one is valid")
			assert.NoError(t, source.Health())
		})
	}
}

// The certificate's file of a key that the TPM keeps is looked at as often as a key's file, and
// the TPM is asked rarely, or when the certificate is of another key.
func TestHandleRenewal(t *testing.T) {
	s := startTPM(t)
	type made struct {
		area tpm2.TPMTPublic
		leaf *x509.Certificate
	}
	makeKey := func() (one made, renewed *x509.Certificate) {
		text := s.make(t, NewKey{Key: selfsigned.EC})
		file, _, err := parseFile(text)
		require.NoError(t, err)
		area, err := unmarshalPublic(file.public)
		require.NoError(t, err)
		certify := func(day int) *x509.Certificate {
			from := time.Date(1999, time.December, day, 0, 0, 0, 0, time.UTC)
			return certtokentest.NewCertificate(t, certtokentest.WithKey(s.alone(t, text)),
				certtokentest.WithValidity(from, from.AddDate(1, 0, 0))).Leaf
		}
		return made{*area, certify(1)}, certify(2)
	}
	kept, renewed := makeKey()
	other, _ := makeKey()
	path := s.write(t, "public.cer", kept.leaf.Raw)
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		source, err := newSource("handle", []Option{WithCertificateFile(path), WithDevice("not used")}, handleInterval,
			func(context.Context, *user) (*reading, error) {
				asked++
				return handleReading(kept.area, 0x81010001), nil
			})
		require.NoError(t, err)
		assert.True(t, newest(t, source).Leaf.Equal(kept.leaf))
		s.write(t, "public.cer", renewed.Raw)
		time.Sleep(fileInterval)
		assert.True(t, newest(t, source).Leaf.Equal(renewed))
		assert.Equal(t, 1, asked)
		time.Sleep(handleInterval)
		assert.True(t, newest(t, source).Leaf.Equal(renewed))
		assert.Equal(t, 2, asked)

		kept = other
		s.write(t, "public.cer", other.leaf.Raw)
		time.Sleep(fileInterval)
		assert.True(t, newest(t, source).Leaf.Equal(other.leaf), "another key with its certificate")
		assert.Equal(t, 3, asked)

		time.Sleep(fileInterval)
		require.NoError(t, source.Reload(t.Context(), nil))
		assert.Equal(t, 4, asked)

		asked = 0
		source, err = newSource("handle", []Option{WithoutCertificate(), WithDevice("not used")}, handleInterval,
			func(context.Context, *user) (*reading, error) {
				asked++
				return handleReading(kept.area, 0x81010001), nil
			})
		require.NoError(t, err)
		for range 10 {
			newest(t, source)
			time.Sleep(fileInterval)
		}
		assert.Equal(t, 1, asked)
		time.Sleep(handleInterval)
		newest(t, source)
		assert.Equal(t, 2, asked)
	})
}
