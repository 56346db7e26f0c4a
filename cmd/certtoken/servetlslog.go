package main

import (
	"log"
	"strings"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// tlsFailures writes a line for each TLS handshake that fails.
type tlsFailures struct {
	out    *log.Logger
	caFile string // that clients have to trust
}

func (f *tlsFailures) report(remote string, err error) {
	text := "TLS handshake with " + remote + " failed: " + cut(err.Error(), maxLogField)
	if why := f.explain(err.Error()); why != "" {
		text += ": " + why
	}
	f.out.Print(console.Printable(text))
}

// other is for what else net/http has to say.
func (f *tlsFailures) other(line string) { f.out.Print(console.Printable(cut(line, maxLogText))) }

// explain says what a failure of the handshake means, "" where that isn't known.
// Clients tell their reasons by the alerts of RFC 8446 §6.2. They differ in which
// one they send: for a CA that it doesn't know, curl sends unknown_ca, Java
// certificate_unknown, and older clients in Go bad_certificate.
func (f *tlsFailures) explain(reason string) string {
	const name = ", or the certificate isn't for the name that it asked for, which --tls-name adds"
	trust := "the client doesn't trust this server's CA, which is in " + f.caFile
	left := "the client hung up; some do that instead of saying that they don't trust the CA in " + f.caFile
	for _, known := range []struct{ part, why string }{
		{"tls: unknown certificate authority", trust},
		{"tls: bad certificate", trust + name},
		{"tls: unknown certificate", trust + name},
		{"tls: expired certificate", "the client's clock is outside the certificate's validity, which begins an hour ago"},
		{"client sent an HTTP request to an HTTPS server", "the client must call it by https://, or start it with --http"},
		{"first record does not look like a TLS handshake", "the client doesn't speak TLS"},
		{"unsupported versions", "this server speaks TLS 1.2 and 1.3"},
		{"protocol version not supported", "the client refuses TLS 1.2 and 1.3"},
		{"failed to parse client certificate", "a server in Go refuses such a client certificate"},
		{"EOF", left},
		{"connection reset by peer", left},
	} {
		if strings.Contains(reason, known.part) {
			return known.why
		}
	}
	return ""
}
