package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

type certConvertCommand struct {
	console  *console
	cert     certFlags
	to       string
	out      string
	legacy   bool
	force    bool
	password newPasswordFlags
}

func newCertConvert(c *console) *cobra.Command {
	v := &certConvertCommand{console: c}
	v.password.prefix = "out-"
	cmd := &cobra.Command{
		Use:   "convert FILE OUT",
		Short: "Convert between PFX and PEM",
		Long: `Writes the certificate in FILE, with its key and its chain, into OUT as PFX or
PEM, by the name's end or --to. Only its owner can read OUT; - is standard
output, for a PEM unless --to says pfx. The key in a PEM is not encrypted. A PFX
is written in today's form (AES-256, SHA-256), or with --legacy in the old one
(TripleDES, SHA-1), which old programs read.`,
		Example: `  certtoken cert convert private.pfx private.pem
  certtoken cert convert client.pem client.pfx --out-password-env PFX_PASSWORD
  certtoken cert convert private.pfx old.pfx --legacy
  certtoken cert convert private.pfx - | openssl x509 -noout -text`,
		Args: v.args,
		RunE: v.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&v.to, "to", "", "`FORMAT` of OUT: pfx or pem (default by its name)")
	flags.StringVar(&v.out, "out", "", "OUT as a flag: `FILE` to write, - is standard output")
	flags.BoolVar(&v.legacy, "legacy", false, "write a PFX in the old form")
	flags.BoolVar(&v.force, "force", false, "replace OUT if it exists")
	v.cert.addTo(flags)
	v.password.addTo(flags, "OUT's password")
	completeWords(cmd, "to", "pfx", "pem")
	return cmd
}

// args takes OUT as an argument or as a flag.
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
	pfx, err := v.toPFX()
	if err != nil {
		return err
	}
	if pfx && v.toStdout() && v.console.outputIsTerminal() {
		return usagef("a PFX isn't text for a terminal: give an OUT file, or pipe it")
	}
	if !v.force && !v.toStdout() {
		if _, err := os.Lstat(v.out); err == nil { // before anybody types a password
			return failf("%s: %w", v.out, fs.ErrExist)
		}
	}
	cert, _, err := v.cert.load(cmd.Context(), v.console)
	if err != nil {
		return err
	}
	data, err := v.encode(cmd, cert, pfx)
	if err != nil {
		return err
	}
	if v.toStdout() {
		if _, err := v.console.out.Write(data); err != nil {
			return failf("standard output: %w", err)
		}
		fmt.Fprintln(v.console.err, written(v.name(), pfx))
		return nil
	}
	if err := writePrivate(v.out, data, v.force); err != nil {
		return err
	}
	v.console.printf("%s\n", written(paint(v.console.colourOut, bold, printable(v.out)), pfx))
	return nil
}

// name is OUT's for people.
func (v *certConvertCommand) name() string {
	if v.toStdout() {
		return "standard output"
	}
	return v.out
}

func (v *certConvertCommand) toStdout() bool { return v.out == "-" }

// written says what was written, and what to mind.
func written(name string, pfx bool) string {
	if pfx {
		return name + "  to keep secret"
	}
	return name + "  to keep secret; its key is not encrypted"
}

// toPFX decides the form of OUT: true is PFX.
func (v *certConvertCommand) toPFX() (bool, error) {
	to := strings.ToLower(v.to)
	switch {
	case to == "" && v.toStdout():
		to = "pem"
	case to == "":
		to = strings.TrimPrefix(strings.ToLower(filepath.Ext(v.out)), ".")
	}
	given := v.password.env != "" || v.password.file != "" || v.password.empty
	switch to {
	case "pfx", "p12":
		return true, nil
	case "pem":
		if v.legacy || given {
			return false, usagef("--legacy and --out-password-… are for PFX: the key in a PEM is not encrypted")
		}
		return false, nil
	}
	return false, usagef("say what %s shall be with --to pfx or --to pem", v.out)
}

func (v *certConvertCommand) encode(cmd *cobra.Command, cert *certtoken.Certificate, pfx bool) ([]byte, error) {
	if !pfx {
		data, err := selfsigned.EncodePEM(cert)
		return data, clean(err)
	}
	pass, err := v.password.get(cmd.Context(), v.console, "New password of "+v.name())
	if err != nil {
		return nil, err
	}
	form := selfsigned.PFXModern
	if v.legacy {
		form = selfsigned.PFXLegacy
	}
	data, err := selfsigned.EncodePFX(cert, pass.reveal(), form)
	return data, clean(err)
}

// writePrivate writes a file that only its owner can read, whole or not at all.
func writePrivate(name string, data []byte, replace bool) error {
	if !replace {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return failf("%w", fileError(err))
		}
		return fill(f, data)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".certtoken-*.tmp") // mode 0600
	if err != nil {
		return failf("%w", fileError(err))
	}
	if err := fill(f, data); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return failf("%w", fileError(err))
	}
	return nil
}

// fill writes a new file, which is gone if that fails.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name()) // the first error tells more
		return failf("%w", fileError(err))
	}
	return nil
}
