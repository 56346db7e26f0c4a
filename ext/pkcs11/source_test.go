package pkcs11

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
	p11 "github.com/miekg/pkcs11"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	digest = sha256.Sum256([]byte("message"))
	pss256 = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
)

func TestConformance(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "a1b2")
	certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
		return h.source(t, WithKeyLabel("my-app"))
	})
}

// Each algorithm, with the key found by label, by id, by both and by itself; the
// signatures are verified by crypto/rsa with the leaf.
func TestAlgorithms(t *testing.T) {
	h := newHSM(t)
	want := certtokentest.NewCertificate(t)
	h.store(t, want, "my-app", "a1b2")
	for name, opts := range map[string][]Option{
		"label":        {WithKeyLabel("my-app")},
		"id":           {WithKeyID("A1:B2")},
		"label and id": {WithKeyLabel("my-app"), WithKeyID("a1b2")},
		"the only key": nil,
	} {
		t.Run(name, func(t *testing.T) {
			cert, err := h.source(t, opts...).Certificate(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want.Leaf.Raw, cert.Leaf.Raw)
			for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
				sum := hash.New()
				sum.Write([]byte("message"))
				digest := sum.Sum(nil)
				pub := cert.Leaf.PublicKey.(*rsa.PublicKey)

				signature, err := cert.Signer.Sign(nil, digest, hash)
				require.NoError(t, err)
				assert.NoError(t, rsa.VerifyPKCS1v15(pub, hash, digest, signature))

				opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
				signature, err = cert.Signer.Sign(nil, digest, opts)
				require.NoError(t, err)
				assert.NoError(t, rsa.VerifyPSS(pub, hash, digest, signature, &rsa.PSSOptions{SaltLength: hash.Size()}))
			}
		})
	}
}

// A token from a token endpoint, with a key that the HSM made itself and never
// gave out.
func TestToken(t *testing.T) {
	h := newHSM(t)
	made := h.generate(t, "my-app", 7)
	h.storeCert(t, made.Leaf, "another label", "07")
	h.storeCert(t, made.Chain[0], "issuer", "08")
	source := h.source(t, WithKeyLabel("my-app"))

	srv := certtokentest.NewServer(t)
	srv.Register("client-id", made.Leaf)
	for _, alg := range []certtoken.Algorithm{certtoken.PS256, certtoken.RS256, certtoken.RS384, certtoken.RS512} {
		client, err := certtoken.NewClient(
			srv.Authority(certtoken.WithAlgorithm(alg)),
			"client-id",
			source,
			certtoken.WithHTTPClient(srv.Client()),
		)
		require.NoError(t, err)
		token, err := client.Token(t.Context(), "https://graph.microsoft.com/.default")
		require.NoError(t, err)
		assert.NotEmpty(t, token.AccessToken())
		assert.EqualValues(t, alg, srv.LastRequest().AssertionHeader["alg"])
		require.NoError(t, client.Close())
	}
	cert, err := source.Certificate(t.Context())
	require.NoError(t, err)
	require.Len(t, cert.Chain, 1, "the issuer is on the token")
	assert.True(t, made.Chain[0].Equal(cert.Chain[0]))
}

// 50 goroutines share three sessions.
func TestManyGoroutines(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	pin := &countedPIN{pin: userPIN}
	s, m := h.moodySource(t, WithKeyLabel("my-app"), WithSessions(3), WithPIN(pin.ask))
	signMany(t, s, 50, 4)
	assert.EqualValues(t, 1, pin.asked.Load())
	assert.LessOrEqual(t, m.most.Load(), int32(3))
	assert.GreaterOrEqual(t, m.signs.Load(), int32(200))
}

// signMany signs in many goroutines; the signer checks each signature.
func signMany(t *testing.T, s *Source, goroutines, rounds int) {
	t.Helper()
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for n := range rounds {
				var opts crypto.SignerOpts = crypto.SHA256
				if n%2 == 1 {
					opts = pss256
				}
				cert, err := s.Certificate(t.Context())
				if err == nil {
					_, err = cert.Signer.(certtoken.ContextSigner).SignContext(t.Context(), digest[:], opts)
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// A token with room for fewer sessions than are wanted serves all the same.
func TestFewSessions(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	for _, limit := range []int32{1, 2} {
		s, m := h.moodySource(t, WithSessions(6))
		m.limit.Store(limit)
		signMany(t, s, 12, 3)
		require.NoError(t, s.Close())
		assert.LessOrEqual(t, m.most.Load(), limit)
	}
	s, m := h.moodySource(t)
	m.failAlways("OpenSession", p11.CKR_SESSION_COUNT)
	_, err := s.Certificate(t.Context())
	assert.ErrorIs(t, err, p11.Error(p11.CKR_SESSION_COUNT), "not even one")
}

func TestWrongPIN(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	pin := &countedPIN{pin: wrongPIN}
	s := h.source(t, WithPIN(pin.ask))

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := s.Certificate(t.Context())
			assert.ErrorIs(t, err, ErrPINRefused)
			assert.ErrorIs(t, err, p11.Error(p11.CKR_PIN_INCORRECT))
			for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x"} {
				assert.NotContains(t, fmt.Sprintf(verb, err), wrongPIN)
				assert.NotContains(t, fmt.Sprintf(verb, err), fmt.Sprintf("%x", wrongPIN))
			}
		})
	}
	wg.Wait()
	assert.ErrorIs(t, s.Reload(t.Context(), nil), ErrPINRefused)
	assert.EqualValues(t, 1, pin.asked.Load(), "one wrong PIN for all callers")

	pin.pin = userPIN
	_, err := s.Certificate(t.Context())
	assert.ErrorIs(t, err, ErrPINRefused, "not by itself")
	require.NoError(t, s.Login(t.Context()))
	assert.EqualValues(t, 2, pin.asked.Load())
	signMany(t, s, 1, 1)
	require.NoError(t, s.Login(t.Context()), "logged in already")
	assert.EqualValues(t, 2, pin.asked.Load())
}

// What isn't known to have left the token's counter alone counts as a wrong PIN.
func TestLoginFailures(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	for _, test := range []struct {
		answer p11.Error
		is     []error
		asked  int32 // by two calls
	}{
		{p11.CKR_PIN_LEN_RANGE, []error{ErrPINRefused}, 1},
		{p11.CKR_PIN_LOCKED, []error{ErrPINRefused, ErrPINLocked}, 1},
		{p11.CKR_GENERAL_ERROR, []error{ErrPINRefused}, 1},
		{p11.CKR_FUNCTION_CANCELED, nil, 2},
		{p11.CKR_TOKEN_NOT_PRESENT, nil, 2},
		{p11.CKR_USER_ANOTHER_ALREADY_LOGGED_IN, nil, 2},
	} {
		pin := &countedPIN{pin: userPIN}
		s, m := h.moodySource(t, WithPIN(pin.ask))
		m.failAlways("Login", test.answer)
		for range 2 {
			_, err := s.Certificate(t.Context())
			assert.ErrorIs(t, err, test.answer)
			assert.Equal(t, test.is != nil, errors.Is(err, ErrPINRefused), "%v", err)
			for _, is := range test.is {
				assert.ErrorIs(t, err, is)
			}
		}
		assert.Equal(t, test.asked, pin.asked.Load(), "%v", test.answer)
		require.NoError(t, s.Close())
	}
}

func TestPINFunction(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	noPIN := errors.New("no terminal")
	for name, test := range map[string]struct {
		pin  func(context.Context) (string, error)
		want string
	}{
		"none":   {nil, "give a function by WithPIN"},
		"error":  {func(context.Context) (string, error) { return "", noPIN }, "no terminal"},
		"empty":  {func(context.Context) (string, error) { return "", nil }, "it is empty"},
		"panics": {func(context.Context) (string, error) { panic(userPIN) }, "panicked with a string"},
	} {
		_, err := h.source(t, WithPIN(test.pin)).Certificate(t.Context())
		assert.ErrorContains(t, err, test.want, name)
		assert.NotErrorIs(t, err, ErrPINRefused)
		assert.NotContains(t, err.Error(), userPIN)
	}
}

// A prompt that takes long holds up no caller beyond its own context, and its
// answer serves those who come later.
func TestSlowPrompt(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	typed := make(chan struct{})
	s := h.source(t, WithPIN(func(ctx context.Context) (string, error) {
		<-typed
		return userPIN, ctx.Err()
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Certificate(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	close(typed)
	signMany(t, s, 1, 1)
}

func TestSelection(t *testing.T) {
	h := newHSM(t)
	one := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	two := certtokentest.NewCertificate(t)
	h.store(t, one, "one", "01")
	h.storeKey(t, two, "twin", "02")
	h.storeKey(t, certtokentest.NewCertificate(t), "twin", "03")
	h.storeCert(t, one.Leaf, "wrong", "02")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	h.storeKey(t, &certtoken.Certificate{Signer: ec}, "ec", "04")

	fails := func(want error, text string, opts ...Option) {
		t.Helper()
		_, err := h.source(t, opts...).Certificate(t.Context())
		assert.ErrorIs(t, err, want)
		assert.ErrorContains(t, err, text)
	}
	fails(certtoken.ErrNoPrivateKey, `label "absent"`, WithKeyLabel("absent"))
	fails(certtoken.ErrNoPrivateKey, "id ff", WithKeyID("ff"))
	fails(certtoken.ErrNoPrivateKey, `label "one", id 02`, WithKeyLabel("one"), WithKeyID("02"))
	fails(ErrSeveralKeys, `"twin" (id 02), "twin" (id 03)`, WithKeyLabel("twin"))
	fails(ErrSeveralKeys, `a key that can sign is "ec" (id 04), "one" (id 01)`)
	fails(certtoken.ErrNoCertificate, "WithCertificate", WithKeyID("03"))
	fails(certtoken.ErrKeyMismatch, `"twin" (id 02)`, WithKeyID("02"))
	fails(certtoken.ErrKeyMismatch, "", WithKeyID("01"), WithCertificate(two.Leaf))
	fails(certtoken.ErrNoCertificate, `"ec" (id 04)`, WithKeyLabel("ec"))
	fails(certtoken.ErrKeyMismatch, `another kind than the token's "ec" (id 04)`,
		WithKeyLabel("ec"), WithCertificate(one.Leaf))
	fails(ErrTokenNotFound, `present: "certtoken"`, WithTokenLabel("absent"))
	fails(ErrTokenNotFound, "serial 0", WithTokenSerial("0"))
	fails(ErrTokenNotFound, "slot 99", WithSlot(99))

	cert, err := h.source(t, WithKeyID("02"), WithCertificate(two.Leaf)).Certificate(t.Context())
	require.NoError(t, err, "the certificate is given")
	assert.Same(t, two.Leaf, cert.Leaf)

	api, _, slot := h.admin(t)
	info, err := api.GetTokenInfo(slot)
	require.NoError(t, err)
	for _, opt := range []Option{WithSlot(slot), WithTokenSerial(padded(info.SerialNumber))} {
		_, err := h.source(t, opt, WithKeyLabel("one")).Certificate(t.Context())
		assert.NoError(t, err)
	}
}

func TestSeveralTokens(t *testing.T) {
	h := newHSM(t)
	h.initToken(t, "second")
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	s, err := New(h.module, WithPIN(pinIs(userPIN)))
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Certificate(t.Context())
	assert.ErrorIs(t, err, ErrSeveralTokens)
	assert.ErrorContains(t, err, `"second"`)
	signMany(t, h.source(t), 1, 1)
}

// Of several certificates of one key the newest valid one is taken, and Reload
// finds one that was added.
func TestRenewal(t *testing.T) {
	h := newHSM(t)
	at := func(from, to time.Duration) *certtoken.Certificate {
		now := time.Now()
		return certtokentest.NewCertificate(
			t,
			certtokentest.WithSharedKey(),
			certtokentest.WithValidity(now.Add(from), now.Add(to)),
		)
	}
	old := at(-48*time.Hour, time.Hour)
	h.store(t, old, "my-app", "01")
	s := h.source(t)
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	assert.True(t, old.Leaf.Equal(cert.Leaf))

	renewed := at(-time.Hour, 48*time.Hour)
	h.storeCert(t, at(-72*time.Hour, -time.Hour).Leaf, "my-app", "01")
	h.storeCert(t, renewed.Leaf, "my-app", "01")
	h.storeCert(t, at(time.Hour, 48*time.Hour).Leaf, "my-app", "01")
	again, err := s.Certificate(t.Context())
	require.NoError(t, err)
	assert.Same(t, cert, again, "the token isn't read at each use")

	require.NoError(t, s.Reload(t.Context(), cert))
	again, err = s.Certificate(t.Context())
	require.NoError(t, err)
	assert.True(t, renewed.Leaf.Equal(again.Leaf))
	for _, c := range []*certtoken.Certificate{cert, again} { // the key is the same
		_, err := c.Signer.Sign(nil, digest[:], crypto.SHA256)
		assert.NoError(t, err)
	}
}

// An expired certificate is handed out, as the root refuses it by name, but the
// token is looked through for its successor.
func TestExpired(t *testing.T) {
	h := newHSM(t)
	expired := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(),
		certtokentest.WithValidity(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)))
	h.store(t, expired, "my-app", "01")
	s := h.source(t)
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), cert)
	assert.ErrorIs(t, err, certtoken.ErrExpired)

	h.storeCert(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()).Leaf, "my-app", "01")
	s.mu.Lock()
	s.connection.pair.read = time.Now().Add(-readPause)
	s.mu.Unlock()
	cert, err = s.Certificate(t.Context())
	require.NoError(t, err)
	_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), cert)
	assert.NoError(t, err)
}

// A key that may only be used without PSS, as a token that lacks PSS.
func TestWithoutPSS(t *testing.T) {
	h := newHSM(t)
	allowed := make([]byte, 8) // CK_ULONG of the platforms that SoftHSM's packages are for
	binary.NativeEndian.PutUint64(allowed, p11.CKM_RSA_PKCS)
	made := h.generate(t, "my-app", 1, p11.NewAttribute(p11.CKA_ALLOWED_MECHANISMS, allowed))
	cert, err := h.source(t, WithCertificate(made.Leaf), WithIssuers(made.Chain...)).Certificate(t.Context())
	require.NoError(t, err)
	assert.Len(t, cert.Chain, 1)
	_, err = cert.Signer.Sign(nil, digest[:], pss256)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.NoError(t, err)

	srv := certtokentest.New()
	srv.Register("client-id", made.Leaf)
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.com", certtoken.WithPSSFallback()),
		"client-id",
		cert,
		certtoken.WithHTTPClient(srv.Client()),
	)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
	require.NoError(t, err)
	assert.Equal(t, "RS256", srv.LastRequest().AssertionHeader["alg"])
}

// A key that wants the PIN for each signature gets it.
func TestAlwaysAuthenticate(t *testing.T) {
	h := newHSM(t)
	made := h.generate(t, "my-app", 1, p11.NewAttribute(p11.CKA_ALWAYS_AUTHENTICATE, true))
	pin := &countedPIN{pin: userPIN}
	s := h.source(t, WithCertificate(made.Leaf), WithPIN(pin.ask))
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	before := pin.asked.Load()
	for range 3 {
		_, err = cert.Signer.Sign(nil, digest[:], pss256)
		require.NoError(t, err)
	}
	assert.Equal(t, before+3, pin.asked.Load())

	pin.pin = wrongPIN
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := cert.Signer.Sign(nil, digest[:], pss256)
			assert.ErrorIs(t, err, ErrPINRefused)
		})
	}
	wg.Wait()
	assert.Equal(t, before+4, pin.asked.Load(), "one wrong PIN")
	pin.pin = userPIN
	require.NoError(t, s.Login(t.Context()))
	_, err = cert.Signer.Sign(nil, digest[:], pss256)
	assert.NoError(t, err)
}

func TestOptionMistakes(t *testing.T) {
	_, err := New("", WithTokenLabel(""), WithTokenSerial(""), WithKeyLabel(""), WithKeyID("xyz"),
		WithCertificate(nil), WithIssuers(nil), WithSessions(0), nil)
	require.Error(t, err)
	for _, want := range []string{"no module", "WithTokenLabel", "WithTokenSerial", "WithKeyLabel", `"xyz"`,
		"WithCertificate", "WithIssuers", "WithSessions"} {
		assert.ErrorContains(t, err, want)
	}
}

func TestNoModule(t *testing.T) {
	s, err := New(t.TempDir() + "/absent.so")
	require.NoError(t, err)
	_, err = s.Certificate(t.Context())
	assert.ErrorContains(t, err, "can't be loaded")
	assert.NoError(t, s.Close())
}

func TestClose(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	s, m := h.moodySource(t)
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	assert.Positive(t, m.sessions.Load())
	require.NoError(t, s.Close())
	assert.Zero(t, m.sessions.Load())
	require.NoError(t, s.Close())
	_, err = s.Certificate(t.Context())
	assert.ErrorIs(t, err, ErrClosed)
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.ErrorIs(t, err, ErrClosed)
	assert.ErrorIs(t, s.Reload(t.Context(), cert), ErrClosed)
	assert.ErrorIs(t, s.Login(t.Context()), ErrClosed)

	// One source's end is not another's, though they share module and login.
	a, b := h.source(t), h.source(t)
	signMany(t, a, 2, 2)
	signMany(t, b, 2, 2)
	require.NoError(t, a.Close())
	signMany(t, b, 2, 2)
}

// Close waits for a signature in progress, and ends those who wait for a place.
func TestCloseWhileSigning(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	s, m := h.moodySource(t, WithSessions(1))
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	gate := make(chan struct{})
	m.slow.Store(&gate)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := cert.Signer.Sign(nil, digest[:], crypto.SHA256)
			results <- err
		}()
	}
	require.Eventually(t, func() bool { return m.signs.Load() == 1 }, 5*time.Minute, time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	assert.ErrorIs(t, <-results, ErrClosed, "the one that waits")
	close(gate)
	assert.NoError(t, <-results, "the one in progress")
	assert.NoError(t, <-closed)
	assert.Zero(t, m.sessions.Load())
}

func TestPrinting(t *testing.T) {
	s, err := New("module.so", WithTokenLabel("t"), WithKeyLabel("k"), WithPIN(pinIs(userPIN)))
	require.NoError(t, err)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, err := s.signer(public)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		assert.Equal(t, `pkcs11.Source(module.so, token with label "t", a key with label "k")`, fmt.Sprintf(verb, s))
		assert.Equal(t, `certsource.Signer(pkcs11: token with label "t", a key with label "k")`, fmt.Sprintf(verb, key))
		type holder struct { // in whose unexported fields fmt calls no method
			source *Source
			any    any
		}
		for _, wrap := range []any{holder{s, s}, &holder{s, key}, []any{s}, map[string]*Source{"k": s}} {
			for _, hidden := range []string{userPIN, fmt.Sprintf("%x", userPIN), fmt.Sprintf("%X", userPIN)} {
				assert.NotContains(t, fmt.Sprintf(verb, wrap), hidden)
			}
		}
	}
	assert.Equal(t, s.String(), s.LogValue().String())
}

func TestMechanism(t *testing.T) {
	for hash, rs := range map[crypto.Hash]certtoken.Algorithm{
		crypto.SHA256: certtoken.RS256, crypto.SHA384: certtoken.RS384, crypto.SHA512: certtoken.RS512,
	} {
		digest := make([]byte, hash.Size())
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		// What PKCS #1 signs without a hash is DigestInfo and digest.
		m, input := mechanism(certsource.SignRequest{Algorithm: rs, Digest: digest, Opts: hash})
		assert.EqualValues(t, p11.CKM_RSA_PKCS, m.Mechanism)
		signature, err := rsa.SignPKCS1v15(nil, key, 0, input)
		require.NoError(t, err)
		assert.NoError(t, rsa.VerifyPKCS1v15(&key.PublicKey, hash, digest, signature))
	}
}
