package jwk

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"fmt"
)

// curves are those that algorithms exist for.
var curves = map[string]elliptic.Curve{
	"P-256": elliptic.P256(),
	"P-384": elliptic.P384(),
	"P-521": elliptic.P521(),
}

// readEC reads an EC key (RFC 7518 §6.2). Its members have the full length, with zeros in
// front: otherwise one key would have several thumbprints.
func readEC(o object) (public crypto.PublicKey, private crypto.Signer, err error) {
	name, err := o.text("crv")
	if err != nil {
		return nil, nil, err
	}
	curve := curves[name]
	if curve == nil {
		return nil, nil, &keyError{ErrUnsupported, fmt.Sprintf(
			"its crv is %q: P-256, P-384 or P-521 is supported", cut(name))}
	}
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // not compressed (SEC 1 §2.3.3)
	for _, name := range []string{"x", "y"} {
		coordinate, err := fixed(o, name, size)
		if err != nil {
			return nil, nil, err
		}
		point = append(point, coordinate...)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, nil, formatError("its x and y are not a point of the curve %s", name)
	}
	if !o.has("d") {
		return pub, nil, nil
	}
	d, err := fixed(o, "d", size)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil {
		return nil, nil, formatError("its d is not a private key of the curve %s", name)
	}
	if !key.PublicKey.Equal(pub) {
		return nil, nil, &keyError{ErrMismatch, "its d is not that of x and y"}
	}
	return pub, key, nil
}

// readOKP reads an Ed25519 key (RFC 8037 §2).
func readOKP(o object) (public crypto.PublicKey, private crypto.Signer, err error) {
	name, err := o.text("crv")
	if err != nil {
		return nil, nil, err
	}
	if name != curveEd25519 {
		return nil, nil, &keyError{ErrUnsupported, fmt.Sprintf("its crv is %q: Ed25519 is supported", cut(name))}
	}
	x, err := fixed(o, "x", ed25519.PublicKeySize)
	if err != nil {
		return nil, nil, err
	}
	if !o.has("d") {
		return ed25519.PublicKey(x), nil, nil
	}
	d, err := fixed(o, "d", ed25519.SeedSize)
	if err != nil {
		return nil, nil, err
	}
	key := ed25519.NewKeyFromSeed(d)
	if !bytes.Equal(key.Public().(ed25519.PublicKey), x) {
		return nil, nil, &keyError{ErrMismatch, "its d is not that of x"}
	}
	return ed25519.PublicKey(x), key, nil
}

// fixed reads a member of a fixed length.
func fixed(o object, name string, size int) ([]byte, error) {
	data, err := o.octets(name, size)
	if err == nil && len(data) != size {
		err = formatError("its member %s has %d bytes and must have %d", name, len(data), size)
	}
	return data, err
}
