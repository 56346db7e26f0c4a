package rotate_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

// book is a registrar in memory, by which the server learns of keys.
type book struct {
	name   string
	server *certtokentest.Server
	keys   map[string]*certtoken.Certificate // by id
	added  int
	addErr func() error // after the key was added
	refuse error        // instead of adding it
	blind  bool         // it can't find keys
	late   int          // how many times a key isn't found though it is there
}

func (b *book) String() string { return b.name }

func (b *book) Add(_ context.Context, key *certtoken.Certificate, _ rotate.Identity) (string, error) {
	if b.refuse != nil {
		return "", b.refuse
	}
	b.added++
	id := b.name + "-" + string(rune('a'+b.added-1))
	b.keys[id] = key
	b.server.Register(clientID, key.Leaf)
	if b.addErr != nil {
		return "", b.addErr()
	}
	return id, nil
}

func (b *book) Remove(_ context.Context, key rotate.Key, _ rotate.Identity) error {
	delete(b.keys, key.ID)
	return nil
}

func (b *book) Find(_ context.Context, key *certtoken.Certificate, _ rotate.Identity) (ids []string, err error) {
	if b.blind {
		return nil, errUnsupported
	}
	if b.late > 0 {
		b.late--
		return nil, nil
	}
	for id, k := range b.keys {
		if k.Leaf.Equal(key.Leaf) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (w *world) newBook(name string) *book {
	return &book{name: name, server: w.server, keys: map[string]*certtoken.Certificate{}}
}

// newBooked is a world whose first key is in a book.
func newBooked(t *testing.T, change ...func(*world, *book)) (*world, *book) {
	t.Helper()
	var b *book
	w := newWorld(t, certtokentest.GraphRules{}, func(w *world) {
		b = w.newBook("a")
		b.keys["a-first"] = w.current()
		w.registrar = b
		for _, f := range change {
			f(w, b)
		}
	})
	return w, b
}

// use gives the rotation another registrar.
func (w *world) use(r rotate.Registrar) {
	w.Helper()
	w.registrar = r
	w.restart()
}

// to makes steps until one comes next.
func (w *world) to(step rotate.Step) rotate.Status {
	w.Helper()
	status, err := w.rotation.Begin(context.Background())
	for range 100 {
		require.NoError(w, err)
		if status.Step == step {
			return status
		}
		time.Sleep(max(time.Until(status.Due), time.Second))
		status, err = w.rotation.Advance(context.Background())
	}
	w.Fatalf("it doesn't come to %s: %+v", step, status)
	return status
}

// stopAt has the rotation stop before a point, once.
func (w *world) stopAt(point string) {
	w.Helper()
	stopping := true
	options := w.options
	w.options = w.options.WithFault(func(p string) error {
		if stopping && p == point {
			panic(stopped{p})
		}
		return nil
	})
	w.restart()
	require.True(w, until(func() { w.to(rotate.StepRemove) }), point)
	stopping = false
	w.options = options
	w.restart()
}

// A registrar that is another one before the client uses the new key: the key in the file is
// never one to be removed, and the old one is told with its id.
func TestAnotherRegistrarInStepUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := newBooked(t)
		old := w.current()
		w.stopAt("turn use")
		w.use(w.newBook("b"))
		status := w.advance()
		assert.Equal(t, thumbprintOf(w.current().Leaf.Raw), status.Current.Thumbprint)
		assert.NotEqual(t, old.Leaf.Raw, w.current().Leaf.Raw)
		assert.Empty(t, status.Orphans)
		time.Sleep(8 * day)
		status = w.advance()
		require.Len(t, status.Orphans, 1)
		assert.Equal(t, "a-first", status.Orphans[0].ID)
		assert.Contains(t, status.Orphans[0].Note, `registered at "a"`)
		assert.Equal(t, thumbprintOf(old.Leaf.Raw), status.Orphans[0].Thumbprint)
		assert.Len(t, w.advance().Orphans, 1, "the present registrar knows nothing about it")
		w.use(w.newBook("a")) // without the key
		assert.Empty(t, w.advance().Orphans)
	})
}

// A new key isn't given up because another registrar is given, which may be the same in other
// words. Begin makes another key.
func TestAnotherRegistrarInStepConfirm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t)
		w.stopAt("turn confirm")
		before, err := w.rotation.Status(t.Context())
		require.NoError(t, err)
		b := w.newBook("b")
		w.use(b)
		status, err := w.rotation.Advance(t.Context())
		require.ErrorContains(t, err, "begun with another registrar")
		require.ErrorContains(t, err, "Rotation.Begin")
		assert.Equal(t, before.New.Thumbprint, status.New.Thumbprint)
		w.use(a)
		assert.Nil(t, w.advance().Failing)
		w.use(b)
		status, err = w.rotation.Begin(t.Context())
		require.NoError(t, err)
		require.NotNil(t, status.New)
		assert.NotEqual(t, before.New.Thumbprint, status.New.Thumbprint)
		require.Len(t, status.Orphans, 1)
		assert.Equal(t, before.New.Thumbprint, status.Orphans[0].Thumbprint)
		assert.Len(t, b.keys, 1)
	})
}

// What was refused is registered nowhere: it is no orphan, and the rotation goes on.
func TestARefusedKeyIsNoOrphan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t)
		a.refuse = rotate.ErrRefused
		status, err := w.rotation.Begin(t.Context())
		require.ErrorIs(t, err, rotate.ErrRefused)
		b := w.newBook("b")
		w.use(b)
		now := w.advance()
		assert.Empty(t, now.Orphans)
		assert.Equal(t, status.New.Thumbprint, now.New.Thumbprint)
		assert.Equal(t, rotate.StepConfirm, now.Step)
	})
}

// Which registrars are one.
func TestTheSameRegistrar(t *testing.T) {
	const id = "ABCDEF01-2222-3333-4444-555555555555"
	here, err := os.Getwd()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		one, other rotate.Registrar
		same       bool
	}{
		"a relative path":      {rotate.JWKS("x/jwks.json"), rotate.JWKS(filepath.Join(here, "x", "jwks.json")), true},
		"another path":         {rotate.JWKS("x/jwks.json"), rotate.JWKS("jwks.json"), false},
		"case of an object id": {rotate.Graph(id), rotate.Graph("abcdef01-2222-3333-4444-555555555555"), true},
		"another cloud": {rotate.Graph(id), rotate.GraphOptions{URL: "https://a.example/v1.0"}.Registrar(id),
			false},
		"a service principal": {rotate.Graph(id), rotate.GraphOptions{ServicePrincipal: true}.Registrar(id), false},
		"a relative program":  {rotate.Exec("./reg"), rotate.Exec(filepath.Join(here, "reg")), true},
		"a program's folder":  {rotate.ExecOptions{Dir: "/opt"}.Registrar("./reg"), rotate.Exec("/opt/reg"), true},
		"arguments":           {rotate.Exec("python3", "a.py"), rotate.Exec("python3", "b.py"), false},
		"the same arguments":  {rotate.Exec("python3", "a.py"), rotate.Exec("python3", "a.py"), true},
		"joined arguments":    {rotate.Exec("python3", "a", "b"), rotate.Exec("python3", "a b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			one, other := rotate.IdentityOf(c.one), rotate.IdentityOf(c.other)
			assert.Equal(t, c.same, one == other, "%s, %s", one, other)
		})
	}
	assert.NotContains(t, rotate.IdentityOf(rotate.Exec("reg", "--secret", "hunter2")), "hunter2")
}

// The old file is put back while the client should use the new one, as by a backup: the new
// key is removed later, and a rotation begins anew, though not at once.
func TestTheOldFileIsPutBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t, func(w *world, _ *book) { w.options.RemoveAfter = day })
		time.Sleep(70 * day)
		old := w.current()
		w.stopAt("turn use")
		w.write(old)
		w.restart()
		status := w.advance()
		assert.Equal(t, rotate.StepRemove, status.Step)
		assert.Equal(t, thumbprintOf(old.Leaf.Raw), status.Current.Thumbprint)
		assert.Equal(t, "a-first", status.Current.ID)
		require.Len(t, status.Retired, 1)
		assert.Equal(t, "a-a", status.Retired[0].ID)
		assert.Len(t, a.keys, 2, "nothing is made anew at once")
		time.Sleep(2 * day)
		w.advance()
		assert.NotContains(t, a.keys, "a-a")
		assert.Contains(t, a.keys, "a-first")
	})
}

// A call that failed, and may have registered the key, isn't told as a key to be removed while
// that is in use.
func TestAKeyThatMayBeThereTwice(t *testing.T) {
	for name, blind := range map[string]bool{"keys can be found": false, "keys can't be found": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, a := newBooked(t, func(w *world, a *book) {
					a.blind, w.options.KeyID = blind, "a-first"
				})
				fail := true
				a.addErr = func() error {
					if fail {
						fail = false
						for _, k := range a.keys { // the server doesn't know it yet
							if !k.Leaf.Equal(w.current().Leaf) {
								w.server.Unregister(clientID, k.Leaf)
							}
						}
						a.late = 1
						return errInjected
					}
					a.addErr = nil
					return nil
				}
				_, err := w.rotation.Begin(t.Context())
				require.ErrorIs(t, err, errInjected)
				a.addErr = nil
				status := w.rotate()
				assert.Empty(t, status.Orphans)
				assert.True(t, status.Current.Twice)
				assert.Len(t, a.keys, 3)
				w.rotate()
				time.Sleep(8 * day)
				status = w.advance()
				if blind {
					require.Len(t, status.Orphans, 1)
					assert.Contains(t, status.Orphans[0].Note, "a second time")
					assert.Len(t, a.keys, 2)
				} else {
					assert.Empty(t, status.Orphans)
					assert.Len(t, a.keys, 1)
				}
			})
		})
	}
}

// listed is a set of whose keys the server is told.
type listed struct {
	*rotate.KeySet
	server  *certtokentest.Server
	removed *[]string
}

func (l listed) Remove(ctx context.Context, key rotate.Key, as rotate.Identity) error {
	*l.removed = append(*l.removed, key.ID)
	return l.KeySet.Remove(ctx, key, as)
}

func (l listed) Add(ctx context.Context, key *certtoken.Certificate, as rotate.Identity) (string, error) {
	l.server.Register(clientID, key.Leaf)
	return l.KeySet.Add(ctx, key, as)
}

// A certificate that somebody has renewed with the same key has the id of the one before in a
// set of keys: that isn't taken out.
func TestARenewalWithTheSameKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var path string
		var removed []string
		w := newWorld(t, certtokentest.GraphRules{}, func(w *world) {
			path = filepath.Join(w.dir, "jwks.json")
			w.registrar = listed{rotate.JWKS(path), w.server, &removed}
		})
		status := w.rotate()
		old := w.current()
		renewed, err := selfsigned.For(t.Context(), old.Signer,
			selfsigned.Options{Subject: "renewed", Validity: 90 * day})
		require.NoError(t, err)
		w.server.Register(clientID, renewed.Leaf)
		w.write(renewed)
		w.advance()
		time.Sleep(6 * day)
		time.Sleep(2 * day)
		now := w.advance()
		assert.NotContains(t, removed, status.Current.ID)
		assert.Len(t, removed, 1, "the first key")
		assert.Contains(t, kids(t, path), status.Current.ID)
		assert.Equal(t, status.Current.ID, now.Current.ID)
	})
}

// The same where keys can't be found: what would be the key in use is told, not removed.
func TestARenewalWithTheSameKeyThatCannotBeFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t, func(_ *world, a *book) { a.blind = true })
		w.rotate()
		old := w.current()
		renewed, err := selfsigned.For(t.Context(), old.Signer,
			selfsigned.Options{Subject: "renewed", Validity: 90 * day})
		require.NoError(t, err)
		w.server.Register(clientID, renewed.Leaf)
		w.write(renewed)
		w.advance()
		time.Sleep(8 * day)
		w.advance()
		status := w.advance()
		assert.Contains(t, a.keys, "a-a")
		assert.Empty(t, status.Retired)
		require.NotEmpty(t, status.Orphans)
		assert.Contains(t, status.Orphans[len(status.Orphans)-1].Note, "the same key as the certificate in use")
	})
}
