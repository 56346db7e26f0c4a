// Package certfile turns the bytes of a certificate file into a certificate,
// its chain and its key: RSA, EC (P-256, P-384, P-521) or Ed25519. It reads PEM,
// DER and PKCS #12 by content, never by file name, and is nothing but pure
// functions: no I/O, no clock, no state.
//
// A file passes through these steps. Each uses only those below it:
//
//	certfile.go   the entry: files and a password → the pair
//	public.go     the entry for files without a private key
//	barekey.go    the entry for files of which only the private key is wanted
//	pick.go       certificates and keys → the pair and its chain (chain.go),
//	              or the reason why there is none (explain.go)
//	file.go       a file → PEM or DER, through the encodings of encoding.go
//	pem.go        PEM text → its blocks
//	der.go        one DER value → a certificate, a key, or something foreign
//	pkcs12.go     PFX → its bags, once its MAC is verified (mac.go)
//	pkcs8.go      an encrypted key → what opens it, with pbe.go underneath
//	certificate.go  a certificate as crypto/x509 reads it or, if it is our own
//	              and crypto/x509 refuses it, as others do (lenient.go)
//	key.go        a private key of any kind: rsakey.go (also what only openssl
//	              takes for one), eckey.go with curve.go, edkey.go
//	publickey.go  the key of a certificate, also one that crypto/x509 refuses for
//	              how it is written (lenientkey.go)
//	reader.go     what was found so far, and what is still locked
//	unlock.go     what the password opens, paid for from one budget (budget.go)
//
// The budget bounds every password-based derivation, so a hostile file is
// refused before it costs anything. The limits are in limits.go.
package certfile

import (
	"fmt"
	"slices"
)

// Options says how to read a file.
type Options struct {
	// Password opens an encrypted file. It is used only when HasPassword is
	// set: no password and an empty one differ.
	Password    string
	HasPassword bool

	// Key is the content of a second file with the private key, or nil. The
	// files may come in either order.
	Key []byte

	// Thumbprint selects one of several certificates: the SHA-1 or SHA-256 of
	// its DER form in hex (any case; colons and spaces are ignored) or
	// base64url without padding. Empty selects the only one that has its key.
	Thumbprint string
}

// Parse reads data: PEM, DER, PKCS #12 or base64 of it, whatever its name was.
//
// The leaf is the certificate whose public key is the private key's. Where one
// key has several certificates (a renewed one beside its predecessor), the leaf
// is the one that ends last. Each error wraps one of this package's sentinels
// (where a file is of a foreign kind, [ErrFormat] and what it lacks) and holds
// neither the password nor anything of the key.
func Parse(data []byte, opts Options) (*Pair, error) {
	return parse(data, opts, maxTotalRounds)
}

func parse(data []byte, opts Options, rounds int64) (*Pair, error) {
	selected, err := parseThumbprint(opts.Thumbprint)
	if err != nil {
		return nil, err
	}
	r := newReader(newPasswords(opts.Password, opts.HasPassword), rounds)
	if err := readFile(r, data); err != nil {
		return nil, err
	}
	format, named := r.format, slices.Clone(r.certs)
	if opts.Key != nil {
		r.where = "key file: "
		if err := readFile(r, opts.Key); err != nil {
			return nil, fmt.Errorf("%s%w", r.where, err)
		}
	}
	if err := r.openKeys(); err != nil {
		return nil, err
	}
	pair, err := pick(r, selected)
	if err != nil {
		return nil, err
	}
	if opts.Key != nil && len(named) > 0 && !pair.includes(named) {
		// The key file is a pair of its own, and not of the certificate that
		// was named: to use it silently would be a surprise.
		return nil, fmt.Errorf("%w: certificate %s, the key file has the key of %s",
			ErrKeyMismatch, nameOf(named[0]), nameOf(pair.Leaf))
	}
	pair.Format = format
	return pair, nil
}
