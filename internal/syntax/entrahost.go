package syntax

import "strings"

// entraHosts are the names of Entra ID's clouds, and for each the host at which tokens are
// requested. A host stands for itself; the others are names that Azure's SDKs know, and those
// in the issuers of tokens.
var entraHosts = map[string]string{
	"login.microsoftonline.com":        "login.microsoftonline.com",
	"login.windows.net":                "login.microsoftonline.com",
	"login.microsoft.com":              "login.microsoftonline.com",
	"sts.windows.net":                  "login.microsoftonline.com",
	"login.microsoftonline.us":         "login.microsoftonline.us",
	"login.usgovcloudapi.net":          "login.microsoftonline.us",
	"login.partner.microsoftonline.cn": "login.partner.microsoftonline.cn",
	"login.chinacloudapi.cn":           "login.partner.microsoftonline.cn",
	"login.sovcloud-identity.fr":       "login.sovcloud-identity.fr", // Bleu
	"login.sovcloud-identity.de":       "login.sovcloud-identity.de", // Delos
	"login.sovcloud-identity.sg":       "login.sovcloud-identity.sg", // GovSG
}

// EntraHost is the host at which the cloud of Entra ID with this name requests tokens. It
// is "" for a name that is none of its clouds'. Upper case makes no difference.
func EntraHost(name string) string { return entraHosts[strings.ToLower(name)] }
