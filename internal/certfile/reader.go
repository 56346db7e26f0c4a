package certfile

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// reader is what one call shares between the parts of its files: what was found
// so far, and what opens the encrypted parts. The parsers of the formats fill it.
type reader struct {
	unlocker
	items  int    // certificates, keys and bags seen so far, in all files
	where  string // the file being read, as a prefix of errors
	format string // of the file being read

	// publicOnly: only certificates are wanted. Keys are passed over, and a PFX
	// is refused.
	publicOnly bool

	// strict: the certificates may be anybody's, so what crypto/x509 refuses is
	// an error.
	strict bool

	certs  []*x509.Certificate            // in file order, without duplicates
	odd    map[*x509.Certificate][]string // what crypto/x509 refuses about some of them
	keys   []privateKey
	locked []lockedKey // encrypted keys that openKeys has still to open

	groups   []ecGroup // curves that EC PARAMETERS blocks name
	nameless [][]byte  // EC keys that name no curve: one of groups is theirs

	// problems are the parts that could not be read. They matter only if the
	// rest isn't a pair: an unreadable stranger must not hide a good one.
	problems []error

	// notes are readable parts of a kind that is of no use, to be mentioned if
	// something is missing.
	notes []string
}

// lockedKey is an encrypted private key that waits until everything in the
// files is known, so that no derivation starts before all are added up.
type lockedKey struct {
	rounds int64
	open   func() ([]byte, error) // gives a DER key
}

func newReader(p passwords, rounds int64) *reader {
	return &reader{
		unlocker: unlocker{passwords: p, budget: budget{left: rounds}},
		odd:      map[*x509.Certificate][]string{},
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

// addCertificate adds a certificate, or notes what else it is.
func (r *reader) addCertificate(raw []byte) error {
	cert, deviations, err := parseCertificate(raw, r.strict)
	if err != nil {
		if note := signedNote(raw); note != "" {
			r.note(note)
			return nil
		}
		return r.problem(err)
	}
	for _, other := range r.certs {
		if bytes.Equal(other.Raw, cert.Raw) {
			return nil
		}
	}
	r.certs = append(r.certs, cert)
	if len(deviations) > 0 {
		r.odd[cert] = deviations
	}
	return nil
}

// addKey adds an unencrypted private key.
func (r *reader) addKey(raw []byte) error {
	if r.publicOnly {
		return nil
	}
	key, err := parseKey(raw, nil)
	switch {
	case errors.Is(err, errNoCurve):
		r.nameless = append(r.nameless, raw)
		return nil
	case err != nil:
		return r.problem(err)
	}
	r.keys = append(r.keys, key)
	return nil
}

// addGroup adds the curve of an EC PARAMETERS block. What can't be read of it matters
// only to a key that names no curve.
func (r *reader) addGroup(der []byte) {
	group, ok := readGroup(der)
	if ok && !slices.Contains(r.groups, group) {
		r.groups = append(r.groups, group)
	}
}

// nameKeys reads the EC keys that name no curve, once everything else is known: the
// block that names it may stand behind the key.
func (r *reader) nameKeys() error {
	for _, raw := range r.nameless {
		key, err := parseKey(raw, r.groups)
		if errors.Is(err, errNoCurve) {
			key, err = r.guessCurve(raw)
		}
		if err != nil {
			if err := r.problem(err); err != nil {
				return err
			}
			continue
		}
		r.keys = append(r.keys, key)
	}
	r.nameless = nil
	return nil
}

// guessCurve reads an EC key whose curve nothing names, as BouncyCastle's JcaPEMWriter
// writes those of the JDK. Its length fits one curve that is accepted, and others; a
// public key, in it or in a certificate, shows whether it is that one.
func (r *reader) guessCurve(raw []byte) (privateKey, error) {
	key, err := parseKey(raw, acceptedGroups())
	if err == nil && (key.stated == confirmed || slices.ContainsFunc(r.certs, key.belongsTo)) {
		return key, nil
	}
	return privateKey{}, formatError("%v: put a block EC PARAMETERS before it; "+
		"for P-256 \"openssl ecparam -name prime256v1\" prints it", errNoCurve)
}

// addLocked adds an encrypted private key, or the reason why it can't be one.
func (r *reader) addLocked(key lockedKey, err error) error {
	switch {
	case r.publicOnly:
		return nil
	case err != nil:
		return r.problem(err)
	}
	r.locked = append(r.locked, key)
	return nil
}

// lockedRounds is what opening all keys will cost at least.
func (r *reader) lockedRounds() int64 {
	var sum int64
	for _, key := range r.locked {
		sum += key.rounds
	}
	return sum
}

// openKeys decrypts the keys that were met, and reads those that waited for the rest of
// the files.
func (r *reader) openKeys() error {
	if err := r.budget.plan(r.lockedRounds()); err != nil {
		return err
	}
	for _, key := range r.locked {
		der, err := key.open()
		if err != nil {
			err = r.problem(fmt.Errorf("private key: %w", err))
		} else {
			err = r.addKey(der)
		}
		if err != nil {
			return err
		}
	}
	r.locked = nil
	return r.nameKeys()
}
