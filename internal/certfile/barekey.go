package certfile

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseKey reads the only private key of data, where no certificate is wanted: PEM or
// DER in every form that [Parse] reads, encrypted or not, also a PFX. Certificates and
// whatever else stands beside the key are passed over; copies of one key are one key.
// The signer is an *rsa.PrivateKey, an *ecdsa.PrivateKey or an ed25519.PrivateKey.
//
// The password is used only if given is set: no password and an empty one differ.
//
// Errors wrap [ErrNoPrivateKey], [ErrSeveralKeys], [ErrPasswordRequired],
// [ErrWrongPassword], [ErrKeySize], [ErrUnsupported], [ErrFormat] or [ErrTooLarge].
func ParseKey(data []byte, password string, given bool) (crypto.Signer, error) {
	r := newReader(newPasswords(password, given), maxTotalRounds)
	if err := readFile(r, data); err != nil {
		return nil, err
	}
	if err := r.openKeys(); err != nil {
		return nil, err
	}
	key, err := onlyKey(r)
	if errors.Is(err, ErrFormat) {
		text := strings.Replace(err.Error(), ErrFormat.Error(), "not the file of a private key", 1)
		err = &detailError{text, []error{err}}
	}
	return key, err
}

// onlyKey is the key of a file that may hold only one. One that couldn't be read could be
// the one that is meant.
func onlyKey(r *reader) (crypto.Signer, error) {
	if err := blocked(r); err != nil {
		return nil, err
	}
	var found []candidate
	for _, key := range r.keys {
		i := slices.IndexFunc(found, func(c candidate) bool { return c.keys[0].isCopyOf(key) })
		if i < 0 {
			i, found = len(found), append(found, candidate{})
		}
		found[i].add(key)
	}
	switch {
	case len(found) > 1:
		return nil, severalKeys(found)
	case len(found) == 1 && found[0].keys[0].public == nil:
		return nil, found[0].keys[0].unsupported()
	case len(found) == 1:
		return found[0].open()
	case len(r.problems) > 0:
		return nil, r.problems[0]
	}
	return nil, noKey(r)
}

// severalKeys is the error for a file with keys of which nothing shows which is meant.
func severalKeys(found []candidate) error {
	var names []string
	for i, c := range found {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		names = append(names, c.keys[0].String())
	}
	text := "several private keys, where one is wanted: keep the one that is meant in a file of its own: "
	return &detailError{text + strings.Join(names, "; "), []error{ErrSeveralKeys}}
}

// noKey is the error for a file that holds no key.
func noKey(r *reader) error {
	if len(r.certs) == 0 || len(r.notes) > 0 {
		return missing(r)
	}
	return fmt.Errorf("%w: only the certificate %s; give the file with the key", ErrNoPrivateKey, nameOf(likelyLeaf(r)))
}
