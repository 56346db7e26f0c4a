package tpm

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/google/go-tpm/tpm2"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of a key file. A key of 16384 bits takes less than 5 KiB; the rest is for the
// certificates that may stand beside it.
const (
	maxFile   = 1 << 20
	maxDER    = 64 << 10
	maxPolicy = 16      // commands
	maxBody   = 4 << 10 // bytes of one command of a policy; a TPM takes no longer one
)

// pemType is the label of a key file (ASN.1 Specification for TPM 2.0 Key Files, §3.1).
const pemType = "TSS2 PRIVATE KEY"

// Types of key files (§3.1.1).
var (
	oidLoadable   = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 3}
	oidImportable = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 4}
	oidSealed     = asn1.ObjectIdentifier{2, 23, 133, 10, 1, 5}
)

// keyFile is a TSS2 PRIVATE KEY file:
//
//	TPMKey ::= SEQUENCE {
//	  type        OBJECT IDENTIFIER,
//	  emptyAuth   [0] EXPLICIT BOOLEAN OPTIONAL,
//	  policy      [1] EXPLICIT SEQUENCE OF TPMPolicy OPTIONAL,
//	  secret      [2] EXPLICIT OCTET STRING OPTIONAL,
//	  authPolicy  [3] EXPLICIT SEQUENCE OF TPMAuthPolicy OPTIONAL,
//	  description [4] EXPLICIT UTF8String OPTIONAL,
//	  rsaParent   [5] EXPLICIT BOOLEAN OPTIONAL,
//	  parent      INTEGER,
//	  pubkey      OCTET STRING,
//	  privkey     OCTET STRING }
//
// The octet strings hold structures of the TPM: TPM2B_ENCRYPTED_SECRET, TPM2B_PUBLIC and
// TPM2B_PRIVATE.
type keyFile struct {
	importable  bool // the private part is wrapped for its parent, by TPM2_Import's rules
	emptyAuth   bool // the key has no password
	saysAuth    bool // the file says whether it has one, which some programs leave out
	policy      []policyStep
	secret      []byte
	description string
	rsaParent   bool
	parent      tpm2.TPMHandle
	public      []byte
	private     []byte
}

// errMalformed is for a file that isn't what its label says.
func errMalformed(what string) error {
	return fmt.Errorf("%w: the TSS2 PRIVATE KEY is damaged: %s", certtoken.ErrFormat, what)
}

// parseKeyFile reads the DER of a key file.
func parseKeyFile(der []byte) (*keyFile, error) {
	input := cryptobyte.String(der)
	var s cryptobyte.String
	var kind asn1.ObjectIdentifier
	switch {
	case len(der) > maxDER:
		return nil, errMalformed(fmt.Sprintf("it has %d bytes, over %d", len(der), maxDER))
	case !input.ReadASN1(&s, cbasn1.SEQUENCE) || !input.Empty() || !s.ReadASN1ObjectIdentifier(&kind):
		return nil, errMalformed("it is not a key with its type")
	}
	f := &keyFile{}
	switch {
	case kind.Equal(oidImportable):
		f.importable = true
	case kind.Equal(oidSealed):
		return nil, unsupported("the file holds sealed data, and no key that signs")
	case !kind.Equal(oidLoadable):
		return nil, unsupported("a TPM key file of the type %v", kind)
	}
	if err := f.readOptional(&s); err != nil {
		return nil, err
	}
	return f, f.readKey(&s)
}

// readOptional reads what may be left out.
func (f *keyFile) readOptional(s *cryptobyte.String) error {
	f.saysAuth = s.PeekASN1Tag(explicit(0))
	if !readFlag(s, 0, &f.emptyAuth) {
		return errMalformed("the field emptyAuth")
	}
	var err error
	if f.policy, err = readPolicy(s, 1); err != nil {
		return err
	}
	if !readTagged(s, 2, func(in *cryptobyte.String) bool {
		var marshalled cryptobyte.String
		return in.ReadASN1(&marshalled, cbasn1.OCTET_STRING) && read2B(marshalled, &f.secret)
	}) {
		return errMalformed("the field secret")
	}
	var signed cryptobyte.String
	var isSigned bool
	if !s.ReadOptionalASN1(&signed, &isSigned, explicit(3)) {
		return errMalformed("the field authPolicy")
	}
	if isSigned && len(f.policy) == 0 {
		return unsupported("the key has a signed policy (TPM2_PolicyAuthorize)")
	}
	if !readTagged(s, 4, func(in *cryptobyte.String) bool {
		var text cryptobyte.String
		ok := in.ReadASN1(&text, cbasn1.UTF8String)
		f.description = string(text)
		return ok
	}) {
		return errMalformed("the field description")
	}
	if !readFlag(s, 5, &f.rsaParent) {
		return errMalformed("the field rsaParent")
	}
	return nil
}

// readKey reads what must be there.
func (f *keyFile) readKey(s *cryptobyte.String) error {
	var parent int64
	var public, private cryptobyte.String
	switch {
	case !s.Empty() && (*s)[0]&0xc0 == 0x80: // a tag as optional fields have it
		return unsupported("the key file has a field that is new, or in the wrong place")
	case !s.ReadASN1Integer(&parent):
		return errMalformed("the parent")
	case !s.ReadASN1(&public, cbasn1.OCTET_STRING) || !read2B(public, &f.public):
		return errMalformed("the public part")
	case !s.ReadASN1(&private, cbasn1.OCTET_STRING) || !read2B(private, &f.private) || len(f.private) == 0:
		return errMalformed("the private part")
	case !s.Empty():
		return errMalformed("bytes after its end")
	case f.importable && len(f.secret) == 0:
		return errMalformed("an importable key without its secret")
	case !f.importable && len(f.secret) != 0:
		return errMalformed("a secret in a key that is not importable")
	}
	handle, ok := parentHandle(parent)
	if !ok {
		return errMalformed(fmt.Sprintf("its parent %#x is neither a hierarchy nor a persistent key", parent))
	}
	f.parent = handle
	return nil
}

// parentHandle accepts a hierarchy or a persistent key (§3.1.5). OpenSSL writes the number
// as unsigned; some tools wrote it as signed.
func parentHandle(number int64) (tpm2.TPMHandle, bool) {
	if number < 0 {
		number += 1 << 32
	}
	handle := tpm2.TPMHandle(number)
	if number < 0 || number > 1<<32-1 {
		return 0, false
	}
	switch handle {
	case tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull:
		return handle, true
	}
	return handle, isPersistent(handle)
}

// isPersistent reports whether a handle is one of an object that the TPM keeps (TPM 2.0
// Part 2, §7.2).
func isPersistent(handle tpm2.TPMHandle) bool { return handle>>24 == 0x81 }

// explicit is the tag of a field that may be left out.
func explicit(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

// readTagged reads a field that may be left out, which must hold what read reads and no more.
func readTagged(s *cryptobyte.String, n uint8, read func(*cryptobyte.String) bool) bool {
	var field cryptobyte.String
	var there bool
	if !s.ReadOptionalASN1(&field, &there, explicit(n)) {
		return false
	}
	return !there || read(&field) && field.Empty()
}

// readFlag reads a BOOLEAN. OpenSSL's tpm2 provider writes true as 1, which is not DER.
func readFlag(s *cryptobyte.String, n uint8, flag *bool) bool {
	return readTagged(s, n, func(in *cryptobyte.String) bool {
		var value cryptobyte.String
		if !in.ReadASN1(&value, cbasn1.BOOLEAN) || len(value) != 1 {
			return false
		}
		*flag = value[0] != 0
		return true
	})
}

// read2B reads a structure of the TPM that begins with its size in two bytes, and is all
// that there is.
func read2B(s cryptobyte.String, content *[]byte) bool {
	var inner cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&inner) || !s.Empty() {
		return false
	}
	*content = inner
	return true
}

// readPolicy reads the commands of a policy (§4.1).
func readPolicy(s *cryptobyte.String, n uint8) (steps []policyStep, err error) {
	ok := readTagged(s, n, func(in *cryptobyte.String) bool {
		var all cryptobyte.String
		if !in.ReadASN1(&all, cbasn1.SEQUENCE) {
			return false
		}
		for !all.Empty() {
			var one cryptobyte.String
			var step policyStep
			if !all.ReadASN1(&one, cbasn1.SEQUENCE) || !readStep(one, &step) {
				return false
			}
			steps = append(steps, step)
		}
		return len(steps) <= maxPolicy
	})
	if !ok {
		return nil, errMalformed("the policy")
	}
	for _, step := range steps {
		if err := step.check(); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

func readStep(s cryptobyte.String, step *policyStep) bool {
	return readTagged(&s, 0, func(in *cryptobyte.String) bool {
		return in.ReadASN1Integer(&step.command)
	}) && readTagged(&s, 1, func(in *cryptobyte.String) bool {
		var body cryptobyte.String
		ok := in.ReadASN1(&body, cbasn1.OCTET_STRING) && len(body) <= maxBody
		step.body = body
		return ok
	}) && s.Empty() && step.command != 0
}

// pem is the file's text, of a loadable key.
func (f *keyFile) pem() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidLoadable)
		// False may be left out, but OpenSSL's tpm2 provider then takes the key for one without a
		// password.
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Boolean(f.emptyAuth) })
		if len(f.policy) > 0 {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, step := range f.policy {
						step.add(b)
					}
				})
			})
		}
		if f.description != "" {
			b.AddASN1(explicit(4), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(f.description)) })
			})
		}
		b.AddASN1Int64(int64(f.parent))
		b.AddASN1OctetString(to2B(f.public))
		b.AddASN1OctetString(to2B(f.private))
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// add writes one command of a policy.
func (step policyStep) add(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(step.command)) })
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddASN1OctetString(step.body) })
	})
}

// to2B puts the size before a structure of the TPM.
func to2B(content []byte) []byte {
	return bytes.Join([][]byte{{byte(len(content) >> 8), byte(len(content))}, content}, nil)
}
