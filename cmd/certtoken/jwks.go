package main

import (
	"context"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/spf13/cobra"
)

type jwksCommand struct {
	console *console.Console
	cert    certFlags
	kids    []string
	alg     string
	bare    bool
}

func newJWKS(c *console.Console) *cobra.Command {
	j := &jwksCommand{console: c}
	cmd := &cobra.Command{
		Use:   "jwks FILE...",
		Short: "Print public keys as a JWK Set, to register them",
		Long: `Prints the public keys in the files as a JWK Set (RFC 7517), by which servers
other than Entra ID know a client. A FILE is a certificate with or without its
key, a key alone, private or public, in PFX, PEM or DER, a JWK or a JWK Set;
- is standard input. A private key is never printed, whatever FILE holds.

Each key has a kid: that of its JWK, else its thumbprint (RFC 7638), which stays
the same when a certificate is renewed for the same key. "certtoken token" sends
it with --kid. The alg is what "certtoken token" signs with by default.`,
		Example: `  certtoken jwks private.pfx > jwks.json
  certtoken jwks public.cer next.cer
  certtoken jwks client.pem --kid my-key --alg PS256
  openssl pkey -in client.key -pubout | certtoken jwks -`,
		Args: j.args,
		RunE: j.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&j.kids, "kid", nil, "key `ID`; repeat it for several keys, in their order")
	flags.StringVar(&j.alg, "alg", "",
		"`ALG` that the client signs with (default by the key: RS256, ES256, ES384, ES512, EdDSA)")
	flags.BoolVar(&j.bare, "bare", false, "leave out the certificates (x5c and x5t#S256)")
	flags.StringVar(&j.cert.selected, "select", "", "`THUMBPRINT` of the certificate to use, if FILE has several")
	j.cert.password.fallback = envPassword
	j.cert.password.addTo(flags, "the files' password")
	completeWords(cmd, "alg", algorithms...)
	return cmd
}

func (j *jwksCommand) args(cmd *cobra.Command, args []string) error {
	stdin := 0
	for _, file := range args {
		if file == "-" {
			stdin++
		}
	}
	switch {
	case len(args) == 0:
		return failure.Usagef("%q takes at least one FILE", cmd.CommandPath()).Advise(seeHelp(cmd))
	case stdin > 1:
		return failure.Usagef("standard input can be read only once")
	case j.cert.selected != "" && len(args) > 1:
		return failure.Usagef("--select goes with one FILE")
	}
	return nil
}

func (j *jwksCommand) run(cmd *cobra.Command, files []string) error {
	var found []foundKey
	for _, file := range files {
		keys, err := j.read(cmd.Context(), file)
		if err != nil {
			return err
		}
		found = append(found, keys...)
	}
	if len(j.kids) > 0 && len(j.kids) != len(found) {
		return failure.Usagef("--kid is given for %d of %d keys: give it for each of them, in their order",
			len(j.kids), len(found))
	}
	set, err := j.set(found)
	if err != nil {
		return err
	}
	return j.console.PrintJSON(set)
}

// read finds the public keys of a file.
func (j *jwksCommand) read(ctx context.Context, file string) ([]foundKey, error) {
	flags := j.cert
	flags.file = file
	content, err := flags.read(ctx, j.console)
	if err != nil {
		return nil, err
	}
	return flags.publicKeys(ctx, j.console, content)
}

// set is what is printed. A key that stands in several files is there once.
func (j *jwksCommand) set(found []foundKey) (jwk.Set, error) {
	var set jwk.Set
	for i, key := range found {
		if len(j.kids) > 0 {
			key.kid = j.kids[i]
		}
		if j.alg != "" {
			key.alg = string(algorithm(j.alg))
			if err := jws.Fits(key.alg, key.public); err != nil && jws.CheckKey(key.public) == nil {
				return set, failure.Usagef("--alg: %s: %w", key.file, err)
			}
		}
		public, err := key.jwk(!j.bare)
		if err == nil {
			err = set.Add(public)
		}
		if err != nil {
			return set, failure.Errorf("%s: %w", key.file, err)
		}
	}
	return set, nil
}
