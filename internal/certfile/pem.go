package certfile

import (
	"bytes"
	"encoding/pem"
	"strings"
	"unicode"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// PEM as people have it. encoding/pem is strict about line ends, indentation
// and labels, and passes over a block it doesn't like without a word, so that
// the leaf is missing and the CAs are left. This scanner takes PEM out of YAML
// and JSON, with lone carriage returns, and with line ends that became "\n" or
// spaces in a secret store; what it can't read it reports.

const (
	pemBegin  = "-----BEGIN "
	pemDashes = "-----"
)

// cutBegin cuts a text around the next beginning of a block. The space behind BEGIN became
// a line end where a shell's word splitting, or tr, made one of every space.
func cutBegin(text []byte) (before, after []byte, found bool) {
	word := []byte(pemBegin[:len(pemBegin)-1])
	for from := 0; ; {
		i := bytes.Index(text[from:], word)
		if i < 0 {
			return text, nil, false
		}
		from += i + len(word)
		if after = bytes.TrimLeftFunc(text[from:], unicode.IsSpace); len(after) < len(text)-from {
			return text[:from-len(word)], after, true
		}
	}
}

// hasBegin reports whether a text has the beginning of a block.
func hasBegin(text []byte) bool {
	_, _, found := cutBegin(text)
	return found
}

// encryptionHeader is one of the headers of an encrypted key, which share a line
// with what follows where line ends became spaces.
var encryptionHeader = lazyregexp.New(`(Proc-Type|DEK-Info):\s*(\S+)`)

// readPEM adds every block of text.
func readPEM(r *reader, text []byte) error {
	for {
		before, after, found := cutBegin(text)
		if err := findShortBegin(r, before); err != nil || !found {
			return err
		}
		if err := r.count(); err != nil {
			return err
		}
		block, rest, err := cutPEM(after, linePrefix(before))
		text = rest
		switch {
		case err == nil:
			err = addPEM(r, block)
		case block != nil && foreignPEM(block.Type, nil) != "":
			// OpenPGP puts a checksum behind its base64.
			r.note(foreignPEM(block.Type, nil))
			err = nil
		default:
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

// cutPEM reads a block from behind its BEGIN, before which prefix stands in its line. With
// an error it returns the block too, if its label could be read.
func cutPEM(text []byte, prefix string) (block *pem.Block, rest []byte, err error) {
	label, after, found := bytes.Cut(text, []byte(pemDashes))
	if !found || !isLabel(label) {
		if line := shortEnd().FindSubmatch(text); line != nil {
			return nil, text, formatError("the first line \"%s%s\" ends with less than five dashes: put five there",
				pemBegin, line[1])
		}
		return nil, text, formatError("a PEM block's first line is broken")
	}
	body, after, found := bytes.Cut(after, []byte(pemDashes))
	body = bytes.TrimLeft(body, "-") // more than five dashes are as good
	block = &pem.Block{Type: strings.Join(strings.Fields(string(label)), " "), Headers: map[string]string{}}
	clean := withoutPrefix(string(unescape(body)), prefix)
	if !found || !bytes.HasPrefix(bytes.TrimLeft(after, "-"), []byte("END")) {
		// The next BEGIN, if there is one, starts with the dashes just cut off.
		rest = text[len(text)-len(after):]
		if found {
			rest = text[len(text)-len(after)-len(pemDashes):]
		}
		// Its content says by itself whether all of it is there.
		block.Bytes, _ = decodePEMBody(clean, block.Headers)
		if !isWholeDER(block.Bytes) {
			return block, rest, formatError("the PEM block %q has no end: only a part of it was copied", block.Type)
		}
		return block, rest, nil
	}
	if block.Bytes, found = decodePEMBody(clean, block.Headers); !found {
		return block, after, notBase64(block.Type, clean)
	}
	return block, after, nil
}

// isLabel reports whether a text can be the label of a block: short, and of words in
// capitals if it has line ends.
func isLabel(label []byte) bool {
	if len(label) > 64 {
		return false
	}
	return !bytes.ContainsAny(label, "\r\n") || !bytes.ContainsFunc(label, func(c rune) bool {
		return !unicode.IsSpace(c) && (c < 'A' || c > 'Z')
	})
}

// linePrefix is what stands before a BEGIN in its line.
func linePrefix(before []byte) string {
	return strings.TrimRight(string(before[bytes.LastIndexAny(before, "\r\n")+1:]), " \t")
}

// withoutPrefix takes away what stands at the beginning of each line of a block, such as
// the ">" of mail, the "+" of a diff or the name that a log has before each line. Whatever
// stands in the END's line as it did in the BEGIN's is not of the block.
func withoutPrefix(body, prefix string) string {
	if prefix == "" {
		return body
	}
	end := strings.LastIndexAny(body, "\r\n") + 1
	if end == 0 || strings.TrimRight(body[end:], " \t") != prefix {
		return body
	}
	body = body[:end]
	var lines []string
	for line := range strings.FieldsFuncSeq(body, isLineEnd) {
		rest, found := strings.CutPrefix(line, prefix)
		if !found {
			return body
		}
		lines = append(lines, rest)
	}
	return strings.Join(lines, "\n")
}

func isLineEnd(c rune) bool { return c == '\r' || c == '\n' }

// notBase64 is the error for a block that can't be decoded. It shows the first character
// that isn't of base64, which is nothing of the content.
func notBase64(label, body string) error {
	for line := range strings.FieldsFuncSeq(body, isLineEnd) {
		if strings.Contains(line, ":") {
			continue
		}
		for _, c := range line {
			if !isBase64(c) && !isFiller(c) {
				return formatError("the PEM block %q has %q in it, which is not of its base64: what it was copied "+
					"from has put something into its lines; copy it again, or take that away", label, c)
			}
		}
	}
	return formatError("the PEM block %q is empty or its base64 is damaged: copy it again", label)
}

// isBase64 recognises what [decodeBase64] takes.
func isBase64(c rune) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune("+/-_=", c)
}

// quotedPrintable undoes what mail does to the characters of base64 and to line ends (RFC
// 2045 §6.7). None of it could stand in base64.
var quotedPrintable = strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=", "=2B", "+", "=2F", "/",
	"=0D", "\r", "=0A", "\n", "=20", " ")

// decodePEMBody splits headers from base64.
func decodePEMBody(body string, headers map[string]string) ([]byte, bool) {
	if strings.Contains(body, "DEK-Info:") {
		body = encryptionHeader().ReplaceAllString(body, "\n$1: $2\n")
	}
	if strings.Contains(body, "=3D") || strings.Contains(body, "=0A") {
		body = quotedPrintable.Replace(body)
	}
	var digits []byte
	for line := range strings.FieldsFuncSeq(body, isLineEnd) {
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
	if err != nil && block.Bytes[0] != tagSequence {
		return r.problem(formatError("the PEM block %q does not hold ASN.1, so it is damaged, "+
			"or no certificate and no key that is known here", block.Type))
	}
	if err != nil {
		return r.problem(formatError("the PEM block %q: %v", block.Type, err))
	}
	// A TRUSTED CERTIFICATE is followed by OpenSSL's settings for it.
	return addDER(r, block.Bytes[:len(block.Bytes)-len(rest)], der)
}
