package certfile

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// thumbprint is the digest that selects a certificate; nil selects none.
type thumbprint []byte

// parseThumbprint reads SHA-1 or SHA-256 in hex or base64url, told apart by
// their lengths. What people copy from Windows' certificate dialog has spaces
// and an invisible mark in it.
func parseThumbprint(text string) (thumbprint, error) {
	if text == "" {
		return nil, nil
	}
	digest, ok := decodeThumbprint(text)
	if !ok {
		return nil, fmt.Errorf("%w: %.100q is not a thumbprint (SHA-1 or SHA-256 in hex or base64url)",
			ErrNoCertificate, text)
	}
	if len(digest) == sha1.Size {
		if err := checkFIPS("selecting by a SHA-1 thumbprint (SHA-256 is possible)"); err != nil {
			return nil, err
		}
	}
	return digest, nil
}

// IsThumbprint reports whether a text has the form of a thumbprint: one that
// [Options.Thumbprint] takes, whether or not a certificate has it.
func IsThumbprint(text string) bool {
	_, ok := decodeThumbprint(text)
	return ok
}

func decodeThumbprint(text string) (digest []byte, ok bool) {
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
			return c
		}
		return -1
	}, text)
	var err error
	switch len(clean) {
	case base64.RawURLEncoding.EncodedLen(sha1.Size), base64.RawURLEncoding.EncodedLen(sha256.Size):
		digest, err = base64.RawURLEncoding.DecodeString(clean)
	default:
		digest, err = hex.DecodeString(strings.ReplaceAll(clean, "-", ""))
	}
	return digest, err == nil && (len(digest) == sha1.Size || len(digest) == sha256.Size)
}

func (t thumbprint) matches(cert *x509.Certificate) bool {
	if len(t) == sha1.Size {
		digest := sha1.Sum(cert.Raw)
		return bytes.Equal(t, digest[:])
	}
	digest := sha256.Sum256(cert.Raw)
	return bytes.Equal(t, digest[:])
}
