package certtoken

import (
	"slices"
	"strings"
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
	host     string   // where tokens are requested
	aliases  []string // other names of the host that Azure's SDKs know
	exchange string   // audience of federated credentials; "": not known
	graph    string   // the resource that every app may ask for; "": not known
}

var clouds = []*cloud{
	{
		host: hostEntra, aliases: []string{"login.windows.net", "login.microsoft.com", "sts.windows.net"},
		exchange: "api://AzureADTokenExchange", graph: "https://graph.microsoft.com",
	},
	{
		host: hostEntraUSGov, aliases: []string{"login.usgovcloudapi.net"},
		exchange: "api://AzureADTokenExchangeUSGov", graph: "https://graph.microsoft.us",
	},
	{
		host: hostEntraChina, aliases: []string{"login.chinacloudapi.cn"},
		exchange: "api://AzureADTokenExchangeChina", graph: "https://microsoftgraph.chinacloudapi.cn",
	},
	{host: "login.sovcloud-identity.fr"}, // Bleu
	{host: "login.sovcloud-identity.de"}, // Delos
	{host: "login.sovcloud-identity.sg"}, // GovSG
}

// cloudOf is the cloud that a host belongs to, or nil.
func cloudOf(host string) *cloud {
	host = strings.ToLower(host)
	for _, c := range clouds {
		if c.host == host || slices.Contains(c.aliases, host) {
			return c
		}
	}
	return nil
}

// anyCloud is the cloud of a host that isn't in the list, such as a custom domain. It
// has the public cloud's audience of federated credentials, and no resource is known.
var anyCloud = &cloud{exchange: clouds[0].exchange}
