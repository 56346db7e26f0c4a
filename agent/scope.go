package agent

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

const (
	maxScopeLength = 512
	maxScopes      = 16 // of one request

	// defaultPermissions stands behind a resource and means all permissions that the
	// application was given there.
	defaultPermissions = "/.default"
)

// scope is a scope, or a pattern of scopes, taken apart. Two scopes are compared by
// their parts and never as text: "https://x.azure.com.evil" begins with an allowed
// text and is another host.
type scope struct {
	scheme string   // "" if the scope isn't a URL
	labels []string // of the host, in lower case for https; "*" in a pattern stands for any one
	path   string   // of a URL; without one, the whole scope
	slash  bool     // the resource ends with a slash, which is sent as it was given
}

var (
	guid        = lazyregexp.New(`^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`)
	schemeName  = lazyregexp.New(`^[a-z][a-z0-9+.-]*$`)
	pathLetters = lazyregexp.New(`^[A-Za-z0-9._~!$&'()+,;=:@/-]*$`)
	digits      = lazyregexp.New(`^[0-9]+$|^0[xX][0-9A-Fa-f]*$`)
)

// parseScope takes a scope apart that somebody asks for.
func parseScope(text string) (scope, error) {
	s, err := readScope(text)
	if err == nil && slices.Contains(s.labels, "*") {
		err = errors.New("a host can't have a *")
	}
	if err != nil {
		return scope{}, fmt.Errorf("scope %q: %w", redact.Short(text), err)
	}
	return s, nil
}

// parsePattern takes a scope of the policy apart, in whose host a label may be "*".
func parsePattern(text string) (scope, error) {
	s, err := readScope(text)
	if err == nil {
		err = s.checkStars()
	}
	if err != nil {
		return scope{}, fmt.Errorf("scope %q: %w", redact.Short(text), err)
	}
	return s, nil
}

// CheckScope returns what is wrong with one of an identity's scopes, or nil. [New] tells
// it too.
func CheckScope(text string) error {
	_, err := parsePattern(text)
	return err
}

// checkStars refuses a pattern that allows a whole top-level domain.
func (s scope) checkStars() error {
	fixed := 0
	for _, label := range slices.Backward(s.labels) {
		if label == "*" {
			break
		}
		fixed++
	}
	if slices.Contains(s.labels, "*") && fixed < 2 {
		return errors.New("behind a * there must be a domain of at least two labels, such as *.vault.azure.net")
	}
	return nil
}

func readScope(text string) (scope, error) {
	switch {
	case text == "":
		return scope{}, errors.New("it is empty")
	case len(text) > maxScopeLength:
		return scope{}, fmt.Errorf("it has over %d bytes", maxScopeLength)
	case !syntax.IsScope(text):
		return scope{}, errors.New("it has characters that no scope may have (RFC 6749 §3.3)")
	case strings.ContainsAny(text, "%?#"):
		return scope{}, errors.New("it has a %, ? or #")
	}
	if strings.Contains(text, "://") {
		return readURL(text)
	}
	if strings.Contains(text, "*") {
		return scope{}, errors.New("a * stands for a label of a URL's host, and this is no URL")
	}
	if at := guid().FindString(text); at != "" { // application ids are written in any case
		text = strings.ToLower(at) + text[len(at):]
	}
	return scope{path: text}, nil
}

func readURL(text string) (scope, error) {
	u, err := url.Parse(text)
	if err != nil {
		return scope{}, errors.New("it is not a URL")
	}
	switch {
	case !schemeName().MatchString(u.Scheme):
		return scope{}, errors.New("it has no scheme")
	case u.User != nil:
		return scope{}, errors.New("it has a user before the host")
	case strings.Contains(u.Host, ":"):
		return scope{}, errors.New("it has a port, or its host is an address")
	case u.Opaque != "":
		return scope{}, errors.New("it has no host")
	}
	labels, err := readHost(u.Scheme, u.Host)
	if err != nil {
		return scope{}, err
	}
	s := scope{scheme: u.Scheme, labels: labels, path: u.Path}
	if resource, ok := strings.CutSuffix(s.path, "/"+defaultPermissions); ok {
		s.path, s.slash = resource+defaultPermissions, true
	}
	return s, checkPath(s.path)
}

func readHost(scheme, host string) ([]string, error) {
	web := scheme == "https" || scheme == "http"
	if web {
		host = strings.ToLower(host)
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label != "*" && !syntax.IsLabel(label) {
			return nil, errors.New("its host is not a name of letters, digits and hyphens")
		}
	}
	switch {
	case web && len(labels) < 2:
		return nil, errors.New("its host has one label only")
	case web && digits().MatchString(labels[len(labels)-1]):
		return nil, errors.New("its host is an address")
	}
	return labels, nil
}

// checkPath refuses a path that somebody could read as another one.
func checkPath(path string) error {
	if !pathLetters().MatchString(path) {
		return errors.New("its path has characters that need an escape")
	}
	if path == "" {
		return nil
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" && path != "/" || segment == "." || segment == ".." {
			return errors.New("its path has an empty segment, or one of dots")
		}
	}
	return nil
}

// String is the scope as it is sent: its host in lower case, its slash as given.
func (s scope) String() string {
	if s.scheme == "" {
		return s.path
	}
	path := s.path
	if resource, ok := strings.CutSuffix(path, defaultPermissions); ok && s.slash {
		path = resource + "/" + defaultPermissions
	}
	return s.scheme + "://" + strings.Join(s.labels, ".") + path
}

// allows reports whether a scope is one that the pattern stands for. A slash at the
// end of the resource makes no difference: it names the same resource.
func (s scope) allows(asked scope) bool {
	if s.scheme != asked.scheme || s.path != asked.path || len(s.labels) != len(asked.labels) {
		return false
	}
	for i, label := range s.labels {
		if label != "*" && label != asked.labels[i] {
			return false
		}
	}
	return true
}

// isFixed reports whether a pattern stands for one scope only.
func (s scope) isFixed() bool { return !slices.Contains(s.labels, "*") }

// parseScopes takes the scope parameter of a request apart (RFC 6749 §3.3). Clients that put
// it together of a list send spaces at its ends, or several between two scopes.
func parseScopes(text string) ([]scope, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
	if len(words) > maxScopes {
		return nil, fmt.Errorf("more than %d scopes", maxScopes)
	}
	var scopes []scope
	for _, word := range words {
		s, err := parseScope(word)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(scopes, func(other scope) bool { return s.String() == other.String() }) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

// scopeOfResource is the scope for all permissions at a resource.
func scopeOfResource(resource string) (scope, error) {
	return parseScope(resource + defaultPermissions)
}

// texts are the scopes as they are sent.
func texts(scopes []scope) []string {
	list := make([]string, len(scopes))
	for i, s := range scopes {
		list[i] = s.String()
	}
	return list
}
