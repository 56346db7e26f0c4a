package certfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// PEM as people have it. encoding/pem is strict about line ends, indentation
// and labels, and passes over a block it doesn't like without a word, so that
// the leaf is missing and the CAs are left. This scanner takes PEM out of YAML
// and JSON, with lone carriage returns, and with line ends that became "\n" or
// spaces in a secret store; what it can't read it reports.

const (
	pemBegin  = "-----BEGIN "
	pemEnd    = "-----END "
	pemDashes = "-----"
)

// encryptionHeader is one of the headers of an encrypted key, which share a line
// with what follows where line ends became spaces.
var encryptionHeader = regexp.MustCompile(`(Proc-Type|DEK-Info):\s*(\S+)`)

// readPEM adds every block of text.
func (r *reader) readPEM(text []byte) error {
	for {
		_, after, found := bytes.Cut(text, []byte(pemBegin))
		if !found {
			return nil
		}
		if err := r.count(); err != nil {
			return err
		}
		block, rest, err := cutPEM(after)
		text = rest
		if err == nil {
			err = r.addPEM(block)
		} else {
			err = r.problem(err)
		}
		if err != nil {
			return err
		}
	}
}

// cutPEM reads a block from behind its BEGIN.
func cutPEM(text []byte) (block *pem.Block, rest []byte, err error) {
	label, after, found := bytes.Cut(text, []byte(pemDashes))
	if !found || len(label) > 64 || bytes.ContainsAny(label, "\r\n") {
		return nil, text, formatError("a PEM block's first line is broken")
	}
	body, after, found := bytes.Cut(after, []byte(pemDashes))
	if !found || !bytes.HasPrefix(after, []byte(pemEnd[len(pemDashes):])) {
		// The next BEGIN, if there is one, starts with the dashes just cut off.
		rest = text[len(text)-len(after):]
		if found {
			rest = text[len(text)-len(after)-len(pemDashes):]
		}
		return nil, rest, formatError("the PEM block %q has no end: only a part of it was copied", label)
	}
	block = &pem.Block{Type: string(label), Headers: map[string]string{}}
	if block.Bytes, found = decodePEMBody(string(unescape(body)), block.Headers); !found {
		return nil, after, formatError("the PEM block %q is empty or not base64", label)
	}
	return block, after, nil
}

// decodePEMBody splits headers from base64.
func decodePEMBody(body string, headers map[string]string) ([]byte, bool) {
	if strings.Contains(body, "DEK-Info:") {
		body = encryptionHeader.ReplaceAllString(body, "\n$1: $2\n")
	}
	var digits []byte
	for line := range strings.FieldsFuncSeq(body, func(c rune) bool { return c == '\r' || c == '\n' }) {
		if name, value, found := strings.Cut(line, ":"); found {
			headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
			continue
		}
		digits = append(digits, line...)
	}
	return decodeBase64(digits)
}

// addPEM adds one block. Its label matters only for what isn't DER.
func (r *reader) addPEM(block *pem.Block) error {
	if text := foreignPEM(block.Type); text != "" {
		r.note(text)
		return nil
	}
	if isParameters(block.Type) {
		return nil
	}
	if block.Headers["DEK-Info"] != "" {
		if r.publicOnly {
			return nil
		}
		return r.addTraditional(block)
	}
	der, rest, err := derOf(block.Bytes)
	if err != nil {
		return r.problem(formatError("the PEM block %q: %v", block.Type, err))
	}
	// A TRUSTED CERTIFICATE is followed by OpenSSL's settings for it.
	return r.addDER(block.Bytes[:len(block.Bytes)-len(rest)], der)
}

// addTraditional adds a key with encryption in its PEM headers (RFC 1421), as
// OpenSSL before 1.0 wrote and "openssl rsa -aes256" did until 3.0.
func (r *reader) addTraditional(block *pem.Block) error {
	if block.Type == "EC PRIVATE KEY" || block.Type == "DSA PRIVATE KEY" {
		// Of no use, so nobody need be asked for its password.
		algorithm, _, _ := strings.Cut(block.Type, " ")
		r.keys = append(r.keys, privateKey{algorithm: algorithm})
		return nil
	}
	cipherName, _, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	if err := checkFIPS("the encryption of a traditional PEM key, which uses MD5,"); err != nil {
		return r.problem(err)
	}
	switch cipherName {
	case "DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC":
	default:
		return r.problem(fmt.Errorf("%w: a PEM key encrypted with %.40q", ErrUnsupported, cipherName))
	}
	r.locked = append(r.locked, lockedKey{1, func() ([]byte, error) { return r.openTraditional(block) }})
	return nil
}

func (r *reader) openTraditional(block *pem.Block) ([]byte, error) {
	forms := r.passwords.forms(false, false)
	for i, form := range forms {
		if err := r.budget.spend(1); err != nil {
			return nil, err
		}
		// Deprecated because this encryption has no integrity check, so that
		// its errors are an oracle for whoever can have us decrypt at will. Here
		// the key's owner decrypts a file that openssl wrote, and nothing else
		// in the standard library reads it.
		//lint:ignore SA1019 see above
		der, err := x509.DecryptPEMBlock(block, form)
		if err == nil && isKey(der) {
			prefer(forms, i)
			return der, nil
		}
		if err != nil && !errors.Is(err, x509.IncorrectPasswordError) {
			return nil, formatError("its PEM encryption is broken: %v", err)
		}
	}
	return nil, r.passwords.refused()
}
