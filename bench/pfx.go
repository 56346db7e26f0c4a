package main

import (
	"software.sslmate.com/src/go-pkcs12"

	"github.com/certtoken/certtoken"
)

// pfxRounds are those of OpenSSL 3 and go-pkcs12, and what OWASP advises for PBKDF2 with
// HMAC-SHA-256.
var pfxRounds = []int{2_048, 100_000, 600_000}

// measurePFX has files read whose password is stretched by so many rounds of PBKDF2, once
// for the key and once for the certificate, and again for the checksum.
func measurePFX(cfg settings, id identity) (map[int]samples, error) {
	const password = "a password"
	result := make(map[int]samples)
	for _, rounds := range pfxRounds {
		file, err := pkcs12.Modern2023.WithIterations(rounds).Encode(id.key(), id.cert.Leaf, nil, password)
		if err != nil {
			return nil, err
		}
		one := cfg
		one.rounds, one.pieces = min(cfg.rounds, 3), 3 // some take a second
		read := func(int) {
			if _, err := certtoken.ParseCertificate(file, certtoken.WithPassword(password)); err != nil {
				panic(err)
			}
		}
		result[rounds] = compare(one, 1, subject{"", read})[""]
	}
	return result, nil
}

func pfxTable(line func(string, ...any), read map[int]samples) {
	line("| a PFX file, PBKDF2 with HMAC-SHA-256 | to read it |")
	line("|---|---|")
	for _, rounds := range pfxRounds {
		line("| %s rounds | %s |", thousands(int64(rounds)), cell(read[rounds]))
	}
	line("")
	line("The rounds were chosen when the file was made: they are the price of a guess of its password. A client pays it " +
		"once for each change of the file, not for each token.")
	line("")
}
