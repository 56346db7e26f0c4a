package interop

const (
	modMSAL       = "github.com/AzureAD/microsoft-authentication-library-for-go"
	modAzidentity = "github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// The forms in which the clients are used.
const (
	asIs      = "as it comes"            // Entra ID's own address, discovery and all
	byAddress = "told the address"       // of the server, which isn't asked about
	chained   = "with the chain"         // x5c
	byIssuer  = "a server by RFC 7523"   // WithIssuer
	byV1      = "Entra ID's v1 endpoint" // a resource instead of scopes
)

// libraries are all clients in all forms, a line of the table each.
var libraries = []library{
	{
		name:    "MSAL Go",
		version: requiredVersion(modMSAL),
		start:   msalGo,
		variant: asIs,
		setup:   setup{Alg: "PS256", Header: "x5t#S256"},
	},
	{
		name:    "MSAL Go",
		version: requiredVersion(modMSAL),
		start:   msalGo,
		variant: byAddress,
		setup:   setup{Alg: "PS256", Header: "x5t#S256", Known: true},
	},
	{
		name:    "MSAL Go",
		version: requiredVersion(modMSAL),
		start:   msalGo,
		variant: chained,
		setup:   setup{Alg: "PS256", Header: "x5t#S256", Chain: true},
	},
	{
		name:    "azidentity",
		version: requiredVersion(modAzidentity),
		start:   azidentityGo,
		variant: asIs,
		setup:   setup{Alg: "PS256", Header: "x5t#S256"},
	},
	{
		name:    "azidentity",
		version: requiredVersion(modAzidentity),
		start:   azidentityGo,
		variant: byAddress,
		setup:   setup{Alg: "PS256", Header: "x5t#S256", Known: true},
	},
	{
		name:    "@azure/msal-node",
		version: lockedVersion("@azure/msal-node"),
		start:   node("msal_node.mjs"),
		variant: asIs,
		setup:   setup{Alg: "PS256", Header: "x5t#S256"},
	},
	{
		name:    "@azure/msal-node",
		version: lockedVersion("@azure/msal-node"),
		start:   node("msal_node.mjs"),
		variant: byAddress,
		setup:   setup{Alg: "RS256", Header: "x5t", Known: true, Chain: true},
	},
	{
		name:    "@azure/identity",
		version: lockedVersion("@azure/identity"),
		start:   node("azure_identity.mjs"),
		variant: asIs,
		setup:   setup{Alg: "PS256", Header: "x5t#S256"},
	},
	{
		name:    "@azure/identity",
		version: lockedVersion("@azure/identity"),
		start:   node("azure_identity.mjs"),
		variant: byAddress,
		setup:   setup{Alg: "PS256", Header: "x5t#S256", Known: true, Chain: true},
	},
	{
		name:    "openid-client",
		version: lockedVersion("openid-client"),
		start:   node("openid_client.mjs"),
		variant: byIssuer,
		generic: true,
		fresh:   true,
		setup:   setup{Alg: "PS256", Header: "x5t#S256"},
	},
	{
		name:    "openid-client",
		version: lockedVersion("openid-client"),
		start:   node("openid_client.mjs"),
		variant: byIssuer,
		generic: true,
		fresh:   true,
		setup:   setup{Alg: "RS256", Header: "x5t"},
	},
	{
		name:    "oauth4webapi",
		version: lockedVersion("oauth4webapi"),
		start:   node("oauth4webapi.mjs"),
		variant: byIssuer,
		generic: true,
		fresh:   true,
		setup:   setup{Alg: "PS256"},
	},
	{
		name:    "python3-msal",
		version: debianVersion,
		start:   python("msal", "python3_msal.py"),
		variant: asIs,
		setup:   setup{Alg: "RS256", Header: "x5t"},
	},
	{
		name:    "python3-msal",
		version: debianVersion,
		start:   python("msal", "python3_msal.py"),
		variant: chained,
		setup:   setup{Alg: "RS256", Header: "x5t", Chain: true},
	},
	{
		name:    "python3-adal",
		version: debianVersion,
		start:   python("adal", "python3_adal.py"),
		variant: byV1,
		fresh:   true,
		setup:   setup{Alg: "RS256", Header: "x5t"},
	},
	{
		name:    "python3-authlib",
		version: debianVersion,
		start:   python("authlib", "python3_authlib.py"),
		variant: byIssuer,
		generic: true,
		fresh:   true,
		setup:   setup{Alg: "RS256"},
	},
	{
		name:    "curl and openssl",
		version: debianVersion,
		start:   newShell,
		variant: asIs,
		fresh:   true,
		setup:   setup{Alg: "PS256", Header: "x5t#S256"},
	},
	{
		name:    "curl and openssl",
		version: debianVersion,
		start:   newShell,
		variant: asIs,
		fresh:   true,
		setup:   setup{Alg: "RS256", Header: "x5t"},
	},
}
