package tpm

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/selfsigned"
)

// count is how many of the commands are of one kind. One that was sent again, because the TPM
// had not begun it, is one.
func count(commands [][]byte, code tpm2.TPMCC) (n int) {
	for _, command := range slices.CompactFunc(slices.Clone(commands), bytes.Equal) {
		if tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])) == code {
			n++
		}
	}
	return n
}

// changing is a password that a test changes.
type changing struct{ text string }

func (c *changing) option() Password {
	return func(context.Context) (string, error) { return c.text, nil }
}

// A refused password is sent once, also when the function returns others in between.
func TestAlternatingPasswords(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	password := &changing{"right"}
	key := s.alone(t, s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(password.option())),
		WithPassword(password.option()))
	wire := s.tap()
	for i := range 12 {
		password.text = fmt.Sprint("wrong", i%2)
		require.ErrorIs(t, sign(t, key), ErrPasswordRefused)
	}
	assert.Equal(t, 2, count(*wire, tpm2.TPMCCSign))
	password.text = "right"
	require.NoError(t, sign(t, key))
}

// The passwords of key and parent are remembered apart: another one of the key doesn't have
// the parent's sent again, and the other way about.
func TestRefusedApart(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	s.run(t, "tpm2_createprimary", "-Q", "-c", "primary.ctx", "-p", "parent")
	s.run(t, "tpm2_evictcontrol", "-Q", "-c", "primary.ctx", "0x81000001")
	s.run(t, "tpm2_flushcontext", "-t")
	password, parent := &changing{"key"}, &changing{"parent"}
	opts := []Option{WithPassword(password.option()), WithParentPassword(parent.option())}
	key := s.alone(t, s.make(t, NewKey{Key: selfsigned.EC}, append(opts, WithParent(0x81000001))...), opts...)
	wire := s.tap()
	parent.text = "wrong"
	for _, password.text = range []string{"key", "another", "a third"} {
		err := sign(t, key)
		require.ErrorIs(t, err, ErrPasswordRefused)
		assert.ErrorContains(t, err, "WithParentPassword")
	}
	assert.Equal(t, 1, count(*wire, tpm2.TPMCCLoad))

	password.text = "wrong"
	for _, parent.text = range []string{"parent", "another"} {
		err := sign(t, key)
		require.ErrorIs(t, err, ErrPasswordRefused)
		assert.NotContains(t, err.Error(), "WithParentPassword")
	}
	assert.Equal(t, 1, count(*wire, tpm2.TPMCCSign))
	password.text, parent.text = "key", "parent"
	require.NoError(t, sign(t, key))
}

// A password that one key refused is sent to the one that replaces it. A new certificate for
// the same key is no new key.
func TestRefusedByReplacedKey(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	first := s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(passwordIs("old")))
	second := s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(passwordIs("new")))
	file := first
	cfg, err := newConfig(s.options(WithoutCertificate(), WithPassword(passwordIs("new"))))
	require.NoError(t, err)
	l := &loader{
		user: &user{name: "test", cfg: cfg, path: s.socket},
		read: func(context.Context) (*reading, error) { return fileReading(file), nil },
	}
	signer := func() crypto.Signer {
		cert, err := l.load(t.Context(), nil)
		require.NoError(t, err)
		return cert.Signer
	}
	wire := s.tap()
	require.ErrorIs(t, sign(t, signer()), ErrPasswordRefused)
	certified, _ := s.certify(t, first, WithPassword(passwordIs("old")))
	file = certified
	before := count(*wire, tpm2.TPMCCSign)
	require.ErrorIs(t, sign(t, signer()), ErrPasswordRefused)
	assert.Equal(t, before, count(*wire, tpm2.TPMCCSign), "the same key with a certificate")
	file = second
	require.NoError(t, sign(t, signer()))
}

// What was refused counts for the same key under the same parent, or handle, and for no other.
func TestInherit(t *testing.T) {
	area, err := unmarshalPublic(ecPublic(t, nil))
	require.NoError(t, err)
	other, err := unmarshalPublic(ecPublic(t, nil))
	require.NoError(t, err)
	file := func(private string, parent tpm2.TPMHandle) *keyFile {
		return &keyFile{private: []byte(private), parent: parent}
	}
	for name, c := range map[string]struct {
		now, before key
		same        bool
	}{
		"file":                 {key{area: *area, file: file("a", 1)}, key{area: *area, file: file("a", 1)}, true},
		"another password":     {key{area: *area, file: file("b", 1)}, key{area: *area, file: file("a", 1)}, false},
		"another parent":       {key{area: *area, file: file("a", 2)}, key{area: *area, file: file("a", 1)}, false},
		"another key in it":    {key{area: *other, file: file("a", 1)}, key{area: *area, file: file("a", 1)}, false},
		"handle":               {key{area: *area, handle: 1}, key{area: *area, handle: 1}, true},
		"another key under it": {key{area: *other, handle: 1}, key{area: *area, handle: 1}, false},
	} {
		c.before.refused, c.before.refusedParent = &refusals{}, &refusals{}
		c.before.refused.add([]byte("key"))
		c.before.refusedParent.add([]byte("parent"))
		c.now.refused, c.now.refusedParent = &refusals{}, &refusals{}
		c.now.inherit(&c.before)
		assert.Equal(t, c.same, c.now.refused.has([]byte("key")), name)
		assert.Equal(t, c.same, c.now.refusedParent.has([]byte("parent")), name)
	}
}

// Of the refused ones the newest are remembered.
func TestRefusals(t *testing.T) {
	var r refusals
	assert.False(t, r.has(nil))
	all := make([][]byte, 2*maxRefusals)
	for i := range all {
		all[i] = fmt.Append(nil, i)
		r.add(all[i])
	}
	assert.Len(t, r.macs, maxRefusals)
	assert.False(t, slices.ContainsFunc(all[:maxRefusals], r.has))
	for _, one := range all[maxRefusals:] {
		assert.True(t, r.has(one))
	}
}
