package certtoken_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// writeFile replaces a file by rename, as careful programs do.
func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	tmp := path + ".new"
	require.NoError(t, os.WriteFile(tmp, data, 0o600))
	require.NoError(t, os.Rename(tmp, path))
}

func bundle(t testing.TB, cert *certtoken.Certificate) []byte {
	return append(certPEM(cert.Leaf), keyPEM(t, cert)...)
}

func serial(t testing.TB, source certtoken.CertSource) string {
	t.Helper()
	cert, err := source.Certificate(context.Background())
	require.NoError(t, err)
	return cert.Leaf.SerialNumber.String()
}

func TestFileSourceFollowsItsFile(t *testing.T) {
	now := time.Now()
	a := certOf(t, newKey(t), now.Add(-time.Hour), 24*time.Hour)
	b := certOf(t, newKey(t), now.Add(-time.Minute), 24*time.Hour)
	future := certOf(t, newKey(t), now.Add(time.Hour), 24*time.Hour)
	expired := certOf(t, newKey(t), now.Add(-2*time.Hour), time.Hour)

	cases := map[string]struct {
		change  func(t *testing.T, file string)
		want    *certtoken.Certificate
		healthy bool
	}{
		"renamed over": {func(t *testing.T, file string) { writeFile(t, file, bundle(t, b)) }, b, true},
		"written in place": {func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file, bundle(t, b), 0o600))
		}, b, true},
		"same size and time": {func(t *testing.T, file string) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, bundle(t, b), 0o600))
			require.NoError(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		}, b, true},
		"half-written": {func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file, bundle(t, b)[:700], 0o600))
		}, a, false},
		"emptied": {func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 0)) }, a, false},
		"removed": {func(t *testing.T, file string) { require.NoError(t, os.Remove(file)) }, a, false},
		"mismatched": {
			func(t *testing.T, file string) { writeFile(t, file, append(certPEM(b.Leaf), keyPEM(t, a)...)) },
			a,
			false,
		},
		"not valid yet": {func(t *testing.T, file string) { writeFile(t, file, bundle(t, future)) }, a, false},
		"expired":       {func(t *testing.T, file string) { writeFile(t, file, bundle(t, expired)) }, a, false},
		"too large": {func(t *testing.T, file string) {
			require.NoError(t, os.WriteFile(file, make([]byte, 2<<20), 0o600))
		}, a, false},
		"a folder": {func(t *testing.T, file string) {
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.Mkdir(file, 0o700))
		}, a, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cert.pem")
			writeFile(t, file, bundle(t, a))
			fresh := time.Now().Add(time.Hour) // so that it is a fresh file however slow the machine is
			require.NoError(t, os.Chtimes(file, fresh, fresh))
			source := certtoken.CertFile(file)
			assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
			require.NoError(t, source.Health())

			c.change(t, file)
			assert.Equal(t, c.want.Leaf.SerialNumber.String(), serial(t, source))
			if c.healthy {
				assert.NoError(t, source.Health())
				return
			}
			assert.ErrorContains(t, source.Health(), "certtoken: ")
			assert.Error(t, source.Reload(t.Context(), a))

			require.NoError(t, os.RemoveAll(file))
			writeFile(t, file, bundle(t, b))
			assert.Equal(t, b.Leaf.SerialNumber.String(), serial(t, source), "a good file heals it")
			assert.NoError(t, source.Health())
		})
	}
}

func TestFileSourceWithoutAGoodPair(t *testing.T) {
	dir := t.TempDir()
	source := certtoken.CertFile(filepath.Join(dir, "none.pem"))
	_, err := source.Certificate(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorIs(t, source.Health(), os.ErrNotExist)

	// An expired certificate is given out: signing with it says what is wrong.
	expired := certOf(t, newKey(t), time.Now().Add(-2*time.Hour), time.Hour)
	file := filepath.Join(dir, "expired.pem")
	writeFile(t, file, bundle(t, expired))
	cert, err := certtoken.CertFile(file).Certificate(t.Context())
	require.NoError(t, err)
	_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), cert)
	require.ErrorIs(t, err, certtoken.ErrExpired)
}

// A renewed certificate is often written before it is valid.
func TestFileSourceTakesUpTheNextOneInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		a := certOf(t, newKey(t), now.Add(-time.Hour), 24*time.Hour)
		b := certOf(t, newKey(t), now.Add(time.Hour), 24*time.Hour)
		file := filepath.Join(t.TempDir(), "cert.pem")
		writeFile(t, file, bundle(t, a))
		source := certtoken.CertFile(file)
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		writeFile(t, file, bundle(t, b))
		// The file's time stamp is of real time, which is ahead of fake time.
		assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
		require.ErrorIs(t, source.Health(), certtoken.ErrNotYetValid)
		time.Sleep(time.Hour + time.Second)
		assert.Equal(t, b.Leaf.SerialNumber.String(), serial(t, source))
		assert.NoError(t, source.Health())
	})
}

// kubernetesMount is a folder as the kubelet lays it out: files are links into
// ..data, which is a link to a folder that is swapped as a whole.
type kubernetesMount struct {
	dir string
	n   int
}

func (m *kubernetesMount) swap(t testing.TB, cert *certtoken.Certificate) {
	t.Helper()
	m.n++
	folder := filepath.Join(m.dir, "..v"+string(rune('a'+m.n%26))+time.Now().Format("150405.000000000"))
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tls.crt"), certPEM(cert.Leaf), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tls.key"), keyPEM(t, cert), 0o600))
	data := filepath.Join(m.dir, "..data")
	old, _ := os.Readlink(data)
	require.NoError(t, os.Symlink(filepath.Base(folder), data+"_tmp"))
	require.NoError(t, os.Rename(data+"_tmp", data))
	if old == "" {
		for _, name := range []string{"tls.crt", "tls.key"} {
			require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
		}
		return
	}
	require.NoError(t, os.RemoveAll(filepath.Join(m.dir, old)))
}

func TestFileSourceOnAKubernetesMount(t *testing.T) {
	now := time.Now()
	m := &kubernetesMount{dir: t.TempDir()}
	a := certOf(t, newKey(t), now, 24*time.Hour)
	m.swap(t, a)
	source := certtoken.CertFile(
		filepath.Join(m.dir, "tls.crt"),
		certtoken.WithKeyFile(filepath.Join(m.dir, "tls.key")),
	)
	assert.Equal(t, a.Leaf.SerialNumber.String(), serial(t, source))
	for range 3 {
		next := certOf(t, newKey(t), now, 24*time.Hour)
		m.swap(t, next)
		assert.Equal(t, next.Leaf.SerialNumber.String(), serial(t, source))
		require.NoError(t, source.Health())
	}
}

// Certificates are swapped every few milliseconds under load: no call fails,
// and every assertion is signed by the key that its thumbprint names, which the
// server verifies.
func TestRotationUnderLoad(t *testing.T) {
	certs := make([]*certtoken.Certificate, 4)
	srv := certtokentest.New()
	now := time.Now()
	for i := range certs {
		certs[i] = certOf(t, newKey(t), now.Add(-time.Hour), 24*time.Hour)
		srv.Register(clientID, certs[i].Leaf)
	}
	layouts := map[string]func(t *testing.T) (certtoken.CertSource, func(*certtoken.Certificate)){
		"renamed over": func(t *testing.T) (certtoken.CertSource, func(*certtoken.Certificate)) {
			file := filepath.Join(t.TempDir(), "cert.pem")
			return certtoken.CertFile(file), func(c *certtoken.Certificate) { writeFile(t, file, bundle(t, c)) }
		},
		"in place": func(t *testing.T) (certtoken.CertSource, func(*certtoken.Certificate)) {
			file := filepath.Join(t.TempDir(), "cert.pem")
			return certtoken.CertFile(file), func(c *certtoken.Certificate) {
				require.NoError(t, os.WriteFile(file, bundle(t, c), 0o600))
			}
		},
		"two files": func(t *testing.T) (certtoken.CertSource, func(*certtoken.Certificate)) {
			dir := t.TempDir()
			crt, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
			return certtoken.CertFile(crt, certtoken.WithKeyFile(key)), func(c *certtoken.Certificate) {
				writeFile(t, crt, certPEM(c.Leaf))
				writeFile(t, key, keyPEM(t, c))
			}
		},
		"Kubernetes": func(t *testing.T) (certtoken.CertSource, func(*certtoken.Certificate)) {
			m := &kubernetesMount{dir: t.TempDir()}
			return certtoken.CertFile(
					filepath.Join(m.dir, "tls.crt"),
					certtoken.WithKeyFile(filepath.Join(m.dir, "tls.key")),
				),
				func(c *certtoken.Certificate) { m.swap(t, c) }
		},
	}
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			source, install := layout(t)
			install(certs[0])
			client, err := certtoken.NewClient(
				certtoken.Entra(tenantID),
				clientID,
				source,
				certtoken.WithHTTPClient(srv.Client()),
			)
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
			require.NoError(t, err)

			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			var calls atomic.Int64
			used := make(map[string]bool)
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for ctx.Err() == nil {
						tok, err := client.Acquire(
							t.Context(),
							certtoken.Request{Scopes: []string{"https://graph.microsoft.com/.default"}, Fresh: true},
						)
						if !assert.NoError(t, err) || !assert.NotNil(t, tok) {
							return
						}
						cert, err := source.Certificate(t.Context())
						if !assert.NoError(t, err) {
							return
						}
						mu.Lock()
						used[cert.Leaf.SerialNumber.String()] = true
						mu.Unlock()
						calls.Add(1)
					}
				})
			}
			seen := func() int {
				mu.Lock()
				defer mu.Unlock()
				return len(used)
			}
			ticker := time.NewTicker(3 * time.Millisecond)
			defer ticker.Stop()
			began := time.Now() // two seconds, or what a slow machine needs for some calls
			for i := 1; ctx.Err() == nil; i++ {
				if time.Since(began) > 2*time.Second && calls.Load() > 20 && seen() > 1 {
					break
				}
				install(certs[i%len(certs)])
				<-ticker.C
			}
			stop()
			wg.Wait()
			t.Logf("%d calls, %d certificates seen", calls.Load(), len(used))
			assert.Greater(t, calls.Load(), int64(20))
			assert.Greater(t, len(used), 1, "the source followed the file")
		})
	}
}

// A broken renewal is told once, long before the old certificate ends.
func TestBrokenRenewalIsAnnounced(t *testing.T) {
	now := time.Now()
	a := certOf(t, newKey(t), now.Add(-time.Hour), 2400*time.Hour)
	srv := certtokentest.New()
	srv.Register(clientID, a.Leaf)
	for name, layout := range map[string]func(file string) certtoken.CertSource{
		"CertFile": func(file string) certtoken.CertSource { return certtoken.CertFile(file) },
		"NewestValid": func(file string) certtoken.CertSource {
			return certtoken.NewestValid(certtoken.CertFile(file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cert.pem")
			writeFile(t, file, bundle(t, a))
			var told []certtoken.Event
			client, err := certtoken.NewClient(
				certtoken.Entra(tenantID),
				clientID,
				layout(file),
				certtoken.WithHTTPClient(srv.Client()),
				certtoken.WithHooks(
					certtoken.Hooks{CertificateUnusable: func(e certtoken.Event) { told = append(told, e) }},
				),
			)
			require.NoError(t, err)
			defer client.Close()
			ask := func() {
				t.Helper()
				_, err := client.Acquire(
					t.Context(),
					certtoken.Request{Scopes: []string{"https://graph.microsoft.com/.default"}, Fresh: true},
				)
				require.NoError(t, err)
			}
			ask()
			assert.Empty(t, told)
			for range 2 { // is told again only after it was good
				require.NoError(t, os.WriteFile(file, []byte("garbage"), 0o600))
				told = nil
				ask()
				ask()
				require.Len(t, told, 1)
				assert.ErrorIs(t, told[0].Err, certtoken.ErrFormat)
				assert.ErrorContains(t, told[0].Err, file)
				assert.Equal(t, "CN=test", told[0].Subject, "the one that stays in use")
				writeFile(t, file, bundle(t, a))
				ask()
				assert.Len(t, told, 1)
			}
		})
	}
}

func TestCertFileWithoutAPath(t *testing.T) {
	_, err := certtoken.NewClient(certtoken.Entra(tenantID), clientID, certtoken.CertFile(""))
	require.ErrorContains(t, err, "no path given")
}
