package selfsigned_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

func newCert(t *testing.T, opts selfsigned.Options) *certtoken.Certificate {
	t.Helper()
	cert, err := selfsigned.New(opts)
	require.NoError(t, err)
	return cert
}

func TestNewHasWindowsDefaults(t *testing.T) {
	before := time.Now().Truncate(time.Second)
	cert := newCert(t, selfsigned.Options{})
	after := time.Now()
	leaf := cert.Leaf
	assert.Equal(t, "certtoken", leaf.Subject.CommonName)
	assert.Equal(t, 2048, leaf.PublicKey.(*rsa.PublicKey).N.BitLen())
	assert.Equal(t, x509.SHA256WithRSA, leaf.SignatureAlgorithm)
	assert.Equal(t, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment, leaf.KeyUsage)
	assert.ElementsMatch(
		t,
		[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		leaf.ExtKeyUsage,
	)
	assert.WithinRange(t, leaf.NotBefore, before.Add(-10*time.Minute), after.Add(-10*time.Minute))
	assert.WithinRange(t, leaf.NotAfter, before.AddDate(1, 0, 0), after.AddDate(1, 0, 0))
	assert.False(t, leaf.IsCA)
	assert.Equal(t, leaf.RawSubject, leaf.RawIssuer)
	assert.NoError(t, leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature))
	assert.Positive(t, leaf.SerialNumber.Sign())
	assert.Len(t, leaf.SubjectKeyId, 20)
	assert.Empty(t, cert.Chain)
}

func TestNewTakesOptions(t *testing.T) {
	before := time.Now().Truncate(time.Second)
	cert := newCert(t, selfsigned.Options{Subject: "hybridbrothers-demö", Validity: 48 * time.Hour, KeyBits: 3072})
	assert.Equal(t, "hybridbrothers-demö", cert.Leaf.Subject.CommonName)
	assert.Equal(t, 3072, cert.Leaf.PublicKey.(*rsa.PublicKey).N.BitLen())
	assert.WithinRange(t, cert.Leaf.NotAfter, before.Add(48*time.Hour), time.Now().Add(48*time.Hour))
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := selfsigned.New(selfsigned.Options{Subject: "a\nb", Validity: time.Second, KeyBits: 1024})
	require.Error(t, err)
	for _, part := range []string{"subject", "validity", "1024 bits"} {
		assert.ErrorContains(t, err, part)
	}
	for name, opts := range map[string]selfsigned.Options{
		"long subject":      {Subject: string(make([]byte, 65))},
		"invalid subject":   {Subject: "a\xff"},
		"negative validity": {Validity: -time.Hour},
		"huge key":          {KeyBits: 1 << 20},
		"negative key":      {KeyBits: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := selfsigned.New(opts)
			assert.Error(t, err)
		})
	}
}

func TestConforms(t *testing.T) {
	cert := newCert(t, selfsigned.Options{})
	certtokentest.TestCertSource(t, func(*testing.T) certtoken.CertSource { return cert })
}

// opaque hides that a key is in memory.
type opaque struct{ crypto.Signer }

func TestKeyThatIsNotInMemory(t *testing.T) {
	cert := newCert(t, selfsigned.Options{})
	hsm := &certtoken.Certificate{Leaf: cert.Leaf, Signer: opaque{cert.Signer}}
	_, err := selfsigned.EncodePFX(hsm, "", selfsigned.PFXModern)
	assert.ErrorIs(t, err, selfsigned.ErrKeyNotExportable)
	_, err = selfsigned.EncodePEM(hsm)
	assert.ErrorIs(t, err, selfsigned.ErrKeyNotExportable)
	der, err := selfsigned.EncodeCER(hsm)
	assert.NoError(t, err)
	assert.Equal(t, cert.Leaf.Raw, der)
}

func TestEncodeRefusesWhatIsNoPair(t *testing.T) {
	a, b := newCert(t, selfsigned.Options{}), newCert(t, selfsigned.Options{})
	mixed := &certtoken.Certificate{Leaf: a.Leaf, Signer: b.Signer}
	_, err := selfsigned.EncodePFX(mixed, "", selfsigned.PFXModern)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	_, err = selfsigned.EncodePFX(nil, "", selfsigned.PFXModern)
	assert.Error(t, err)
	_, err = selfsigned.EncodePEM(nil)
	assert.Error(t, err)
	_, err = selfsigned.EncodeCER(nil)
	assert.Error(t, err)
	_, err = selfsigned.EncodeCER(&certtoken.Certificate{})
	assert.Error(t, err)
	_, err = selfsigned.EncodePFX(a, "", selfsigned.PFXForm(9))
	assert.Error(t, err)
}

func TestPasswordNeverInErrors(t *testing.T) {
	cert := newCert(t, selfsigned.Options{})
	for _, password := range []string{"secret🔑", "secret\xff"} {
		_, err := selfsigned.EncodePFX(cert, password, selfsigned.PFXModern)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
}
