// Package agent hands out access tokens to programs of any language on the same
// machine. It is to tokens what ssh-agent is to keys: programs ask it and never
// see a certificate or a key.
//
//	a, err := agent.New(agent.Config{Identities: []agent.Identity{{
//		Name:     "billing",
//		ClientID: "my-app",
//		Client:   client, // a *certtoken.Client
//		Scopes:   []string{"https://graph.microsoft.com/.default"},
//		Callers:  []agent.Caller{agent.Secret("app", secret)},
//	}}})
//	…
//	listener, err := agent.Listen(ctx, "127.0.0.1:40400")
//	…
//	err = a.Serve(listener)
//
// # What programs speak
//
// GET /msi/token is the managed identity of Azure App Service, which all of Azure's
// SDKs take when IDENTITY_ENDPOINT is its URL and IDENTITY_HEADER the caller's
// secret. POST /oauth2/token is an OAuth token endpoint (RFC 6749 §4.4) for clients
// that know only a client id and a client secret: the secret is the caller's, and is
// worth something on this machine only. GET /healthz and GET /readyz are for
// programs that watch the agent.
//
// # Who is given what
//
// An identity lists its callers and the scopes that they may ask for. What isn't
// listed isn't given. A caller is known by a secret, or on a Unix socket by its user
// or group, which the kernel states (Linux). The agent answers on loopback addresses
// and Unix sockets only, and never to a web page or through a proxy. Each decision is
// one record of the audit log, which holds neither tokens nor secrets.
//
// Callers get a token that is valid for at least six minutes, where the token
// endpoint grants such. Some SDKs take one with less than five for expired.
package agent
