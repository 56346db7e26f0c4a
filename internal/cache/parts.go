package cache

import "encoding/binary"

// appendNumber appends a number as a varint.
func appendNumber(text []byte, n int) []byte { return binary.AppendUvarint(text, uint64(n)) }

// appendPart appends a string behind its length.
func appendPart(text []byte, part string) []byte {
	return append(appendNumber(text, len(part)), part...)
}

// appendList appends strings behind their number.
func appendList(text []byte, list []string) []byte {
	text = appendNumber(text, len(list))
	for _, part := range list {
		text = appendPart(text, part)
	}
	return text
}

// cutNumber takes what appendNumber appended off the beginning of a text. The text
// is one of ours, so nothing is missing.
func cutNumber(text string) (n int, rest string) {
	if text[0] < 0x80 {
		return int(text[0]), text[1:]
	}
	return cutLargeNumber(text)
}

// cutLargeNumber is apart so that the compiler puts cutNumber in the place of its calls.
func cutLargeNumber(text string) (n int, rest string) {
	for i, shift := 0, 0; ; i, shift = i+1, shift+7 {
		n |= int(text[i]&0x7f) << shift
		if text[i] < 0x80 {
			return n, text[i+1:]
		}
	}
}

// cutPart takes what appendPart appended off the beginning of a text.
func cutPart(text string) (part, rest string) {
	n, rest := cutNumber(text)
	return rest[:n], rest[n:]
}

// cutSame takes a part off the beginning of a text if it is the given one, as it is
// nearly always for one that was found by a hash.
func cutSame(text, part string) (rest string, is bool) {
	if n := len(part); n < 0x80 && n < len(text) {
		return text[n+1:], text[0] == byte(n) && text[1:n+1] == part
	}
	return cutSameLong(text, part)
}

// cutSameLong is cutSame for a part of any length.
func cutSameLong(text, part string) (rest string, is bool) {
	if n, behind := cutNumber(text); n == len(part) {
		return behind[n:], behind[:n] == part
	}
	return "", false
}

// cutList takes what appendList appended off the beginning of a text.
func cutList(text string) (list []string, rest string) {
	n, rest := cutNumber(text)
	if n > 0 {
		list = make([]string, n)
	}
	for i := range list {
		list[i], rest = cutPart(rest)
	}
	return list, rest
}
