package rotate_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

const password = "correct horse"

// The file keeps its form, password, mode, and the link that leads to it.
func TestTheFileStaysWhatItWas(t *testing.T) {
	for name, change := range map[string]func(*world){
		"PFX": func(w *world) {
			data, err := selfsigned.EncodePFX(w.current(), password, selfsigned.PFXModern)
			require.NoError(w, err)
			require.NoError(w, os.WriteFile(w.file, data, 0o600))
			w.certOpts = append(w.certOpts, certtoken.WithPassword(password))
		},
		"a link": func(w *world) {
			real := filepath.Join(w.dir, "real", "pair.pem")
			require.NoError(w, os.Mkdir(filepath.Dir(real), 0o700))
			require.NoError(w, os.Rename(w.file, real))
			require.NoError(w, os.Symlink(filepath.Join("real", "pair.pem"), w.file))
		},
		"readable by a group": func(w *world) { require.NoError(w, os.Chmod(w.file, 0o640)) },
		"two files":           inTwoFiles,
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("it has neither modes nor, for everybody, links")
			}
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{}, change)
				old, before := w.current(), describe(t, w.file)
				w.rotate()
				now := w.current()
				assert.NotEqual(t, old.Leaf.Raw, now.Leaf.Raw)
				assert.Equal(t, old.FileFormat(), now.FileFormat())
				assert.Equal(t, before, describe(t, w.file))
				real, err := filepath.EvalSymlinks(w.file)
				require.NoError(t, err)
				info, err := os.Stat(real + ".rotation.json")
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o600), info.Mode())
				data, err := os.ReadFile(real + ".rotation.json")
				require.NoError(t, err)
				assert.NotContains(t, string(data), "PRIVATE")
				assert.NotContains(t, string(data), password)
				assert.Empty(t, w.leftovers())
			})
		})
	}
}

// describe is what is to be the same before and after.
func describe(t *testing.T, path string) (all [3]string) {
	t.Helper()
	link, err := os.Lstat(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	all[0], all[1] = link.Mode().String(), info.Mode().String()
	all[2], _ = os.Readlink(path)
	return all
}

func TestTheClientMustFollowTheFile(t *testing.T) {
	dir := t.TempDir()
	cert := newEC(t)
	file := filepath.Join(dir, "app.pem")
	authority := certtoken.Issuer("https://as.example", "https://as.example/token")
	client := func(source certtoken.CertSource) *certtoken.Client {
		c, err := certtoken.NewClient(authority, clientID, source)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	federated, err := certtoken.NewFederatedClient(authority, clientID, certtoken.AssertionFile(file))
	require.NoError(t, err)
	for name, c := range map[string]*certtoken.Client{
		"another folder":  client(certtoken.CertFile(filepath.Join(t.TempDir(), "app.pem"))),
		"no file":         client(cert),
		"several sources": client(certtoken.NewestValid(certtoken.CertFile(file))),
		"by thumbprint":   client(certtoken.CertFile(file, certtoken.WithThumbprint("00"))),
		"federated":       federated,
	} {
		_, err := rotate.New(c, rotate.Exec("true"), dir)
		assert.ErrorIs(t, err, rotate.ErrNotFollowed, name)
	}
	good := client(certtoken.CertFile(file))
	_, err = rotate.New(good, rotate.Exec("true"), dir)
	require.NoError(t, err)
	_, err = rotate.Options{
		Before: -1, Probe: certtoken.Request{Fresh: true}, Certificate: selfsigned.Options{Validity: 1},
	}.New(good, rotate.Graph("my-app"), t.TempDir())
	for _, part := range []string{"Before", "Fresh", "validity", "object id", "isn't in"} {
		assert.ErrorContains(t, err, part)
	}
	_, err = rotate.New(nil, nil, dir)
	assert.ErrorContains(t, err, "no client")
	assert.ErrorContains(t, err, "no registrar")
	_, err = rotate.GraphOptions{URL: "http://graph.example/v1.0"}.Registrar("x").(rotate.Finder).Find(
		context.Background(), &certtoken.Certificate{}, rotate.Identity{})
	assert.ErrorIs(t, err, errors.ErrUnsupported, "a key alone is nowhere in Graph")
}

// A certificate of a CA isn't replaced by one that nobody has issued. The CA's name may be
// that of the certificate.
func TestACertificateOfACA(t *testing.T) {
	for _, name := range []string{"CA", "my app"} {
		t.Run(name, func(t *testing.T) { rotateIssuedBy(t, name) })
	}
}

func rotateIssuedBy(t *testing.T, name string) {
	bubble(t, func(t *testing.T) {
		ca, err := selfsigned.New(selfsigned.Options{Subject: name, Key: selfsigned.EC})
		require.NoError(t, err)
		issue := func(_ context.Context, key crypto.Signer, old *x509.Certificate) (*certtoken.Certificate, error) {
			template := *old
			template.SignatureAlgorithm = 0
			template.NotBefore, template.NotAfter = time.Now(), time.Now().Add(90*day)
			der, err := x509.CreateCertificate(nil, &template, ca.Leaf, key.Public(), ca.Signer)
			if err != nil {
				return nil, err
			}
			leaf, err := x509.ParseCertificate(der)
			return &certtoken.Certificate{Leaf: leaf, Chain: []*x509.Certificate{ca.Leaf}}, err
		}
		w := newWorld(t, certtokentest.GraphRules{}, func(w *world) {
			first, err := issue(w.Context(), w.current().Signer, w.current().Leaf)
			require.NoError(w, err)
			first.Signer = w.current().Signer
			w.write(first)
			w.server.Replace(clientID, first.Leaf)
		})
		_, err = w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "Options.Issue")
		w.options.Issue = issue
		w.restart()
		w.rotate()
		assert.Equal(t, ca.Leaf.Raw, w.current().Chain[0].Raw)
	})
}

// A file that somebody else replaces while a rotation is under way is what counts. What the
// rotation had registered is removed.
func TestReplacedByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{Propagation: time.Hour, Permitted: []string{clientID}})
		status, err := w.rotation.Begin(t.Context())
		require.NoError(t, err)
		require.Equal(t, rotate.StepConfirm, status.Step)
		assert.Contains(t, status.Waiting, "AADSTS700027")
		require.Len(t, w.registered(), 2)
		byHand := w.newCert()
		w.server.Register(clientID, byHand.Leaf)
		w.write(byHand)
		status = w.advance()
		assert.Equal(t, rotate.StepRemove, status.Step)
		assert.Equal(t, thumbprintOf(byHand.Leaf.Raw), status.Current.Thumbprint)
		assert.Len(t, w.registered(), 2, "the one that was made is removed, and the old one is there for a week")
		assert.Empty(t, w.leftovers())
		time.Sleep(8 * day)
		w.advance()
		require.Len(t, w.registered(), 1)
		assert.Equal(t, byHand.Leaf.Raw, w.registered()[0].Certificate.Raw)
	})
}

// A key that is refused for long is a failure that says what to do, and one that somebody has
// removed is registered again.
func TestANewKeyThatStaysUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{Propagation: day, Permitted: []string{clientID}})
		status, err := w.rotation.Begin(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		_, err = w.rotation.Advance(t.Context())
		require.ErrorContains(t, err, "AADSTS700027")
		require.ErrorContains(t, err, "look at the registration")
		for _, c := range w.registered() {
			if c.KeyID == status.New.ID {
				w.server.Unregister(clientID, c.Certificate)
			}
		}
		status, err = w.rotation.Advance(t.Context())
		require.NoError(t, err)
		assert.Equal(t, rotate.StepConfirm, status.Step)
		assert.Len(t, w.registered(), 2)
	})
}

// The members of a fleet rotate once, whichever lock they have.
func TestAFleetRotatesOnce(t *testing.T) {
	for name, lock := range map[string]certtoken.Locker{
		"of the file": nil, "of a store": certtoken.NewMemoryStore().(certtoken.Locker),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex
				made := map[rotate.Step]int{}
				var held atomic.Int64
				w := newWorld(t, certtokentest.GraphRules{Propagation: time.Minute, Permitted: []string{clientID}},
					func(w *world) {
						w.options.Lock = lock
						w.options.Hooks.Done = func(e rotate.Event) {
							time.Sleep(time.Second) // the lock is held meanwhile
							mu.Lock()
							defer mu.Unlock()
							made[e.Step]++
						}
					})
				time.Sleep(59 * day) // a day before it is due
				ctx, cancel := context.WithTimeout(t.Context(), 9*day)
				defer cancel()
				var fleet sync.WaitGroup
				for range 5 {
					fleet.Go(func() {
						client := w.newClient()
						defer client.Close()
						r, err := w.options.New(client, w.registrar, w.dir)
						if !assert.NoError(t, err) {
							return
						}
						fleet.Go(func() {
							for ctx.Err() == nil {
								if status, _ := r.Advance(ctx); status.Held {
									held.Add(1)
								}
								time.Sleep(12 * time.Hour)
							}
						})
						assert.ErrorIs(t, r.Run(ctx), context.DeadlineExceeded)
						_, err = client.Acquire(context.Background(),
							certtoken.Request{Scopes: []string{scope}, Fresh: true})
						assert.NoError(t, err)
					})
				}
				fleet.Wait()
				time.Sleep(day)
				for _, step := range []rotate.Step{
					rotate.StepWait, rotate.StepMake, rotate.StepRegister, rotate.StepConfirm, rotate.StepSwitch,
					rotate.StepUse,
					rotate.StepRemove,
				} {
					assert.Equal(t, 1, made[step], step)
				}
				assert.Positive(t, held.Load())
				assert.Len(t, w.registered(), 1)
			})
		})
	}
}

// store is a KeyStore whose keys nobody can read.
type store struct {
	mu   sync.Mutex
	keys map[string]crypto.Signer
	made int
}

type hidden struct{ crypto.Signer }

func (s *store) NewKey(_ context.Context, name string) (crypto.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[name] == nil {
		key, err := selfsigned.GenerateKey(selfsigned.Options{})
		if err != nil {
			return nil, err
		}
		s.keys[name] = hidden{key}
		s.made++
	}
	return s.keys[name], nil
}

func (s *store) Signer(_ context.Context, leaf *x509.Certificate) (crypto.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.keys {
		if key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(leaf.PublicKey) {
			return key, nil
		}
	}
	return nil, errors.New("there is no such key")
}

// A key that never leaves its store is rotated there: the file holds the certificate.
func TestAHeldKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		held := &store{keys: map[string]crypto.Signer{}}
		w := newWorld(t, certtokentest.GraphRules{Permitted: []string{clientID}})
		key, err := held.NewKey(t.Context(), "first")
		require.NoError(t, err)
		first, err := selfsigned.For(t.Context(), key, selfsigned.Options{Subject: "held"})
		require.NoError(t, err)
		w.server.Replace(clientID, first.Leaf)
		require.NoError(t,
			os.WriteFile(w.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Leaf.Raw}), 0o600))
		newClient := func() *certtoken.Client {
			c, err := certtoken.NewClient(w.authority, clientID, rotate.HeldKey(w.file, held),
				certtoken.WithHTTPClient(w.server.Client()))
			require.NoError(t, err)
			return c
		}
		client := newClient()
		defer client.Close()
		require.NoError(t, client.Check(t.Context(), scope))

		// It is stopped after the key was made: the next try takes the same.
		stop := w.options.WithFault(func(point string) error {
			if point == "before write app.pem.next" {
				panic(stopped{point})
			}
			return nil
		})
		r, err := stop.New(client, w.registrar, w.dir)
		require.NoError(t, err)
		require.True(t, until(func() { _, _ = r.Begin(t.Context()) }))
		r, err = w.options.New(client, w.registrar, w.dir)
		require.NoError(t, err)
		status, err := r.Advance(t.Context())
		for err == nil && status.Step != rotate.StepRemove {
			time.Sleep(time.Until(status.Due))
			status, err = r.Advance(t.Context())
		}
		require.NoError(t, err)
		assert.Equal(t, 2, held.made)
		data, err := os.ReadFile(w.file)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "PRIVATE")
		assert.NotEqual(t, first.Leaf.Raw, data)
		assert.Len(t, w.registered(), 2)
		restarted := newClient()
		defer restarted.Close()
		assert.NoError(t, restarted.Check(t.Context(), scope))

		// A certificate that the server doesn't know is not the end.
		key, err = held.NewKey(t.Context(), "unknown")
		require.NoError(t, err)
		unknown, err := selfsigned.For(t.Context(), key, selfsigned.Options{Subject: "unknown"})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(w.file, unknown.Leaf.Raw, 0o600))
		_, err = client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
		assert.NoError(t, err, "the one before signs")
	})
}

// A key without a certificate is rotated by a set that the server reads.
func TestABareKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "app.jwk")
		key, err := selfsigned.GenerateKey(selfsigned.Options{Key: selfsigned.EC})
		require.NoError(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
		server := certtokentest.New(certtokentest.WithIssuer("https://as.example"))
		set := rotate.JWKSOptions{Set: jwks.Options{MaxAge: time.Minute}}.Registrar(filepath.Join(dir, "jwks.json"))
		server.Handle("GET keys.example/jwks.json", set)
		require.NoError(t, server.RegisterJWKSURI(clientID, "https://keys.example/jwks.json", server.Client()))
		client, err := certtoken.NewClient(server.Authority(), clientID, certtoken.KeyFile(file),
			certtoken.WithHTTPClient(server.Client()))
		require.NoError(t, err)
		defer client.Close()
		r, err := rotate.Options{Every: 30 * day, Settle: -1}.New(client, set, dir)
		require.NoError(t, err)
		status, err := r.Advance(t.Context())
		require.NoError(t, err)
		first := status.Current
		assert.NotEmpty(t, first.KID)
		require.NoError(t, client.Check(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), 40*day)
		defer cancel()
		require.ErrorIs(t, r.Run(ctx), context.DeadlineExceeded)
		status, err = rotate.ReadStatus(file)
		require.NoError(t, err)
		assert.NotEqual(t, first.KID, status.Current.KID)
		assert.Equal(t, []string{status.Current.KID}, kids(t, filepath.Join(dir, "jwks.json")))
		assert.Empty(t, status.Orphans)
	})
}

// A state file that can't be used is an error that says what to do, and nothing is done.
func TestAStateThatCannotBeUsed(t *testing.T) {
	for name, content := range map[string]string{
		"damaged": `{"version": 2, "step"`, "later version": `{"version": 3, "step": "wait"}`,
		"another step": `{"version": 2, "step": "fly"}`, "no new key": `{"version": 2, "step": "switch"}`,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{})
				require.NoError(t, os.WriteFile(w.file+".rotation.json", []byte(content), 0o600))
				_, err := w.rotation.Begin(t.Context())
				require.ErrorIs(t, err, rotate.ErrState)
				assert.ErrorContains(t, err, "restore")
				_, err = rotate.ReadStatus(w.file)
				assert.ErrorIs(t, err, rotate.ErrState)
				data, err := os.ReadFile(w.file + ".rotation.json")
				require.NoError(t, err)
				assert.Equal(t, content, string(data))
				assert.Len(t, w.registered(), 1)
			})
		})
	}
	_, err := rotate.ReadStatus(newEmpty(t))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func newEmpty(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "app.pem")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return path
}

// Nothing is removed while the client isn't granted a token for what is in its file, and the
// status is what programs read.
func TestNothingIsRemovedWhileTheNewKeyFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{Permitted: []string{clientID}})
		status := w.rotate()
		time.Sleep(8 * day)
		w.server.FailAlways(certtokentest.Fault{Status: http.StatusServiceUnavailable})
		_, err := w.rotation.Advance(t.Context())
		require.ErrorContains(t, err, "nothing is removed")
		assert.Len(t, w.registered(), 2)
		now, err := w.rotation.Status(t.Context())
		require.NoError(t, err)
		data, err := json.Marshal(now)
		require.NoError(t, err)
		for _, part := range []string{`"failing"`, `"advice"`, `"retired"`, `"due"`, status.Current.Thumbprint} {
			assert.True(t, bytes.Contains(data, []byte(part)), part)
		}
		w.server.ClearFaults()
		time.Sleep(time.Hour)
		status = w.advance()
		assert.Nil(t, status.Failing)
		assert.Len(t, w.registered(), 1)
	})
}

// An orphan that somebody has removed is forgotten: by itself where keys can be found, and by
// hand otherwise.
func TestAnOrphanIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{})
		w.rotate()
		time.Sleep(8 * day)
		status := w.advance()
		require.Len(t, status.Orphans, 1, "the first key, whose id isn't known")
		assert.NotEmpty(t, status.Orphans[0].Note)
		require.Error(t, w.rotation.Forget(t.Context(), "00"))
		require.NoError(t, w.rotation.Forget(t.Context(), status.Orphans[0].SHA1))
		assert.Empty(t, w.advance().Orphans)
	})
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{})
		w.rotate()
		time.Sleep(8 * day)
		require.Len(t, w.advance().Orphans, 1)
		require.Len(t, w.registered(), 2)
		assert.Len(t, w.advance().Orphans, 1)
		path := filepath.Join(w.dir, "jwks.json") // a registrar that can find keys, and doesn't find this one
		set := rotate.JWKS(path)
		require.NoError(t, set.Publish(w.current()))
		w.registrar = renamed{set, w.registrar.String()}
		w.restart()
		assert.Empty(t, w.advance().Orphans)
	})
}

// renamed is a set under another name.
type renamed struct {
	*rotate.KeySet
	name string
}

func (r renamed) String() string { return r.name }

// What panics or tells a secret in a part of the user's is an error without it.
func TestAKeyStoreThatPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{})
		w.options.Issue = func(context.Context, crypto.Signer, *x509.Certificate) (*certtoken.Certificate, error) {
			panic("a secret")
		}
		w.restart()
		_, err := w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "Options.Issue panicked")
		assert.NotContains(t, err.Error(), "a secret")
		w.options.Issue = func(context.Context, crypto.Signer, *x509.Certificate) (*certtoken.Certificate, error) {
			return nil, nil
		}
		w.restart()
		_, err = w.rotation.Begin(t.Context())
		require.ErrorContains(t, err, "no certificate")
	})
}

// A new key isn't used before tokens were granted for a while, without a refusal among them,
// nor before everybody must have read the set of keys again.
func TestANewKeyIsNotUsedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		settle, delay, propagation, want time.Duration
	}{
		"settle":              {10 * time.Minute, 0, 0, 10 * time.Minute},
		"delay":               {-1, 20 * time.Minute, 0, 20 * time.Minute},
		"both":                {10 * time.Minute, 20 * time.Minute, 0, 20 * time.Minute},
		"refusals in between": {10 * time.Minute, 0, 9 * time.Minute, 18 * time.Minute},
		"neither":             {-1, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				rules := certtokentest.GraphRules{Propagation: c.propagation, Servers: 2}
				w := newWorld(t, rules, func(w *world) {
					w.options.Settle = c.settle
					w.registrar = slow{w.registrar, c.delay}
				})
				old := w.current()
				began := time.Now()
				status, err := w.rotation.Begin(t.Context())
				for err == nil && bytes.Equal(old.Leaf.Raw, w.current().Leaf.Raw) {
					time.Sleep(max(time.Second, time.Until(status.Due)))
					status, err = w.rotation.Advance(t.Context())
				}
				require.NoError(t, err)
				assert.GreaterOrEqual(t, time.Since(began), c.want)
				assert.LessOrEqual(t, time.Since(began), c.want+2*time.Minute)
			})
		})
	}
}

// slow is a registrar whose keys aren't known for a while.
type slow struct {
	rotate.Registrar
	delay time.Duration
}

func (s slow) Delay() time.Duration { return s.delay }

// A registrar that gives two keys one id isn't asked to remove that: it is in use.
func TestAnIDInUseIsNotRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{}, func(w *world) { w.options.KeyID = "the id" })
		same := &oneID{server: w.server}
		w.registrar = same
		w.restart()
		status := w.rotate()
		require.Equal(t, "the id", status.Current.ID)
		time.Sleep(8 * day)
		status = w.advance()
		assert.Empty(t, status.Retired)
		assert.Empty(t, same.removed)
		require.NoError(t, w.client.Check(t.Context(), scope))
	})
}

type oneID struct {
	server  *certtokentest.Server
	removed []string
}

func (o *oneID) Add(_ context.Context, key *certtoken.Certificate, _ rotate.Identity) (string, error) {
	o.server.Register(clientID, key.Leaf)
	return "the id", nil
}

func (o *oneID) Remove(_ context.Context, key rotate.Key, _ rotate.Identity) error {
	o.removed = append(o.removed, key.ID)
	return nil
}

func (*oneID) String() string { return "one id" }
