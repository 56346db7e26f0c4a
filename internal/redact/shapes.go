package redact

import (
	"bytes"
	"encoding/base64"
)

// minJWT is the length from which on the beginning of a JWT is taken for one.
const minJWT = 11

// findJWTs calls mark with the first and the last byte of everything shaped like
// a JWT (RFC 7519 §3): digits of base64url that begin a JSON object, and what
// follows with dots between, also where white space splits it.
func findJWTs(text []byte, mark func(first, last int)) {
	if !bytes.ContainsRune(text, 'e') {
		return
	}
	at := visible(text)
	for i := 0; i+minJWT <= len(at); i++ {
		if text[at[i]] != 'e' || !beginsObject(text, at[i:]) {
			continue
		}
		end := jwtEnd(text, at, i)
		if end-i >= minJWT {
			mark(at[i], at[end-1])
			i = end - 1
		}
	}
}

// visible is where a text's characters stand that aren't white space or control
// characters.
func visible(text []byte) []int {
	at := make([]int, 0, len(text))
	for i, c := range text {
		if c > ' ' && c != 0x7f {
			at = append(at, i)
		}
	}
	return at
}

// beginsObject reports whether the digits at these places begin a JSON object:
// they stand for a brace, perhaps white space, and a quotation mark.
func beginsObject(text []byte, at []int) bool {
	braced := false
	for ; len(at) >= 4; at = at[4:] {
		quad := [4]byte{text[at[0]], text[at[1]], text[at[2]], text[at[3]]}
		var plain [3]byte
		if n, err := base64.RawURLEncoding.Decode(plain[:], quad[:]); err != nil || n != 3 {
			return false
		}
		for _, c := range plain {
			switch {
			case !braced && c == '{':
				braced = true
			case braced && c == '"':
				return true
			case !braced, c != ' ' && c != '\t' && c != '\r' && c != '\n':
				return false
			}
		}
	}
	return false
}

// jwtEnd returns where the JWT ends that begins at the i-th visible character.
// White space may split it into pieces. What follows it is another piece as long
// as it looks like one and not like a word.
func jwtEnd(text []byte, at []int, i int) int {
	last := pieceAt(text, at, i)
	for {
		next := pieceAt(text, at, last.end)
		if next.len() == 0 {
			return last.end
		}
		after := pieceAt(text, at, next.end)
		switch {
		case next.random(text, at), after.random(text, at):
		case next.len() == last.len() && (last.len() >= 4 || after.len() <= last.len()):
		default:
			return last.end
		}
		last = next
	}
}

// piece is a run of a JWT's characters that nothing splits.
type piece struct{ start, end int }

func pieceAt(text []byte, at []int, i int) piece {
	p := piece{i, i}
	for p.end < len(at) && inJWT(text[at[p.end]]) && (p.end == i || at[p.end] == at[p.end-1]+1) {
		p.end++
	}
	return p
}

func (p piece) len() int { return p.end - p.start }

// random reports whether a piece looks like base64 and not like a word: capital
// letters within, digits beside letters, or a length that no word has.
func (p piece) random(text []byte, at []int) bool {
	const longestWord = 24
	digits, small, mixed := false, false, false
	for i := p.start; i < p.end; i++ {
		switch c := text[at[i]]; {
		case c >= '0' && c <= '9':
			digits = true
		case c >= 'a' && c <= 'z':
			small = true
		case c >= 'A' && c <= 'Z':
			mixed = mixed || small || digits
		}
	}
	return mixed || digits && small || p.len() > longestWord
}

func inJWT(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '=' || c == '+' || c == '/'
}

// findUserinfo calls mark with the user and password of each URL in a text (RFC
// 3986 §3.2.1). A password that isn't escaped may have slashes in it.
func findUserinfo(text []byte, mark func(first, last int)) {
	const sep = "://"
	for start := 0; ; {
		i := bytes.Index(text[start:], []byte(sep))
		if i < 0 {
			return
		}
		start += i + len(sep)
		end := start
		for end < len(text) && text[end] > ' ' && !bytes.ContainsRune([]byte(`"'<>`), rune(text[end])) {
			end++
		}
		authority := text[start:end]
		if slash := bytes.IndexAny(authority, "/?#"); slash >= 0 && !hasPassword(authority[:slash]) {
			authority = authority[:slash]
		}
		if at := bytes.LastIndexByte(authority, '@'); at > 0 {
			mark(start, start+at-1)
		}
	}
}

// hasPassword reports whether what stands before the first slash of a URL can't
// be a host: after the colon there is something else than a port.
func hasPassword(authority []byte) bool {
	if bytes.HasPrefix(authority, []byte("[")) { // an IPv6 address
		return false
	}
	_, port, found := bytes.Cut(authority, []byte(":"))
	return found && bytes.ContainsFunc(port, func(r rune) bool { return r < '0' || r > '9' })
}
