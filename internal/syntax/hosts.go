package syntax

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

// Hosts is a set of hosts, each with its port. The zero value is empty. It may be used
// from many goroutines.
type Hosts struct {
	exact map[string]bool // in the form of Host
	below map[string]bool // what follows the first label of those that "*." stands for
}

// ParseHosts makes a set of names as [Host] takes them. A name that begins with "*."
// stands for all that have one label in place of the star. A name without a port has the
// default port of the URL that it is compared with.
func ParseHosts(names []string) (Hosts, error) {
	set := Hosts{exact: make(map[string]bool), below: make(map[string]bool)}
	var errs []error
	for _, name := range names {
		parent, isPattern := strings.CutPrefix(name, "*.")
		host, err := Host(parent)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("host %q: %w: give a name alone, "+
				"such as graph.microsoft.com or *.sharepoint.com", redact.Short(name), err))
		case isPattern && !isParent(host):
			errs = append(errs, fmt.Errorf("host %q stands for too many: "+
				"*. needs a domain of two labels or more", redact.Short(name)))
		case isPattern:
			set.below[host] = true
		default:
			set.exact[host] = true
		}
	}
	return set, errors.Join(errs...)
}

// isParent reports whether a host may follow "*.": not a top-level domain, and no address.
func isParent(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	dot := strings.LastIndexByte(name, '.')
	return dot > 0 && strings.Trim(name[dot+1:], "0123456789") != ""
}

// Empty reports whether the set has no host.
func (s Hosts) Empty() bool { return len(s.exact) == 0 && len(s.below) == 0 }

// Has reports whether the host and port of a URL are in the set.
func (s Hosts) Has(u *url.URL) bool {
	host := HostOf(u)
	label, parent, _ := strings.Cut(host, ".")
	return s.exact[host] || IsLabel(label) && s.below[parent]
}

// HostOf returns the host of a URL in the form of [Host], with its port unless that is
// the default of the URL's scheme. A dot at the end stays.
func HostOf(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != defaultPorts[strings.ToLower(u.Scheme)] {
		host += ":" + port
	}
	return host
}
