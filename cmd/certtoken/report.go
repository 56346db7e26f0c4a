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
	"os"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/ext/tpm"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/lazyregexp"
	"github.com/certtoken/certtoken/selfsigned"
)

// adviceWidth leaves room for the indent.
const adviceWidth = 76

// report writes an error: one line, and the advice below it.
func report(c *console.Console, err error) {
	first, more := headline(err)
	fmt.Fprintf(c.Err, "%s %s\n", c.StyledErr(console.Red, "certtoken:"), first)
	for _, line := range append(more, adviceLines(err)...) {
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
	for _, text := range adviceTexts(err) {
		e.Advice = append(e.Advice, c.Hide(text))
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
	var advised interface{ Advice() string }
	if errors.As(err, &advised) {
		text = strings.TrimSuffix(text, "; "+advised.Advice()) // report prints the advice in lines of its own
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
	"to those of the system or to RootCAs in the transport of WithHTTPClient", "with --ca FILE, or to those of the system",
	" (HTTPS_PROXY, or the transport of WithHTTPClient)", " (HTTPS_PROXY)",
	": sign with it by github.com/certtoken/certtoken/ext/tpm, or through the TPM's PKCS #11 module (ext/pkcs11)",
	`: "certtoken token" takes it; the agent and "certtoken rotate" need a key in a file`,
	": tpm: a TSS2 PRIVATE KEY: ", ": the key of the TPM: ",
	": a TSS2 PRIVATE KEY: ", ": ",
	"the hierarchy 0x40000001", "the TPM's owner",
	"; give it by WithParentPassword", "", // the advice says what to do
	"; give the right one by WithParentPassword", "",
	"WithParentPassword", "the parent's password",
	"WithParent", "the parent",
	"; give the PCRs by WithPCRs", ", which its file doesn't tell",
	"WithPCRs", "PCRs",
	"leave WithDevice out", "unset "+envTPM,
	"WithDevice", envTPM,
	"give it by WithCertificateFile, or use the key alone by WithoutCertificate", "give it with --cert",
	"WithoutCertificate", "a key alone",
	"WithCertificateFile", "--cert",
	"WithIssuers", "--cert",
	"WithPassword", "--password-env or --password-file",
	"WithTLSClientAuth", "--mtls",
	"WithMTLSPoP", "--mtls",
	"give WithDPoP to the authority", "give --dpop",
	"WithDPoP", "--dpop",
	"give the token endpoint to Issuer", "give the token endpoint with --token-url",
	"give Issuer the issuer that it names, and its token endpoint",
	"give the issuer that it names with --authority, and its token endpoint with --token-url",
	"give Discover the issuer", "give the issuer",
	"WithCertificateBoundTokens", "--bound",
	"WithCertificate", "--cert",
	"give the certificate too (CertFile)", "give the certificate too",
	"WithThumbprintHeader", "--thumbprint",
	"WithThumbprint", "--select",
	"WithKeyIDFunc", "--kid",
	"WithKeyID", "--kid",
	"WithKeyFile", "--key",
	"WithAlgorithm", "--alg",
	"WithPSSFallback", "--alg RS256",
	"WithAssertionType", "--typ",
	"WithAudience", "--audience",
	"WithBackdate", "--backdate",
	"WithLifetime", "--lifetime",
	"WithLoopbackHTTP", "--allow-http-loopback",
	"WithX5C", "--x5c",
	"WithRegion", azureenv.Region,
	"WithHost", azureenv.AuthorityHost,
)

// adviceLines is the advice for an error in lines for a terminal. Lines of the command's own
// advice stay as they are: they may be a table.
func adviceLines(err error) []string {
	if advice := failure.Advice(err); len(advice) > 0 {
		return advice
	}
	var lines []string
	for _, text := range adviceFor(err) {
		lines = append(lines, console.Wrap(text, adviceWidth)...)
	}
	return lines
}

// adviceTexts is the advice for an error for a program: a text for each piece of advice,
// whatever lines it has on a terminal.
func adviceTexts(err error) []string {
	var texts []string
	for _, line := range adviceFor(err) {
		line = strings.Join(strings.Fields(line), " ") // what stands in columns on a terminal
		last := len(texts) - 1
		if last >= 0 && startsLower().MatchString(line) {
			texts[last] += " " + line
			continue
		}
		texts = append(texts, line)
	}
	return texts
}

// startsLower matches a line that goes on with the sentence of the line before it.
var startsLower = lazyregexp.New(`^[a-z(]`)

// adviceFor is the advice for an error: the command's own, the library's, or what
// is known about errors of this kind.
func adviceFor(err error) []string {
	if advice := failure.Advice(err); len(advice) > 0 {
		return advice
	}
	var advised interface{ Advice() string } // a refusal, or a connection that failed
	if errors.As(err, &advised) && advised.Advice() != "" {
		return []string{sentence(flagNames(advised.Advice()))}
	}
	for _, known := range knownAdvice {
		if known.is(err) {
			return []string{known.advice}
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
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, ".") {
		return upperFirst(text)
	}
	return upperFirst(text) + "."
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// knownAdvice has advice for errors of the library and of Go. The first entry that
// fits an error counts.
var knownAdvice = []struct {
	is     func(error) bool
	advice string
}{
	{is(certtoken.ErrPasswordRequired), "Give the password with --password-env VAR or --password-file FILE, set " +
		azureenv.Password + ", or run the command on a terminal to be asked for it."},
	{is(certtoken.ErrWrongPassword), "Check the password; --password-env and --password-file win over " +
		"AZURE_CLIENT_CERTIFICATE_PASSWORD."},
	{isForeignTPM, "The environment variable " + envTPM + " names it. Give the path of a TPM's device or, for a TPM in " +
		"software, of its Unix socket; or unset it for this machine's own."},
	{both(is(tpm.ErrNoTPM), is(fs.ErrPermission)), "Have the administrator add the user to that group " +
		"(usermod -aG GROUP USER), and log in again."},
	{is(tpm.ErrNoTPM), envTPM + " names another device, or the socket of a TPM in software."},
	{isParentRefused, "This command sends no password of the TPM's owner or of a parent. Have tpm2-tools or OpenSSL " +
		"make the key under a persistent parent without a password, and give its file with --cert or --key. Or take the " +
		"password away: tpm2_changeauth -c owner -p PASSWORD."},
	{is(tpm.ErrPasswordRefused), "Give the key's password with --password-env VAR or --password-file FILE, which " +
		"win over " + envPassword + ". Without any of them an empty one is tried. A few wrong ones lock the TPM."},
	{is(certtoken.ErrSeveralKeys), "Choose one with --select THUMBPRINT."},
	{is(certfile.ErrSeveralCertificates), "Choose one with --select THUMBPRINT."},
	{is(certtoken.ErrKeyMismatch), "Give the key of this certificate with --key, or the certificate of this key."},
	{is(certtoken.ErrNoPrivateKey), "Use the .pfx, or give the private key's file with --key FILE."},
	{is(certtoken.ErrExpired), "Is this machine's clock right? Then make a new one by \"certtoken cert new\", " +
		"and upload its public.cer. " + doctorHint},
	{is(certtoken.ErrNotYetValid), "Is this machine's clock right? Then wait until the certificate is valid. " +
		doctorHint},
	{is(certtoken.ErrKeySize), "Make one with 2048 bits or more: \"certtoken cert new\"."},
	{is(selfsigned.ErrKeyNotExportable), "Export it where the key is kept."},
	{is(fs.ErrExist), "--force replaces it."},
	{is(fs.ErrNotExist), "Check the name, and the folder in which the command runs."},
	{is(fs.ErrPermission), "Check who may read the file and its folder."},
	{as[x509.UnknownAuthorityError](), "If the endpoint, or a proxy in between, has a certificate of a private CA, " +
		"give that CA with --ca FILE."},
	{as[x509.HostnameError](), "The certificate of the endpoint is for another host: check the URL."},
	{as[tls.RecordHeaderError](), "The endpoint doesn't speak TLS: check scheme and port of the URL."},
	{as[*net.DNSError](), "Check the host's name, the network and the proxy (HTTPS_PROXY). " + doctorHint},
	{as[*net.OpError](), "Check host, port, network and proxy (HTTPS_PROXY). " + doctorHint},
	{is(context.DeadlineExceeded), "Try again, or give it longer with --timeout. " + doctorHint},
	{is(certtoken.ErrBadResponse), "Check --authority and --token-url. " + doctorHint},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func both(a, b func(error) bool) func(error) bool {
	return func(err error) bool { return a(err) && b(err) }
}

// isForeignTPM reports whether what a variable names can't be opened.
func isForeignTPM(err error) bool {
	return errors.Is(err, tpm.ErrNoTPM) && os.Getenv(envTPM) != "" && !errors.Is(err, fs.ErrPermission)
}

// isParentRefused reports whether the password is missing that this command has no flag
// for. The error is that of the key's own password, but for the option that it names.
func isParentRefused(err error) bool {
	return errors.Is(err, tpm.ErrPasswordRefused) && strings.Contains(err.Error(), "by WithParentPassword")
}

func as[T error]() func(error) bool {
	return func(err error) bool {
		var target T
		return errors.As(err, &target)
	}
}
