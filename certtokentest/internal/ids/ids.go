// Package ids makes the random names of the test endpoint: UUIDs, codes and
// serial numbers. It knows nothing of what they name.
package ids

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

// Text is n random characters of base64url.
func Text(n int) string {
	raw := make([]byte, n*3/4+1)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw)[:n]
}

// UUID is random (RFC 9562 §5.4).
func UUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return formatUUID(b, 4)
}

// StableUUID is the same UUID for the same name of the same kind (RFC 9562
// §5.8).
func StableUUID(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return formatUUID([16]byte(sum[:16]), 8)
}

func formatUUID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Serial is a random positive number of up to 127 bits for a certificate (RFC
// 5280 §4.1.2.2).
func Serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
