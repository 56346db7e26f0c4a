package certtokentest

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
)

// promptly is how soon a cancelled call must return. It tells one that hangs from one that a busy
// machine holds up.
const promptly = time.Minute

// TestCertSource checks that a source keeps the promises of
// [certtoken.CertSource], and of [certtoken.Reloader] and
// [certtoken.ContextSigner] where it or its signer implements them. Call it from
// a test, best under -race:
//
//	func TestVaultSource(t *testing.T) {
//		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
//			return vaultsource.New(…)
//		})
//	}
//
// newSource is called once for each of the checks and must return a source whose
// certificate is valid now; it can clean up by t.Cleanup. The key may be of any kind, and
// a key alone (a [certtoken.Certificate] without Leaf) will do: checks that aren't for it
// are skipped.
func TestCertSource(t *testing.T, newSource func(t *testing.T) certtoken.CertSource) {
	for _, check := range sourceChecks {
		t.Run(check.name, func(t *testing.T) {
			source := newSource(t)
			if source == nil {
				t.Fatal("newSource returned nil")
			}
			err := check.run(t.Context(), source)
			var skip skipError
			switch {
			case errors.As(err, &skip):
				t.Skip(skip)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// skipError says why a check doesn't apply.
type skipError string

func (e skipError) Error() string { return string(e) }

var sourceChecks = []struct {
	name string
	run  func(context.Context, certtoken.CertSource) error
}{
	{"Pair", checkPair},
	{"Signs", checkSigns},
	{"PS256", checkPS256},
	{"ManyGoroutines", checkManyGoroutines},
	{"ReadOnly", checkReadOnly},
	{"Cancelled", checkCancelled},
	{"ContextSigner", checkContextSigner},
	{"Reloader", checkReloader},
	{"Secrecy", checkSecrecy},
	{"NoGoroutineLeft", checkGoroutines},
}

// load asks the source for a pair that is whole, matches and is valid now, or for a key
// alone.
func load(ctx context.Context, source certtoken.CertSource) (*certtoken.Certificate, error) {
	cert, err := source.Certificate(ctx)
	if err != nil {
		return nil, fmt.Errorf("calling Certificate: %w", err)
	}
	if cert == nil {
		return nil, errors.New("the source returned nil and no error")
	}
	if cert.Leaf == nil && cert.KeyID != "" {
		if _, err := certtoken.NewKey(cert.Signer, cert.KeyID); err != nil {
			return nil, fmt.Errorf("what Certificate returned is no key: %w", err)
		}
		return cert, nil
	}
	if _, err := certtoken.NewCertificate(cert.Signer, cert.Leaf, cert.Chain); err != nil {
		return nil, fmt.Errorf("what Certificate returned is no pair: %w", err)
	}
	if err := cert.Valid(time.Now()); err != nil {
		return nil, fmt.Errorf("the certificate is not valid now: %w", err)
	}
	return cert, nil
}

func checkPair(ctx context.Context, source certtoken.CertSource) error {
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	if cert.Leaf == nil && len(cert.Chain) > 0 {
		return errors.New("the Chain holds issuers, and there is no Leaf")
	}
	for i, issuer := range cert.Chain {
		if issuer.Equal(cert.Leaf) {
			return fmt.Errorf("element %d of Chain is the leaf: Chain holds its issuers", i)
		}
	}
	return nil
}

// checkSigns verifies an assertion as a server does.
func checkSigns(ctx context.Context, source certtoken.CertSource) error {
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	return signAndVerify(ctx, cert)
}

// checkPS256 is for RSA keys. A signer may lack PSS.
func checkPS256(ctx context.Context, source certtoken.CertSource) error {
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	if _, ok := cert.Signer.Public().(*rsa.PublicKey); !ok {
		return skipError("the key is not RSA")
	}
	err = signAndVerifyBy(ctx, cert, jws.PS256)
	if errors.Is(err, errors.ErrUnsupported) {
		return skipError("the signer says that it can't do PSS")
	}
	return err
}

// signAndVerify signs by the algorithm that every server takes of such a key.
func signAndVerify(ctx context.Context, cert *certtoken.Certificate) error {
	alg, err := jws.Default(cert.Signer.Public())
	if err != nil {
		return err
	}
	return signAndVerifyBy(ctx, cert, alg)
}

func signAndVerifyBy(ctx context.Context, cert *certtoken.Certificate, alg string) error {
	assertion := certtoken.Assertion{
		ClientID:  "client",
		Audience:  "https://issuer.example",
		Algorithm: certtoken.Algorithm(alg),
	}
	signed, err := assertion.Sign(ctx, cert)
	if err != nil {
		return fmt.Errorf("signing with %s: %w", alg, err)
	}
	pub, whose := cert.Signer.Public(), "the key"
	if cert.Leaf != nil {
		pub, whose = cert.Leaf.PublicKey, "the leaf"
	}
	end := strings.LastIndexByte(signed, '.')
	signature, err := base64.RawURLEncoding.Strict().DecodeString(signed[end+1:])
	if err == nil {
		err = jws.Verify(alg, pub, []byte(signed[:end]), signature)
	}
	if err != nil {
		return fmt.Errorf("the %s signature doesn't verify with %s: %w", alg, whose, err)
	}
	return nil
}

func checkManyGoroutines(ctx context.Context, source certtoken.CertSource) error {
	const goroutines, rounds = 16, 4
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for range rounds {
				cert, err := load(ctx, source)
				if err == nil {
					err = signAndVerify(ctx, cert)
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// checkReadOnly looks whether a certificate that was handed out stays as it is
// while it and the source are used.
func checkReadOnly(ctx context.Context, source certtoken.CertSource) error {
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	before := fingerprint(cert)
	for range 3 {
		if err := signAndVerify(ctx, cert); err != nil {
			return err
		}
		if _, err := load(ctx, source); err != nil {
			return err
		}
	}
	if fingerprint(cert) != before {
		return errors.New("a certificate changed after it was returned: return a new one instead")
	}
	return nil
}

func fingerprint(cert *certtoken.Certificate) string {
	parts := []string{fmt.Sprintf("%T", cert.Signer), cert.KeyID}
	if key, err := x509.MarshalPKIXPublicKey(cert.Signer.Public()); err == nil {
		parts = append(parts, digest(key))
	}
	if cert.Leaf != nil {
		parts = append(parts, digest(cert.Leaf.Raw))
	}
	for _, issuer := range cert.Chain {
		parts = append(parts, digest(issuer.Raw))
	}
	return strings.Join(parts, " ")
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// within runs f and reports whether it returns soon after its context ended.
func within(f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	timer := time.NewTimer(promptly)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("not back %v after its context was cancelled", promptly)
	}
}

// checkCancelled allows a source that needs no I/O to answer anyway.
func checkCancelled(ctx context.Context, source certtoken.CertSource) error {
	err := within(func(ctx context.Context) error {
		cert, err := source.Certificate(ctx)
		switch {
		case err == nil && cert == nil:
			return errors.New("the source returned nil and no error when its context was cancelled")
		case err != nil && !errors.Is(err, context.Canceled):
			return fmt.Errorf("the source's error doesn't wrap that its context was cancelled: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := load(ctx, source); err != nil {
		return fmt.Errorf("after a cancelled call: %w", err)
	}
	return nil
}

func checkContextSigner(ctx context.Context, source certtoken.CertSource) error {
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	if _, ok := cert.Signer.(certtoken.ContextSigner); !ok {
		return skipError("the signer is no ContextSigner")
	}
	err = within(func(ctx context.Context) error {
		err := signAndVerify(ctx, cert)
		if err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("the signer's error doesn't wrap that its context was cancelled: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return signAndVerify(ctx, cert)
}

// checkReloader tells the source that its certificate was refused. It may have
// no other and say so; what it returns afterwards must still be a pair.
func checkReloader(ctx context.Context, source certtoken.CertSource) error {
	reloader, ok := source.(certtoken.Reloader)
	if !ok {
		return skipError("the source is no Reloader")
	}
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	_ = reloader.Reload(ctx, cert) // it may have no other
	if _, err := load(ctx, source); err != nil {
		return fmt.Errorf("after Reload: %w", err)
	}
	return within(func(ctx context.Context) error {
		_ = reloader.Reload(ctx, cert) // only that it returns matters
		return nil
	})
}

// checkSecrecy prints the source and what it returns.
func checkSecrecy(ctx context.Context, source certtoken.CertSource) error {
	cert, err := load(ctx, source)
	if err != nil {
		return err
	}
	secrets := keySecrets(cert)
	values := []any{source, cert, *cert, struct{ c *certtoken.Certificate }{cert}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range values {
			printed := fmt.Sprintf(verb, value)
			for _, secret := range secrets {
				if strings.Contains(strings.ToLower(printed), secret) {
					return fmt.Errorf("%s of %T shows the private key", verb, value)
				}
			}
		}
	}
	return nil
}

// keySecrets is how the parts of a key in memory look when they are printed.
func keySecrets(cert *certtoken.Certificate) []string {
	switch key := cert.Signer.(type) {
	case *rsa.PrivateKey:
		return numberTexts(append([]*big.Int{key.D}, key.Primes...)...)
	case *ecdsa.PrivateKey:
		secret, err := key.Bytes()
		if err != nil {
			return nil
		}
		return append(numberTexts(new(big.Int).SetBytes(secret)), bytesTexts(secret)...)
	case ed25519.PrivateKey:
		return bytesTexts(key.Seed())
	case *ed25519.PrivateKey:
		return bytesTexts(key.Seed())
	}
	return nil
}

func numberTexts(secrets ...*big.Int) (texts []string) {
	for _, secret := range secrets {
		word := secret.Bits()[0] // how %v and %#v print a big.Int's insides
		texts = append(texts, secret.Text(10), secret.Text(16), fmt.Sprintf("%d", word), fmt.Sprintf("%#x", word))
	}
	return texts
}

// bytesTexts are without what stands around the bytes.
func bytesTexts(secret []byte) []string {
	hexadecimal := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}")
	return []string{strings.Trim(fmt.Sprint(secret), "[]"), hexadecimal, hex.EncodeToString(secret)}
}

// checkGoroutines looks whether asking leaves goroutines behind.
func checkGoroutines(ctx context.Context, source certtoken.CertSource) error {
	if _, err := load(ctx, source); err != nil { // the first call may start what the source keeps
		return err
	}
	before := runtime.NumGoroutine()
	const calls = 50
	for range calls {
		if _, err := load(ctx, source); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(promptly)
	for {
		extra := runtime.NumGoroutine() - before
		if extra < calls/2 { // other tests come and go
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d calls left %d goroutines behind", calls, extra)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
