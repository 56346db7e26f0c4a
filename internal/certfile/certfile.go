// Package certfile turns the bytes of a certificate file into a certificate,
// its chain and its RSA key. It reads PEM, DER and PKCS #12 by content, never by
// file name, and is nothing but pure functions: no I/O, no clock, no state.
//
// A file passes through these steps, a Go file each:
//
//	normalise.go  byte order marks, UTF-16, base64 → DER or PEM
//	pem.go        PEM text → its blocks
//	pkcs12.go     PFX → its bags, once its MAC is verified (mac.go)
//	der.go        one DER value → a certificate, a key, or something foreign
//	pkcs8.go      encrypted keys → keys, with pbe.go underneath
//	pick.go       certificates and keys → the pair and its chain (chain.go)
//
// Every password-based derivation is paid for from one budget (limits.go), so
// a hostile file is refused before it costs anything.
package certfile

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
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

// Pair is what a file held.
type Pair struct {
	Leaf   *x509.Certificate   // the certificate that Key belongs to
	Chain  []*x509.Certificate // issuers of Leaf, nearest first, as far as the file holds them
	Key    *rsa.PrivateKey
	Format string // "PFX" or "PEM" or "DER", for people
}

// What can be wrong with a file. Parse wraps them with the detail; the texts
// say what to do.
var (
	ErrWrongPassword    = errors.New("wrong password")
	ErrPasswordRequired = errors.New("the file is encrypted: a password is needed")
	ErrNoPrivateKey     = errors.New("no private key")
	ErrNoCertificate    = errors.New("no certificate")
	ErrKeyMismatch      = errors.New("the private key does not belong to the certificate")
	ErrNotRSA           = errors.New("not an RSA key")
	ErrKeySize          = errors.New("unacceptable RSA key size")
	ErrSeveralKeys      = errors.New("several certificates with their keys: select one by its thumbprint")
	ErrUnsupported      = errors.New("unsupported algorithm")
	ErrFormat           = errors.New("not a certificate file with its key") // JKS, CSR, HTML, empty, truncated …
	ErrTooLarge         = errors.New("the file asks for more than is reasonable")
)

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
	r := newReader(opts, rounds)
	if err := r.readFile(data); err != nil {
		return nil, err
	}
	format, named := r.format, slices.Clone(r.certs)
	if opts.Key != nil {
		r.where = "key file: "
		if err := r.readFile(opts.Key); err != nil {
			return nil, fmt.Errorf("%s%w", r.where, err)
		}
	}
	if err := r.openKeys(); err != nil {
		return nil, err
	}
	pair, err := r.pick(selected)
	if err != nil {
		return nil, err
	}
	if opts.Key != nil && len(named) > 0 && !pair.includes(named) {
		// The key file is a pair of its own, and not of the certificate that
		// was named: to use it silently would be a surprise.
		return nil, fmt.Errorf("%w: certificate %s, the key file has the key of %s", ErrKeyMismatch, nameOf(named[0]), nameOf(pair.Leaf))
	}
	pair.Format = format
	return pair, nil
}

// includes tells whether the leaf or its chain has one of certs.
func (p *Pair) includes(certs []*x509.Certificate) bool {
	return slices.ContainsFunc(certs, func(c *x509.Certificate) bool {
		return c == p.Leaf || slices.Contains(p.Chain, c)
	})
}

// reader is what one call of Parse shares between the parts of its files.
type reader struct {
	passwords passwords
	budget    budget
	items     int    // certificates, keys and bags seen so far, in all files
	where     string // the file being read, as a prefix of errors
	format    string // of the file being read

	// publicOnly: only certificates are wanted. Keys are passed over, and a PFX
	// is refused.
	publicOnly bool

	certs  []*x509.Certificate // in file order, without duplicates
	keys   []privateKey
	locked []lockedKey // encrypted keys that openKeys has still to open

	// problems are the parts that could not be read. They matter only if the
	// rest isn't a pair: an unreadable stranger must not hide a good one.
	problems []error

	// notes are readable parts of a kind that is of no use, to be mentioned if
	// something is missing.
	notes []string
}

func newReader(opts Options, rounds int64) *reader {
	return &reader{
		passwords: newPasswords(opts.Password, opts.HasPassword),
		budget:    budget{left: rounds},
	}
}

// count refuses the file that holds too many things.
func (r *reader) count() error {
	r.items++
	if r.items > maxItems {
		return fmt.Errorf("%w: more than %d certificates and keys", ErrTooLarge, maxItems)
	}
	return nil
}

// problem records an error that matters only if no pair is found. Those that
// matter at once, because going on would cost too much, it gives back.
func (r *reader) problem(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	r.problems = append(r.problems, fmt.Errorf("%s%w", r.where, err))
	return nil
}

// note records something readable and useless once.
func (r *reader) note(text string) {
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// detailError says what a file is in its own words and answers errors.Is for
// every sentinel that applies.
type detailError struct {
	text  string
	kinds []error
}

func (e *detailError) Error() string   { return e.text }
func (e *detailError) Unwrap() []error { return e.kinds }

// formatError is ErrFormat with its detail.
func formatError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}
