package jwk

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/certtoken/certtoken/internal/jws"
)

// Bounds of what is read. A private RSA key of 16384 bits has about 15 kB, a certificate
// seldom more than 3 kB.
const (
	MaxKey = 128 << 10 // bytes of a key
	MaxSet = 1 << 20   // bytes of a set

	maxKeys = 256 // in a set
	maxCert = 64 << 10
)

// Key is a JWK that was read. Printed or encoded it shows nothing of the key.
type Key struct {
	Public     crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	Private    crypto.Signer    // nil: it is a public key
	KeyID      string           // kid
	Use        string           // use
	Algorithm  string           // alg
	Operations []string         // key_ops
	Chain      [][]byte         // x5c, in DER; the first one is of this key if crypto/x509 can read it
	CertSHA256 []byte           // x5t#S256
}

// String describes the key.
func (k Key) String() string {
	half := "public"
	if k.Private != nil {
		half = "private"
	}
	return fmt.Sprintf("jwk.Key(%s half of %s, kid %q)", half, jws.Describe(k.Public), k.KeyID)
}

// Format prints k as String does, whatever the verb, so that %+v doesn't print the key.
func (k Key) Format(s fmt.State, _ rune) { fmt.Fprint(s, k.String()) }

// MarshalText makes encoders write k as String does.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Is reports whether data looks like a JWK, or a set of them, and not like any other form of
// a key. Other JSON, such as what a vault or a cloud's command prints, may have PEM in it.
func Is(data []byte) bool {
	data = bytes.TrimLeft(withoutBOM(data), " \t\r\n")
	if len(data) == 0 || data[0] != '{' {
		return false
	}
	return bytes.Contains(data, []byte(`"kty"`)) ||
		bytes.Contains(data, []byte(`"keys"`)) && !bytes.Contains(data, []byte("-----BEGIN "))
}

// withoutBOM removes the mark that Windows' editors put at the beginning of a file.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

// Parse reads a public or private JWK. The halves of a private one must belong together.
// Members that aren't known are ignored (RFC 7517 §4).
func Parse(data []byte) (*Key, error) {
	if len(data) > MaxKey {
		return nil, &keyError{ErrTooLarge, fmt.Sprintf("a JWK of over %d bytes", MaxKey)}
	}
	members, err := readObject(withoutBOM(data))
	if err != nil {
		return nil, err
	}
	if !members.has("kty") && members.has("keys") {
		return nil, formatError("it is a set of keys (JWKS) and not one key: give the key alone")
	}
	return readKey(members)
}

// ParsePrivate is [Parse] for a private key that may sign.
func ParsePrivate(data []byte) (*Key, error) {
	k, err := Parse(data)
	switch {
	case err != nil:
		return nil, err
	case k.Private == nil:
		return nil, &keyError{ErrNoPrivate, "it is the public half only (it has no member d)"}
	case k.Use != "" && k.Use != "sig":
		return nil, &keyError{ErrUnsupported, fmt.Sprintf("its use is %q, so it doesn't sign", cut(k.Use))}
	case len(k.Operations) > 0 && !slices.Contains(k.Operations, "sign"):
		return nil, &keyError{ErrUnsupported, "its key_ops don't have \"sign\""}
	case k.Algorithm != "":
		if err := jws.Fits(k.Algorithm, k.Public); err != nil {
			return nil, &keyError{ErrUnsupported, "its alg: " + err.Error()}
		}
	}
	return k, nil
}

// ParseSet reads a JWK Set, and the keys in it that can be read. As RFC 7517 §5 asks, the
// others are left out: skipped says why, one error for each.
func ParseSet(data []byte) (keys []*Key, skipped []error, err error) {
	if len(data) > MaxSet {
		return nil, nil, &keyError{ErrTooLarge, fmt.Sprintf("a JWK Set of over %d bytes", MaxSet)}
	}
	set, err := readObject(withoutBOM(data))
	if err != nil {
		return nil, nil, err
	}
	var list []json.RawMessage
	switch {
	case !set.has("keys") && set.has("kty"):
		return nil, nil, formatError(`it is one key and not a set: put it into {"keys": [ ]}`)
	case json.Unmarshal(set["keys"], &list) != nil || list == nil:
		return nil, nil, formatError("it has no list of keys")
	case len(list) > maxKeys:
		return nil, nil, &keyError{ErrTooLarge, fmt.Sprintf("a JWK Set of over %d keys", maxKeys)}
	}
	for i, one := range list {
		k, err := Parse(one)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		keys = append(keys, k)
	}
	return keys, skipped, nil
}

// noType is what is wrong with an object without kty. The files that Google, Zitadel and others
// hand out for service accounts have the key as PEM within JSON.
func noType(o object) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if bytes.Contains(o[name], []byte("-----BEGIN ")) {
			return formatError("it is JSON with a PEM key in its member %q, as service accounts have it: put that text, "+
				"with its line ends, into a file of its own", cut(name))
		}
	}
	return formatError("its member kty is missing or empty")
}

// readKey reads the members of a key.
func readKey(o object) (*Key, error) {
	kty, err := o.text("kty")
	if err != nil {
		return nil, err
	}
	k := new(Key)
	switch kty {
	case typeRSA:
		k.Public, k.Private, err = readRSA(o)
	case typeEC:
		k.Public, k.Private, err = readEC(o)
	case typeOKP:
		k.Public, k.Private, err = readOKP(o)
	case "":
		err = noType(o)
	case "oct":
		err = &keyError{ErrUnsupported, "it is a secret that both sides know (kty oct) and not a key pair: " +
			"make an RSA, EC or OKP key"}
	default:
		err = &keyError{ErrUnsupported, fmt.Sprintf("its kty is %q: RSA, EC or OKP (Ed25519) is supported", cut(kty))}
	}
	if err != nil {
		return nil, err
	}
	if err := readNames(o, k); err != nil {
		return nil, err
	}
	if err := readCertificates(o, k); err != nil {
		return nil, err
	}
	return k, nil
}

// readNames reads what the key is called and used for.
func readNames(o object, k *Key) (err error) {
	for _, member := range []struct {
		name string
		to   *string
	}{{"kid", &k.KeyID}, {"use", &k.Use}, {"alg", &k.Algorithm}} {
		if *member.to, err = o.text(member.name); err != nil {
			return err
		}
	}
	k.Operations, err = o.texts("key_ops")
	return err
}

// readCertificates reads x5c and x5t#S256.
func readCertificates(o object, k *Key) error {
	texts, err := o.texts("x5c")
	if err != nil {
		return err
	}
	for _, text := range texts {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(der) > maxCert {
			return formatError("its member x5c is not a list of certificates in base64")
		}
		k.Chain = append(k.Chain, der)
	}
	if len(k.Chain) > 0 {
		leaf, err := x509.ParseCertificate(k.Chain[0])
		if err == nil && !samePublic(k.Public, leaf.PublicKey) {
			return &keyError{ErrMismatch, "the certificate in its x5c is of another key"}
		}
	}
	if o.has("x5t#S256") {
		if k.CertSHA256, err = o.octets("x5t#S256", 32); err != nil {
			return err
		}
		if len(k.CertSHA256) != 32 {
			return formatError("its member x5t#S256 is not a SHA-256")
		}
	}
	return nil
}

// samePublic reports whether two public keys are the same.
func samePublic(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
