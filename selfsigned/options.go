package selfsigned

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// Bounds and defaults of [Options].
const (
	defaultSubject = "certtoken"
	maxSubject     = 64 // characters of a common name (RFC 5280, ub-common-name)
	minValidity    = time.Hour
	maxValidity    = 100 * 366 * 24 * time.Hour
	maxNames       = 100 // of each kind; some servers read no more
	maxDNSName     = 253 // characters (RFC 1035 §2.3.4, without the dot at the end)
	maxURI         = 2048
)

// Options are a certificate's properties. The zero value means what
// New-SelfSignedCertificate means by default.
type Options struct {
	Subject    string        // common name, up to 64 characters; default certtoken
	RawSubject []byte        // DER of a whole name (RFC 5280 §4.1.2.4), in place of Subject
	Validity   time.Duration // from now; an hour to a hundred years, default one calendar year

	Key     KeyType        // of the key to make; default RSA, which is all that Entra ID takes
	KeyBits int            // length of an RSA key, 2048 to 8192; default 2048
	Curve   elliptic.Curve // of an EC key: P-256, P-384 or P-521; default P-256

	DNSNames []string // such as worker.example.com; 100 at most
	URIs     []string // such as spiffe://example.org/worker; 100 at most
}

// Validate reports every option that is out of its bounds, as New does.
func (o Options) Validate() error {
	_, err := o.profile(time.Now())
	return err
}

// profile is what Options say, checked and in the form of crypto/x509.
type profile struct {
	now        time.Time
	notAfter   time.Time
	subject    pkix.Name
	rawSubject []byte
	dnsNames   []string
	uris       []*url.URL
	keySpec
}

// profile fills in the defaults and reports every mistake at once.
func (o Options) profile(now time.Time) (*profile, error) {
	p := &profile{now: now, notAfter: now.AddDate(1, 0, 0)}
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("selfsigned: %w", err))
		}
	}
	add(p.setSubject(o))
	if o.Validity != 0 {
		p.notAfter = now.Add(o.Validity)
		if o.Validity < minValidity || o.Validity > maxValidity {
			add(fmt.Errorf("validity %v is not within %v and %v", o.Validity, minValidity, maxValidity))
		}
	}
	var err error
	p.keySpec, err = o.keySpec().resolve()
	add(err)
	add(p.setNames(o))
	return p, errors.Join(errs...)
}

// profileOf is profile for a key that exists.
func (o Options) profileOf(signer crypto.Signer, now time.Time) (*profile, error) {
	var errs []error
	if o.Key != RSA || o.KeyBits != 0 || o.Curve != nil {
		errs = append(errs, errors.New("selfsigned: Key, KeyBits and Curve are for a key that is made; this one exists"))
		o.Key, o.KeyBits, o.Curve = RSA, 0, nil
	}
	p, err := o.profile(now)
	if err := errors.Join(append(errs, err, checkSigner(signer))...); err != nil {
		return nil, err
	}
	return p, nil
}

func (o Options) keySpec() keySpec { return keySpec{o.Key, o.KeyBits, o.Curve} }

func (p *profile) setSubject(o Options) error {
	switch {
	case o.RawSubject != nil:
		var name pkix.RDNSequence
		rest, err := asn1.Unmarshal(o.RawSubject, &name)
		switch {
		case o.Subject != "":
			return errors.New("options Subject and RawSubject exclude each other")
		case err != nil || len(rest) > 0 || len(name) == 0:
			return errors.New("option RawSubject is not the DER form of a name")
		}
		p.rawSubject = o.RawSubject
		return nil
	case o.Subject == "":
		o.Subject = defaultSubject
	case !isCommonName(o.Subject):
		return fmt.Errorf("subject %q is not a name of 1 to %d printable characters", shortened(o.Subject), maxSubject)
	}
	p.subject = pkix.Name{CommonName: o.Subject}
	return nil
}

func isCommonName(s string) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxSubject {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return s != ""
}

// setNames checks the subject alternative names.
func (p *profile) setNames(o Options) error {
	var errs []error
	for kind, names := range map[string][]string{"DNS names": o.DNSNames, "URIs": o.URIs} {
		if len(names) > maxNames {
			return fmt.Errorf("%d %s are over %d", len(names), kind, maxNames)
		}
	}
	for _, name := range o.DNSNames {
		if err := checkDNSName(name); err != nil {
			errs = append(errs, fmt.Errorf("DNS name %q: %w", shortened(name), err))
		}
	}
	p.dnsNames = o.DNSNames
	for _, text := range o.URIs {
		uri, err := parseURI(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.uris = append(p.uris, uri)
	}
	return errors.Join(errs...)
}

// dnsLabel is a label of a host name. The underscore is in names that exist.
var dnsLabel = lazyregexp.New(`^[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?$`)

// checkDNSName accepts a host name in the form of RFC 5280 §4.2.1.6, whose first
// label may be a star.
func checkDNSName(name string) error {
	switch {
	case net.ParseIP(strings.Trim(name, "[]")) != nil:
		return errors.New("it is an IP address")
	case len(name) > maxDNSName:
		return fmt.Errorf("it is longer than %d characters", maxDNSName)
	case strings.IndexFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) >= 0:
		return errors.New("it isn't ASCII: write an international name in its xn-- form")
	case strings.HasSuffix(name, "."):
		return errors.New("leave the dot at its end out")
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(name, "*."), ".") {
		if !dnsLabel().MatchString(label) {
			return errors.New("it is not a host name such as worker.example.com")
		}
	}
	return nil
}

// parseURI accepts an absolute URI (RFC 5280 §4.2.1.6). Its errors don't repeat
// one that could hold a password.
func parseURI(text string) (*url.URL, error) {
	uri, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURI || !isPrintableASCII(text):
		return nil, fmt.Errorf("a URI can't be read: give one of up to %d ASCII characters without spaces", maxURI)
	case uri.User != nil:
		return nil, errors.New("a URI has a user in it: a certificate is public")
	case uri.Scheme == "" || uri.Opaque == "" && uri.Host == "" && uri.Path == "":
		return nil, fmt.Errorf("URI %q is not an absolute one such as spiffe://example.org/worker", shortened(text))
	case uri.String() != text:
		// crypto/x509 writes what String returns, and a name must not change on its way.
		return nil, fmt.Errorf("URI %q is not in its normal form, which is %q", shortened(text), shortened(uri.String()))
	}
	return uri, nil
}

func isPrintableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// shortened is a value as an error may show it.
func shortened(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
