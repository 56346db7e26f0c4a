// Package gitcredential speaks the protocol by which git asks a helper for
// credentials (git-credential(1)).
package gitcredential

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of a request. Git itself allows lines of 64 KiB.
const (
	maxRequest = 256 << 10
	maxLine    = 65535
)

// Request is what git asks for. What isn't needed is left out, as are attributes that
// aren't known: new versions of git add some.
type Request struct {
	Protocol string
	Host     string // with the port, if the URL has one
	Path     string
	Username string

	// AuthType reports whether git takes another scheme than Basic (since 2.46).
	AuthType bool
}

// Read reads a request up to an empty line or the end.
func Read(r io.Reader) (*Request, error) {
	limited := &io.LimitedReader{R: r, N: maxRequest}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	request := &Request{}
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			return request, nil
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.ContainsRune(line, 0) {
			return nil, errors.New("a line of git's request is not NAME=VALUE")
		}
		switch name {
		case "protocol":
			request.Protocol = value
		case "host":
			request.Host = value
		case "path":
			request.Path = value
		case "username":
			request.Username = value
		case "capability[]":
			request.AuthType = request.AuthType || value == "authtype"
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("git's request: %w", err)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("git's request has over %d bytes", maxRequest)
	}
	return request, nil
}

// Credential is a token for git.
type Credential struct {
	Token     string
	ExpiresAt time.Time
}

// Write answers a request. Where git takes a scheme, the token is sent as Bearer, and
// else as a password, with a name that means nothing.
func (c *Credential) Write(w io.Writer, request *Request) error {
	if strings.ContainsAny(c.Token, "\n\x00") {
		return errors.New("the token has a line end, which git can't take")
	}
	lines := []string{}
	if request.AuthType {
		lines = append(lines, "capability[]=authtype", "authtype=Bearer", "credential="+c.Token, "ephemeral=1")
	} else {
		user := request.Username
		if user == "" {
			user = "certtoken"
		}
		lines = append(lines, "username="+user, "password="+c.Token)
	}
	lines = append(lines, fmt.Sprintf("password_expiry_utc=%d", c.ExpiresAt.Unix()), "", "")
	_, err := io.WriteString(w, strings.Join(lines, "\n"))
	return err
}

// azureDevOps are the hosts of Azure DevOps.
var azureDevOps = []string{"dev.azure.com", "*.visualstudio.com"}

// Hosts are those that are given a token.
type Hosts struct{ patterns []string }

// NewHosts makes a set of Azure DevOps' hosts and of others. Each is an exact name, or
// "*." and a domain for all names below it; with a port, if the URLs have one.
func NewHosts(others []string) (Hosts, error) {
	h := Hosts{slices.Clone(azureDevOps)}
	for _, other := range others {
		name, _ := strings.CutPrefix(other, "*.")
		if !isHost(name) || strings.HasPrefix(other, "*.") && !strings.Contains(name, ".") {
			return Hosts{}, fmt.Errorf("%q is not a host, such as git.example.com or *.example.com", other)
		}
		h.patterns = append(h.patterns, strings.ToLower(other))
	}
	return h, nil
}

// Has reports whether a request is for one of the hosts, over https. Names are compared
// label by label, and whatever isn't a plain name is none of them.
func (h Hosts) Has(r *Request) bool {
	if r.Protocol != "https" || !isHost(r.Host) {
		return false
	}
	host := strings.ToLower(r.Host)
	return slices.ContainsFunc(h.patterns, func(pattern string) bool {
		domain, below := strings.CutPrefix(pattern, "*")
		if !below {
			return host == pattern
		}
		return strings.HasSuffix(host, domain) && len(host) > len(domain)
	})
}

// isHost reports whether a text is a host's name, perhaps with a port.
func isHost(text string) bool {
	name, port, hasPort := strings.Cut(text, ":")
	if hasPort && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return false
	}
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.ToLower(name), ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
