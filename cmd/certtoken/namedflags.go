package main

import "strings"

// behindFlag are the beginnings of the library's errors about values that flags give, with
// the flag. A package's name at the beginning makes room for it.
var behindFlag = []struct{ begin, flag string }{
	{"assertion: unknown algorithm", "--alg"},
	{"assertion: lifetime", "--lifetime"},
	{"assertion: backdate", "--backdate"},
	{"authority: empty audience", "--audience"},
	{"authority: ADFS host", "--authority"},
	{"the client id is", "--client-id"},
	{"token endpoint ", "--token-url"},
	{"issuer ", "--authority"},
	{"tenant ", "--tenant"},
}

// namesFlags puts the flag's name before each line of an error of the library's about the
// value of one.
func namesFlags(err error) error { return &flagNamer{err} }

type flagNamer struct{ err error }

func (e *flagNamer) Unwrap() error { return e.err }

func (e *flagNamer) Error() string {
	lines := strings.Split(e.err.Error(), "\n")
	for i, line := range lines {
		line = strings.TrimPrefix(line, "certtoken: ")
		for _, known := range behindFlag {
			if strings.HasPrefix(line, known.begin) {
				_, said, ok := strings.Cut(known.begin, ": ")
				if !ok {
					said = known.begin
				}
				line = known.flag + ": " + said + strings.TrimPrefix(line, known.begin)
				break
			}
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}
