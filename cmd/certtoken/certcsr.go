package main

import (
	"crypto"
	"os"
	"path/filepath"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/wholefiles"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

type certCSRCommand struct {
	console *console.Console
	profile profileFlags
	cert    certFlags // of an existing key
	out     string
	tpm     bool
	force   bool
	json    bool
}

func newCertCSR(c *console.Console) *cobra.Command {
	r := &certCSRCommand{console: c}
	cmd := &cobra.Command{
		Use:   "csr [FILE]",
		Short: "Make a certificate signing request",
		Long: `Makes the request by which a certificate authority issues a certificate
(PKCS #10), and writes it as request.csr.

Without FILE a key is made too, and written as private.key, which isn't
encrypted and stays secret. With FILE, the request is for the key in it: a key
alone, or one with its certificate, whose subject, DNS names and URIs are then
the default. Nothing but the request is written in that case; --out - prints it.

With --tpm the new key is made in this machine's TPM 2.0, which it never leaves.
It is written as private.tpm, which is of use with this TPM only; a password is
optional. Environment variable CERTTOKEN_TPM names another device than the
default.

When the certificate has come, "certtoken cert convert" puts it and private.key
into one file. With private.tpm, give commands both: --cert issued.cer
--key private.tpm. A certificate in PEM and private.tpm may also stand one after
the other in one file, for --cert.`,
		Example: `  certtoken cert csr --subject my-app --key ec
  certtoken cert csr --subject CN=my-app,O=Example --dns my-app.example.com
  certtoken cert csr --subject my-app --tpm
  certtoken cert csr private.pfx --out -
  certtoken cert convert issued.cer private.pfx --key private.key
  certtoken token --cert issued.cer --key private.tpm …`,
		Args: r.args,
		RunE: r.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	r.profile.addTo(cmd)
	flags.StringVar(&r.out, "out", ".",
		"`DIR` to write to; it is made if it doesn't exist; with FILE, - is standard output")
	flags.BoolVar(&r.tpm, "tpm", false, "have this machine's TPM make the new key, which never leaves it")
	flags.BoolVar(&r.force, "force", false, "replace files that exist")
	flags.BoolVar(&r.json, "json", false, "print JSON")
	flags.StringVar(&r.cert.selected, "select", "", "`THUMBPRINT` of the certificate to use, if FILE has several")
	r.cert.password.fallback = envPassword
	r.cert.password.addTo(flags, "FILE's password, or with --tpm the new key's")
	return cmd
}

func (r *certCSRCommand) args(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	r.cert.file = args[0]
	return exactArgs("at most one FILE")(cmd, args)
}

// Names of the files that are written.
const (
	fileCSR = "request.csr"
	fileKey = "private.key"
)

func (r *certCSRCommand) run(cmd *cobra.Command, _ []string) error {
	opts, err := r.check(cmd)
	if err != nil {
		return err
	}
	key, err := r.key(cmd, &opts)
	if err != nil {
		return err
	}
	opts.Key, opts.KeyBits, opts.Curve = selfsigned.RSA, 0, nil // they were for the key that is there now
	request, err := selfsigned.Request(cmd.Context(), key.signer, opts)
	if err != nil {
		return failure.Errorf("%w", failure.Clean(err))
	}
	made := &madeRequest{CertificateRequest: request}
	if r.out == "-" {
		return r.toStdout(made)
	}
	return r.write(made, key)
}

// csrKey is the key of a request. A new one has a file to be written.
type csrKey struct {
	signer crypto.Signer
	name   string // of the new file; "": the key was there
	file   []byte
}

// key makes the key, or reads it.
func (r *certCSRCommand) key(cmd *cobra.Command, opts *selfsigned.Options) (*csrKey, error) {
	ctx := cmd.Context()
	switch {
	case r.cert.file != "":
		signer, err := r.existing(cmd, opts)
		return &csrKey{signer: signer}, err
	case r.tpm:
		pass, err := r.cert.password.read(ctx, r.console)
		if err != nil {
			return nil, err
		}
		file, signer, err := newTPMKey(ctx, r.console, *opts, pass)
		return &csrKey{signer, fileTPM, file}, err
	}
	done := r.console.Waiting("making the key")
	signer, err := selfsigned.GenerateKey(*opts)
	done()
	if err != nil {
		return nil, failure.Clean(err)
	}
	file, err := keyPEM(signer)
	return &csrKey{signer, fileKey, file}, err
}

// check finds what is wrong before anything is read or made.
func (r *certCSRCommand) check(cmd *cobra.Command) (selfsigned.Options, error) {
	opts, err := r.profile.options(cmd)
	if err != nil {
		return opts, err
	}
	names := []string{fileCSR}
	if r.cert.file == "" {
		names = append(names, r.keyFile())
		if r.profile.subject == "" {
			return opts, failure.Usagef("missing --subject").
				Advise("Give the application's name, for example, or a FILE whose certificate has one.", seeHelp(cmd))
		}
		if r.out == "-" {
			return opts, failure.Usagef("--out - is for the request of a key in a FILE: a new key needs a folder")
		}
		if err := r.password(cmd); err != nil {
			return opts, err
		}
	}
	if err := r.checkTPM(); err != nil {
		return opts, err
	}
	for _, flag := range keyFlags {
		if r.cert.file != "" && cmd.Flags().Changed(flag) {
			return opts, failure.Usagef("--%s is for a new key, and FILE has the key", flag)
		}
	}
	if r.profile.subject != "" {
		if err := setSubject(&opts, r.profile.subject); err != nil {
			return opts, err
		}
	}
	if err := checkOptions(opts); err != nil || r.out == "-" {
		return opts, err
	}
	return opts, checkTargets(r.out, r.force, names...)
}

// checkTPM refuses what doesn't go with --tpm.
func (r *certCSRCommand) checkTPM() error {
	switch {
	case !r.tpm:
		return nil
	case r.cert.file != "":
		return failure.Usagef("--tpm is for a new key, and FILE has the key")
	}
	return r.profile.checkTPM()
}

// keyFile is the name of the new key's file.
func (r *certCSRCommand) keyFile() string {
	if r.tpm {
		return fileTPM
	}
	return fileKey
}

// password refuses a password for a key that is written without one.
func (r *certCSRCommand) password(cmd *cobra.Command) error {
	flags := []string{"select", "password-env", "password-file"}
	if r.tpm {
		flags = flags[:1]
	}
	for _, flag := range flags {
		if cmd.Flags().Changed(flag) {
			return failure.Usagef("--%s is for a FILE", flag).
				Advise(fileKey+" isn't encrypted: only its owner can read it.",
					`"certtoken cert convert" puts it and its certificate into a PFX with a password.`)
		}
	}
	return nil
}

// existing reads the key, and takes from its certificate what no flag gives.
func (r *certCSRCommand) existing(cmd *cobra.Command, opts *selfsigned.Options) (crypto.Signer, error) {
	content, err := r.cert.read(cmd.Context(), r.console)
	if err != nil {
		return nil, err
	}
	opened, err := r.cert.openKey(cmd.Context(), r.console, content)
	if err != nil {
		return nil, err
	}
	cert := opened.Certificate
	nameless := cert.Leaf == nil || len(cert.Leaf.Subject.Names) == 0
	switch {
	case r.profile.subject == "" && nameless:
		return nil, failure.Usagef("missing --subject: there is none in %s", r.cert.name())
	case cert.Leaf == nil:
		return cert.Signer, nil
	case r.profile.subject == "":
		opts.RawSubject = cert.Leaf.RawSubject
	}
	shown := shownPair(cert, "", nil)
	if len(r.profile.dns) == 0 {
		opts.DNSNames = cert.Leaf.DNSNames
	}
	if len(r.profile.uris) == 0 {
		opts.URIs = shown.uris()
	}
	return cert.Signer, nil
}

func (r *certCSRCommand) toStdout(made *madeRequest) error {
	if r.json {
		return r.console.PrintJSON(made.json(nil))
	}
	if _, err := r.console.Out.Write(made.pem()); err != nil {
		return failure.Errorf("standard output: %w", err)
	}
	return nil
}

// write writes the request, and the key if it is new: both or none. A request without its
// key is worth nothing.
func (r *certCSRCommand) write(made *madeRequest, key *csrKey) error {
	if err := os.MkdirAll(r.out, 0o700); err != nil {
		return failure.Errorf("--out: %w", failure.File(err))
	}
	files := map[string]string{"csr": filepath.Join(r.out, fileCSR)}
	written := []wholefiles.File{{Path: files["csr"], Data: made.pem(), Mode: modePublic}}
	if key.name != "" {
		files["key"] = filepath.Join(r.out, key.name)
		written = append(written, wholefiles.File{Path: files["key"], Data: key.file, Mode: modePrivate})
	}
	if err := writeFiles(r.force, written...); err != nil {
		return err
	}
	if r.json {
		return r.console.PrintJSON(made.json(files))
	}
	c := r.console
	c.Printf("%s  to send to the certificate authority\n", c.Styled(console.Bold, console.Printable(files["csr"])))
	keyFile := r.cert.file
	if files["key"] != "" {
		keyFile = files["key"]
		note := "to keep secret; it is not encrypted"
		if r.tpm {
			note = "its key is in the TPM, and this file is of use with that only"
		}
		c.Printf("%s  %s\n", c.Styled(console.Bold, console.Printable(keyFile)), note)
	}
	c.Printf("\n")
	printRows(c, made.rows())
	switch {
	case r.tpm:
		c.Printf(nextStepsTPM, console.Printable(shellWord(keyFile)))
	case keyFile != "-":
		c.Printf(nextStepsCSR, console.Printable(shellWord(keyFile)))
	}
	return nil
}

const nextStepsCSR = `
Next, with the certificate that the authority returns:
  certtoken cert convert ISSUED-CERTIFICATE private.pfx --key %s
`

const nextStepsTPM = `
Next, with the certificate that the authority returns:
  certtoken token --cert ISSUED-CERTIFICATE --key %s …
`
