package syntax

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// IsLabel reports whether a name is one label of a host name: up to 63 letters, digits
// and hyphens, of which the first and the last is no hyphen.
func IsLabel(name string) bool {
	return hasLength(name, 1, 63) && only(name, isLabelChar) && name[0] != '-' && name[len(name)-1] != '-'
}

// defaultPorts are those that a URL of the scheme may leave out.
var defaultPorts = map[string]string{"https": "443", "http": "80"}

// Host brings the host of an https URL into the form by which it is compared: lower
// case, without the dot that ends an absolute name, and without the port 443. It
// refuses whatever isn't a name of letters, digits, hyphens and underscores, or an IP
// address (of version 6 in brackets), with at most one port.
func Host(host string) (string, error) {
	name, port, hasPort := strings.Cut(host, ":")
	if strings.HasPrefix(host, "[") { // the address has colons of its own
		end := strings.IndexByte(host, ']')
		name, port = host[:end+1], host[end+1:]
		if hasPort = port != ""; hasPort && port[0] != ':' {
			return "", errHost
		}
		port = strings.TrimPrefix(port, ":")
	}
	if n, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || n == 0 || port[0] == '0') {
		return "", errPort
	}
	name = strings.ToLower(name)
	if !isAddress(name) {
		name = strings.TrimSuffix(name, ".")
		if !isName(name) {
			return "", errHost
		}
	}
	if !hasPort || port == defaultPorts["https"] {
		return name, nil
	}
	return name + ":" + port, nil
}

var (
	errHost = errors.New("it is not a host name")
	errPort = errors.New("its port is not a number from 1 to 65535")
)

// isAddress reports whether a text is an IPv6 address in brackets. An IPv4 address is
// written like a name.
func isAddress(s string) bool {
	inside, ok := strings.CutPrefix(s, "[")
	if !ok || !strings.HasSuffix(inside, "]") {
		return false
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// maxName is the length of the longest host name (RFC 1035 §2.3.4, without the lengths of
// the labels).
const maxName = 253

// isName reports whether a text is a host name in ASCII. Some that are in use have
// underscores.
func isName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !IsLabel(strings.ReplaceAll(label, "_", "x")) {
			return false
		}
	}
	return len(s) <= maxName
}

// Origin is the scheme, host and port of a URL (RFC 6454 §4), in a form in which two
// spellings of one origin are equal: lower case, and always with the port.
func Origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = defaultPorts[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// IsLoopback reports whether a host, without port and brackets, is this machine by its
// name alone: localhost in any case, 127.0.0.0/8, or ::1, with or without a zone.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
