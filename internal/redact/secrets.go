package redact

import "strings"

const (
	minSecret = 4 // a shorter one is a word that any text may hold

	// exactRun is how many bytes of a secret may not stand in a text in a row.
	// A secret that is cut off, or spread over several lines, is found by these.
	exactRun = 12

	// foldedRun is the same of a secret's letters and digits alone. In a run of
	// exactRun bytes some may be something else.
	foldedRun = 10
)

// secretSet is what is looked for.
type secretSet struct {
	exact  map[string]struct{} // runs of exactRun bytes
	folded map[string]struct{} // runs of foldedRun letters and digits, in lower case
	short  []string            // secrets that are shorter than exactRun
}

func newSecretSet(secrets []string) secretSet {
	set := secretSet{exact: make(map[string]struct{}), folded: make(map[string]struct{})}
	for _, secret := range secrets {
		set.add(secret)
		if strings.Contains(secret, " ") {
			set.add(strings.ReplaceAll(secret, " ", "+")) // as a form writes it
		}
	}
	return set
}

func (set *secretSet) add(secret string) {
	switch {
	case len(secret) < minSecret:
		return
	case len(secret) < exactRun:
		if short := joinedWords(secret); len(short) >= minSecret {
			set.short = append(set.short, short)
		}
	}
	for i := 0; i+exactRun <= len(secret); i++ {
		set.exact[secret[i:i+exactRun]] = struct{}{}
	}
	folded, _ := fold([]byte(secret))
	for i := 0; i+foldedRun <= len(folded); i++ {
		set.folded[string(folded[i:i+foldedRun])] = struct{}{}
	}
}

// joinedWords is a text without white space.
func joinedWords(text string) string { return strings.Join(strings.Fields(text), "") }

// find calls mark with the first and the last byte of each piece of a secret.
func (set *secretSet) find(text []byte, mark func(first, last int)) {
	if len(set.exact) > 0 {
		for i := 0; i+exactRun <= len(text); i++ {
			if _, ok := set.exact[string(text[i:i+exactRun])]; ok {
				mark(i, i+exactRun-1)
			}
		}
	}
	if len(set.folded) > 0 {
		folded, at := fold(text)
		for i := 0; i+foldedRun <= len(folded); i++ {
			if _, ok := set.folded[string(folded[i:i+foldedRun])]; ok {
				mark(at[i], at[i+foldedRun-1])
			}
		}
	}
	if len(set.short) > 0 {
		at := visible(text)
		for _, secret := range set.short {
			for i := 0; i+len(secret) <= len(at); i++ {
				if standsAt(text, at[i:], secret) {
					mark(at[i], at[i+len(secret)-1])
					i += len(secret) - 1
				}
			}
		}
	}
}

// standsAt reports whether a secret's bytes are at these places of a text.
func standsAt(text []byte, at []int, secret string) bool {
	for i := range len(secret) {
		if text[at[i]] != secret[i] {
			return false
		}
	}
	return true
}

// fold returns the ASCII letters and digits of a text in lower case, and where they
// stand. What a mail program, a shell or a log puts between the pieces of a long
// line falls away, and so does the difference between the two alphabets of
// base64.
func fold(text []byte) (folded []byte, at []int) {
	for i, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			continue
		}
		folded = append(folded, c)
		at = append(at, i)
	}
	return folded, at
}
