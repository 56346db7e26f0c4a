package certtoken_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// The private key of RFC 8037 appendix A.1, as a server would hand it out, and its
// thumbprint by appendix A.3.
const (
	edX          = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	edD          = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	edJWK        = `{"kty":"OKP","crv":"Ed25519",%s"d":"` + edD + `","x":"` + edX + `"}`
	edThumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
)

// ecJWK writes an EC key as a private JWK.
func ecJWK(t testing.TB, key *ecdsa.PrivateKey, kid string) []byte {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	d, err := key.Bytes()
	require.NoError(t, err)
	size := len(d)
	members := map[string]string{"kty": "EC", "crv": key.Params().Name, "kid": kid}
	for name, value := range map[string][]byte{"x": point[1 : 1+size], "y": point[1+size:], "d": d} {
		members[name] = base64.RawURLEncoding.EncodeToString(value)
	}
	data, err := json.Marshal(members)
	require.NoError(t, err)
	return data
}

// rsaJWK writes an RSA key as a private JWK, with its primes or without.
func rsaJWK(key *rsa.PrivateKey, primes bool) []byte {
	encode := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	members := fmt.Sprintf(`"kty":"RSA","n":%q,"e":"AQAB","d":%q`, encode(key.N), encode(key.D))
	if primes {
		members += fmt.Sprintf(`,"p":%q,"q":%q`, encode(key.Primes[0]), encode(key.Primes[1]))
	}
	return []byte("{" + members + "}")
}

// keyServer grants tokens to assertions by keys that are registered by their key id.
type keyServer struct {
	mu   sync.Mutex
	keys map[string]crypto.PublicKey
	seen []map[string]any // headers of assertions
}

func (s *keyServer) register(keys ...*certtoken.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = make(map[string]crypto.PublicKey)
	for _, key := range keys {
		s.keys[key.KeyID] = key.Signer.Public()
	}
}

// last is the header of the last assertion.
func (s *keyServer) last() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

func (s *keyServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithAudience("https://as.example.com"), jwt.WithExpirationRequired())
	token, err := parser.Parse(form.Get("client_assertion"), func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		if s.keys[kid] == nil {
			return nil, fmt.Errorf("no key %q", kid)
		}
		return s.keys[kid], nil
	})
	if token != nil {
		s.seen = append(s.seen, token.Header)
	}
	status, answer := http.StatusOK, `{"access_token":"granted","token_type":"Bearer","expires_in":3600}`
	if err != nil {
		status, answer = http.StatusUnauthorized, `{"error":"invalid_client"}`
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(answer)), Request: req,
	}, nil
}

// client makes a client of the server.
func (s *keyServer) client(t testing.TB, source certtoken.CertSource, opts ...certtoken.Option) *certtoken.Client {
	t.Helper()
	client, err := certtoken.NewClient(s.authority(), clientID, source,
		append(opts, certtoken.WithHTTPClient(&http.Client{Transport: s}))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func (s *keyServer) authority(opts ...certtoken.AuthorityOption) certtoken.Authority {
	return certtoken.Issuer("https://as.example.com", "https://as.example.com/token", opts...)
}

func TestParseKey(t *testing.T) {
	for name, c := range map[string]struct{ kid, want string }{
		"with a key id":     {`"kid":"key-1",`, "key-1"},
		"without":           {"", edThumbprint},
		"with an empty one": {`"kid":"",`, edThumbprint},
	} {
		key, err := certtoken.ParseKey(fmt.Appendf(nil, edJWK, c.kid))
		require.NoError(t, err, name)
		assert.Equal(t, c.want, key.KeyID, name)
		assert.Nil(t, key.Leaf)
		assert.Equal(t, "JWK", key.FileFormat())
		assert.NoError(t, key.Valid(time.Time{}))
	}
	jwk := fmt.Appendf(nil, edJWK, "")
	for _, encoding := range []*base64.Encoding{
		base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
	} {
		key, err := certtoken.ParseKey([]byte(encoding.EncodeToString(jwk) + "\r\n"))
		require.NoError(t, err)
		assert.Equal(t, edThumbprint, key.KeyID)
	}
	for _, primes := range []bool{false, true} {
		key, err := certtoken.ParseKey(rsaJWK(kinds()["RSA"].(*rsa.PrivateKey), primes))
		require.NoError(t, err)
		assert.Equal(t, kinds()["RSA"].Public(), key.Signer.Public())
	}
	for kind, signer := range kinds() {
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		require.NoError(t, err)
		for form, data := range map[string][]byte{
			"PEM": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), "DER": der,
		} {
			key, err := certtoken.ParseKey(data)
			require.NoError(t, err, "%s in %s", kind, form)
			assert.Equal(t, signer.Public(), key.Signer.Public())
			made, err := certtoken.NewKey(signer, "")
			require.NoError(t, err)
			assert.Equal(t, made.KeyID, key.KeyID)
			assert.Len(t, key.KeyID, 43)
		}
	}
}

// Not all JSON is a JWK: ACM, Vault and a cloud's service accounts hand out PEM in it.
func TestPEMInJSON(t *testing.T) {
	cert := goldenCert(t)
	leaf, key := string(certPEM(cert.Leaf)), string(keyPEM(t, cert))
	marshal := func(members map[string]any) []byte {
		data, err := json.Marshal(members)
		require.NoError(t, err)
		return data
	}
	for name, data := range map[string][]byte{
		"ACM":   marshal(map[string]any{"Certificate": leaf, "CertificateChain": leaf, "PrivateKey": key}),
		"Vault": marshal(map[string]any{"data": map[string]any{"certificate": leaf, "private_key": key}}),
		"lists": marshal(map[string]any{"certificates": []string{leaf}, "keys": []string{key}}),
	} {
		got, err := certtoken.ParseCertificate(data)
		require.NoError(t, err, name)
		assert.Equal(t, cert.Leaf.Raw, got.Leaf.Raw)
		bare, err := certtoken.ParseKey(data)
		require.NoError(t, err, name)
		assert.Equal(t, cert.Signer.Public(), bare.Signer.Public())
	}
	account := marshal(map[string]any{"type": "service_account", "private_key_id": "1", "private_key": key})
	bare, err := certtoken.ParseKey(account)
	require.NoError(t, err)
	assert.Equal(t, cert.Signer.Public(), bare.Signer.Public())
	_, err = certtoken.ParseCertificate(account)
	require.ErrorIs(t, err, certtoken.ErrNoCertificate)
}

func TestParseKeyRefuses(t *testing.T) {
	leaf := certPEM(goldenCert(t).Leaf)
	const publicJWK = `{"kty":"OKP","crv":"Ed25519","x":"` + edX + `"}`
	for name, c := range map[string]struct {
		data string
		opts []certtoken.CertOption
		is   error
		want string
	}{
		"public": {publicJWK, nil, certtoken.ErrNoPrivateKey, "public half only"},
		"oct":    {`{"kty":"oct","k":"c2VjcmV0"}`, nil, certtoken.ErrUnsupported, "kty oct"},
		"crv":    {`{"kty":"EC","crv":"secp256k1"}`, nil, certtoken.ErrUnsupported, `its crv is "secp256k1"`},
		"mismatch": {fmt.Sprintf(strings.Replace(edJWK, edX, edD, 1), ""), nil, certtoken.ErrKeyMismatch,
			"its d is not that of x"},
		"small": {`{"kty":"RSA","n":"_____w","e":"AQAB","d":"AQAB"}`, nil, certtoken.ErrKeySize,
			"32 bits, must be"},
		"a set": {`{"keys":[]}`, nil, certtoken.ErrFormat, "set of keys (JWKS)"},
		"half":  {`{"kty":`, nil, certtoken.ErrFormat, "damaged"},
		"JSON":  {`{"value":"MIIK"}`, nil, certtoken.ErrFormat, "it is JSON"},
		"JWE":   {`{"protected":"e30","ciphertext":"eA"}`, nil, certtoken.ErrFormat, "an encrypted key (JWE)"},
		"long kid": {fmt.Sprintf(edJWK, `"kid":"`+strings.Repeat("x", 1025)+`",`), nil, nil,
			"the key id has 1025 bytes"},
		"large":    {`{"kty":"RSA",` + strings.Repeat(" ", 1<<18), nil, certtoken.ErrTooLarge, "over 131072 bytes"},
		"cert":     {string(leaf), nil, certtoken.ErrNoPrivateKey, ""},
		"empty":    {"", nil, certtoken.ErrFormat, ""},
		"key file": {"", []certtoken.CertOption{certtoken.WithKeyFile("x")}, nil, "WithKeyFile is for certificates"},
		"thumbprint": {"", []certtoken.CertOption{certtoken.WithThumbprint("x")}, nil,
			"WithThumbprint is for certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := certtoken.ParseKey([]byte(c.data), c.opts...)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, key)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			assert.True(t, strings.HasPrefix(err.Error(), "certtoken: "), err.Error())
			assert.Equal(t, 1, strings.Count(err.Error(), "certtoken: "))
			assert.NotContains(t, err.Error(), edD[:6])
		})
	}
}

func TestNewKeyRefuses(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	//lint:ignore SA1019 no other way makes a point that isn't on its curve
	offCurve := &ecdsa.PublicKey{Curve: elliptic.P256(), X: p224.X, Y: p224.Y}
	for name, c := range map[string]struct {
		signer crypto.Signer
		is     error
	}{
		"nil":              {nil, certtoken.ErrNoPrivateKey},
		"nil RSA":          {(*rsa.PrivateKey)(nil), certtoken.ErrNoPrivateKey},
		"nil EC":           {(*ecdsa.PrivateKey)(nil), certtoken.ErrNoPrivateKey},
		"nil Ed25519":      {ed25519.PrivateKey(nil), certtoken.ErrNoPrivateKey},
		"short":            {short, certtoken.ErrKeySize},
		"P-224":            {p224, certtoken.ErrUnsupported},
		"no public key":    {wrongSigner{}, certtoken.ErrNoPrivateKey},
		"not on its curve": {opaqueWith{kinds()["P-256"], offCurve}, certtoken.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := certtoken.NewKey(c.signer, "kid")
			require.ErrorIs(t, err, c.is)
			assert.Nil(t, key)
		})
	}
	_, err = certtoken.NewKey(kinds()["RSA"], strings.Repeat("x", 1025))
	require.ErrorContains(t, err, "the key id has 1025 bytes")
}

// opaqueWith is a signer that tells of another public key.
type opaqueWith struct {
	crypto.Signer
	pub crypto.PublicKey
}

func (o opaqueWith) Public() crypto.PublicKey { return o.pub }

// A key alone gets tokens from a server that knows it by its key id, whatever kind it is
// and wherever it comes from.
func TestKeysGetTokens(t *testing.T) {
	for kind, signer := range kinds() {
		t.Run(kind, func(t *testing.T) {
			key, err := certtoken.NewKey(signer, "key of "+kind)
			require.NoError(t, err)
			server := new(keyServer)
			server.register(key)
			client := server.client(t, key)
			require.NoError(t, client.Check(t.Context(), "read"))
			names := make([]string, 0, 3)
			for name := range server.last() {
				names = append(names, name)
			}
			assert.ElementsMatch(t, []string{"alg", "typ", "kid"}, names)
			assert.Equal(t, "key of "+kind, server.last()["kid"])
		})
	}
}

func TestTheKeyIDThatIsSent(t *testing.T) {
	key, err := certtoken.ParseKey(fmt.Appendf(nil, edJWK, `"kid":"own",`))
	require.NoError(t, err)
	cert := goldenOf(t, "P-256")
	withID := *cert
	withID.KeyID = "of the certificate"
	var seen *certtoken.Certificate
	shout := func(c *certtoken.Certificate) string { seen = c; return c.KeyID + "!" }
	silent := func(*certtoken.Certificate) string { return "" }
	for name, c := range map[string]struct {
		cert *certtoken.Certificate
		opts []certtoken.AuthorityOption
		want any
	}{
		"its own":            {key, nil, "own"},
		"WithKeyID":          {key, []certtoken.AuthorityOption{certtoken.WithKeyID("given")}, "given"},
		"WithKeyIDFunc":      {key, []certtoken.AuthorityOption{certtoken.WithKeyIDFunc(shout)}, "own!"},
		"none by the func":   {key, []certtoken.AuthorityOption{certtoken.WithKeyIDFunc(silent)}, "own"},
		"a certificate":      {cert, nil, nil},
		"a certificate's ID": {&withID, nil, "of the certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			server := new(keyServer)
			client, err := certtoken.NewClient(server.authority(c.opts...), clientID, c.cert,
				certtoken.WithHTTPClient(&http.Client{Transport: server}))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			require.ErrorContains(t, err, "invalid_client")
			assert.Equal(t, c.want, server.last()["kid"])
		})
	}
	assert.Same(t, key, seen)
}

// Whatever needs a certificate refuses a key alone with a sentence: where the key or its
// file is at hand when the client is made, and else before anything is sent.
func TestWhatNeedsACertificateSaysSo(t *testing.T) {
	rsaKey, err := certtoken.NewKey(kinds()["RSA"], "")
	require.NoError(t, err)
	server := new(keyServer)
	for name, c := range map[string]struct {
		authority certtoken.Authority
		want      string
	}{
		"Entra": {certtoken.Entra(tenantID), "Entra ID knows its clients by certificates, and this is a key alone: " +
			"give the certificate too (CertFile)"},
		"External ID": {certtoken.EntraExternalID("contoso"), "Entra ID knows its clients by certificates"},
		"mTLS PoP": {certtoken.Entra(tenantID, certtoken.WithMTLSPoP()),
			"Entra ID knows its clients by certificates"},
		"ADFS": {certtoken.ADFS("fs.contoso.com"), "ADFS knows its clients by certificates"},
		"TLS":  {server.authority(certtoken.WithTLSClientAuth()), "TLS presents one, and this is a key alone"},
		"bound": {server.authority(certtoken.WithCertificateBoundTokens()),
			"TLS presents one, and this is a key"},
		"x5c": {server.authority(certtoken.WithX5C()), "WithX5C sends one, and this is a key alone"},
		"x5t": {
			server.authority(certtoken.WithThumbprintHeader(certtoken.ThumbprintSHA1)),
			"x5t: no certificate: this is a key alone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			sources := map[string]certtoken.CertSource{"key": rsaKey,
				"source": certtoken.CertSourceFunc(rsaKey.Certificate)}
			if name != "x5t" {
				sources["file"] = certtoken.KeyFile("not read")
			}
			for kind, source := range sources {
				client, err := certtoken.NewClient(c.authority, clientID, source)
				if kind == "source" {
					require.NoError(t, err)
					err = client.Check(t.Context(), "read")
					require.NoError(t, client.Close())
				}
				require.ErrorIs(t, err, certtoken.ErrNoCertificate, kind)
				require.ErrorContains(t, err, c.want, kind)
			}
		})
	}
	for _, a := range []certtoken.Assertion{
		{ClientID: "c", Audience: "a", SendChain: true},
		{ClientID: "c", Audience: "a", Thumbprint: certtoken.ThumbprintBoth},
	} {
		_, err := a.Sign(t.Context(), rsaKey)
		require.ErrorIs(t, err, certtoken.ErrNoCertificate)
	}
	none := certtoken.Assertion{ClientID: "c", Audience: "a", Thumbprint: certtoken.ThumbprintNone}
	_, err = none.Sign(t.Context(), rsaKey)
	require.NoError(t, err)
	_, err = certtoken.NewClient(server.authority(), clientID, certtoken.KeyFile(""))
	require.ErrorContains(t, err, "KeyFile: no path given")
	_, err = certtoken.NewClient(server.authority(), clientID, certtoken.KeyFile("x", certtoken.WithKeyFile("y")))
	require.ErrorContains(t, err, "KeyFile: WithKeyFile is for certificates")
}

// A certificate that was forgotten isn't taken for a key alone.
func TestAForgottenLeafIsNoKey(t *testing.T) {
	forgotten := &certtoken.Certificate{Signer: kinds()["RSA"]}
	_, err := certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), forgotten)
	require.ErrorIs(t, err, certtoken.ErrNoCertificate)
	require.ErrorContains(t, err, "NewKey")
	byHand := &certtoken.Certificate{Signer: kinds()["RSA"], KeyID: "by hand"}
	_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), byHand)
	require.NoError(t, err)
}

// Hooks, events, errors and the log name a key by its key id and its thumbprint, and say
// nothing of a certificate.
func TestEventsOfAKey(t *testing.T) {
	key, err := certtoken.ParseKey(fmt.Appendf(nil, edJWK, `"kid":"key-1",`))
	require.NoError(t, err)
	server := new(keyServer)
	var mu sync.Mutex
	events := make(map[string]certtoken.Event)
	note := func(name string) func(certtoken.Event) {
		return func(e certtoken.Event) { mu.Lock(); defer mu.Unlock(); events[name] = e }
	}
	var log bytes.Buffer
	source := &healthSource{cert: key, trouble: fmt.Errorf("the vault is sealed")}
	client := server.client(t, source, certtoken.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		certtoken.WithHooks(certtoken.Hooks{
			CertificateLoaded: note("loaded"), CertificateExpiring: note("expiring"),
			CertificateUnusable: note("unusable"), CertificateRefused: note("refused"),
			RequestEnd: func(_ context.Context, e certtoken.Event) { note("end")(e) },
		}))
	_, err = client.Token(t.Context(), "read")
	var refusal *certtoken.TokenError
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, edThumbprint, refusal.Thumbprint)
	assert.Contains(t, err.Error(), `(key id "key-1")`)
	assert.Contains(t, refusal.Detail(), `signed by: key id "key-1", JWK thumbprint `+edThumbprint)
	assert.NotContains(t, err.Error()+refusal.Detail(), "SHA-1")
	for _, name := range []string{"loaded", "unusable", "refused", "end"} {
		e, ok := events[name]
		require.True(t, ok, name)
		assert.Equal(t, "key-1", e.KeyID, name)
		assert.Equal(t, edThumbprint, e.Thumbprint, name)
		assert.Empty(t, e.Subject+e.ThumbprintSHA1, name)
		assert.Zero(t, e.NotAfter, name)
	}
	assert.NotContains(t, events, "expiring")
	for _, line := range strings.Split(log.String(), "\n") {
		if strings.Contains(line, "certtoken: key ") {
			assert.Contains(t, line, "key_id=key-1 key_thumbprint="+edThumbprint)
		}
		assert.NotContains(t, line, "certificate ", "there is none")
		assert.NotContains(t, line, "0001-01-01")
	}
	assert.Equal(t, 3, strings.Count(log.String(), "key_id=key-1"))
}

// healthSource is a source that is in trouble, and has no other certificate.
type healthSource struct {
	cert    *certtoken.Certificate
	trouble error
}

func (s *healthSource) Certificate(context.Context) (*certtoken.Certificate, error) {
	return s.cert, nil
}
func (s *healthSource) Reload(context.Context, *certtoken.Certificate) error { return nil }
func (s *healthSource) Health() error                                        { return s.trouble }

// A key alone shows nothing of itself, whatever the verb.
func TestKeysAreNotPrinted(t *testing.T) {
	data := ecJWK(t, newECKey(t), "key-1")
	key, err := certtoken.ParseKey(data)
	require.NoError(t, err)
	var members map[string]string
	require.NoError(t, json.Unmarshal(data, &members))
	encoded, err := json.Marshal(key)
	require.NoError(t, err)
	text := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, *key) +
			fmt.Sprintf(verb, struct{ c *certtoken.Certificate }{key})
	}
	assert.Contains(t, text, `certtoken.Certificate(an EC key of the curve P-256 alone, key id "key-1")`)
	d, err := base64.RawURLEncoding.DecodeString(members["d"])
	require.NoError(t, err)
	assert.NotContains(t, text, fmt.Sprintf("%x", d))
	assert.NotContains(t, text, members["d"])
	assert.Contains(t, (&certtoken.Certificate{KeyID: "x"}).String(), "none")
}

// KeyFile follows its file as CertFile does, and goes back to a key that was replaced.
func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.json")
	a, b := newECKey(t), newECKey(t)
	writeFile(t, file, ecJWK(t, a, "a"))
	keyA, err := certtoken.NewKey(a, "a")
	require.NoError(t, err)
	keyB, err := certtoken.NewKey(b, "b")
	require.NoError(t, err)
	server := new(keyServer)
	server.register(keyA)
	source := certtoken.KeyFile(file)
	var unusable []certtoken.Event
	client := server.client(t, source, certtoken.WithHooks(certtoken.Hooks{
		CertificateUnusable: func(e certtoken.Event) { unusable = append(unusable, e) },
	}))
	ask := func() string {
		_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
		require.NoError(t, err)
		return server.last()["kid"].(string)
	}
	assert.Equal(t, "a", ask())
	require.NoError(t, source.Health())

	writeFile(t, file, []byte(`{"kty":"EC"`))
	assert.Equal(t, "a", ask(), "a file that can't be read")
	require.ErrorIs(t, source.Health(), certtoken.ErrFormat)

	writeFile(t, file, ecJWK(t, b, "b"))
	assert.Equal(t, "a", ask(), "the new key isn't registered")
	require.ErrorContains(t, source.Health(),
		`refused this key, key id "b"; the one before it, key id "a", signs until`)
	require.Len(t, unusable, 2)
	assert.Equal(t, "a", unusable[1].KeyID)

	server.register(keyA, keyB)
	source2 := certtoken.KeyFile(file)
	client = server.client(t, source2)
	assert.Equal(t, "b", ask())
	require.NoError(t, source2.Health())

	writeFile(t, file, ecJWK(t, b, "b again")) // the same key under another name
	renamed := *keyB
	renamed.KeyID = "b again"
	server.register(&renamed)
	assert.Equal(t, "b again", ask())

	writeFile(t, file, keyPEM(t, &certtoken.Certificate{Signer: b}))
	thumbprint, err := certtoken.NewKey(b, "")
	require.NoError(t, err)
	server.register(thumbprint)
	assert.Equal(t, thumbprint.KeyID, ask())
	assert.Equal(t, "certtoken.FileSource("+file+")", fmt.Sprintf("%+v", source))

	require.NoError(t, os.Remove(file))
	_, err = certtoken.KeyFile(file).Certificate(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A refused key is asked for again, and the same key under its right name is another one.
func TestAKeyWhoseNameWasCorrected(t *testing.T) {
	key := newECKey(t)
	wrong, err := certtoken.NewKey(key, "wrong")
	require.NoError(t, err)
	right, err := certtoken.NewKey(key, "right")
	require.NoError(t, err)
	server := new(keyServer)
	server.register(right)
	source := &reloading{now: wrong, next: right}
	_, err = server.client(t, source).Token(t.Context(), "read")
	require.NoError(t, err)
	assert.Equal(t, "right", server.last()["kid"])

	source = &reloading{now: wrong, next: wrong}
	_, err = server.client(t, source).Token(t.Context(), "read")
	require.ErrorContains(t, err, "invalid_client")
	assert.Len(t, server.seen, 3, "the same key isn't tried again")
}

// reloading is a source that has another certificate when it is told to reload.
type reloading struct{ now, next *certtoken.Certificate }

func (s *reloading) Certificate(context.Context) (*certtoken.Certificate, error) { return s.now, nil }
func (s *reloading) Reload(context.Context, *certtoken.Certificate) error {
	s.now = s.next
	return nil
}

func TestNewestValidOfKeys(t *testing.T) {
	newKeyOf := func(kid string) *certtoken.Certificate {
		key, err := certtoken.NewKey(newECKey(t), kid)
		require.NoError(t, err)
		return key
	}
	a, b := newKeyOf("a"), newKeyOf("b")
	leaf := leafOf(t, kinds()["P-256"], time.Now().Add(-time.Hour), 2*time.Hour)
	cert, err := certtoken.NewCertificate(kinds()["P-256"], leaf, nil)
	require.NoError(t, err)
	pick := func(source certtoken.CertSource) *certtoken.Certificate {
		got, err := source.Certificate(t.Context())
		require.NoError(t, err)
		return got
	}
	assert.Same(t, a, pick(certtoken.NewestValid(a, b)), "the first of several keys")
	assert.Same(t, cert, pick(certtoken.NewestValid(a, cert, b)), "a certificate before keys")
	both := certtoken.NewestValid(a, b)
	require.NoError(t, both.(certtoken.Reloader).Reload(t.Context(), a))
	assert.Same(t, b, pick(both), "not the one that was refused")

	server := new(keyServer)
	server.register(b)
	_, err = server.client(t, certtoken.NewestValid(a, b)).Token(t.Context(), "read")
	require.NoError(t, err)
	assert.Equal(t, "b", server.last()["kid"])
}

// A key's file in the place of the certificate's is refused at once, and the error names the
// function for keys.
func TestCertFileOfAKey(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"key.pem":  keyPEM(t, goldenCert(t)),
		"key.json": fmt.Appendf(nil, edJWK, ""),
	} {
		path := filepath.Join(dir, name)
		writeFile(t, path, data)
		_, err := certtoken.CertFile(path).Certificate(t.Context())
		require.ErrorIs(t, err, certtoken.ErrNoCertificate, name)
		require.ErrorContains(t, err, "KeyFile", name)
		_, err = certtoken.ParseCertificate(data)
		require.ErrorContains(t, err, "ParseKey", name)
	}
	_, err := certtoken.ParseCertificate([]byte(`{"kty":"oct","k":"c2VjcmV0"}`))
	require.ErrorIs(t, err, certtoken.ErrUnsupported)
}

// FuzzParseKey: what is read signs, and an error is one line that repeats nothing of the file.
func FuzzParseKey(f *testing.F) {
	for _, signer := range kinds() {
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		require.NoError(f, err)
		f.Add(der)
		f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	f.Add(fmt.Appendf(nil, edJWK, `"kid":"key-1",`))
	f.Add([]byte(base64.StdEncoding.EncodeToString(fmt.Appendf(nil, edJWK, ""))))
	f.Add(ecJWK(f, kinds()["P-521"].(*ecdsa.PrivateKey), "ec"))
	f.Add(rsaJWK(kinds()["RSA"].(*rsa.PrivateKey), true))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := certtoken.ParseKey(data)
		if err != nil {
			assert.True(t, strings.HasPrefix(err.Error(), "certtoken: "), err.Error())
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		assert.Nil(t, key.Leaf)
		assert.NotEmpty(t, key.KeyID)
		_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), key)
		require.NoError(t, err)
	})
}
