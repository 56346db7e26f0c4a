// Package rotatetest checks a [rotate.Registrar] of yours: whether a rotation can rely on it.
//
//	func TestRegistrar(t *testing.T) {
//		rotatetest.TestRegistrar(t, rotatetest.Fixture{Registrar: myRegistrar, As: identity, IDs: list})
//	}
package rotatetest

import (
	"context"
	"crypto"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

// Fixture is a registrar in a state in which a rotation can ask it.
type Fixture struct {
	Registrar rotate.Registrar

	// As is who asks: a client, and a certificate that is registered. A registrar that looks
	// at neither needs none.
	As rotate.Identity

	// IDs are the ids of everything that is registered, as the server has it. Without it,
	// the test sees what the registrar answers, and not what it does.
	IDs func() ([]string, error)

	// NewKey makes a key to register. The default is a self-signed certificate with an RSA key.
	NewKey func() (*certtoken.Certificate, error)

	// Wait waits until the server shows what was changed, where that takes a while.
	Wait func()
}

// TestRegistrar fails t for whatever a rotation can't rely on. It registers some keys, and
// removes them again. What was registered before must be there all the time.
func TestRegistrar(t *testing.T, f Fixture) {
	t.Helper()
	r := &run{T: t, Fixture: f}
	before := r.ids()
	name := f.Registrar.String()
	if name == "" || strings.ContainsAny(name, "\r\n") || len(name) > 1000 {
		t.Errorf("String is %q: it must name the registrar in one short line", name)
	}

	one, two := r.key(), r.key()
	first := r.add(one)
	second := r.add(two)
	if first == second {
		t.Fatalf("two keys have the same id %q", first)
	}
	r.expect("after two keys were added", before, first, second)

	again := r.add(one) // as after a crash
	r.finds(one, first, again)
	r.finds(r.key())
	r.expect("after a key was added again", before, first, second, again)

	r.remove(two, second)
	r.expect("after the second key was removed", before, first, again)
	r.remove(two, second) // as after a crash
	r.expect("after the second key was removed again", before, first, again)
	r.finds(two)

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	third := publicOf(r.key()) // to make an RSA key may take long too
	began := time.Now()
	if _, err := f.Registrar.Add(ended, third, f.As); err == nil {
		t.Error("Add succeeds although the context has ended")
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("Add takes %v after its context has ended", took)
	}
	r.expect("after a call whose context had ended", before, first, again)

	r.remove(one, first)
	if again != first {
		r.remove(one, again)
	}
	r.expect("after everything was removed", before)
}

type run struct {
	*testing.T
	Fixture
}

func (r *run) key() *certtoken.Certificate {
	r.Helper()
	newKey := r.NewKey
	if newKey == nil {
		newKey = func() (*certtoken.Certificate, error) {
			return selfsigned.New(selfsigned.Options{Subject: "rotatetest"})
		}
	}
	key, err := newKey()
	if err != nil {
		r.Fatalf("a new key: %v", err)
	}
	return key
}

func (r *run) add(key *certtoken.Certificate) string {
	r.Helper()
	id, err := r.Registrar.Add(context.Background(), publicOf(key), r.As)
	switch {
	case err != nil:
		r.Fatalf("Add: %v", err)
	case id == "" || len(id) > 512 || strings.ContainsAny(id, "\r\n\x00"):
		r.Fatalf("Add returns the id %q: it must be one line of 1 to 512 bytes", id)
	}
	return id
}

func (r *run) remove(key *certtoken.Certificate, id string) {
	r.Helper()
	about := rotate.KeyOf(key)
	about.ID = id
	if err := r.Registrar.Remove(context.Background(), about, r.As); err != nil {
		r.Errorf("Remove: %v", err)
	}
}

// finds checks what a Finder finds for a key.
func (r *run) finds(key *certtoken.Certificate, want ...string) {
	r.Helper()
	finder, ok := r.Registrar.(rotate.Finder)
	if !ok {
		return
	}
	if r.Wait != nil {
		r.Wait()
	}
	got, err := finder.Find(context.Background(), publicOf(key), r.As)
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	if err != nil {
		r.Errorf("Find: %v", err)
		return
	}
	if !same(got, want) {
		r.Errorf("Find returns %q, and the key was registered as %q", got, want)
	}
}

func (r *run) ids() []string {
	r.Helper()
	if r.IDs == nil {
		return nil
	}
	if r.Wait != nil {
		r.Wait()
	}
	ids, err := r.IDs()
	if err != nil {
		r.Fatalf("the registered keys: %v", err)
	}
	return ids
}

// expect checks that what was there before and what was added since is all that is registered.
func (r *run) expect(when string, before []string, added ...string) {
	r.Helper()
	if r.IDs == nil {
		return
	}
	want := append(slices.Clone(before), added...)
	if got := r.ids(); !same(got, want) {
		r.Errorf("%s there are %q, and there should be %q", when, got, want)
	}
}

// same reports whether two lists hold the same ids.
func same(a, b []string) bool {
	norm := func(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }
	return slices.Equal(norm(a), norm(b))
}

// publicOf is the public half of a key: a rotation gives registrars no more.
func publicOf(key *certtoken.Certificate) *certtoken.Certificate {
	half := *key
	half.Signer = publicHalf{key.Signer.Public()}
	return &half
}

type publicHalf struct{ key crypto.PublicKey }

func (p publicHalf) Public() crypto.PublicKey { return p.key }

func (publicHalf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("this is the public half of a key")
}
