package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/selfsigned"
)

// adviceWidth leaves room for the indent.
const adviceWidth = 76

// report writes an error: one line, and the advice below it.
func report(c *console.Console, err error) {
	first, more := headline(err)
	fmt.Fprintf(c.Err, "%s %s\n", c.StyledErr(console.Red, "certtoken:"), first)
	for _, line := range append(more, adviceFor(err)...) {
		fmt.Fprintf(c.Err, "  %s\n", line)
	}
}

// errorJSON is an error for programs. What the server said is there if it has
// refused the request.
type errorJSON struct {
	Message       string   `json:"message"`
	Advice        []string `json:"advice,omitempty"`
	ExitStatus    int      `json:"exit_status"`
	Temporary     bool     `json:"temporary"`
	HTTPStatus    int      `json:"http_status,omitempty"`
	Code          string   `json:"code,omitempty"`
	AADSTS        []int    `json:"aadsts,omitempty"`
	RetryAfter    int64    `json:"retry_after,omitempty"` // seconds
	TraceID       string   `json:"trace_id,omitempty"`
	CorrelationID string   `json:"correlation_id,omitempty"`
}

// reportJSON writes an error as one line of JSON.
func reportJSON(c *console.Console, err error) {
	first, more := headline(err)
	e := errorJSON{
		Message:    c.Hide(strings.Join(append([]string{first}, more...), "; ")),
		ExitStatus: exitStatus(err),
		Temporary:  isTemporary(err),
	}
	for _, line := range adviceFor(err) {
		e.Advice = append(e.Advice, c.Hide(line))
	}
	var refused *certtoken.TokenError
	if errors.As(err, &refused) {
		e.HTTPStatus = refused.StatusCode
		e.Code = refused.Code
		e.AADSTS = refused.AADSTS
		e.RetryAfter = int64(math.Ceil(refused.RetryAfter.Seconds()))
		e.TraceID = refused.TraceID
		e.CorrelationID = refused.CorrelationID
	}
	line, jsonErr := json.Marshal(struct {
		Error errorJSON `json:"error"`
	}{e})
	if jsonErr != nil { // can't be: texts and numbers are always JSON
		report(c, err)
		return
	}
	fmt.Fprintf(c.Err, "%s\n", line)
}

// headline is an error in one line. The library reports several mistakes at once
// by joining their errors; those after the first are in more.
func headline(err error) (first string, more []string) {
	text := err.Error()
	var refused *certtoken.TokenError
	if errors.As(err, &refused) {
		text = strings.TrimSuffix(text, "; "+refused.Advice()) // report prints the advice in lines of its own
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimPrefix(line, "certtoken: ")
		line = strings.ReplaceAll(line, ": certtoken: ", ": ") // an error can wrap another of the library's
		lines[i] = console.Printable(flagNames(line))
	}
	return lines[0], lines[1:]
}

// flagNames replaces the names of the library's options by this program's flags.
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
	"WithBackdate", "--backdate",
	"WithLifetime", "--lifetime",
	"WithLoopbackHTTP", "--allow-http-loopback",
	"WithX5C", "--x5c",
)

// adviceFor is the advice for an error: the command's own, the library's, or what
// is known about errors of this kind.
func adviceFor(err error) []string {
	if advice := failure.Advice(err); len(advice) > 0 {
		return advice
	}
	var refused *certtoken.TokenError
	if errors.As(err, &refused) {
		return console.Wrap(sentence(flagNames(refused.Advice())), adviceWidth)
	}
	for _, known := range knownAdvice {
		if known.is(err) {
			return console.Wrap(known.advice, adviceWidth)
		}
	}
	return nil
}

// doctorHint is added to advice where a failure can have many causes.
const doctorHint = "\"certtoken doctor\" checks each step on its own."

// sentence turns the library's advice, which continues an error's text, into a
// sentence of its own.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// knownAdvice has advice for errors of the library and of Go. The first entry that
// fits an error counts.
var knownAdvice = []struct {
	is     func(error) bool
	advice string
}{
	{is(certtoken.ErrPasswordRequired), "Give the password with --password-env VAR or --password-file FILE, or " +
		"run the command on a terminal to be asked for it."},
	{is(certtoken.ErrWrongPassword), "Check the password; --password-env and --password-file win over " +
		"AZURE_CLIENT_CERTIFICATE_PASSWORD."},
	{is(certtoken.ErrSeveralKeys), "Choose one with --select THUMBPRINT."},
	{is(certfile.ErrSeveralCertificates), "Choose one with --select THUMBPRINT."},
	{is(certtoken.ErrKeyMismatch), "Give the key of this certificate with --key, or the certificate of this key."},
	{is(certtoken.ErrNoPrivateKey), "Use the .pfx, or give the private key's file with --key FILE."},
	{is(certtoken.ErrExpired), "Make a new one with \"certtoken cert new\" and upload its public.cer."},
	{is(certtoken.ErrNotYetValid), "Set the clock of this machine, or wait."},
	{is(certtoken.ErrNotRSA), "Make one with an RSA key: \"certtoken cert new\"."},
	{is(certtoken.ErrKeySize), "Make one with 2048 bits or more: \"certtoken cert new\"."},
	{is(selfsigned.ErrKeyNotExportable), "Export it where the key is kept."},
	{is(fs.ErrExist), "--force replaces it."},
	{is(fs.ErrPermission), "Check who may read the file and its folder."},
	{as[x509.UnknownAuthorityError](), "If the endpoint, or a proxy in between, has a certificate of a private CA, " +
		"give that CA with --ca FILE."},
	{as[x509.HostnameError](), "The certificate of the endpoint is for another host: check the URL."},
	{as[tls.RecordHeaderError](), "The endpoint doesn't speak TLS: check scheme and port of the URL."},
	{as[*net.DNSError](), "Check the host's name, the network and the proxy (HTTPS_PROXY). " + doctorHint},
	{isAlert, "The endpoint ended the TLS handshake. With --mtls it may not take the certificate; else check " +
		"whether it wants a client's certificate. " + doctorHint},
	{as[*net.OpError](), "Check host, port, network and proxy (HTTPS_PROXY). " + doctorHint},
	{is(context.DeadlineExceeded), "Try again, or give it longer with --timeout. " + doctorHint},
	{is(certtoken.ErrBadResponse), "Check --authority and --token-url. " + doctorHint},
}

// isAlert recognises a TLS alert that the endpoint has sent. Its type in crypto/tls
// has no name outside.
func isAlert(err error) bool {
	var opErr *net.OpError
	return errors.As(err, &opErr) && opErr.Op == "remote error"
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
