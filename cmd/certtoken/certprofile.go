package main

import (
	"crypto/elliptic"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/dn"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

// profileFlags say what a certificate, or the request for one, holds: its names, and
// the key that is made for it.
type profileFlags struct {
	subject string
	dns     []string
	uris    []string
	key     string
	bits    int
	curve   string
}

func (f *profileFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.subject, "subject", "", "`NAME` of the certificate: my-app, or CN=my-app,O=Example")
	flags.StringArrayVar(&f.dns, "dns", nil, "DNS `NAME` in the certificate; repeat it for several")
	flags.StringArrayVar(&f.uris, "uri", nil,
		"`URI` in the certificate, such as a SPIFFE ID; repeat it for several")
	flags.StringVar(&f.key, "key", "rsa", "`KIND` of the new key: rsa, ec or ed25519; Entra ID and ADFS take rsa only")
	flags.IntVar(&f.bits, "key-bits", 2048, "`N` bits of an rsa key: 2048 to 8192")
	flags.StringVar(&f.curve, "curve", "P-256", "`CURVE` of an ec key: P-256, P-384 or P-521")
	completeWords(cmd, "key", "rsa", "ec", "ed25519")
	completeWords(cmd, "key-bits", "2048", "3072", "4096")
	completeWords(cmd, "curve", "P-256", "P-384", "P-521")
}

// keyKinds are what --key takes.
var keyKinds = map[string]selfsigned.KeyType{
	"rsa": selfsigned.RSA, "ec": selfsigned.EC, "ecdsa": selfsigned.EC, "ed25519": selfsigned.Ed25519,
}

// curves are what --curve takes, without hyphens. The longer names are those of
// OpenSSL and of SEC 2.
var curves = map[string]elliptic.Curve{
	"p256": elliptic.P256(), "prime256v1": elliptic.P256(), "secp256r1": elliptic.P256(),
	"p384": elliptic.P384(), "secp384r1": elliptic.P384(),
	"p521": elliptic.P521(), "secp521r1": elliptic.P521(),
}

// keyFlags are those that say which key is made.
var keyFlags = []string{"key", "key-bits", "curve"}

// options are what the flags say, without the subject.
func (f *profileFlags) options(cmd *cobra.Command) (selfsigned.Options, error) {
	opts := selfsigned.Options{DNSNames: f.dns, URIs: f.uris}
	kind, ok := keyKinds[strings.ToLower(f.key)]
	curve, known := curves[strings.ReplaceAll(strings.ToLower(f.curve), "-", "")]
	given := cmd.Flags().Changed
	switch {
	case !ok:
		return opts, failure.Usagef("--key is the kind of key to make: rsa, ec or ed25519").Advise(seeHelp(cmd))
	case !known:
		return opts, failure.Usagef("--curve %q is not P-256, P-384 or P-521", f.curve)
	case given("curve") && kind != selfsigned.EC:
		return opts, failure.Usagef("--curve goes with --key ec")
	case given("key-bits") && kind != selfsigned.RSA:
		return opts, failure.Usagef("--key-bits goes with --key rsa")
	}
	opts.Key = kind
	switch kind {
	case selfsigned.RSA:
		if f.bits < 2048 || f.bits > 8192 {
			return opts, failure.Usagef("--key-bits %d is not within 2048 and 8192", f.bits)
		}
		opts.KeyBits = f.bits
	case selfsigned.EC:
		opts.Curve = curve
	}
	return opts, nil
}

// setSubject puts a subject, as people write it, into the options.
func setSubject(opts *selfsigned.Options, text string) error {
	advise := func(err error) error {
		return failure.Usagef("--subject: %w", err).
			Advise("Give a name such as my-app, or a whole one such as CN=my-app,O=Example (RFC 4514).")
	}
	subject, err := dn.Parse(text)
	if err != nil {
		return advise(err)
	}
	if name, simple := subject.CommonName(); simple {
		opts.Subject = name
		return nil
	}
	opts.RawSubject, err = subject.DER()
	if err != nil {
		return advise(err)
	}
	return nil
}

// checkOptions finds what the library would refuse.
func checkOptions(opts selfsigned.Options) error {
	if err := opts.Validate(); err != nil {
		return failure.Usagef("%w", failure.Clean(err))
	}
	return nil
}

// checkTPM refuses the kind of key that no TPM makes.
func (f *profileFlags) checkTPM() error {
	if keyKinds[f.key] == selfsigned.Ed25519 {
		return failure.Usagef("--key %s and --tpm exclude each other: a TPM makes rsa and ec keys", f.key)
	}
	return nil
}
