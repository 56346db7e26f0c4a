// Package userinfo keeps the user and the password of a URL (RFC 3986 §3.2.1)
// out of what the command prints. The URLs of this command need neither,
// but people paste URLs that have them, with mistakes that no parser expects: no
// scheme, or blanks, quotes and slashes in the password. So the command line and
// the environment are looked through once, and what was found there is removed
// from every text, in each spelling that an error can have. The same goes for what
// stands behind the path of a URL, its query and its fragment: a client_secret or
// the signature of a link to a file.
package userinfo

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// removed stands where a user and a password stood.
const removed = "[removed]"

// minPart is how long a part of a password must be to be removed by itself. A
// shorter one would tear up words and says little.
const minPart = 3

// minValue is the same for a part of a query, which more often is an ordinary
// word.
const minValue = 6

// Hider removes what it knows from texts. The zero value knows nothing.
type Hider struct {
	known *strings.Replacer // nil: nothing
}

// New returns a Hider of what stands in a command line and in the environment's
// variables with URLs.
func New(args, environ []string) *Hider {
	forms := make(map[string]bool)
	for i, arg := range args {
		flag, value, ok := strings.Cut(arg, "=")
		switch {
		case ok && urlFlags[flag]:
			addSecrets(forms, value, true)
		case i > 0 && urlFlags[args[i-1]]:
			addSecrets(forms, arg, true)
		default:
			addSecrets(forms, arg, false)
			addSecrets(forms, value, false)
		}
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		name = strings.ToUpper(name)
		if urlVariables[name] || strings.HasPrefix(name, "AZURE_") {
			addSecrets(forms, value, urlVariables[name])
		}
	}
	if len(forms) == 0 {
		return &Hider{}
	}
	var pairs []string
	for form := range forms {
		pairs = append(pairs, form)
	}
	slices.SortFunc(pairs, func(a, b string) int { return len(b) - len(a) }) // the longest wins
	var oldnew []string
	for _, form := range pairs {
		oldnew = append(oldnew, form, removed)
	}
	return &Hider{strings.NewReplacer(oldnew...)}
}

// urlFlags are the flags whose values are URLs or hosts, or become a part of one.
var urlFlags = map[string]bool{"--authority": true, "--token-url": true, "--issuer": true, "--tenant": true}

// urlVariables are the variables whose values are URLs or hosts, or become a part
// of one.
var urlVariables = map[string]bool{
	"AZURE_AUTHORITY_HOST": true, "AZURE_TENANT_ID": true, "AZURE_KUBERNETES_TOKEN_PROXY": true,
	"HTTPS_PROXY": true, "HTTP_PROXY": true, "ALL_PROXY": true,
}

// inURL matches user and password in a URL of any text.
var inURL = lazyregexp.New(`://[^\s"]*@`)

// Hide removes users and passwords from a text.
func (h *Hider) Hide(text string) string {
	if h.known != nil {
		text = h.known.Replace(text)
	}
	return inURL().ReplaceAllString(text, "://"+removed+"@")
}

// In reports whether a value that should be a URL or a host has a user in it. It
// may be mistaken for a value that is no URL.
func In(value string) bool { return before(value, true) != "" }

// before is what stands before the @ of a URL: its user, and its password if
// there is one. Other values than URLs can have an @ too; there, only what looks
// like user:password@ counts.
func before(value string, isURL bool) string {
	at := strings.LastIndexByte(value, '@')
	if at < 0 || inPath(value) {
		return ""
	}
	start := len(scheme().FindString(value[:at]))
	if start == 0 && !isURL && !userAndPassword().MatchString(value[:at]) {
		return ""
	}
	return value[start:at]
}

// scheme is what a URL begins with, in a --fail SPEC too, and what an --authority
// can have in its place.
var scheme = lazyregexp.New(`(?i)^(?:(?:redirect:)?[a-z][a-z0-9+.-]*://|(?:adfs|https?):)`)

// userAndPassword isn't matched by a Windows path such as C:\Users\me.
var userAndPassword = lazyregexp.New(`^(?:[^\s/\\:]{2,}|//[^\s/\\:]+):.`)

// inPath reports whether a URL is well-formed and its @ stands behind the host.
func inPath(value string) bool {
	u, err := url.Parse(value)
	if err != nil || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	host := u.Hostname()
	return strings.ContainsAny(host, ".:") || host == "localhost" // else it may be a user, and the / of the password
}

// addSecrets adds what is to be removed of a value that is a URL or a host, or may
// be one.
func addSecrets(forms map[string]bool, value string, isURL bool) {
	addForms(forms, before(value, isURL))
	if strings.ContainsAny(value, "?#") && (isURL || web().MatchString(value)) {
		addBehindPath(forms, value)
	}
}

// web is what the URL of a website or of a file there begins with.
var web = lazyregexp.New(`(?i)^(?:redirect:)?https?://`)

// addBehindPath adds query and fragment: with the mark before them, however short
// they are, and each value by itself.
func addBehindPath(forms map[string]bool, value string) {
	at := strings.IndexAny(value, "?#")
	addSpellings(forms, value[at:])
	beforeFragment, fragment, _ := strings.Cut(value, "#")
	_, query, _ := strings.Cut(beforeFragment, "?")
	addSpellings(forms, (&url.URL{Fragment: fragment}).String())
	for mark, part := range map[string]string{"?": query, "#": fragment} {
		if part == "" {
			continue
		}
		addSpellings(forms, mark+part)
		for _, pair := range strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune("?#&;", r) }) {
			_, content, ok := strings.Cut(pair, "=")
			if !ok {
				content = pair
			}
			if len(content) < minValue {
				continue
			}
			addSpellings(forms, content)
			if plain, err := url.QueryUnescape(content); err == nil && len(plain) >= minValue {
				addSpellings(forms, plain)
			}
		}
	}
}

// addForms adds what is to be removed, in the spellings that it gets in errors.
func addForms(forms map[string]bool, info string) {
	if info == "" {
		return
	}
	addSpellings(forms, info)
	_, password, ok := strings.Cut(info, ":")
	if !ok {
		return
	}
	addSpellings(forms, password)
	if plain, err := url.PathUnescape(password); err == nil {
		addSpellings(forms, plain)
	}
	// A mistaken URL is taken apart in strange places before an error repeats it.
	for _, part := range strings.FieldsFunc(password, func(r rune) bool { return strings.ContainsRune("/?#@:", r) }) {
		addSpellings(forms, part)
	}
}

func addSpellings(forms map[string]bool, text string) {
	quote := func(s string) string {
		quoted := strconv.Quote(s)
		return quoted[1 : len(quoted)-1]
	}
	for _, form := range []string{
		text, quote(text), quote(quote(text)), url.QueryEscape(text), url.PathEscape(text), userEscape(text),
	} {
		if len(form) >= minPart {
			forms[form] = true
		}
	}
}

// userEscape is how package net/url writes it.
func userEscape(text string) string {
	user, password, ok := strings.Cut(text, ":")
	if !ok {
		return url.User(text).String()
	}
	return url.UserPassword(user, password).String()
}
