package certtoken

import (
	"errors"

	"github.com/certtoken/certtoken/internal/syntax"
)

// Hosts of Entra ID's clouds.
const (
	hostEntra      = "login.microsoftonline.com"
	hostEntraUSGov = "login.microsoftonline.us"
	hostEntraChina = "login.partner.microsoftonline.cn"
	hostRegional   = "login.microsoft.com" // after the region; public cloud
)

// cloud is one of Entra ID's clouds.
type cloud struct {
	host     string // where tokens are requested
	exchange string // audience of federated credentials; "": not known
	graph    string // the resource that every app may ask for; "": not known
}

var clouds = []*cloud{
	{
		host:     hostEntra,
		exchange: "api://AzureADTokenExchange", graph: "https://graph.microsoft.com",
	},
	{
		host:     hostEntraUSGov,
		exchange: "api://AzureADTokenExchangeUSGov", graph: "https://graph.microsoft.us",
	},
	{
		host:     hostEntraChina,
		exchange: "api://AzureADTokenExchangeChina", graph: "https://microsoftgraph.chinacloudapi.cn",
	},
	{host: "login.sovcloud-identity.fr"}, // Bleu
	{host: "login.sovcloud-identity.de"}, // Delos
	{host: "login.sovcloud-identity.sg"}, // GovSG
}

// cloudOf is the cloud that a host belongs to, or nil.
func cloudOf(host string) *cloud {
	host = syntax.EntraHost(host)
	for _, c := range clouds {
		if c.host == host {
			return c
		}
	}
	return nil
}

// mtlsHosts are the hosts at which Entra ID's clouds are shown certificates in TLS. The name
// of a region, if there is one, is put before the host.
var mtlsHosts = map[string]string{
	hostEntra:      "mtlsauth.microsoft.com",
	hostEntraUSGov: "mtlsauth.microsoftonline.us",
}

// mtlsHost is where the tenants of a host are shown certificates in TLS. A host that WithHost
// named, and that this package doesn't know, is taken as it is: it must be the one for that.
// The error follows the name of an option.
func mtlsHost(host, region string, oneTenant bool) (string, error) {
	known, ok := mtlsHosts[host]
	switch {
	case host == "":
		return "", errors.New("is for Entra ID; elsewhere it is WithTLSClientAuth or WithCertificateBoundTokens")
	case ok && region != "":
		return region + "." + known, nil
	case ok:
		return known, nil
	case oneTenant || cloudOf(host) != nil:
		return "", errors.New("is for Entra ID's public cloud and the US Government's; WithHost names any host")
	case region != "":
		return "", errors.New("with WithRegion: WithRegion and WithHost exclude each other: name the region's host")
	}
	return host, nil
}

// anyCloud is the cloud of a host that isn't in the list, such as a custom domain. It
// has the public cloud's audience of federated credentials, and no resource is known.
var anyCloud = &cloud{exchange: clouds[0].exchange}
