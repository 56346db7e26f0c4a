package certfile

import (
	"bytes"
	"encoding/pem"
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
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
var encryptionHeader = lazyregexp.New(`(Proc-Type|DEK-Info):\s*(\S+)`)

// readPEM adds every block of text.
func readPEM(r *reader, text []byte) error {
	for {
		before, after, found := bytes.Cut(text, []byte(pemBegin))
		if err := findShortBegin(r, before); err != nil || !found {
			return err
		}
		if err := r.count(); err != nil {
			return err
		}
		block, rest, err := cutPEM(after)
		text = rest
		if err == nil {
			err = addPEM(r, block)
		} else {
			err = r.problem(err)
		}
		if err != nil {
			return err
		}
	}
}

// shortBegin is the first line of a block with too few dashes, or with others.
var shortBegin = lazyregexp.New(
	`(?:^|[^-])(-{1,4}BEGIN [A-Z0-9 ]{1,64}-)|(` + otherDashes + `BEGIN [A-Z0-9 ]{0,64}(?:PRIVATE KEY|CERTIFICATE))`)

// otherDashes are what word processors and chats make of two or three dashes: one
// of another kind, perhaps with dashes around it. In Windows-1252 it is no UTF-8,
// which matches U+FFFD.
const otherDashes = `[\p{Pd}\x{ad}\x{2212}\x{2500}\x{fffd}]*[\x{2010}-\x{2015}\x{ad}\x{2212}\x{2500}\x{fffd}]-*`

// hasShortBegin reports whether a text has such a line. Most have no BEGIN at all, and
// are spared the expression, which takes longer to compile than a file to read.
func hasShortBegin(text []byte) bool {
	return bytes.Contains(text, []byte("BEGIN ")) && shortBegin().Match(text)
}

// findShortBegin reports a block that nothing would be known of otherwise.
func findShortBegin(r *reader, text []byte) error {
	if !hasShortBegin(text) {
		return nil
	}
	line := shortBegin().FindSubmatch(text)
	if line[1] != nil {
		return r.problem(formatError("the line %q… begins with less than five dashes: put five there", line[1]))
	}
	return r.problem(formatError("the line %q… has other characters than \"-\" for dashes, "+
		"which a word processor or a chat has put there: "+
		"put five \"-\" before BEGIN, before END and at the end of both lines", bytes.ToValidUTF8(line[2], []byte("?"))))
}

// shortEnd is the first line of a block, from behind its BEGIN, with too few
// dashes at its end.
var shortEnd = lazyregexp.New(`^([A-Z0-9 ]{1,64}-{0,4})(?:[^A-Z0-9 -]|$)`)

// cutPEM reads a block from behind its BEGIN.
func cutPEM(text []byte) (block *pem.Block, rest []byte, err error) {
	label, after, found := bytes.Cut(text, []byte(pemDashes))
	if !found || len(label) > 64 || bytes.ContainsAny(label, "\r\n") {
		if line := shortEnd().FindSubmatch(text); line != nil {
			return nil, text, formatError("the first line \"%s%s\" ends with less than five dashes: put five there",
				pemBegin, line[1])
		}
		return nil, text, formatError("a PEM block's first line is broken")
	}
	body, after, found := bytes.Cut(after, []byte(pemDashes))
	body = bytes.TrimLeft(body, "-") // more than five dashes are as good
	block = &pem.Block{Type: string(label), Headers: map[string]string{}}
	if !found || !bytes.HasPrefix(bytes.TrimLeft(after, "-"), []byte(pemEnd[len(pemDashes):])) {
		// The next BEGIN, if there is one, starts with the dashes just cut off.
		rest = text[len(text)-len(after):]
		if found {
			rest = text[len(text)-len(after)-len(pemDashes):]
		}
		// Its content says by itself whether all of it is there.
		block.Bytes, _ = decodePEMBody(string(unescape(body)), block.Headers)
		if !isWholeDER(block.Bytes) {
			return nil, rest, formatError("the PEM block %q has no end: only a part of it was copied", label)
		}
		return block, rest, nil
	}
	if block.Bytes, found = decodePEMBody(string(unescape(body)), block.Headers); !found {
		return nil, after, formatError("the PEM block %q is empty or not base64", label)
	}
	return block, after, nil
}

// decodePEMBody splits headers from base64.
func decodePEMBody(body string, headers map[string]string) ([]byte, bool) {
	if strings.Contains(body, "DEK-Info:") {
		body = encryptionHeader().ReplaceAllString(body, "\n$1: $2\n")
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
func addPEM(r *reader, block *pem.Block) error {
	if text := foreignPEM(block.Type, block.Bytes); text != "" {
		r.note(text)
		return nil
	}
	if block.Type == "EC PARAMETERS" {
		r.addGroup(block.Bytes)
		return nil
	}
	if isParameters(block.Type) {
		return nil
	}
	if block.Headers["DEK-Info"] != "" {
		return addTraditional(r, block)
	}
	der, rest, err := derOf(block.Bytes)
	if err != nil {
		return r.problem(formatError("the PEM block %q: %v", block.Type, err))
	}
	// A TRUSTED CERTIFICATE is followed by OpenSSL's settings for it.
	return addDER(r, block.Bytes[:len(block.Bytes)-len(rest)], der)
}
