package main

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/dn"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

const defaultDays = 365

type certNewCommand struct {
	console  *console.Console
	subject  string
	days     int
	bits     int
	out      string
	pem      bool
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
		Long: `Makes an RSA key and a certificate signed with it, and writes public.cer, which
is uploaded to the app registration, and private.pfx, which stays secret.

The subject is a common name such as my-app, or a whole name (RFC 4514) such as
CN=my-app,O=Example. Azure's SDK for Go (azidentity) and kubelogin read the PFX
only with --legacy; certtoken reads both forms.`,
		Example: `  certtoken cert new --subject my-app
  certtoken cert new --subject my-app --days 90 --password-env PFX_PASSWORD
  certtoken cert new --subject 'CN=my-app,OU=Sales\, EMEA,O=Example,C=DE'
  certtoken cert new --subject my-app --legacy    # for azidentity and kubelogin`,
		Args: noArgs,
		RunE: n.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.subject, "subject", "", "`NAME` of the certificate: my-app, or CN=my-app,O=Example")
	flags.IntVar(&n.days, "days", defaultDays, "`N` days of validity")
	flags.IntVar(&n.bits, "key-bits", 2048, "`N` bits of the RSA key: 2048 to 8192")
	flags.StringVar(&n.out, "out", ".", "`DIR` to write to; it is made if it doesn't exist")
	flags.BoolVar(&n.pem, "pem", false, "also write private.pem, with the key unencrypted")
	flags.BoolVar(&n.legacy, "legacy", false,
		"write the PFX in the old form (TripleDES, SHA-1), for azidentity and kubelogin")
	flags.BoolVar(&n.force, "force", false, "replace files that exist")
	flags.BoolVar(&n.json, "json", false, "print JSON")
	n.password.fallback = envPassword
	n.password.addTo(flags, "the PFX's password")
	return cmd
}

func (n *certNewCommand) run(cmd *cobra.Command, _ []string) error {
	subject, err := n.check(cmd)
	if err != nil {
		return err
	}
	pass, err := n.password.get(cmd.Context(), n.console, "New password of private.pfx")
	if err != nil {
		return err
	}
	cert, err := n.make(subject)
	if err != nil {
		return err
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
func (n *certNewCommand) check(cmd *cobra.Command) (*dn.Name, error) {
	switch {
	case n.subject == "":
		return nil, failure.Usagef("missing --subject").
			Advise("Give the application's name, for example. Other certificates may have the same name.", seeHelp(cmd))
	case n.out == "-":
		return nil, failure.Usagef("--out is a folder, and can't be standard output")
	case n.days < 1 || n.days > 36500:
		return nil, failure.Usagef("--days %d is not within 1 and 36500", n.days)
	case n.bits < 2048 || n.bits > 8192:
		return nil, failure.Usagef("--key-bits %d is not within 2048 and 8192", n.bits)
	}
	subject, err := dn.Parse(n.subject)
	if err != nil {
		return nil, failure.Usagef("--subject: %w", err).
			Advise("Give a name such as my-app, or a whole one such as CN=my-app,O=Example (RFC 4514).")
	}
	for _, name := range n.fileNames() {
		err := checkTarget(filepath.Join(n.out, name), n.force)
		switch {
		case errors.Is(err, fs.ErrExist):
			return nil, adviseForce(err)
		case err != nil:
			return nil, err
		}
	}
	return subject, nil
}

// Names of the files that are written.
const (
	fileCER = "public.cer"
	filePFX = "private.pfx"
	filePEM = "private.pem"
)

func (n *certNewCommand) fileNames() []string {
	names := []string{fileCER, filePFX}
	if n.pem {
		names = append(names, filePEM)
	}
	return names
}

func adviseForce(err error) error {
	return failure.Errorf("%w", err).Advise("--force replaces what is there; --out DIR writes elsewhere.")
}

// make makes the key and the certificate.
func (n *certNewCommand) make(subject *dn.Name) (*certtoken.Certificate, error) {
	commonName, simple := subject.CommonName()
	cert, err := selfsigned.New(selfsigned.Options{
		Subject:  commonName, // "" makes a default name, which withSubject replaces
		Validity: time.Duration(n.days) * 24 * time.Hour,
		KeyBits:  n.bits,
	})
	if err != nil {
		return nil, failure.Usagef("%w", failure.Clean(err))
	}
	if simple {
		return cert, nil
	}
	named, err := withSubject(cert, subject)
	if err != nil {
		return nil, failure.Errorf("--subject: %w", failure.Clean(err))
	}
	return named, nil
}

// withSubject signs a self-signed certificate again, under another name.
func withSubject(cert *certtoken.Certificate, subject *dn.Name) (*certtoken.Certificate, error) {
	name, err := subject.DER()
	if err != nil {
		return nil, err
	}
	template := *cert.Leaf
	template.RawSubject = name
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, cert.Signer.Public(), cert.Signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return certtoken.NewCertificate(cert.Signer, leaf, nil)
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
	shown := shownPair(cert, "PFX", nil)
	c.Printf("%s  to upload\n", c.Styled(console.Bold, files.CER))
	c.Printf("%s  to keep secret\n", c.Styled(console.Bold, files.PFX))
	if files.PEM != "" {
		c.Printf("%s  to keep secret; its key is not encrypted\n", c.Styled(console.Bold, files.PEM))
	}
	c.Printf("\n")
	rows := []row{{"Subject", shown.subject()}, {"Valid until", shown.validUntil(time.Now())}}
	printRows(c, append(rows, shown.thumbprintRows()...))
	c.Printf(nextSteps, files.CER, shellWord(files.PFX))
}

const nextSteps = `
Next:
  1. In the Entra admin centre (entra.microsoft.com), open App registrations,
     the application, Certificates & secrets, Certificates, Upload certificate,
     and choose %s. The portal then shows the SHA-1 thumbprint above.
  2. certtoken token --tenant TENANT --client-id CLIENT-ID \
       --cert %s --scope https://graph.microsoft.com/.default
     "certtoken doctor" with the same flags tells what is wrong if it fails.
`
