package certfile

// Limits. A certificate file comes from outside, and PKCS #12 and PKCS #8 let
// its writer say how much work its reader does.
const (
	// maxFileSize: the largest real files, PFX with the chains of dozens of
	// certificates, stay below 100 KiB.
	maxFileSize = 1 << 20

	// maxLayers counts encodings around the content: base64 of base64 (a
	// Kubernetes secret of a CI secret) in UTF-16 is three.
	maxLayers = 4

	// maxItems bounds certificates, keys and bags of all files together. A CA
	// bundle has about 150 certificates.
	maxItems = 256

	// maxSafes bounds the parts of a PFX, each of which can be encrypted on its
	// own. Real ones have one to three.
	maxSafes = 32

	// maxSafeDepth bounds safes within safes, which nobody is known to write.
	maxSafeDepth = 16

	// maxBERDepth bounds nested BER values: three for each nested safe, and
	// those of the deepest algorithm parameters.
	maxBERDepth = 64

	// maxRounds bounds one derivation. NSS and GnuTLS write 600,000, the most
	// of all tools on their own (OpenSSL: 2048; Windows: 2000; Java: 10,000).
	// Five million take half a second to two seconds.
	maxRounds = 5_000_000

	// maxTotalRounds bounds all derivations of one call: MAC, safes, keys, and
	// every form of the password that is tried. GnuTLS encrypts each
	// certificate on its own: a chain of four is 3.6 million. A MAC, a safe and
	// a key of a million each fit with their alternatives.
	maxTotalRounds = 10_000_000

	// maxScryptMemory and maxScryptCost bound 128·N·r bytes and N·r·p. OpenSSL
	// writes N=16384, r=8, p=1: 16 MiB and 2^17.
	maxScryptMemory = 64 << 20
	maxScryptCost   = 1 << 20

	// scryptRounds is the price of one N·r·p in rounds, about what it takes in
	// time: scrypt at its limit costs a fifth of the budget.
	scryptRounds = 2

	// PBMAC1 keys: RFC 9579 §8 warns of short keys (a one-byte key makes any
	// password right for one file in 256). No HMAC uses more than 64 bytes of them
	// well, but BouncyCastle has written 256, which were meant as bits.
	minPBMAC1Key = 20
	maxPBMAC1Key = 256

	// RSA keys: RFC 7518 §3.3 asks for 2048 bits; far above 16384 one signature
	// takes seconds.
	minKeyBits = 2048
	maxKeyBits = 16384

	// maxKeyDER is the size of a PKCS #1 key of maxKeyBits (four and a half
	// times the modulus) with room for more primes. Go's check of a key takes
	// time that grows faster than its size.
	maxKeyDER = 16 << 10

	// maxFactorBits bounds the modulus of a key that comes without its primes.
	// They are calculated, which takes time that grows with the third power of
	// the size: at this one two seconds for a hostile key and a fifth of one for
	// a real key.
	maxFactorBits = 4096

	// maxKeyCopies bounds the copies of one key that are tried if the first ones
	// are damaged: each can take as long as maxFactorBits says.
	maxKeyCopies = 3

	// maxExtensions bounds the extensions of a certificate that are tried one by
	// one. Real certificates have about ten.
	maxExtensions = 100

	// maxDeviation bounds what is said about one part of a certificate, in
	// characters.
	maxDeviation = 300

	// maxSignatureChecks bounds the signatures verified to sort a chain, so
	// that hundreds of issuers of the same name don't cost a verification each.
	maxSignatureChecks = 64

	// maxChain is longer than any chain that validates in practice.
	maxChain = 16

	// maxNamed is how many certificates an error names before it says "and
	// more".
	maxNamed = 8
)
