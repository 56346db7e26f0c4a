package certfile

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// hashAlgorithm is a hash function by the name people know.
type hashAlgorithm struct {
	name string
	new  func() hash.Hash
	fips bool // allowed in FIPS 140 mode
}

// digestOf finds a hash function by its own identifier.
func digestOf(oid string) (hashAlgorithm, bool) {
	switch oid {
	case "1.2.840.113549.2.5":
		return hashAlgorithm{"MD5", md5.New, false}, true
	case "1.3.14.3.2.26":
		return hashAlgorithm{"SHA-1", sha1.New, false}, true
	case "2.16.840.1.101.3.4.2.4":
		return hashAlgorithm{"SHA-224", sha256.New224, true}, true
	case "2.16.840.1.101.3.4.2.1":
		return hashAlgorithm{"SHA-256", sha256.New, true}, true
	case "2.16.840.1.101.3.4.2.2":
		return hashAlgorithm{"SHA-384", sha512.New384, true}, true
	case "2.16.840.1.101.3.4.2.3":
		return hashAlgorithm{"SHA-512", sha512.New, true}, true
	case "2.16.840.1.101.3.4.2.5":
		return hashAlgorithm{"SHA-512/224", sha512.New512_224, true}, true
	case "2.16.840.1.101.3.4.2.6":
		return hashAlgorithm{"SHA-512/256", sha512.New512_256, true}, true
	}
	return hashAlgorithm{}, false
}

// hmacOf finds a hash function by the identifier of its HMAC.
func hmacOf(oid string) (hashAlgorithm, bool) {
	digests := map[string]string{
		"1.2.840.113549.2.6":  "1.2.840.113549.2.5",
		oidHMACSHA1:           "1.3.14.3.2.26",
		"1.2.840.113549.2.8":  "2.16.840.1.101.3.4.2.4",
		"1.2.840.113549.2.9":  "2.16.840.1.101.3.4.2.1",
		"1.2.840.113549.2.10": "2.16.840.1.101.3.4.2.2",
		"1.2.840.113549.2.11": "2.16.840.1.101.3.4.2.3",
		"1.2.840.113549.2.12": "2.16.840.1.101.3.4.2.5",
		"1.2.840.113549.2.13": "2.16.840.1.101.3.4.2.6",
	}
	return digestOf(digests[oid])
}
