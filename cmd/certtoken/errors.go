package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// adviceWidth leaves room for the indent.
const adviceWidth = 76

// failure is an error with what the user can do about it.
type failure struct {
	err    error
	advice []string
	usage  bool
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usagef is wrong usage.
func usagef(format string, args ...any) *failure {
	return &failure{err: fmt.Errorf(format, args...), usage: true}
}

// failf is an error of this program's own.
func failf(format string, args ...any) *failure {
	return &failure{err: fmt.Errorf(format, args...)}
}

// advise adds lines of advice.
func (f *failure) advise(lines ...string) *failure {
	f.advice = append(f.advice, lines...)
	return f
}

// errInterrupted is what a command returns that was ended by a signal.
var errInterrupted = errors.New("interrupted")

func exitStatus(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &f) && f.usage:
		return exitUsage
	}
	return exitFailed
}

// report writes an error: one line, and the advice below it.
func (c *console) report(err error) {
	first, more := headline(err)
	fmt.Fprintf(c.err, "%s %s\n", paint(c.colourErr, red, "certtoken:"), first)
	for _, line := range append(more, adviceFor(err)...) {
		fmt.Fprintf(c.err, "  %s\n", line)
	}
}

// headline is an error in one line. Errors that the library joined, all
// mistakes at once, follow as lines of their own.
func headline(err error) (first string, more []string) {
	text := err.Error()
	var refused *certtoken.TokenError
	if errors.As(err, &refused) {
		text = strings.TrimSuffix(text, "; "+refused.Advice()) // goes below
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimPrefix(line, "certtoken: ")
		line = strings.ReplaceAll(line, ": certtoken: ", ": ") // of an error within another
		lines[i] = printable(withoutUser(flagNames(line)))
	}
	return lines[0], lines[1:]
}

// withoutUser takes user and password out of the URLs in a text, which may be
// mistaken ones.
func withoutUser(text string) string { return urlUser.ReplaceAllString(text, "://[removed]@") }

var urlUser = regexp.MustCompile(`://[^\s"]*@`)

// flagNames puts the flags of this program where the library names its options.
func flagNames(text string) string { return optionFlags.Replace(text) }

var optionFlags = strings.NewReplacer(
	"WithPassword", "--password-env or --password-file",
	"WithTLSClientAuth", "--mtls",
	"WithMTLSPoP", "--mtls",
	"WithThumbprintHeader", "--thumbprint",
	"WithThumbprint", "--select",
	"WithKeyIDFunc", "--kid",
	"WithKeyID", "--kid",
	"WithKeyFile", "--key",
	"WithAlgorithm", "--alg",
	"WithAssertionType", "--typ",
	"WithAudience", "--audience",
	"WithLifetime", "--lifetime",
	"WithLoopbackHTTP", "--allow-http-loopback",
	"WithX5C", "--x5c",
)

// adviceFor collects the advice along an error's chain.
func adviceFor(err error) []string {
	var f *failure
	if errors.As(err, &f) && len(f.advice) > 0 {
		return f.advice
	}
	var refused *certtoken.TokenError
	if errors.As(err, &refused) {
		return wrap(sentence(flagNames(refused.Advice())), adviceWidth)
	}
	for _, known := range knownAdvice {
		if known.is(err) {
			return wrap(known.advice, adviceWidth)
		}
	}
	return nil
}

// doctorHint ends advice on failures that have many causes.
const doctorHint = "\"certtoken doctor\" tries each step by itself."

// sentence makes a sentence of the library's advice.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// knownAdvice is what to do about errors of the library and of Go's, the first
// that applies.
var knownAdvice = []struct {
	is     func(error) bool
	advice string
}{
	{is(certtoken.ErrPasswordRequired), "Give the password with --password-env VAR or --password-file FILE, or run the command on a terminal to be asked for it."},
	{is(certtoken.ErrWrongPassword), "Check the password; --password-env and --password-file win over AZURE_CLIENT_CERTIFICATE_PASSWORD."},
	{is(certtoken.ErrSeveralKeys), "Choose one with --select THUMBPRINT."},
	{is(certtoken.ErrKeyMismatch), "Give the key of this certificate with --key, or the certificate of this key."},
	{is(certtoken.ErrNoPrivateKey), "Use the .pfx, or give the private key's file with --key FILE."},
	{is(certtoken.ErrExpired), "Make a new one with \"certtoken cert new\" and upload its public.cer."},
	{is(certtoken.ErrNotYetValid), "Set the clock of this machine, or wait."},
	{is(certtoken.ErrNotRSA), "Make one with an RSA key: \"certtoken cert new\"."},
	{is(certtoken.ErrKeySize), "Make one with 2048 bits or more: \"certtoken cert new\"."},
	{is(selfsigned.ErrKeyNotExportable), "Export it where the key is kept."},
	{is(fs.ErrExist), "--force replaces it."},
	{is(fs.ErrPermission), "Check who may read the file and its folder."},
	{as[x509.UnknownAuthorityError](), "If the endpoint, or a proxy in between, has a certificate of a private CA, give that CA with --ca FILE."},
	{as[x509.HostnameError](), "The endpoint's certificate is for another host: check the URL."},
	{as[tls.RecordHeaderError](), "The endpoint doesn't speak TLS: check scheme and port of the URL."},
	{as[*net.DNSError](), "Check the host's name, the network and the proxy (HTTPS_PROXY). " + doctorHint},
	{as[*net.OpError](), "Check host, port, network and proxy (HTTPS_PROXY). " + doctorHint},
	{is(context.DeadlineExceeded), "Try again, or give it longer with --timeout. " + doctorHint},
	{is(certtoken.ErrBadResponse), "Check --authority and --token-url. " + doctorHint},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error]() func(error) bool {
	return func(err error) bool {
		var target T
		return errors.As(err, &target)
	}
}

// fileError shortens what package os says: the name and the reason.
func fileError(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("%s: %w", pathErr.Path, pathErr.Err)
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return fmt.Errorf("%s: %w", linkErr.New, linkErr.Err)
	}
	return err
}

// clean takes off the packages' names from an error's text; this program's own
// stands before it anyway.
func clean(err error) error {
	if err == nil {
		return nil
	}
	return &cleaned{err}
}

type cleaned struct{ err error }

func (e *cleaned) Unwrap() error { return e.err }

func (e *cleaned) Error() string { return packageNames.Replace(e.err.Error()) }

var packageNames = strings.NewReplacer("certtoken: ", "", "selfsigned: ", "", "certtokentest: ", "")
