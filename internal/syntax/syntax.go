// Package syntax checks the texts that go into a token request: names, hosts and
// URLs that may come from a stranger and must not turn into something else. It
// knows what a text may look like, and never what it is used for.
package syntax

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

// CheckTenant accepts a GUID or a domain, so that a tenant from a stranger's
// request can't turn into another path of the endpoint.
func CheckTenant(tenant string) error {
	switch strings.ToLower(tenant) {
	case "":
		return errors.New("no tenant: give its GUID or a domain such as contoso.onmicrosoft.com")
	case "common", "organizations", "consumers":
		return fmt.Errorf(
			"tenant %q stands for many: a client that acts as itself names one, by GUID or domain",
			tenant,
		)
	}
	if IsGUID(tenant) || isDomain(tenant) {
		return nil
	}
	return fmt.Errorf(
		"tenant %q is neither a GUID nor a domain such as contoso.onmicrosoft.com: give the tenant alone, no URL",
		redact.Short(tenant),
	)
}

// IsGUID reports whether a text is a GUID, in its usual form.
func IsGUID(text string) bool {
	const form = "00000000-0000-0000-0000-000000000000"
	if len(text) != len(form) {
		return false
	}
	for i := range len(form) {
		if isHyphen := text[i] == '-'; isHyphen != (form[i] == '-') || !isHyphen && !isHex(text[i]) {
			return false
		}
	}
	return true
}

// isDomain reports whether a text is a name of two labels or more. The last one has at
// least two characters and begins with a letter.
func isDomain(text string) bool {
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 || len(text) > maxName {
		return false
	}
	for label := range strings.SplitSeq(text[:dot], ".") {
		if !IsLabel(label) {
			return false
		}
	}
	last := text[dot+1:]
	return IsLabel(last) && len(last) >= 2 && isLetter(last[0])
}

// CheckEndpoint accepts an https URL without user and fragment (RFC 6749 §3.2),
// and plain http to this machine where that was asked for.
func CheckEndpoint(what, raw string, loopbackHTTP bool) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("the %s is not a URL", what)
	}
	switch {
	case u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%s %q has no host: give the whole URL", what, redact.Short(raw))
	case u.User != nil:
		return fmt.Errorf("the %s's URL must not hold a user or password", what)
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return fmt.Errorf("%s %q must not have a fragment", what, redact.Short(raw))
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%s %q is not https", what, redact.Short(raw))
	case !IsLoopback(u.Hostname()):
		return fmt.Errorf(
			"%s %q is plain http: only https keeps assertion and token from being read",
			what,
			redact.Short(raw),
		)
	case !loopbackHTTP:
		return fmt.Errorf(
			"%s %q is plain http: for development on this machine, WithLoopbackHTTP allows it",
			what,
			redact.Short(raw),
		)
	}
	return nil
}

// IsVisible reports whether a text is nothing but printable ASCII without spaces.
func IsVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// IsScope reports whether a text can be a scope (RFC 6749 §3.3).
func IsScope(s string) bool {
	return IsVisible(s) && !strings.ContainsAny(s, `"\`)
}

// EndpointName is an endpoint for people: without query and user.
func EndpointName(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "token endpoint"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// IsPolicy reports whether a name can be that of a B2C user flow.
func IsPolicy(name string) bool { return hasLength(name, 1, 128) && only(name, isPolicyChar) }

// IsRegion reports whether a name can be that of an Azure region.
func IsRegion(name string) bool { return hasLength(name, 2, 40) && only(name, isRegionChar) }
