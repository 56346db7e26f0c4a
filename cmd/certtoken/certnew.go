package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/wholefiles"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

const defaultDays = 365

type certNewCommand struct {
	console  *console.Console
	profile  profileFlags
	days     int
	out      string
	pem      bool
	tpm      bool
	legacy   bool
	force    bool
	json     bool
	password newPasswordFlags
}

func newCertNew(c *console.Console) *cobra.Command {
	n := &certNewCommand{console: c}
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a self-signed certificate",
		Long: `Makes a key and a certificate signed with it, and writes public.cer, which is
uploaded to the app registration, and private.pfx, which stays secret.

The subject is a common name such as my-app, or a whole name (RFC 4514) such as
CN=my-app,O=Example. Entra ID and ADFS take an RSA key, which is the default.
Other servers take EC and Ed25519 keys too, most of them by the JWKS that
"certtoken jwks" prints.

With --tpm the key is made in this machine's TPM 2.0 and never leaves it. What
is written of it, private.tpm, is of use with this TPM only; --cert takes it. A
password, up to 32 bytes long, is asked for at each use; by default there is
none. Environment variable CERTTOKEN_TPM names another device than the default.

Azure's SDK for Go (azidentity) and kubelogin read the PFX only with --legacy;
certtoken reads both forms.`,
		Example: `  certtoken cert new --subject my-app
  certtoken cert new --subject my-app --days 90 \
    --password-env AZURE_CLIENT_CERTIFICATE_PASSWORD
  certtoken cert new --subject 'CN=my-app,OU=Sales\, EMEA,O=Example,C=DE'
  certtoken cert new --subject my-app --key ec --curve P-384
  certtoken cert new --subject a --key ed25519 --uri spiffe://example.org/a
  certtoken cert new --subject my-app --tpm
  certtoken cert new --subject my-app --legacy    # for azidentity and kubelogin`,
		Args: noArgs,
		RunE: n.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	n.profile.addTo(cmd)
	flags.IntVar(&n.days, "days", defaultDays, "`N` days of validity")
	flags.StringVar(&n.out, "out", ".", "`DIR` to write to; it is made if it doesn't exist")
	flags.BoolVar(&n.pem, "pem", false, "also write private.pem, with the key unencrypted")
	flags.BoolVar(&n.tpm, "tpm", false,
		"have this machine's TPM make the key, which never leaves it; writes private.tpm, and no PFX")
	flags.BoolVar(&n.legacy, "legacy", false,
		"write the PFX in the old form (TripleDES, SHA-1), for azidentity and kubelogin")
	flags.BoolVar(&n.force, "force", false, "replace files that exist")
	flags.BoolVar(&n.json, "json", false, "print JSON")
	n.password.fallback = envPassword
	n.password.addTo(flags, "the PFX's password")
	return cmd
}

func (n *certNewCommand) run(cmd *cobra.Command, _ []string) error {
	opts, err := n.check(cmd)
	if err != nil {
		return err
	}
	if n.tpm {
		return n.runTPM(cmd.Context(), opts)
	}
	pass, err := n.password.get(cmd.Context(), n.console, "New password of private.pfx")
	if err != nil {
		return err
	}
	done := n.console.Waiting("making the key")
	cert, err := selfsigned.New(opts)
	done()
	if err != nil {
		return failure.Errorf("%w", failure.Clean(err))
	}
	files, err := n.write(cert, pass.reveal())
	if err != nil {
		return err
	}
	if n.json {
		return n.console.PrintJSON(newCertNewJSON(cert, files))
	}
	n.print(cert, files)
	return nil
}

// check finds what is wrong before anybody types a password.
func (n *certNewCommand) check(cmd *cobra.Command) (selfsigned.Options, error) {
	var none selfsigned.Options
	switch {
	case n.profile.subject == "":
		return none, failure.Usagef("missing --subject").
			Advise("Give the application's name, for example. Other certificates may have the same name.", seeHelp(cmd))
	case n.out == "-":
		return none, failure.Usagef("--out is a folder, and can't be standard output")
	case n.days < 1 || n.days > 36500:
		return none, failure.Usagef("--days %d is not within 1 and 36500", n.days)
	}
	if err := n.checkTPM(); err != nil {
		return none, err
	}
	opts, err := n.profile.options(cmd)
	if err != nil {
		return none, err
	}
	opts.Validity = time.Duration(n.days) * 24 * time.Hour
	if err := setSubject(&opts, n.profile.subject); err != nil {
		return none, err
	}
	if err := checkOptions(opts); err != nil {
		return none, err
	}
	return opts, checkTargets(n.out, n.force, n.fileNames()...)
}

// checkTargets finds files of a folder that are there already.
func checkTargets(dir string, force bool, names ...string) error {
	for _, name := range names {
		err := checkTarget(filepath.Join(dir, name), force)
		switch {
		case errors.Is(err, fs.ErrExist):
			return adviseForce(err)
		case err != nil:
			return err
		}
	}
	return nil
}

// Names of the files that are written.
const (
	fileCER = "public.cer"
	filePFX = "private.pfx"
	filePEM = "private.pem"
)

func (n *certNewCommand) fileNames() []string {
	if n.tpm {
		return []string{fileCER, fileTPM}
	}
	names := []string{fileCER, filePFX}
	if n.pem {
		names = append(names, filePEM)
	}
	return names
}

func adviseForce(err error) error {
	return failure.Errorf("%w", err).Advise("--force replaces what is there; --out DIR writes elsewhere.")
}

func (n *certNewCommand) write(cert *certtoken.Certificate, password string) (selfsigned.Files, error) {
	opts := selfsigned.WriteOptions{CERName: fileCER, PFXName: filePFX, Overwrite: n.force}
	if n.pem {
		opts.PEMName = filePEM
	}
	if n.legacy {
		opts.Form = selfsigned.PFXLegacy
	}
	if err := os.MkdirAll(n.out, 0o700); err != nil {
		return selfsigned.Files{}, failure.Errorf("--out: %w", failure.File(err))
	}
	files, err := selfsigned.WriteFiles(n.out, cert, password, opts)
	switch {
	case errors.Is(err, fs.ErrExist): // somebody has made it since check looked
		return files, adviseForce(failure.Clean(err))
	case err != nil:
		return files, failure.Errorf("%w", failure.Clean(err))
	}
	return files, nil
}

// checkTPM refuses what a key that stays in the TPM can't have.
func (n *certNewCommand) checkTPM() error {
	switch {
	case !n.tpm:
		return nil
	case n.pem:
		return failure.Usagef("--pem and --tpm exclude each other: the key stays in the TPM")
	case n.legacy:
		return failure.Usagef("--legacy and --tpm exclude each other: there is no PFX")
	}
	return n.profile.checkTPM()
}

// runTPM makes the certificate of a key that the TPM makes.
func (n *certNewCommand) runTPM(ctx context.Context, opts selfsigned.Options) error {
	pass, err := n.password.optional(ctx, n.console)
	if err != nil {
		return err
	}
	key, signer, err := newTPMKey(ctx, n.console, opts, pass)
	if err != nil {
		return err
	}
	opts.Key, opts.KeyBits, opts.Curve = selfsigned.RSA, 0, nil // they were for the key that is there now
	cert, err := selfsigned.For(ctx, signer, opts)
	if err != nil {
		return failure.Errorf("%w", failure.Clean(err))
	}
	public, private, err := n.writeTPM(cert, key)
	if err != nil {
		return err
	}
	shown := shownPair(cert, formatTPM, nil)
	if n.json {
		return n.console.PrintJSON(certNewJSON{newCertJSON(shown), map[string]string{"cer": public, "tpm": private}})
	}
	c := n.console
	c.Printf("%s  to upload\n", c.Styled(console.Bold, console.Printable(public)))
	c.Printf("%s  its key is in the TPM, and this file is of use with that only\n",
		c.Styled(console.Bold, console.Printable(private)))
	n.printNext(shown, public, private)
	return nil
}

// writeTPM writes both files, or none: the key before is there again if one can't be
// written.
func (n *certNewCommand) writeTPM(cert *certtoken.Certificate, key []byte) (public, private string, err error) {
	if err := os.MkdirAll(n.out, 0o700); err != nil {
		return "", "", failure.Errorf("--out: %w", failure.File(err))
	}
	public, private = filepath.Join(n.out, fileCER), filepath.Join(n.out, fileTPM)
	err = writeFiles(n.force,
		wholefiles.File{Path: private, Data: tpmPEM(cert, key), Mode: modePrivate},
		wholefiles.File{Path: public, Data: cert.Leaf.Raw, Mode: modePublic})
	if err != nil {
		return "", "", err
	}
	return public, private, nil
}

type certNewJSON struct {
	certJSON
	Files map[string]string `json:"files"`
}

func newCertNewJSON(cert *certtoken.Certificate, files selfsigned.Files) certNewJSON {
	paths := map[string]string{"cer": files.CER, "pfx": files.PFX}
	if files.PEM != "" {
		paths["pem"] = files.PEM
	}
	shown := shownPair(cert, "PFX", nil)
	return certNewJSON{newCertJSON(shown), paths}
}

func (n *certNewCommand) print(cert *certtoken.Certificate, files selfsigned.Files) {
	c := n.console
	c.Printf("%s  to upload\n", c.Styled(console.Bold, files.CER))
	c.Printf("%s  to keep secret\n", c.Styled(console.Bold, files.PFX))
	if files.PEM != "" {
		c.Printf("%s  to keep secret; its key is not encrypted\n", c.Styled(console.Bold, files.PEM))
	}
	n.printNext(shownPair(cert, "PFX", nil), files.CER, files.PFX)
}

// printNext prints what the certificate is, and what to do with the two files.
func (n *certNewCommand) printNext(shown *shownCert, public, private string) {
	c := n.console
	c.Printf("\n")
	rows := append([]row{{"Subject", shown.subject()}}, shown.nameRows()...)
	rows = append(rows, row{"Valid until", shown.validUntil(time.Now())})
	kind, _ := shown.keyKind()
	if kind == "RSA" {
		printRows(c, append(rows, shown.thumbprintRows()...))
		c.Printf(nextSteps, public, shellWord(private))
		return
	}
	rows = append(rows, row{"Key", kind})
	printRows(c, append(rows, shown.thumbprintRows()...))
	c.Printf(nextStepsJWKS, shellWord(public), shellWord(private))
}

// nextStepsJWKS are for a key that Entra ID doesn't take.
const nextStepsJWKS = `
Next:
  1. certtoken jwks %s
     prints the public key as a JWKS. Register that, or its URL, at the server.
  2. certtoken token --authority ISSUER --token-url URL --client-id CLIENT-ID --cert %s
     "certtoken doctor" with the same flags tells what is wrong if it fails.
  Entra ID and ADFS take RSA keys only.
`

const nextSteps = `
Next:
  1. In the Entra admin centre (entra.microsoft.com), open App registrations,
     the application, Certificates & secrets, Certificates, Upload certificate,
     and choose %s. The portal then shows the SHA-1 thumbprint above.
  2. certtoken token --tenant TENANT --client-id CLIENT-ID \
       --cert %s --scope https://graph.microsoft.com/.default
     "certtoken doctor" with the same flags tells what is wrong if it fails.
`
