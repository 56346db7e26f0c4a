package certfile

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	ed, edCert := newEd25519(t)
	e := modern(testPassword, 1)
	edDER, edPublic := edForms(ed)["v2"], ed.Public().(publicKey)
	caSEC1, err := x509.MarshalECPrivateKey(k.caKey)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		data   []byte
		public publicKey
	}{
		"RSA, PKCS #1":   {pemOf("RSA PRIVATE KEY", k.pkcs1), &k.key.PublicKey},
		"RSA, DER":       {k.pkcs8, &k.key.PublicKey},
		"EC":             {pemOf("PRIVATE KEY", k.ecPKCS8), &k.caKey.PublicKey},
		"Ed25519":        {pemOf("PRIVATE KEY", edDER), edPublic},
		"encrypted":      {pemOf("ENCRYPTED PRIVATE KEY", e.shroud(k.ecPKCS8)), &k.caKey.PublicKey},
		"encrypted, DER": {e.shroud(edDER), edPublic},
		"copies":         {slices.Concat(k.ecPKCS8, caSEC1, k.ecPKCS8), &k.caKey.PublicKey},
		"a certificate beside": {slices.Concat(pemCert(edCert), pemOf("PRIVATE KEY", edDER), pemCert(k.other)),
			edPublic},
		"a PFX without its chain": {pfxFile(nil, plainSafe(keyBag(edDER))), edPublic},
		"base64":                  {nest64(k.ecPKCS8, 2), &k.caKey.PublicKey},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := ParseKey(tt.data, testPassword, true)
			require.NoError(t, err)
			assert.True(t, tt.public.Equal(signer.Public()))
			requireWholeKey(t, signer)
		})
	}
	locked := pemOf("ENCRYPTED PRIVATE KEY", e.shroud(k.ecPKCS8))
	inToken := pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00 sk-ssh-ed25519@openssh.com"))
	public := pemOf("PUBLIC KEY", k.leaf.RawSubjectPublicKeyInfo)
	foreign := seq(number(0), seq(oid("1.3.101.110")), octets(octets(make([]byte, 32))))
	for name, tt := range map[string]struct {
		data  []byte
		given bool
		want  error
		text  string
	}{
		"two keys":            {slices.Concat(k.pkcs8, k.ecPKCS8), false, ErrSeveralKeys, "EC P-256 key whose"},
		"one of another kind": {slices.Concat(k.ecPKCS8, foreign), false, ErrSeveralKeys, "X25519"},
		"another kind":        {foreign, false, ErrUnsupported, "X25519, which is for key agreement"},
		"a certificate":       {pemCert(k.leaf), false, ErrNoPrivateKey, "only the certificate \"CN=Leaf\""},
		"a public key":        {public, false, ErrNoPrivateKey, "public key"},
		"nothing":             {nil, false, ErrFormat, "not the file of a private key: it is empty"},
		"a web page": {[]byte("<html>"), false, ErrFormat,
			"not the file of a private key: it is a web page"},
		"a password wanted": {locked, false, ErrPasswordRequired, ""},
		"a wrong password":  {locked, true, ErrWrongPassword, ""},
		"one key is not opened": {slices.Concat(pemOf("PRIVATE KEY", k.pkcs8), locked), false, ErrPasswordRequired,
			""},
		"too large":              {make([]byte, maxFileSize+1), false, ErrTooLarge, ""},
		"too many":               {slices.Repeat(k.ecPKCS8, maxItems+1), false, ErrTooLarge, ""},
		"RSA of 1024 bits":       {corpusKey(t, "small"), false, ErrKeySize, "1024"},
		"a key of a TPM":         {pemOf("TSS2 PRIVATE KEY", seq(oid(oidTPMSealed))), false, ErrFormat, "ext/tpm"},
		"a PKCS #11 URI":         {[]byte(" pkcs11:object=key\n"), false, ErrFormat, "ext/pkcs11"},
		"an SSH key in a token":  {inToken, false, ErrFormat, "FIDO"},
		"a key that is damaged":  {k.ecPKCS8[:len(k.ecPKCS8)-1], false, ErrFormat, "a part of it"},
		"RSASSA-PSS":             {corpusKey(t, "pss"), false, ErrUnsupported, "RSASSA-PSS"},
		"a certificate request":  {pemOf("CERTIFICATE REQUEST", []byte{1}), false, ErrNoPrivateKey, "CSR"},
		"an unknown PEM block":   {pemOf("PRIVATE KEY", []byte("what")), false, ErrFormat, ""},
		"a list of certificates": {pems(k.leaf, k.other), false, ErrNoPrivateKey, ""},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := ParseKey(tt.data, "wrong", tt.given)
			require.ErrorIs(t, err, tt.want)
			assert.ErrorContains(t, err, tt.text)
			assert.Nil(t, signer)
		})
	}
}

// corpusKey is a key that the corpus is made with.
func corpusKey(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "make", "pki", name+".key.pem"))
	require.NoError(t, err)
	return data
}

// FuzzParseKey: what is read is a key that signs, and what isn't has an error of ours.
func FuzzParseKey(f *testing.F) {
	addCorpus(f, func(data []byte) {
		if len(data) < 16<<10 && affordable(data, "secret", fuzzRounds) {
			f.Add(data, "secret", true)
		}
	})
	for _, c := range curveCases(f) {
		for _, der := range c.ecForms() {
			f.Add(der, "", false)
			f.Add(slices.Concat(pemOf("EC PARAMETERS", oid(c.oid)), pemOf("EC PRIVATE KEY", der)), "", false)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, password string, given bool) {
		if !affordable(data, password, fuzzRounds) {
			return
		}
		signer, err := ParseKey(data, password, given)
		if err != nil {
			require.Nil(t, signer)
			checkError(t, err, password)
			return
		}
		requireWholeKey(t, signer)
	})
}
