package pkcs11

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	p11 "github.com/miekg/pkcs11"

	"github.com/certtoken/certtoken"
)

// oddToken is a token with one key and one certificate, whose attributes are
// whatever it likes.
type oddToken struct {
	cryptoki
	attributes map[uint][]byte
	asked      int // objects of one search that were handed out
}

func (o *oddToken) FindObjectsInit(p11.SessionHandle, []*p11.Attribute) error {
	o.asked = 0
	return nil
}

func (o *oddToken) FindObjects(p11.SessionHandle, int) ([]p11.ObjectHandle, bool, error) {
	if o.asked++; o.asked > 1 {
		return nil, false, nil
	}
	return []p11.ObjectHandle{1}, false, nil
}

func (o *oddToken) FindObjectsFinal(p11.SessionHandle) error { return nil }

func (o *oddToken) GetAttributeValue(
	_ p11.SessionHandle,
	_ p11.ObjectHandle,
	asked []*p11.Attribute,
) ([]*p11.Attribute, error) {
	value, ok := o.attributes[asked[0].Type]
	if !ok {
		return nil, p11.Error(p11.CKR_ATTRIBUTE_TYPE_INVALID)
	}
	return []*p11.Attribute{{Type: asked[0].Type, Value: value}}, nil
}

// FuzzAttributes: whatever a token says of its objects, there is a pair that fits
// or an error in one line.
func FuzzAttributes(f *testing.F) {
	files, err := filepath.Glob("testdata/certificate/*")
	require.NoError(f, err)
	require.NotEmpty(f, files, "the seeds are missing")
	for _, file := range files {
		der, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(der, []byte{1}, "app", []byte{0, 0, 0, 0}, []byte(nil), []byte(nil), []byte{0}, []byte(nil), []byte(nil))
		f.Add(
			der,
			[]byte(nil),
			"a\n\x1b[31m\u202e",
			[]byte{0, 0, 0, 0, 0, 0, 0, 0},
			[]byte{0xff},
			[]byte{1, 0, 1},
			[]byte{1},
			[]byte(nil),
			[]byte(nil),
		)
		f.Add(der, []byte{1}, "", []byte{3}, []byte{0}, []byte{0xff, 0xff, 0xff, 0xff, 0xff}, []byte{}, []byte{},
			[]byte{})
		f.Add(der, []byte{1}, "app", []byte{3, 0, 0, 0}, []byte(nil), []byte(nil), []byte{0},
			curves[0].params, []byte{4, 65, 4})
		f.Add(der, []byte{1}, "app", []byte{0x40, 0, 0, 0}, []byte(nil), []byte(nil), []byte{0},
			edwards25519[1], make([]byte, 32))
	}
	f.Fuzz(func(t *testing.T, value, id []byte, label string, kind, modulus, exponent, always, params, point []byte) {
		s, err := New("module.so", WithTokenLabel("t"), WithKeyLabel("app"))
		require.NoError(t, err)
		got, err := s.read(objects{api: &oddToken{attributes: map[uint][]byte{
			p11.CKA_VALUE: value, p11.CKA_ID: id, p11.CKA_LABEL: []byte(label), p11.CKA_KEY_TYPE: kind,
			p11.CKA_MODULUS: modulus, p11.CKA_PUBLIC_EXPONENT: exponent, p11.CKA_ALWAYS_AUTHENTICATE: always,
			p11.CKA_EC_PARAMS: params, p11.CKA_EC_POINT: point,
		}}})
		if err != nil {
			assert.Nil(t, got)
			assert.False(t, strings.ContainsAny(err.Error(), "\n\r\x00\x1b\u2028\u2029\u202e"), "%q", err.Error())
			return
		}
		_, err = certtoken.NewCertificate(got.cert.Signer, got.cert.Leaf, got.cert.Chain)
		require.NoError(t, err, "a pair that doesn't fit")
		assert.Equal(t, got.public, got.cert.Leaf.PublicKey)
	})
}
