package redact

import (
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxDepth is how many spellings may be within each other: base64 of a JSON
	// text within a query of a URL within a page are four.
	maxDepth = 5

	// spellingsPerText bounds the work for one text, as a multiple of its length.
	// Ordinary texts take about 7, base64 within base64 within base64 17. What takes
	// more is not shown at all.
	spellingsPerText = 20

	// minPrintable is how many printable characters in a row make it worth to
	// look for further spellings in what base64 or hex came to: less than that
	// comes about by chance.
	minPrintable = 4
)

// spelling is a text as it reads once some escapes are undone. Each of its bytes
// knows the part of the original text that it came from.
type spelling struct {
	text     []byte
	from, to []int // the first byte, and the one after the last
	depth    int
	bytes    bool // it was read out of digits, which most texts only happen to be
}

// asWritten is a text in which every invisible character is a space.
func asWritten(text string) spelling {
	var sp spelling
	for i, r := range text {
		end := i + max(1, utf8.RuneLen(r))
		if r == utf8.RuneError {
			end = i + 1
		}
		switch {
		case r != utf8.RuneError && !unicode.IsGraphic(r):
			sp.text, sp.from, sp.to = append(sp.text, ' '), append(sp.from, i), append(sp.to, end)
		default:
			for ; i < end; i++ {
				sp.text, sp.from, sp.to = append(sp.text, text[i]), append(sp.from, i), append(sp.to, i+1)
			}
		}
	}
	return sp
}

// add appends what the bytes of another spelling from first to last stand for.
func (sp *spelling) add(decoded string, of *spelling, first, last int) {
	for i := range len(decoded) {
		sp.text = append(sp.text, decoded[i])
		sp.from = append(sp.from, of.from[first])
		sp.to = append(sp.to, of.to[last])
	}
}

// others are the texts that sp may be a spelling of.
func (sp *spelling) others() []spelling {
	if sp.bytes {
		sp = sp.printable()
	}
	if sp.depth == maxDepth || len(sp.text) == 0 {
		return nil
	}
	var list []spelling
	if plain, ok := sp.unescaped(); ok {
		list = append(list, plain)
	}
	if plain, ok := sp.joined(); ok {
		list = append(list, plain)
	}
	for offset := range 4 {
		list = append(list, sp.decoded(&base64Digits, 4, offset))
	}
	for offset := range 2 {
		list = append(list, sp.decoded(&hexDigits, 2, offset))
	}
	return append(list, sp.fromNumbers())
}

// unescaped undoes one level of the escapes of URLs, HTML, JSON, Go and
// JavaScript, and reports whether there were any.
func (sp *spelling) unescaped() (spelling, bool) {
	plain := spelling{depth: sp.depth + 1}
	found := false
	for i := 0; i < len(sp.text); {
		decoded, n := unescape(sp.text[i:])
		switch r, _ := utf8.DecodeRuneInString(decoded); {
		case n == 0:
			decoded, n = string(sp.text[i:i+1]), 1
		case r != utf8.RuneError && !unicode.IsGraphic(r):
			decoded, found = " ", true // a line end, or an invisible character
		default:
			found = true
		}
		plain.add(decoded, sp, i, i+n-1)
		i += n
	}
	return plain, found
}

// joined takes the white space out of a text, which may split an escape. Digits
// are read across white space anyway.
func (sp *spelling) joined() (spelling, bool) {
	plain := spelling{depth: sp.depth + 1}
	escapes := false
	for i, c := range sp.text {
		if c > ' ' {
			plain.add(string(sp.text[i:i+1]), sp, i, i)
			escapes = escapes || c == '%' || c == '&' || c == '\\'
		}
	}
	return plain, escapes && len(plain.text) < len(sp.text)
}

// unescape returns what the escape at the beginning of a text stands for, and
// its length, or 0 if there is none.
func unescape(text []byte) (decoded string, n int) {
	switch text[0] {
	case '%':
		if len(text) > 1 && text[1] == 'u' {
			return codePoint(text, 2, 4)
		}
		return byteOf(text, 1)
	case '&':
		return entity(text)
	case '\\':
		return backslash(text)
	}
	return "", 0
}

// byteOf reads two hex digits.
func byteOf(text []byte, at int) (string, int) {
	if len(text) < at+2 {
		return "", 0
	}
	n, err := strconv.ParseUint(string(text[at:at+2]), 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), at + 2
}

// codePoint reads so many hex digits.
func codePoint(text []byte, at, digits int) (string, int) {
	if len(text) < at+digits {
		return "", 0
	}
	n, err := strconv.ParseUint(string(text[at:at+digits]), 16, 32)
	if err != nil {
		return "", 0
	}
	return string(rune(n)), at + digits
}

// entity reads an entity of HTML: decimal, hex or named. The semicolon may be
// missing after a number, as browsers take it.
func entity(text []byte) (string, int) {
	const longest = 33 // of HTML's names
	if len(text) > 2 && text[1] == '#' {
		base, at := 10, 2
		if text[2] == 'x' || text[2] == 'X' {
			base, at = 16, 3
		}
		end := at
		for end < len(text) && end < at+longest && isDigit(text[end], base) {
			end++
		}
		n, err := strconv.ParseUint(strings.TrimLeft(string(text[at:end]), "0"), base, 32)
		if err != nil {
			return "", 0
		}
		if end < len(text) && text[end] == ';' {
			end++
		}
		return string(rune(n)), end
	}
	for end := 2; end < len(text) && end < longest; end++ {
		if text[end] == ';' {
			name := string(text[:end+1])
			if decoded := html.UnescapeString(name); decoded != name {
				return decoded, end + 1
			}
			return "", 0
		}
	}
	return "", 0
}

func isDigit(c byte, base int) bool {
	return c >= '0' && c <= '9' || base == 16 && (c|0x20 >= 'a' && c|0x20 <= 'f')
}

// backslash reads an escape of JSON, Go or JavaScript.
func backslash(text []byte) (string, int) {
	if len(text) < 2 {
		return "", 0
	}
	switch c := text[1]; c {
	case 'n', 'r', 't', 'b', 'f', 'v', 'a':
		return " ", 2
	case 'x':
		return byteOf(text, 2)
	case 'U':
		return codePoint(text, 2, 8)
	case 'u':
		if len(text) > 3 && text[2] == '{' {
			end := 3
			for end < len(text) && end < 11 && isDigit(text[end], 16) {
				end++
			}
			if decoded, n := codePoint(text[:end], 3, end-3); n > 0 && end < len(text) && text[end] == '}' {
				return decoded, end + 1
			}
			return "", 0
		}
		return codePoint(text, 2, 4)
	case '0', '1', '2', '3':
		if len(text) >= 4 {
			if n, err := strconv.ParseUint(string(text[1:4]), 8, 8); err == nil {
				return string([]byte{byte(n)}), 4
			}
		}
		return "", 0
	default:
		return string([]byte{c}), 2
	}
}

// digits is an alphabet: the value of each digit, or notDigit, or between, which
// is what may stand between digits.
type digits [256]byte

const (
	notDigit = 0xff
	between  = 0xfe
)

var base64Digits, hexDigits = func() (b64, hex digits) {
	for c := range 256 {
		b64[c], hex[c] = notDigit, notDigit
		if c <= ' ' {
			b64[c], hex[c] = between, between
		}
		if n, err := strconv.ParseUint(string(rune(c)), 16, 8); err == nil && c < 0x80 {
			hex[c] = byte(n)
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for i := range len(alphabet) {
		b64[alphabet[i]] = byte(i)
	}
	b64['+'], b64['-'], b64['/'], b64['_'] = 62, 62, 63, 63
	hex[':'] = between
	return b64, hex
}()

// decoded reads the text's runs of digits as groups: four digits of base64 are
// three bytes, two of hex are one. The first group of a run begins at offset. In
// place of what lies between two runs stands a NUL.
func (sp *spelling) decoded(alphabet *digits, group, offset int) spelling {
	bits := 6
	if group == 2 {
		bits = 4
	}
	plain := spelling{depth: sp.depth + 1, bytes: true}
	skip, n, value, first := offset, 0, 0, 0
	flush := func(last int) { // what is left of a run
		if whole := n * bits / 8; whole > 0 {
			plain.addBytes(value<<(group*bits-n*bits), group*bits/8, whole, sp, first, last)
		}
		plain.add("\x00", sp, last, last)
		skip, n, value = offset, 0, 0
	}
	for i, c := range sp.text {
		switch d := alphabet[c]; {
		case d == between:
		case d == notDigit:
			flush(i)
		case skip > 0:
			skip--
		default:
			if n == 0 {
				first = i
			}
			value = value<<bits | int(d)
			if n++; n == group {
				plain.addBytes(value, group*bits/8, group*bits/8, sp, first, i)
				n, value = 0, 0
			}
		}
	}
	if len(sp.text) > 0 {
		flush(len(sp.text) - 1)
	}
	return plain
}

// addBytes appends the first bytes of a value that has so many in all.
func (sp *spelling) addBytes(value, all, first int, of *spelling, from, to int) {
	var b [3]byte
	for i := range first {
		b[i] = byte(value >> (8 * (all - 1 - i)))
	}
	sp.add(string(b[:first]), of, from, to)
}

// fromNumbers reads lists of bytes as numbers, as Go and Python print them.
func (sp *spelling) fromNumbers() spelling {
	plain := spelling{depth: sp.depth + 1, bytes: true}
	for i := 0; i < len(sp.text); {
		end := i
		for end < len(sp.text) && end < i+5 && (isDigit(sp.text[end], 16) || sp.text[end]|0x20 == 'x') {
			end++
		}
		if n, err := strconv.ParseUint(string(sp.text[i:end]), 0, 8); err == nil {
			plain.add(string([]byte{byte(n)}), sp, i, end-1)
			i = end
			continue
		}
		if c := sp.text[i]; c > ' ' && c != ',' {
			plain.add("\x00", sp, i, i)
		}
		i = max(end, i+1)
	}
	return plain
}

// printable leaves nothing but the printable pieces of a text, with a NUL
// between them.
func (sp *spelling) printable() *spelling {
	kept := &spelling{depth: sp.depth}
	for i := 0; i < len(sp.text); {
		end := i
		for end < len(sp.text) && isText(sp.text[end]) {
			end++
		}
		if end-i >= minPrintable {
			kept.text = append(append(kept.text, sp.text[i:end]...), 0)
			kept.from = append(append(kept.from, sp.from[i:end]...), sp.from[end-1])
			kept.to = append(append(kept.to, sp.to[i:end]...), sp.to[end-1])
		}
		i = end + 1
	}
	return kept
}

// isText leaves out what no text in ASCII has. No spelling stands for anything
// else.
func isText(c byte) bool { return c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t' }
