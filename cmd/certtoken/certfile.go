package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/certtoken/certtoken"
	"github.com/spf13/pflag"
)

// maxCertFile is what the library reads of a file.
const maxCertFile = 1 << 20

// certFlags say which certificate is used and how its file is opened.
type certFlags struct {
	file     string
	data     []byte // of the file, if it was read already
	key      string
	selected string
	password passwordFlags
}

// addTo adds the flags that go with a certificate's file.
func (f *certFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "`FILE` with the private key, if it isn't in the certificate's")
	flags.StringVar(&f.selected, "select", "", "`THUMBPRINT` of the one to use of several in the file")
	f.password.fallback = envPassword
	f.password.addTo(flags, "the certificate's password")
}

// name is the file's for people.
func (f *certFlags) name() string {
	if f.file == "-" {
		return "standard input"
	}
	return f.file
}

// load reads the certificate, and asks for its password if it needs one and
// there is somebody to ask.
func (f *certFlags) load(ctx context.Context, c *console) (*certtoken.Certificate, password, error) {
	var pass password
	switch {
	case f.key == "-":
		return nil, pass, usagef("--key can't be standard input: give the certificate there, with its key")
	case f.file == "-" && f.password.file == "-":
		return nil, pass, usagef("only one of certificate and password can come from standard input")
	}
	pass, err := f.password.read(c)
	if err != nil {
		return nil, pass, err
	}
	data := f.data
	if data == nil {
		if data, err = readFile(c, f.file); err != nil {
			return nil, pass, err
		}
	}
	if f.key != "" { // for an error that names it
		if _, err := os.Stat(f.key); err != nil {
			return nil, pass, failf("%w", fileError(err))
		}
	}
	cert, err := f.parse(data, pass)
	if !errors.Is(err, certtoken.ErrPasswordRequired) {
		return cert, pass, f.explain(err, pass)
	}
	if !c.interactive() {
		return nil, pass, f.explain(err, pass)
	}
	text, err := c.prompt(ctx, "Password of "+f.name())
	if err != nil {
		return nil, pass, err
	}
	pass = newPassword(text, fromTerminal)
	cert, err = f.parse(data, pass)
	return cert, pass, f.explain(err, pass)
}

// explain names the file, and where a wrong password came from.
func (f *certFlags) explain(err error, pass password) error {
	if err == nil {
		return nil
	}
	named := failf("%s: %w", f.name(), clean(err))
	if errors.Is(err, certtoken.ErrWrongPassword) {
		named.advise("The password came from " + pass.from + ".")
		if pass.from == "environment variable "+envPassword {
			named.advise("--password-env and --password-file win over it.")
		}
	}
	return named
}

func (f *certFlags) parse(data []byte, pass password) (*certtoken.Certificate, error) {
	var opts []certtoken.CertOption
	if pass.given() {
		opts = append(opts, certtoken.WithPassword(pass.reveal()))
	}
	if f.key != "" {
		opts = append(opts, certtoken.WithKeyFile(f.key))
	}
	if f.selected != "" {
		opts = append(opts, certtoken.WithThumbprint(f.selected))
	}
	return certtoken.ParseCertificate(data, opts...)
}

// readFile reads a file that should be small; - is standard input.
func readFile(c *console, name string) ([]byte, error) {
	var in io.Reader = c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, failf("%w", fileError(err))
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxCertFile+1))
	if err != nil {
		return nil, failf("%w", fileError(err))
	}
	if len(data) > maxCertFile {
		return nil, failf("%s: %w: it has over %d bytes", name, certtoken.ErrTooLarge, maxCertFile)
	}
	return data, nil
}
