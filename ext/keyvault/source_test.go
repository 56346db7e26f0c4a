package keyvault_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/selfsigned"
)

func TestConformance(t *testing.T) {
	t.Run("FromSecretPFX", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
			return fromSecret(t, newVault(t, firstCert(t)))
		})
	})
	t.Run("FromSecretPEM", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
			return fromSecret(t, pemVault(t, firstCert(t)))
		})
	})
	t.Run("FromKey", func(t *testing.T) {
		certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
			return fromKey(t, newVault(t, firstCert(t)))
		})
	})
}

func pemVault(t *testing.T, cert *certtoken.Certificate) *vault {
	pem, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	v := newVault(t, cert)
	v.versions[0].contentType, v.versions[0].value = pemType, string(pem)
	return v
}

func load(t *testing.T, source *keyvault.Source) *certtoken.Certificate {
	t.Helper()
	cert, err := source.Certificate(t.Context())
	require.NoError(t, err)
	return cert
}

// The vault is asked once, however often and however many at a time ask the
// source.
func TestAskedOnce(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		v := newVault(t, firstCert(t))
		source := from(t, v)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := source.Certificate(t.Context())
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		for range 100 {
			load(t, source)
		}
		assert.Equal(t, 1, v.asked())
		assert.NoError(t, source.Health())
	})
}

// A renewed version is taken up behind the callers.
func TestRotation(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			first, second := firstCert(t), secondCert(t)
			v := newVault(t, first)
			source := from(t, v, keyvault.WithRefreshInterval(time.Hour))
			assert.True(t, load(t, source).Leaf.Equal(first.Leaf))

			v.add(t, second)
			time.Sleep(time.Hour - time.Second)
			assert.True(t, load(t, source).Leaf.Equal(first.Leaf))
			synctest.Wait()
			assert.Equal(t, 1, v.asked(), "not asked before the interval is over")

			time.Sleep(time.Second)
			start := time.Now()
			assert.True(t, load(t, source).Leaf.Equal(first.Leaf), "no caller waits for the vault")
			assert.Zero(t, time.Since(start))
			synctest.Wait()
			cert := load(t, source)
			assert.True(t, cert.Leaf.Equal(second.Leaf))
			assert.Equal(t, 2, v.asked())
			signs(t, cert)
			assert.NoError(t, source.Health())
		})
	})
}

// signs checks that the pair signs an assertion.
func signs(t *testing.T, cert *certtoken.Certificate) {
	t.Helper()
	_, err := certtoken.Assertion{ClientID: "client", Audience: "https://issuer.example"}.Sign(t.Context(), cert)
	assert.NoError(t, err)
}

// The signature is made by the key of the certificate's own version, also after
// the vault has a newer one.
func TestKeyVersion(t *testing.T) {
	v := newVault(t, firstCert(t))
	source := fromKey(t, v)
	cert := load(t, source)
	v.add(t, secondCert(t))
	signs(t, cert)
	assert.Equal(t, []string{"app/" + v.versions[0].id + " PS256"}, v.signed)
}

// A version with the same id isn't read again.
func TestUnchangedVersionKeepsThePair(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			before := load(t, source)
			time.Sleep(15 * time.Minute)
			load(t, source)
			synctest.Wait()
			assert.Equal(t, 2, v.asked())
			assert.Same(t, before, load(t, source))
		})
	})
}

// While the vault is down, the last good pair is used, no caller waits, and the
// vault is asked ever less.
func TestOutage(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			cert := load(t, source)

			v.down(http.StatusServiceUnavailable, nil)
			time.Sleep(15 * time.Minute)
			asked := v.asked()
			for range 60 * 60 { // one caller a second for an hour
				assert.Same(t, cert, load(t, source))
				time.Sleep(time.Second)
			}
			questions := (v.asked() - asked) / 2 // each is tried twice
			assert.Less(t, questions, 20)
			assert.Greater(t, questions, 8)
			var refused *azcore.ResponseError
			require.ErrorAs(t, source.Health(), &refused)
			assert.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)

			v.up()
			time.Sleep(5 * time.Minute)
			load(t, source)
			synctest.Wait()
			assert.NoError(t, source.Health())
		})
	})
}

// Without any pair callers get the vault's error, and a vault that is back is
// soon found out.
func TestColdOutage(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			v.down(http.StatusServiceUnavailable, nil)
			source := from(t, v)
			assert.NoError(t, source.Health(), "nothing is known yet")
			_, err := source.Certificate(t.Context())
			require.ErrorContains(t, err, "503 Service Unavailable")
			_, again := source.Certificate(t.Context())
			assert.EqualError(t, again, err.Error(), "remembered for a moment")
			v.up()
			time.Sleep(time.Second)
			load(t, source)
			assert.NoError(t, source.Health())
		})
	})
}

// A waiter leaves when its own context ends; the answer is kept all the same.
func TestWaiterLeaves(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			v.fail = func(*http.Request) (*http.Response, error) { time.Sleep(4 * time.Second); return nil, nil }
			source := from(t, v)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := source.Certificate(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))

			time.Sleep(time.Minute)
			start = time.Now()
			load(t, source)
			assert.Zero(t, time.Since(start))
			assert.Equal(t, 1, v.asked())
		})
	})
}

// A vault that never answers costs the time limit, not more.
func TestTimeout(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			v.fail = hang
			source := from(t, v, keyvault.WithTimeout(5*time.Second))
			start := time.Now()
			_, err := source.Certificate(t.Context())
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 5*time.Second, time.Since(start))
		})
	})
}

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// Retry-After is sat out by the SDK if it is short, and remembered if it isn't.
func TestThrottled(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			v.down(http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}})
			time.AfterFunc(3*time.Second, v.up)
			source := from(t, v)
			start := time.Now()
			load(t, source)
			assert.Equal(t, 7*time.Second, time.Since(start))
		})
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v, keyvault.WithRefreshInterval(time.Minute))
			cert := load(t, source)
			v.down(http.StatusTooManyRequests, http.Header{"Retry-After": {"120"}})
			time.Sleep(time.Minute)
			load(t, source)
			synctest.Wait()
			asked := v.asked()
			require.ErrorContains(t, source.Health(), "asked too often")
			v.up()
			for range 119 {
				assert.Same(t, cert, load(t, source))
				time.Sleep(time.Second)
			}
			synctest.Wait()
			assert.ErrorContains(t, source.Reload(t.Context(), cert), "429 Too Many Requests")
			assert.Equal(t, asked, v.asked(), "the vault has its pause")
			time.Sleep(time.Minute)
			load(t, source)
			synctest.Wait()
			assert.NoError(t, source.Health())
		})
	})
}

// A new version that is disabled doesn't take the place of a good pair.
func TestDisabledVersion(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			cert := load(t, source)
			next := v.add(t, secondCert(t))
			v.change(func() { next.disabled = true })
			time.Sleep(15 * time.Minute)
			load(t, source)
			synctest.Wait()
			assert.Same(t, cert, load(t, source))
			assert.ErrorIs(t, source.Health(), keyvault.ErrDisabled)

			_, err := from(t, v).Certificate(t.Context())
			assert.ErrorIs(t, err, keyvault.ErrDisabled, "and without one it is the caller's error")
			pinned := from(t, v, keyvault.WithVersion(v.versions[0].id))
			assert.True(t, load(t, pinned).Leaf.Equal(cert.Leaf))
		})
	})
}

func validFor(from, to time.Duration) certtokentest.CertOption {
	now := time.Now().Truncate(time.Second)
	return certtokentest.WithValidity(now.Add(from), now.Add(to))
}

// A new version that isn't valid yet waits for its time.
func TestNotYetValid(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			cert := load(t, source)
			next := v.add(
				t,
				certtokentest.NewCertificate(
					t,
					certtokentest.WithSharedKey(),
					validFor(15*time.Minute+10*time.Second, time.Hour),
				),
			)
			time.Sleep(15 * time.Minute)
			load(t, source)
			synctest.Wait()
			assert.Same(t, cert, load(t, source))
			assert.ErrorIs(t, source.Health(), certtoken.ErrNotYetValid)
			time.Sleep(10 * time.Second)
			load(t, source)
			synctest.Wait()
			assert.True(t, load(t, source).Leaf.Equal(next.cert.Leaf))
		})
	})
}

// An expired pair is handed out only if the vault has nothing better: the error of
// the signing then says what is wrong.
func TestExpired(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(
				t,
				certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), validFor(-time.Hour, time.Minute)),
			)
			source := from(t, v)
			cert := load(t, source)
			time.Sleep(2 * time.Minute)
			assert.ErrorIs(t, source.Health(), certtoken.ErrExpired)
			assert.Same(t, cert, load(t, source))
			_, err := certtoken.Assertion{
				ClientID: "client",
				Audience: "https://issuer.example",
			}.Sign(
				t.Context(),
				cert,
			)
			assert.ErrorIs(t, err, certtoken.ErrExpired)

			v.down(http.StatusServiceUnavailable, nil)
			time.Sleep(15 * time.Minute)
			_, err = source.Certificate(t.Context())
			assert.ErrorIs(t, err, certtoken.ErrExpired)
			assert.ErrorContains(t, err, "503 Service Unavailable")

			v.up()
			next := v.add(t, secondCert(t))
			time.Sleep(time.Minute)
			assert.True(t, load(t, source).Leaf.Equal(next.cert.Leaf), "waited for, as there is no other")
		})
	})
}

// The endpoint refused the certificate: the vault is asked at once, and at most
// every ten seconds.
func TestReload(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			cert := load(t, source)
			require.NoError(t, source.Reload(t.Context(), cert))
			assert.Equal(t, 1, v.asked(), "it was asked just now")

			next := v.add(t, secondCert(t))
			time.Sleep(10 * time.Second)
			for range 5 {
				require.NoError(t, source.Reload(t.Context(), cert))
			}
			assert.Equal(t, 2, v.asked())
			assert.True(t, load(t, source).Leaf.Equal(next.cert.Leaf))

			v.down(http.StatusServiceUnavailable, nil)
			time.Sleep(10 * time.Second)
			assert.ErrorContains(t, source.Reload(t.Context(), next.cert), "503")
			v.fail = hang
			time.Sleep(10 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			assert.ErrorIs(t, source.Reload(ctx, next.cert), context.DeadlineExceeded)
			time.Sleep(time.Minute)
		})
	})
}

// A renewed version that isn't registered yet: the one before helps out.
func TestReloadFallsBack(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			first := load(t, source)
			v.add(t, secondCert(t))
			time.Sleep(15 * time.Minute)
			load(t, source)
			synctest.Wait()
			second := load(t, source)
			require.NotSame(t, first, second)

			require.NoError(t, source.Reload(t.Context(), second))
			assert.Same(t, first, load(t, source))
			assert.ErrorContains(t, source.Health(), "the token endpoint refused")
			time.Sleep(10 * time.Minute)
			assert.Same(t, second, load(t, source), "registered by now, or refused again")
			assert.NoError(t, source.Health())
		})
	})
}

// A pinned version is read once.
func TestPinned(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, firstCert(t), secondCert(t))
			source := from(t, v, keyvault.WithVersion(v.versions[0].id))
			cert := load(t, source)
			assert.True(t, cert.Leaf.Equal(v.versions[0].cert.Leaf))
			time.Sleep(24 * time.Hour)
			assert.Same(t, cert, load(t, source))
			require.NoError(t, source.Reload(t.Context(), cert))
			synctest.Wait()
			assert.Equal(t, 1, v.asked())
		})
	})
}

// The client's self-healing over a rotation that the vault has had for a while:
// the endpoint refuses the old certificate, and the next token is signed by the
// new one.
func TestClientRecovers(t *testing.T) {
	both(t, func(t *testing.T, from maker) {
		synctest.Test(t, func(t *testing.T) {
			srv := certtokentest.New(certtokentest.WithTenants("contoso.com"))
			v := newVault(t, firstCert(t))
			srv.Register("client-id", v.versions[0].cert.Leaf)
			client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", from(t, v),
				certtoken.WithHTTPClient(srv.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
			require.NoError(t, err)

			next := v.add(t, secondCert(t))
			srv.Replace("client-id", next.cert.Leaf)
			time.Sleep(time.Minute)
			_, err = client.Token(t.Context(), "https://vault.azure.net/.default")
			require.NoError(t, err)
			assert.Equal(t, 2, v.asked())
		})
	})
}

// panicking is a credential with a mistake.
type panicking struct{}

func (panicking) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	panic("secret: " + bearer)
}

func TestPanickingCredential(t *testing.T) {
	v := newVault(t, firstCert(t))
	source, err := keyvault.FromSecret(vaultURL, "app", panicking{}, v.at(quick))
	require.NoError(t, err)
	_, err = source.Certificate(t.Context())
	require.ErrorContains(t, err, "panicked")
	assert.NotContains(t, err.Error(), bearer)
}

func TestOptions(t *testing.T) {
	_, err := keyvault.FromSecret("http://contoso.vault.azure.net/secrets/app?x=1", "my app", nil,
		keyvault.WithVersion("../x"), keyvault.WithRefreshInterval(time.Millisecond), keyvault.WithTimeout(-1),
		keyvault.WithIssuers(secondCert(t).Leaf), nil)
	for _, mistake := range []string{"is not https", "name of a certificate", "no credential", "WithVersion",
		"WithRefreshInterval", "WithTimeout", "WithIssuers"} {
		assert.ErrorContains(t, err, mistake)
	}
	for _, vault := range []string{"", "contoso", "https://", "https://u:p@contoso.vault.azure.net",
		"https://contoso.vault.azure.net/certificates/app", "https://\x00"} {
		_, err := keyvault.FromKey(vault, "app", &credential{})
		assert.Error(t, err, vault)
		assert.NotContains(t, err.Error(), "u:p")
	}
	_, err = keyvault.FromKey(vaultURL, "app", &credential{}, keyvault.WithIssuers(nil))
	assert.ErrorContains(t, err, "nil certificate")
	_, err = keyvault.FromKey(vaultURL+"/", strings.Repeat("a", 127), &credential{})
	assert.NoError(t, err)
}

// The credential's own failure reaches the caller.
func TestCredentialFails(t *testing.T) {
	v := newVault(t, firstCert(t))
	cred := &credential{err: errors.New("no managed identity here")}
	inKey, err := keyvault.FromKey(vaultURL, "app", cred, v.at(quick))
	require.NoError(t, err)
	inSecret, err := keyvault.FromSecret(vaultURL, "app", cred, v.at(quick))
	require.NoError(t, err)
	for _, source := range []*keyvault.Source{inKey, inSecret} {
		_, err = source.Certificate(t.Context())
		assert.ErrorIs(t, err, cred.err)
	}
}
