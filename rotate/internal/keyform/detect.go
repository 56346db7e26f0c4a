package keyform

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/certtoken/certtoken/internal/jwk"
)

type kind int

const (
	kindPEM kind = iota
	kindDER
	kindPFX
	kindJWK
)

// file is the form of one file.
type file struct {
	kind      kind
	base64    bool   // around everything else
	certFirst bool   // PEM: the certificate stands before the key
	encrypted bool   // the key, other than in a PFX
	older     bool   // the key is in PKCS #1 or SEC 1, and not in PKCS #8
	legacy    bool   // PFX: with TripleDES or RC2
	algorithm string // JWK: its alg
}

// maxLayers is how many times a file may be wrapped in base64; only one is written again.
const maxLayers = 3

// detect finds out the form of a file that can be read.
func detect(data []byte) (file, error) {
	var f file
	for range maxLayers {
		text := bytes.ReplaceAll(data, []byte{0}, nil) // UTF-16
		switch {
		case isDER(data):
			return f, f.fromDER(data)
		case bytes.Contains(text, []byte("-----BEGIN")):
			f.fromPEM(text)
			return f, nil
		case jwk.Is(data):
			f.kind = kindJWK
			var members struct {
				Algorithm string `json:"alg"`
			}
			_ = json.Unmarshal(data, &members) // it was read before
			f.algorithm = members.Algorithm
			return f, nil
		}
		inner, ok := fromBase64(text)
		if !ok {
			break
		}
		f.base64, data = true, inner
	}
	return f, errors.New("its form isn't known")
}

// isDER reports whether data begins as a sequence does and its length fits.
func isDER(data []byte) bool {
	var value asn1.RawValue
	_, err := asn1.Unmarshal(data, &value)
	if err == nil {
		return value.Tag == asn1.TagSequence && value.IsCompound
	}
	return len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80 && data[1] <= 0x88 // BER, as some PFX are
}

func fromBase64(text []byte) ([]byte, bool) {
	s := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	s = strings.TrimRight(s, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if data, err := encoding.DecodeString(s); err == nil && len(data) > 0 {
			return data, true
		}
	}
	return nil, false
}

func (f *file) fromPEM(text []byte) {
	f.kind = kindPEM
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return
		}
		switch {
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			f.certFirst = true
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			f.older = block.Type == "RSA PRIVATE KEY" || block.Type == "EC PRIVATE KEY"
			f.encrypted = block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != ""
			if f.encrypted {
				f.older = false
			}
			return
		}
	}
}

// fromDER tells the kinds of DER apart by the values that they begin with.
func (f *file) fromDER(data []byte) error {
	f.kind = kindDER
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(data, &outer); err != nil {
		f.kind, f.legacy = kindPFX, isLegacy(data) // BER
		return nil
	}
	var first, second asn1.RawValue
	rest, err := asn1.Unmarshal(outer.Bytes, &first)
	if err == nil {
		_, err = asn1.Unmarshal(rest, &second)
	}
	if err != nil {
		return errors.New("its form isn't known")
	}
	switch {
	case first.Tag == asn1.TagSequence && second.Tag == asn1.TagOctetString:
		f.encrypted = true
	case first.Tag == asn1.TagSequence: // a certificate
	case second.Tag == asn1.TagSequence && isPFX(first):
		f.kind, f.legacy = kindPFX, isLegacy(data)
	case second.Tag == asn1.TagInteger || second.Tag == asn1.TagOctetString:
		f.older = true // PKCS #1, SEC 1
	}
	return nil
}

// isPFX reports whether a version is that of a PFX: 3. That of a PKCS #8 key is 0 or 1.
func isPFX(version asn1.RawValue) bool {
	return version.Tag == asn1.TagInteger && bytes.Equal(version.Bytes, []byte{3})
}

// isLegacy reports whether a PFX names one of the old ciphers of PKCS #12 and not PBES2.
func isLegacy(data []byte) bool {
	var (
		pkcs12 = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01} // 1.2.840.113549.1.12.1
		pbes2  = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d} // 1.2.840.113549.1.5.13
	)
	return bytes.Contains(data, pkcs12) && !bytes.Contains(data, pbes2)
}
