package certfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// unwrap takes off one encoding that is text: base64 or hex, perhaps in the
// quotes and with the escapes of JSON, YAML or a shell, or as a data URI.
func unwrap(data []byte) ([]byte, bool) {
	text := bytes.Trim(unescape(data), " \t\r\n\x00\"',;")
	if bytes.HasPrefix(text, []byte("data:")) {
		_, text, _ = bytes.Cut(text, []byte(";base64,"))
	}
	if der, ok := decodeHex(text); ok {
		return der, true
	}
	return decodePieces(text)
}

// decodePieces decodes base64 as decodeBase64 does, also several of it one after the
// other, each with its padding, as the values of a secret come that are printed together.
func decodePieces(text []byte) (out []byte, ok bool) {
	if whole, ok := decodeBase64(text); ok {
		return whole, true
	}
	for piece := range bytes.FieldsFuncSeq(text, func(c rune) bool { return c == '=' }) {
		if len(bytes.TrimSpace(piece)) == 0 {
			continue
		}
		decoded, ok := decodeBase64(piece)
		if !ok {
			return nil, false
		}
		out = append(out, decoded...)
	}
	return out, len(out) > 0
}

// decodeHex decodes the hex form of a DER value or of PEM text, as SQL, xxd and
// debuggers write it. Its first digits are those of a sequence, which in base64 would
// mean nothing, or of five dashes.
func decodeHex(text []byte) ([]byte, bool) {
	digits := []byte(hexSeparators.Replace(string(text)))
	if !bytes.HasPrefix(digits, []byte("308")) && !bytes.HasPrefix(bytes.ToLower(digits), []byte("2d2d2d2d2d")) {
		return nil, false
	}
	out := make([]byte, hex.DecodedLen(len(digits)))
	_, err := hex.Decode(out, digits)
	return out, err == nil
}

// hexSeparators takes away what stands between and before hex digits.
var hexSeparators = strings.NewReplacer("0x", "", `\x`, "", "X'", "", "x'", "", ":", "", ",", "",
	" ", "", "\t", "", "\r", "", "\n", "", "\x00", "")

// withoutPercent undoes the encoding of URLs, in which proxies pass on a client's
// certificate: nginx in $ssl_client_escaped_cert, for example.
func withoutPercent(text []byte) []byte {
	unescape := url.PathUnescape
	switch {
	case bytes.Contains(text, []byte("-----BEGIN%20")):
	case bytes.Contains(text, []byte("-----BEGIN+")):
		unescape = url.QueryUnescape
	default:
		return text
	}
	decoded, err := unescape(string(text))
	if err != nil {
		return text
	}
	return []byte(decoded)
}

// decodeBase64 decodes base64 or base64url, wrapped or not, padded or not.
func decodeBase64(text []byte) ([]byte, bool) {
	digits := make([]byte, 0, len(text))
	for len(text) > 0 {
		c, size := rune(text[0]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRune(text)
		}
		switch {
		case c == '-':
			digits = append(digits, '+')
		case c == '_':
			digits = append(digits, '/')
		case c > ' ' && c < utf8.RuneSelf:
			digits = append(digits, byte(c))
		case !isFiller(c):
			digits = append(digits, text[:size]...)
		}
		text = text[size:]
	}
	digits = bytes.TrimRight(digits, "=")
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, err := base64.RawStdEncoding.Decode(out, digits)
	return out[:n], err == nil && n > 0
}

// isFiller recognises what separates base64 digits. Web pages and chats add
// space that nobody sees.
func isFiller(c rune) bool {
	return unicode.IsSpace(c) || c == 0 || c == zeroWidthSpace || c == byteOrderMark
}

const (
	zeroWidthSpace = '\u200b'
	byteOrderMark  = '\ufeff'
)

// unescape undoes what JSON, YAML and shells do to text, once or more often: a
// line end that became \n, and a letter that became \u002b. None of it is
// base64, so that nothing else can be meant.
func unescape(text []byte) []byte {
	if !bytes.ContainsRune(text, '\\') {
		return text
	}
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if text[0] != '\\' {
			out = append(out, text[0])
			text = text[1:]
			continue
		}
		text = bytes.TrimLeft(text, `\`)
		decoded, size := escaped(text)
		out = append(out, decoded...)
		text = text[size:]
	}
	return out
}

// escaped is what the text behind a backslash stands for, and the length of it.
func escaped(text []byte) (decoded string, size int) {
	if len(text) == 0 {
		return "", 0
	}
	switch text[0] {
	case 'n', 'r', 't':
		return "\n", 1
	case '/', '"', '\'', ' ', '\t', '\r', '\n': // the last ones continue a line
		return string(text[:1]), 1
	}
	if len(text) >= 5 && text[0] == 'u' {
		if n, err := strconv.ParseUint(string(text[1:5]), 16, 16); err == nil {
			return string(rune(n)), 5
		}
	}
	return `\`, 0
}

// withoutZeros makes ASCII of UTF-16, for what is ASCII in it.
func withoutZeros(data []byte) []byte {
	if bytes.IndexByte(data, 0) < 0 {
		return data
	}
	return bytes.ReplaceAll(data, []byte{0}, nil)
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
