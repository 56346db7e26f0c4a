package certstore

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// withTemplate is a certificate as a CA of Active Directory issues it from a template.
func withTemplate(t *testing.T, template string) *certtoken.Certificate {
	t.Helper()
	made := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	parent := &x509.Certificate{
		SerialNumber:    made.Leaf.SerialNumber,
		Subject:         pkix.Name{CommonName: "from a template"},
		NotBefore:       time.Now().Add(-time.Minute),
		NotAfter:        time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{templateExtension(t, template)},
	}
	der, err := x509.CreateCertificate(rand.Reader, parent, parent, made.Signer.Public(), made.Signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &certtoken.Certificate{Leaf: leaf, Signer: made.Signer}
}

// templateExtension names a template: by its identifier in the newer form, else by its name
// in the form of version 1, a BMPString.
func templateExtension(t *testing.T, template string) pkix.Extension {
	t.Helper()
	oid, err := x509.ParseOID(template)
	if err != nil {
		var text []byte
		for _, unit := range utf16.Encode([]rune(template)) {
			text = append(text, byte(unit>>8), byte(unit))
		}
		value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagBMPString, Bytes: text})
		require.NoError(t, err)
		return pkix.Extension{Id: templateName, Value: value}
	}
	id, err := oid.MarshalBinary()
	require.NoError(t, err)
	value, err := asn1.Marshal(struct {
		ID           asn1.RawValue
		Major, Minor int
	}{asn1.RawValue{Tag: asn1.TagOID, Bytes: id}, 100, 3})
	require.NoError(t, err)
	return pkix.Extension{Id: templateID, Value: value}
}

func TestTemplate(t *testing.T) {
	const id = "1.3.6.1.4.1.311.21.8.8950086.10656446.2706058.12775672.480128.147.13466065.13029902"
	byID, byName, none := withTemplate(t, id), withTemplate(t, "WebServer"), certtokentest.NewCertificate(t)
	certs := []*x509.Certificate{none.Leaf, byID.Leaf, byName.Leaf}
	for template, want := range map[string][]int{
		id: {1}, id + ".1": nil, strings.TrimSuffix(id, ".13029902"): nil,
		"WebServer": {2}, "webserver": {2}, "Web Server": nil, "WebServer2": nil,
	} {
		cfg := newConfig([]Option{WithTemplate(template)})
		require.NoError(t, cfg.validate())
		assert.Equal(t, want, cfg.order(certs, time.Now()), template)
		assert.Contains(t, cfg.name(), template)
	}
	cfg := newConfig([]Option{WithTemplate(id), WithSubject("another")})
	assert.Empty(t, cfg.order(certs, time.Now()), "both must fit")

	for _, template := range []string{"", "1", "1.2.", ".1.2", "3.1.2", "1..2", "."} {
		_, err := newSource(nil, []Option{WithTemplate(template)})
		assert.ErrorContains(t, err, "WithTemplate", "%q", template)
	}
}
