package selfsigned_test

import (
	"crypto/elliptic"
	"strings"
	"testing"

	"github.com/certtoken/certtoken/selfsigned"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Names that are in a certificate as they were given.
func TestNamesAreTaken(t *testing.T) {
	opts := selfsigned.Options{
		DNSNames: []string{
			"worker.example.com", "localhost", "*.example.com", "xn--mnchen-3ya.example", "_service.example",
			strings.Repeat("a", 63) + ".example",
		},
		URIs: []string{
			"spiffe://example.org/ns/prod/sa/worker", "https://app.example/",
			"urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
			"https://app.example/a%20b?c=d#e",
		},
	}
	require.NoError(t, opts.Validate())
	cert := newCert(t, opts)
	assert.Equal(t, opts.DNSNames, cert.Leaf.DNSNames)
	var uris []string
	for _, uri := range cert.Leaf.URIs {
		uris = append(uris, uri.String())
	}
	assert.Equal(t, opts.URIs, uris)
	assert.Equal(t, "certtoken", cert.Leaf.Subject.CommonName)
}

// A mistake is refused with a sentence that says what it is.
func TestOptionsAreChecked(t *testing.T) {
	dns := func(names ...string) selfsigned.Options { return selfsigned.Options{DNSNames: names} }
	uris := func(names ...string) selfsigned.Options { return selfsigned.Options{URIs: names} }
	for name, tt := range map[string]struct {
		opts selfsigned.Options
		says string
	}{
		"long subject":      {selfsigned.Options{Subject: strings.Repeat("a", 65)}, "printable characters"},
		"both subjects":     {selfsigned.Options{Subject: "a", RawSubject: []byte{0x30, 0}}, "exclude each other"},
		"raw subject":       {selfsigned.Options{RawSubject: []byte("CN=a")}, "not the DER form"},
		"empty raw subject": {selfsigned.Options{RawSubject: []byte{0x30, 0}}, "not the DER form"},
		"unknown kind":      {selfsigned.Options{Key: 9}, "unknown kind of key 9"},
		"negative kind":     {selfsigned.Options{Key: -1}, "unknown kind of key -1"},
		"bits of EC":        {selfsigned.Options{Key: selfsigned.EC, KeyBits: 256}, "KeyBits is for RSA"},
		"bits of Ed25519":   {selfsigned.Options{Key: selfsigned.Ed25519, KeyBits: 256}, "the key is Ed25519"},
		"curve of RSA":      {selfsigned.Options{Curve: elliptic.P256()}, "Curve is for EC, and the key is RSA"},
		"weak curve": {selfsigned.Options{Key: selfsigned.EC, Curve: elliptic.P224()},
			"curve P-224 is not P-256"},
		"IPv4 address":        {dns("192.0.2.1"), "it is an IP address"},
		"IPv6 address":        {dns("2001:db8::1"), "it is an IP address"},
		"address in brackets": {dns("[2001:db8::1]"), "it is an IP address"},
		"port":                {dns("a.example:443"), "it is not a host name"},
		"URL":                 {dns("https://a.example"), "it is not a host name"},
		"empty DNS name":      {dns(""), "it is not a host name"},
		"dot at the end":      {dns("a.example."), "leave the dot"},
		"two dots":            {dns("a..example"), "it is not a host name"},
		"hyphen":              {dns("-a.example"), "it is not a host name"},
		"star in the middle":  {dns("a.*.example"), "it is not a host name"},
		"star alone":          {dns("*"), "it is not a host name"},
		"long label":          {dns(strings.Repeat("a", 64)), "it is not a host name"},
		"long DNS name":       {dns(strings.Repeat("a.", 127)), "longer than 253"},
		"international":       {dns("münchen.example"), "xn-- form"},
		"NUL":                 {dns("a\x00b"), "it is not a host name"},
		"many DNS names":      {dns(make([]string, 101)...), "101 DNS names"},
		"many URIs":           {uris(make([]string, 101)...), "101 URIs"},
		"relative URI":        {uris("/a"), "not an absolute one"},
		"empty URI":           {uris(""), "not an absolute one"},
		"scheme alone":        {uris("spiffe:"), "not an absolute one"},
		"host alone":          {uris("example.org"), "not an absolute one"},
		"blank":               {uris("https://a.example/b c"), "a URI can't be read"},
		"line end":            {uris("https://a.example/\n"), "a URI can't be read"},
		"not ASCII":           {uris("https://münchen.example/"), "a URI can't be read"},
		"long URI":            {uris("https://a.example/" + strings.Repeat("a", 2048)), "a URI can't be read"},
		"changed on its way":  {uris("HTTPS://a.example/"), "not in its normal form"},
		"every mistake":       {selfsigned.Options{Key: selfsigned.Ed25519, KeyBits: 1, Subject: "\n"}, "subject"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := selfsigned.New(tt.opts)
			require.ErrorContains(t, err, tt.says)
			for line := range strings.Lines(err.Error()) {
				assert.True(t, strings.HasPrefix(line, "selfsigned: "), line)
			}
			assert.Less(t, len(err.Error()), 400)
			assert.Equal(t, err, tt.opts.Validate())
		})
	}
}

// A password that is given as part of a URI isn't repeated.
func TestURIWithPasswordIsRefused(t *testing.T) {
	for _, uri := range []string{"https://user:hunter2@a.example/", "https://user:hunter2@a.example/%"} {
		_, err := selfsigned.New(selfsigned.Options{URIs: []string{uri}})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
