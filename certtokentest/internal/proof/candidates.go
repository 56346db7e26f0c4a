package proof

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/keyset"
)

// registered are the keys that a client is registered with: those of its
// certificates that are known by now, and those of its JWK Set. again asks for the set
// anew.
func (c *Client) registered(ctx context.Context, again bool, now time.Time) ([]keyset.Key, error) {
	keys := keysOf(c.known(now))
	if c.keys == nil {
		return keys, nil
	}
	more, err := c.keys.Load(ctx, again)
	return append(keys, more...), err
}

func keysOf(certs []*x509.Certificate) []keyset.Key {
	var keys []keyset.Key
	for _, cert := range certs {
		keys = append(keys, keyset.Key{Public: cert.PublicKey, Cert: cert})
	}
	return keys
}

// candidates returns the keys that an assertion's header names by x5t#S256, x5t or
// kid, in this order of preference. A header without any of them names all. Where a
// kid must be known, it counts beside a thumbprint too.
func (c *Client) candidates(a *Assertion, rule KeyID, keys []keyset.Key) []keyset.Key {
	kid, hasKeyID := a.Header["kid"].(string)
	if hasKeyID && rule != KeyIDFree {
		keys = c.byKeyID(kid, keys)
	}
	if id, ok := a.Header["x5t#S256"].(string); ok {
		return named(keys, decodeThumbprint(id), keySum256)
	}
	if id, ok := a.Header["x5t"].(string); ok {
		return named(keys, decodeThumbprint(id), keySum1)
	}
	if hasKeyID {
		return c.byKeyID(kid, keys)
	}
	if rule == KeyIDOfSeveral && len(keys) > 1 {
		return nil
	}
	return keys
}

// byKeyID returns the keys with an ID. A certificate that is registered without one goes
// by its thumbprints too.
func (c *Client) byKeyID(kid string, keys []keyset.Key) []keyset.Key {
	cert, sum := c.keyIDs[kid], decodeKeyID(kid)
	var found []keyset.Key
	for _, key := range keys {
		switch {
		case key.ID != "" && key.ID == kid,
			cert != nil && key.Cert != nil && cert.Equal(key.Cert),
			sum != "" && key.ID == "" && (keySum256(key) == sum || keySum1(key) == sum):
			found = append(found, key)
		}
	}
	return found
}

func named(keys []keyset.Key, sum string, of func(keyset.Key) string) []keyset.Key {
	return slices.DeleteFunc(slices.Clone(keys), func(key keyset.Key) bool { return sum == "" || of(key) != sum })
}

// keySum256 and keySum1 are the thumbprints of a key's certificate, "" without one.
func keySum256(key keyset.Key) string {
	if key.Cert == nil {
		return key.CertSHA256
	}
	return sum256(key.Cert)
}

func keySum1(key keyset.Key) string {
	if key.Cert == nil {
		return ""
	}
	return sum1(key.Cert)
}

// namesOf are the keys as messages list them.
func namesOf(keys []keyset.Key) []string {
	var names []string
	for _, key := range keys {
		if key.ID != "" {
			names = append(names, key.ID)
		} else if key.Cert != nil {
			names = append(names, Thumbprint(key.Cert))
		}
	}
	return names
}
