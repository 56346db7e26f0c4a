package certfile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf16"
)

// readFile reads one file into r, whatever is wrapped around its content. It
// returns only the errors that end the reading.
func (r *reader) readFile(data []byte) error {
	if len(data) > maxFileSize {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxFileSize)
	}
	for range maxLayers {
		if isWholeDER(data) {
			return r.readDER(data)
		}
		data = toUTF8(data)
		if bytes.Contains(data, []byte(pemBegin)) {
			r.format = "PEM"
			return r.readPEM(data)
		}
		if looksLikeDER(data) {
			return r.readDER(data)
		}
		if what := foreignKind(data); what != "" {
			return r.problem(formatError("it is %s", what))
		}
		inner, ok := unwrap(data)
		if !ok {
			break
		}
		data = inner
	}
	return r.problem(formatError("it is neither PFX nor PEM nor DER, nor base64 of them"))
}

// unwrap takes off one encoding that is text: quotes of JSON, or base64.
func unwrap(data []byte) ([]byte, bool) {
	text := bytes.Trim(data, " \t\r\n\x00")
	if len(text) > 1 && text[0] == '"' {
		var s string
		if json.Unmarshal(text, &s) != nil {
			return nil, false
		}
		return []byte(s), true
	}
	return decodeBase64(text)
}

// decodeBase64 decodes base64 or base64url, wrapped or not, padded or not.
func decodeBase64(text []byte) ([]byte, bool) {
	digits := make([]byte, 0, len(text))
	for _, b := range text {
		switch b {
		case ' ', '\t', '\r', '\n', 0:
		case '-':
			digits = append(digits, '+')
		case '_':
			digits = append(digits, '/')
		default:
			digits = append(digits, b)
		}
	}
	digits = bytes.TrimRight(digits, "=")
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, err := base64.RawStdEncoding.Decode(out, digits)
	return out[:n], err == nil && n > 0
}

// toUTF8 takes off a byte order mark and converts UTF-16, which is what
// PowerShell's redirection writes, to UTF-8.
func toUTF8(data []byte) []byte {
	if text, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		return text
	}
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return fromUTF16(data[2:], 0)
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return fromUTF16(data[2:], 1)
	case len(data) < 4:
		return data
	// Without a mark: every other byte of ASCII text is zero.
	case data[0] != 0 && data[1] == 0 && data[2] != 0 && data[3] == 0:
		return fromUTF16(data, 0)
	case data[0] == 0 && data[1] != 0 && data[2] == 0 && data[3] != 0:
		return fromUTF16(data, 1)
	}
	return data
}

// fromUTF16 decodes UTF-16 whose low byte stands at offset low of each pair.
func fromUTF16(data []byte, low int) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = uint16(data[2*i+low]) | uint16(data[2*i+1-low])<<8
	}
	return []byte(string(utf16.Decode(units)))
}

// isWholeDER reports whether data is one DER or BER value and nothing else but
// the zeros and line ends that Windows and careless copying leave behind. Only
// then can text inside it that looks like PEM not be PEM.
func isWholeDER(data []byte) bool {
	h, err := readBERHeader(data)
	if err != nil || h.tag[0] != tagSequence || !h.indefinite && len(trimFiller(h.rest)) > 0 {
		return false
	}
	// A short value could be text: "0" is the tag of a sequence.
	return looksLikeDER(data) || classify(data[:len(data)-len(h.rest)]) != kindUnknown
}

// looksLikeDER reports whether data starts as a sequence of at least 128 bytes
// or of indefinite length, which no text does.
func looksLikeDER(data []byte) bool {
	return len(data) > 1 && data[0] == tagSequence && data[1] >= 0x80 && data[1] <= 0x88
}

// trimFiller skips what may stand between and after DER values.
func trimFiller(data []byte) []byte {
	return bytes.TrimLeft(data, "\x00\r\n\t ")
}
