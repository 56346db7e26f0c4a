package keyvault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// maxNumber bounds the numbers of a key that are read: those of an RSA key of 16384 bits.
const maxNumber = 16384 / 8

// aloneLoader reads the public half of a key that has no certificate in the vault, which is
// every key of a managed HSM, and joins it with the certificate that was given, if any.
type aloneLoader struct {
	keyMaker

	name    string
	version string            // "" is the newest
	leaf    *x509.Certificate // nil: the key alone
}

func (l *aloneLoader) load(ctx context.Context, known *pair) (*pair, error) {
	got, err := l.client.GetKey(ctx, l.name, l.version, nil)
	if err != nil {
		return nil, l.throttle.note(explain(readKey, err))
	}
	if got.Key == nil || got.Key.KID == nil {
		return nil, errors.New("the answer holds no key: is it a vault?")
	}
	key, version, err := parseKeyID(l.vault, string(*got.Key.KID))
	if err != nil {
		return nil, err
	}
	if attributes := got.Attributes; attributes != nil && attributes.Enabled != nil && !*attributes.Enabled {
		return nil, fmt.Errorf("version %s is %w", version, ErrDisabled)
	}
	if known != nil && known.version == version {
		return known, nil
	}
	cert, err := l.join(got.Key, key, version)
	if err == nil && known != nil && cert.Valid(time.Now()) == nil {
		err = trySigning(ctx, cert.Signer)
	}
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", version, err)
	}
	return &pair{version, cert}, nil
}

// join makes the certificate, or the key alone, of what the vault says of a key.
func (l *aloneLoader) join(got *azkeys.JSONWebKey, key, version string) (*certtoken.Certificate, error) {
	public, err := publicOf(got)
	if err != nil {
		return nil, err
	}
	signer, err := l.signer(public, key, version)
	if err != nil {
		return nil, err
	}
	if l.leaf == nil {
		return certtoken.NewKey(signer, "")
	}
	cert, err := l.withChain(signer, l.leaf)
	if errors.Is(err, certtoken.ErrKeyMismatch) && l.version == "" {
		err = fmt.Errorf("%w: name the certificate's version of the key by WithVersion, or give its new certificate", err)
	}
	return cert, err
}

// publicOf is the public half of a key, in software or an HSM.
func publicOf(key *azkeys.JSONWebKey) (crypto.PublicKey, error) {
	var kind azkeys.KeyType
	if key.Kty != nil {
		kind = *key.Kty
	}
	switch kind {
	case azkeys.KeyTypeRSA, azkeys.KeyTypeRSAHSM:
		return rsaOf(key)
	case azkeys.KeyTypeEC, azkeys.KeyTypeECHSM:
		return ecOf(key)
	}
	return nil, fmt.Errorf("%w: a key of the type %q: a vault signs with RSA and EC keys",
		certtoken.ErrUnsupported, certsource.Text(string(kind), maxName))
}

func rsaOf(key *azkeys.JSONWebKey) (*rsa.PublicKey, error) {
	e := new(big.Int).SetBytes(key.E[:min(len(key.E), maxNumber)])
	if len(key.N) == 0 || len(key.N) > maxNumber || e.BitLen() < 2 || e.BitLen() > 31 {
		return nil, fmt.Errorf("%w: the vault's RSA key has no good modulus or exponent", certtoken.ErrFormat)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(key.N), E: int(e.Int64())}, nil
}

func ecOf(key *azkeys.JSONWebKey) (*ecdsa.PublicKey, error) {
	var name azkeys.CurveName
	if key.Crv != nil {
		name = *key.Crv
	}
	curve, ok := map[azkeys.CurveName]elliptic.Curve{
		azkeys.CurveNameP256: elliptic.P256(), azkeys.CurveNameP384: elliptic.P384(), azkeys.CurveNameP521: elliptic.P521(),
	}[name]
	if !ok {
		return nil, fmt.Errorf("%w: an EC key of the curve %q: make it with P-256, P-384 or P-521",
			certtoken.ErrUnsupported, certsource.Text(string(name), maxName))
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(key.X) > size || len(key.Y) > size {
		return nil, fmt.Errorf("%w: the vault's EC key is not on %s", certtoken.ErrFormat, name)
	}
	point := make([]byte, 1+2*size) // 4, x and y (SEC 1 §2.3.3)
	point[0] = 4
	copy(point[1+size-len(key.X):], key.X)
	copy(point[1+2*size-len(key.Y):], key.Y)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("%w: the vault's EC key is not on %s", certtoken.ErrFormat, name)
	}
	return public, nil
}
