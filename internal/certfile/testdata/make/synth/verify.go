package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// verify opens the files that should open with openssl, as far as it can, and
// holds what it finds against the manifest: the key is the expected one, and
// leaf and chain are among the certificates.
func verify(manifest, corpus string) error {
	data, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	var cases []Case
	if err := json.Unmarshal(data, &cases); err != nil {
		return err
	}
	opened := 0
	for _, c := range cases {
		if _, err := os.Stat(filepath.Join(corpus, c.File)); c.Error != "" || err != nil {
			continue // a part of the corpus can be verified alone
		}
		password := "pass:"
		if c.Password != nil {
			password += *c.Password
		}
		certs := map[string]bool{}
		keys := map[string]bool{}
		for _, file := range []string{c.File, c.KeyFile} {
			if file == "" {
				continue
			}
			path := filepath.Join(corpus, file)
			for _, args := range [][]string{
				{"pkcs12", "-in", path, "-nodes", "-legacy", "-passin", password},
				{"pkey", "-in", path, "-passin", password, "-provider", "legacy", "-provider", "default"},
				{"storeutl", "-certs", "-passin", password, path},
			} {
				// An exit status tells little: storeutl fails when it can't
				// open the key, and has printed the certificates by then.
				out, _ := exec.Command("openssl", args...).Output()
				collect(out, certs, keys)
			}
		}
		if len(keys) == 0 || len(certs) == 0 {
			fmt.Printf("openssl can't open %s (%s)\n", c.Name, c.What)
			continue
		}
		opened++
		if !keys[c.Key] && c.Format != "several pairs" { // of those openssl takes the first
			return fmt.Errorf("%s: openssl finds another key", c.Name)
		}
		for _, want := range append([]string{c.Leaf}, c.Chain...) {
			if !certs[want] {
				return fmt.Errorf("%s: openssl doesn't find certificate %s", c.Name, want)
			}
		}
	}
	fmt.Printf("openssl agrees on %d files\n", opened)
	return nil
}

// collect adds what the PEM blocks hold: SHA-256 of certificates and of public keys.
func collect(data []byte, certs, keys map[string]bool) {
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			return
		}
		switch block.Type {
		case "CERTIFICATE":
			certs[sha256Hex(block.Bytes)] = true
		case "PRIVATE KEY":
			if public, err := publicOf(pem.EncodeToMemory(block)); err == nil {
				keys[sha256Hex(public)] = true
			}
		}
	}
}
