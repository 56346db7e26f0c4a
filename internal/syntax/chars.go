package syntax

// Kinds of characters, of which every text here has only a few. They are compared by
// hand, because a regular expression with a bound on its length takes longer to compile
// than a program needs to read its certificate, and these are wanted by every program.

func isDigit(c byte) bool      { return '0' <= c && c <= '9' }
func isLower(c byte) bool      { return 'a' <= c && c <= 'z' }
func isLetter(c byte) bool     { return isLower(c) || 'A' <= c && c <= 'Z' }
func isHex(c byte) bool        { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
func isLabelChar(c byte) bool  { return isLetter(c) || isDigit(c) || c == '-' }
func isPolicyChar(c byte) bool { return isLabelChar(c) || c == '_' }
func isRegionChar(c byte) bool { return isLower(c) || isDigit(c) }

// only reports whether a text has no other characters than those of a kind.
func only(text string, is func(byte) bool) bool {
	for i := range len(text) {
		if !is(text[i]) {
			return false
		}
	}
	return true
}

// hasLength reports whether a text has so many bytes.
func hasLength(text string, least, most int) bool { return least <= len(text) && len(text) <= most }
