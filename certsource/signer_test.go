package certsource_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
)

// keys are one of each kind.
func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	all := map[string]crypto.Signer{}
	for _, kind := range certtokentest.KeyKinds() {
		all[kind.String()] = madeOf(t, kind).Signer
	}
	return all
}

// madeOf is a certificate with a kind of key. An RSA key takes long to make.
func madeOf(t *testing.T, kind certtokentest.KeyKind) *certtoken.Certificate {
	t.Helper()
	if kind == certtokentest.RSA {
		return certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	}
	return certtokentest.NewCertificate(t, certtokentest.WithKeyKind(kind))
}

// by signs with a key of Go's.
func by(key crypto.Signer) certsource.Sign {
	return func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
		return key.Sign(rand.Reader, r.Digest, r.Opts)
	}
}

// rawBy is by with an EC signature as PKCS #11 and vaults write it.
func rawBy(key *ecdsa.PrivateKey) certsource.Sign {
	return func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
		a, b, err := ecdsa.Sign(rand.Reader, key, r.Digest)
		if err != nil {
			return nil, err
		}
		size := (key.Params().BitSize + 7) / 8
		return append(a.FillBytes(make([]byte, size)), b.FillBytes(make([]byte, size))...), nil
	}
}

func newSigner(t *testing.T, public crypto.PublicKey, sign certsource.Sign) *certsource.Signer {
	t.Helper()
	signer, err := certsource.NewSigner("the card", public, sign)
	require.NoError(t, err)
	return signer
}

func digestOf(hash crypto.Hash) []byte {
	if hash == 0 {
		return []byte("message")
	}
	h := hash.New()
	h.Write([]byte("message"))
	return h.Sum(nil)
}

func pss(hash crypto.Hash, salt int) *rsa.PSSOptions {
	return &rsa.PSSOptions{Hash: hash, SaltLength: salt}
}

// The large curves take long under the race detector, and have the code of P-256.
func TestASignerPassesTheConformanceTest(t *testing.T) {
	for _, kind := range []certtokentest.KeyKind{certtokentest.RSA, certtokentest.P256, certtokentest.Ed25519} {
		t.Run(kind.String(), func(t *testing.T) {
			made := madeOf(t, kind)
			cert, err := certtoken.NewCertificate(newSigner(t, made.Leaf.PublicKey, by(made.Signer)), made.Leaf, nil)
			require.NoError(t, err)
			certtokentest.TestCertSource(t, func(*testing.T) certtoken.CertSource { return cert })
		})
	}
}

// What the function is asked for each key and option, and that what comes out verifies by
// the options that went in.
func TestWhatAKeyIsAskedFor(t *testing.T) {
	all := keys(t)
	for _, test := range []struct {
		key  string
		opts crypto.SignerOpts
		want certtoken.Algorithm
		size int // of the digest
	}{
		{"RSA", crypto.SHA256, certtoken.RS256, 32},
		{"RSA", crypto.SHA384, certtoken.RS384, 48},
		{"RSA", crypto.SHA512, certtoken.RS512, 64},
		{"RSA", pss(crypto.SHA256, rsa.PSSSaltLengthEqualsHash), certtoken.PS256, 32},
		{"RSA", pss(crypto.SHA384, 48), certtoken.PS384, 48},
		{"RSA", pss(crypto.SHA512, rsa.PSSSaltLengthEqualsHash), certtoken.PS512, 64},
		{"P-256", crypto.SHA256, certtoken.ES256, 32},
		{"P-256", crypto.SHA512, certtoken.ES256, 32},
		{"P-384", crypto.SHA384, certtoken.ES384, 48},
		{"P-384", crypto.SHA256, certtoken.ES384, 48},
		{"P-521", crypto.SHA512, certtoken.ES512, 64},
		{"P-521", crypto.SHA256, certtoken.ES512, 64},
		{"Ed25519", crypto.Hash(0), certtoken.EdDSA, len("message")},
		{"Ed25519", &ed25519.Options{}, certtoken.EdDSA, len("message")},
	} {
		t.Run(fmt.Sprintf("%s %T %v", test.key, test.opts, test.opts.HashFunc()), func(t *testing.T) {
			key := all[test.key]
			forms := []certsource.Sign{by(key)}
			if ec, ok := key.(*ecdsa.PrivateKey); ok {
				forms = append(forms, rawBy(ec))
			}
			for _, sign := range forms {
				var asked certsource.SignRequest
				signer := newSigner(t, key.Public(),
					func(ctx context.Context, r certsource.SignRequest) ([]byte, error) {
						asked = r
						return sign(ctx, r)
					})
				digest := digestOf(test.opts.HashFunc())
				signature, err := signer.Sign(nil, digest, test.opts)
				require.NoError(t, err)
				assert.Equal(t, test.want, asked.Algorithm)
				assert.Len(t, asked.Digest, test.size)
				assert.True(t, verifies(key.Public(), digest, signature, test.opts))
			}
		})
	}
}

func verifies(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if own, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(key, own.Hash, digest, signature, &rsa.PSSOptions{SaltLength: own.Hash.Size()}) == nil
		}
		return rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, signature)
	}
	return false
}

func TestWhatNoKeyIsAskedFor(t *testing.T) {
	all := keys(t)
	for _, test := range []struct {
		name, key   string
		digest      []byte
		opts        crypto.SignerOpts
		says        string
		unsupported bool
	}{
		{"no hash", "RSA", digestOf(crypto.SHA256), nil, "no hash was named", false},
		{"SHA-1", "RSA", digestOf(crypto.SHA1), crypto.SHA1, "SHA-1", true},
		{"no hash for RSA", "RSA", nil, crypto.Hash(0), "hash", true},
		{"short digest", "RSA", make([]byte, 31), crypto.SHA256, "31 bytes", false},
		{"long digest", "P-256", make([]byte, 33), crypto.SHA256, "33 bytes", false},
		{"salt of 20", "RSA", digestOf(crypto.SHA256), pss(crypto.SHA256, 20), "salt", true},
		{"salt as may be", "RSA", digestOf(crypto.SHA256), pss(crypto.SHA256, rsa.PSSSaltLengthAuto), "salt", true},
		{"PSS of EC", "P-384", digestOf(crypto.SHA384), pss(crypto.SHA384, 48), "EC key", true},
		{"Ed25519 over a digest", "Ed25519", digestOf(crypto.SHA512), crypto.SHA512, "Ed25519", true},
		{"Ed25519 with a context", "Ed25519", []byte("m"), &ed25519.Options{Context: "c"}, "Ed25519", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			signer := newSigner(t, all[test.key].Public(),
				func(context.Context, certsource.SignRequest) ([]byte, error) {
					t.Error("the key was asked")
					return nil, nil
				})
			_, err := signer.Sign(nil, test.digest, test.opts)
			require.ErrorContains(t, err, test.says)
			assert.ErrorContains(t, err, "the card: ")
			assert.Equal(t, test.unsupported, errors.Is(err, errors.ErrUnsupported))
		})
	}
}

// What isn't a signature of the key over the digest is never returned.
func TestASignatureThatDoesNotVerify(t *testing.T) {
	all := keys(t)
	other := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256)).Signer
	otherRSA := certtokentest.NewCertificate(t).Signer
	_, otherEd, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	bothForms := bytes.Repeat(append([]byte{2, 29}, bytes.Repeat([]byte{1}, 29)...), 2)
	bothForms = append([]byte{0x30, 62}, bothForms...) // DER, and 64 bytes as r and s have on P-256
	answer := func(b []byte) certsource.Sign {
		return func(context.Context, certsource.SignRequest) ([]byte, error) { return b, nil }
	}
	for _, test := range []struct {
		name, key string
		opts      crypto.SignerOpts
		sign      certsource.Sign
		is        error
	}{
		{"another RSA key", "RSA", crypto.SHA256, by(otherRSA), certtoken.ErrKeyMismatch},
		{"another RSA key, PSS", "RSA", pss(crypto.SHA256, 32), by(otherRSA), certtoken.ErrKeyMismatch},
		{"PSS for PKCS #1", "RSA", crypto.SHA256, signAs(all["RSA"], pss(crypto.SHA256, 32)), errors.ErrUnsupported},
		{"PKCS #1 for PSS", "RSA", pss(crypto.SHA256, 32), signAs(all["RSA"], crypto.SHA256), errors.ErrUnsupported},
		{"another salt", "RSA", pss(crypto.SHA256, 32), signAs(all["RSA"], pss(crypto.SHA256, 20)),
			errors.ErrUnsupported},
		{"another EC key", "P-256", crypto.SHA256, by(other), certtoken.ErrKeyMismatch},
		{"another EC key, raw", "P-256", crypto.SHA256, rawBy(other.(*ecdsa.PrivateKey)), certtoken.ErrKeyMismatch},
		{"an EC key of another curve", "P-384", crypto.SHA384, rawBy(other.(*ecdsa.PrivateKey)),
			certtoken.ErrKeyMismatch},
		{"another Ed25519 key", "Ed25519", crypto.Hash(0), by(otherEd), certtoken.ErrKeyMismatch},
		{"another EC key, both forms", "P-256", crypto.SHA256, answer(bothForms), certtoken.ErrKeyMismatch},
		{"a megabyte", "RSA", crypto.SHA256, answer(bytes.Repeat([]byte{1}, 1<<20)), certtoken.ErrKeyMismatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			signer := newSigner(t, all[test.key].Public(), test.sign)
			signature, err := signer.Sign(nil, digestOf(test.opts.HashFunc()), test.opts)
			assert.ErrorIs(t, err, test.is)
			assert.Nil(t, signature)
		})
	}
}

// signAs signs by options of its own, whatever it is asked for.
func signAs(key crypto.Signer, opts crypto.SignerOpts) certsource.Sign {
	return func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
		return key.Sign(rand.Reader, r.Digest, opts)
	}
}

func TestMistakesOfTheFunctionThatSigns(t *testing.T) {
	key := keys(t)["P-256"]
	boom := errors.New("the card was pulled out")
	for _, test := range []struct {
		name string
		sign certsource.Sign
		says string
	}{
		{"an error", func(context.Context, certsource.SignRequest) ([]byte, error) { return nil, boom }, "pulled out"},
		{"a panic", func(context.Context, certsource.SignRequest) ([]byte, error) { panic("s3cret") }, "panicked"},
		{"the end of its goroutine", func(context.Context, certsource.SignRequest) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		}, "ended its goroutine"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newSigner(t, key.Public(), test.sign).Sign(nil, digestOf(crypto.SHA256), crypto.SHA256)
			require.ErrorContains(t, err, "the card: ")
			assert.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
	_, err := newSigner(t, key.Public(), func(context.Context, certsource.SignRequest) ([]byte, error) {
		return nil, boom
	}).Sign(nil, digestOf(crypto.SHA256), crypto.SHA256)
	assert.ErrorIs(t, err, boom)
}

func TestACallerOfASignerLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := keys(t)["P-256"]
		release := make(chan struct{})
		var calls atomic.Int32
		signer := newSigner(t, key.Public(), func(ctx context.Context, r certsource.SignRequest) ([]byte, error) {
			calls.Add(1)
			<-release
			return key.Sign(rand.Reader, r.Digest, r.Opts)
		})
		why := errors.New("why")
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := signer.SignContext(ended, digestOf(crypto.SHA256), crypto.SHA256)
		require.ErrorIs(t, err, why)
		assert.Zero(t, calls.Load(), "nobody waits for it")

		try := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := signer.SignContext(ctx, digestOf(crypto.SHA256), crypto.SHA256)
			return err
		}
		for range 64 {
			began := time.Now()
			require.ErrorIs(t, try(), context.DeadlineExceeded)
			assert.Equal(t, 1100*time.Millisecond, time.Since(began))
		}
		assert.ErrorContains(t, try(), "64 earlier signatures")
		assert.EqualValues(t, 64, calls.Load(), "what hangs is bounded")

		close(release)
		synctest.Wait()
		for range 100 { // those that have returned count no more
			require.NoError(t, try())
		}
	})
}

// A function that obeys its context says what it waited for.
func TestTheFunctionHasTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := func(ctx context.Context, _ certsource.SignRequest) ([]byte, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("the slot is in use: %w", ctx.Err())
		}
		signer := newSigner(t, keys(t)["P-256"].Public(), waits)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := signer.SignContext(ctx, digestOf(crypto.SHA256), crypto.SHA256)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "the slot is in use")
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestNewSignerRefuses(t *testing.T) {
	sign := func(context.Context, certsource.SignRequest) ([]byte, error) { return nil, nil }
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for _, test := range []struct {
		name   string
		public crypto.PublicKey
		is     error
	}{
		{"no key", nil, certtoken.ErrNoPrivateKey},
		{"a nil key", (*rsa.PublicKey)(nil), certtoken.ErrNoPrivateKey},
		{"a small key", small.Public(), certtoken.ErrKeySize},
		{"another type", "a key", certtoken.ErrUnsupported},
	} {
		_, err := certsource.NewSigner("the card", test.public, sign)
		assert.ErrorIs(t, err, test.is, test.name)
	}
	public := keys(t)["Ed25519"].Public()
	_, err = certsource.NewSigner("", public, sign)
	assert.ErrorContains(t, err, "no name")
	_, err = certsource.NewSigner("the card", public, nil)
	assert.ErrorContains(t, err, "no function")
}

func TestPrintingASigner(t *testing.T) {
	signer := newSigner(t, keys(t)["P-256"].Public(), by(nil))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		assert.Equal(t, "certsource.Signer(the card)", fmt.Sprintf(verb, signer))
	}
	assert.Equal(t, "certsource.Signer(the card)", signer.LogValue().String())
}

// FuzzSignature: whatever a card or a service returns, what is handed on is a signature of
// the key in Go's form, and there is no panic.
func FuzzSignature(f *testing.F) {
	made, err := certtokentest.MakeCertificate(certtokentest.WithKeyKind(certtokentest.P256))
	require.NoError(f, err)
	key := made.Signer.(*ecdsa.PrivateKey)
	digest := digestOf(crypto.SHA256)
	der, err := key.Sign(rand.Reader, digest, crypto.SHA256)
	require.NoError(f, err)
	raw, err := rawBy(key)(f.Context(), certsource.SignRequest{Digest: digest})
	require.NoError(f, err)
	for _, seed := range [][]byte{
		nil, der, raw, raw[1:63], make([]byte, 64), {0x30, 0x06, 2, 1, 1, 2, 1, 1}, {0x30, 0x84, 0xff},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		signer := newSigner(t, key.Public(), func(context.Context, certsource.SignRequest) ([]byte, error) {
			return answer, nil
		})
		signature, err := signer.Sign(nil, digest, crypto.SHA256)
		if err != nil {
			assert.Nil(t, signature)
			return
		}
		assert.True(t, ecdsa.VerifyASN1(&key.PublicKey, digest, signature))
	})
}
