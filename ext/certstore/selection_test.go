package certstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
)

func TestParseThumbprint(t *testing.T) {
	want := sha1.Sum([]byte("x"))
	text := hex.EncodeToString(want[:])
	pairs := func(sep string) string {
		var b strings.Builder
		for i := 0; i < len(text); i += 2 {
			b.WriteString(sep + text[i:i+2])
		}
		return b.String()
	}
	for _, s := range []string{text, strings.ToUpper(text), pairs(" "), strings.TrimPrefix(pairs(":"), ":"),
		"\u200e" + text, text + "\n", "\ufeff" + pairs("\u00a0")} {
		got, err := parseThumbprint(s)
		require.NoError(t, err, "%q", s)
		assert.Equal(t, want[:], got)
	}
	long := sha256.Sum256([]byte("x"))
	got, err := parseThumbprint(hex.EncodeToString(long[:]))
	require.NoError(t, err)
	assert.Equal(t, long[:], got)
	for _, s := range []string{"", "00", text[1:], text + "00", "g" + text[1:], "not a thumbprint"} {
		_, err := parseThumbprint(s)
		assert.Error(t, err, "%q", s)
	}
}

func TestOrder(t *testing.T) {
	now := time.Now()
	issue := func(subject string, from, to time.Duration) *x509.Certificate {
		return certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject(subject),
			certtokentest.WithValidity(now.Add(from), now.Add(to))).Leaf
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "app"},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	ec, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	certs := []*x509.Certificate{
		issue("app", -48*time.Hour, time.Hour),      // 0: valid, old
		issue("app", time.Hour, 48*time.Hour),       // 1: not valid yet
		issue("another", -time.Hour, time.Hour),     // 2
		issue("App", -24*time.Hour, 48*time.Hour),   // 3: valid, newest
		issue("app", -72*time.Hour, -time.Hour),     // 4: expired
		ec,                                          // 5: valid, newest, but not RSA
		issue("app 2", -time.Minute, 2*time.Minute), // 6
	}
	config := newConfig([]Option{WithSubject("app")})
	assert.Equal(t, []int{3, 0, 5, 1, 4}, config.order(certs, now))
	config = newConfig([]Option{WithSubject(certs[2].Subject.String())})
	assert.Equal(t, []int{2}, config.order(certs, now))
	config = newConfig([]Option{WithSubject("absent")})
	assert.Empty(t, config.order(certs, now))

	short, long := sha1.Sum(certs[4].Raw), sha256.Sum256(certs[4].Raw)
	for _, sum := range [][]byte{short[:], long[:]} {
		config = newConfig([]Option{WithThumbprint(hex.EncodeToString(sum))})
		assert.Equal(t, []int{4}, config.order(certs, now), "what is named exactly is taken as it is")
		config = newConfig([]Option{WithThumbprint(hex.EncodeToString(sum)), WithSubject("another")})
		assert.Empty(t, config.order(certs, now), "both must fit")
	}
}

func TestOptionMistakes(t *testing.T) {
	_, err := newSource(nil, []Option{WithThumbprint("xyz"), WithSubject(""), WithStore(""), nil})
	for _, want := range []string{"WithThumbprint", "WithSubject", "WithStore"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = newSource(nil, nil)
	assert.ErrorContains(t, err, "no certificate named")
}
