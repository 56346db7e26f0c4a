package certfile

import "hash"

// What a key of the PKCS #12 derivation is for (RFC 7292 appendix B.3).
const (
	kdfKey byte = 1
	kdfIV  byte = 2
	kdfMAC byte = 3
)

// pkcs12KDF is the key derivation of RFC 7292 appendix B.2. The password is a
// BMPString with its terminating zeros, or empty: the two differ. Rounds must
// have been checked and paid for.
func pkcs12KDF(newHash func() hash.Hash, password, salt []byte, rounds int64, purpose byte, size int) []byte {
	h := newHash()
	blockSize := h.BlockSize()
	diversifier := make([]byte, blockSize)
	for i := range diversifier {
		diversifier[i] = purpose
	}
	input := append(repeatTo(salt, blockSize), repeatTo(password, blockSize)...)

	var key, digest []byte
	for {
		h.Reset()
		h.Write(diversifier)
		h.Write(input)
		digest = h.Sum(digest[:0])
		for i := int64(1); i < rounds; i++ {
			h.Reset()
			h.Write(digest)
			digest = h.Sum(digest[:0])
		}
		key = append(key, digest...)
		if len(key) >= size {
			return key[:size]
		}
		addToBlocks(input, digest, blockSize)
	}
}

// repeatTo repeats b until its length is a multiple of blockSize.
func repeatTo(b []byte, blockSize int) []byte {
	if len(b) == 0 {
		return nil
	}
	out := make([]byte, (len(b)+blockSize-1)/blockSize*blockSize)
	for n := 0; n < len(out); {
		n += copy(out[n:], b)
	}
	return out
}

// addToBlocks adds the digest, repeated to a block, and one to each block of
// input, as big-endian numbers that wrap around.
func addToBlocks(input, digest []byte, blockSize int) {
	addend := repeatTo(digest, blockSize)[:blockSize]
	for len(input) > 0 {
		carry := 1
		for i := blockSize - 1; i >= 0; i-- {
			carry += int(input[i]) + int(addend[i])
			input[i] = byte(carry)
			carry >>= 8
		}
		input = input[blockSize:]
	}
}
