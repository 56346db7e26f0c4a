package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

type certConvertCommand struct {
	console  *console.Console
	cert     certFlags
	to       string
	out      string
	legacy   bool
	force    bool
	password newPasswordFlags
}

func newCertConvert(c *console.Console) *cobra.Command {
	v := &certConvertCommand{console: c}
	v.password.prefix = "out-"
	cmd := &cobra.Command{
		Use:   "convert FILE OUT",
		Short: "Convert between PFX, PEM and DER",
		Long: `Writes the certificate in FILE into OUT, in the form that the end of OUT's name
or --to says. OUT - is standard output, for a PEM unless --to says otherwise.

  pfx  with the key and the chain, under a new password. Today's form (AES-256,
       SHA-256), or with --legacy the old one (TripleDES, SHA-1). Azure's SDK
       for Go (azidentity) and kubelogin read the old form only.
  pem  with the key, which is then not encrypted, and the chain. If FILE holds
       no key, the certificates alone.
  der  the certificate alone, to upload: .cer, .crt or .der

A key of a TPM can't leave it, so only the certificate of such a FILE is
written, as der. Commands take such a FILE as it is, by --cert, or its key apart
from the certificate, by --key.

Only its owner can read an OUT with a key.`,
		Example: `  certtoken cert convert private.pfx private.pem
  certtoken cert convert client.pem client.pfx \
    --out-password-env AZURE_CLIENT_CERTIFICATE_PASSWORD
  certtoken cert convert private.pfx old.pfx --legacy
  certtoken cert convert public.cer public.pem
  certtoken cert convert public.pem public.cer
  certtoken cert convert private.pfx - | openssl x509 -noout -text`,
		Args: v.args,
		RunE: v.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&v.to, "to", "", "`FORMAT` of OUT: pfx, pem or der (default by its name)")
	flags.StringVar(&v.out, "out", "", "OUT as a flag: `FILE` to write, - is standard output")
	flags.BoolVar(&v.legacy, "legacy", false, "write a PFX in the old form, for azidentity and kubelogin")
	flags.BoolVar(&v.force, "force", false, "replace OUT if it exists")
	v.cert.addTo(flags)
	v.password.addTo(flags, "OUT's password")
	completeWords(cmd, "to", "pfx", "pem", "der")
	return cmd
}

// args takes OUT from the second argument or from --out.
func (v *certConvertCommand) args(cmd *cobra.Command, args []string) error {
	if v.out != "" {
		args = append(args, v.out)
	}
	if err := exactArgs("a FILE", "an OUT file")(cmd, args); err != nil {
		return err
	}
	v.cert.file, v.out = args[0], args[1]
	return nil
}

func (v *certConvertCommand) run(cmd *cobra.Command, _ []string) error {
	to, err := v.form()
	if err != nil {
		return err
	}
	if to != formPEM && v.toStdout() && v.console.OutputIsTerminal() {
		return failure.Usagef("a %s isn't text for a terminal: give an OUT file, or pipe it", to)
	}
	if !v.toStdout() {
		if err := checkTarget(v.out, v.force); err != nil {
			return err
		}
	}
	content, err := v.cert.read(cmd.Context(), v.console)
	if err != nil {
		return err
	}
	out, err := v.encode(cmd, content, to)
	if err != nil {
		return err
	}
	if v.toStdout() {
		if _, err := v.console.Out.Write(out.data); err != nil {
			return failure.Errorf("standard output: %w", err)
		}
		fmt.Fprintln(v.console.Err, v.name()+out.note)
		return nil
	}
	if err := writeFile(v.out, out.data, out.mode, v.force); err != nil {
		return err
	}
	v.console.Printf("%s%s\n", v.console.Styled(console.Bold, console.Printable(v.out)), out.note)
	return nil
}

// name is what messages call OUT.
func (v *certConvertCommand) name() string {
	if v.toStdout() {
		return "standard output"
	}
	return v.out
}

func (v *certConvertCommand) toStdout() bool { return v.out == "-" }

// Forms of OUT.
const (
	formPFX = "PFX"
	formPEM = "PEM"
	formDER = "DER"
)

// form decides the form of OUT, by --to or by the end of its name.
func (v *certConvertCommand) form() (string, error) {
	to := strings.ToLower(v.to)
	switch {
	case to == "" && v.toStdout():
		to = "pem"
	case to == "":
		to = strings.TrimPrefix(strings.ToLower(filepath.Ext(v.out)), ".")
	}
	form := ""
	switch to {
	case "pfx", "p12":
		return formPFX, nil
	case "pem":
		form = formPEM
	case "der", "cer", "crt":
		form = formDER
	default:
		return "", failure.Usagef("say what %s shall be with --to pfx, --to pem or --to der", v.out)
	}
	if v.legacy || v.password.env != "" || v.password.file != "" || v.password.empty {
		return "", failure.Usagef("--legacy and --out-password-… are for PFX: a %s is not encrypted", form)
	}
	return form, nil
}

// converted is the content of OUT.
type converted struct {
	data []byte
	mode fs.FileMode
	note string // for people
}

func (v *certConvertCommand) encode(cmd *cobra.Command, content *certContent, to string) (*converted, error) {
	ctx := cmd.Context()
	if to != formDER && content.tpmKey() != nil {
		return nil, v.keyOfTPM()
	}
	if to == formPFX {
		opened, err := v.cert.open(ctx, v.console, content)
		if err != nil {
			return nil, err
		}
		return v.encodePFX(ctx, opened.Certificate)
	}
	shown, err := v.cert.show(ctx, v.console, content)
	switch {
	case err != nil:
		return nil, err
	case to == formDER:
		return &converted{shown.leaf.Raw, modePublic, "  to upload"}, nil
	case shown.pair == nil:
		return &converted{publicPEM(shown), modePublic, "  certificates without a key"}, nil
	}
	data, err := selfsigned.EncodePEM(shown.pair)
	return &converted{data, modePrivate, "  to keep secret; its key is not encrypted"}, failure.Clean(err)
}

func (v *certConvertCommand) encodePFX(ctx context.Context, cert *certtoken.Certificate) (*converted, error) {
	pass, err := v.password.get(ctx, v.console, "New password of "+v.name())
	if err != nil {
		return nil, err
	}
	form := selfsigned.PFXModern
	if v.legacy {
		form = selfsigned.PFXLegacy
	}
	data, err := selfsigned.EncodePFX(cert, pass.reveal(), form)
	return &converted{data, modePrivate, "  to keep secret"}, failure.Clean(err)
}

// keyOfTPM is the error about a key that can't be written.
func (v *certConvertCommand) keyOfTPM() error {
	use := "--cert " + shellWord(v.cert.file)
	if v.cert.key != "" {
		use += " --key " + shellWord(v.cert.key)
	}
	return failure.Errorf("%s: its key is in the TPM, which never lets it out", cmp.Or(v.cert.key, v.cert.name())).
		Advise("Commands take it as it is: "+use+".",
			"--to der writes the certificate alone.")
}

// publicPEM writes a certificate and its chain as PEM.
func publicPEM(shown *shownCert) []byte {
	var b bytes.Buffer
	for _, cert := range append([]*x509.Certificate{shown.leaf}, shown.chain...) {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}) // writing to a buffer never fails
	}
	return b.Bytes()
}
