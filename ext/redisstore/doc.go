// Package redisstore keeps sealed tokens in Redis or Valkey, so that the
// replicas of a service share them: a fleet makes one token request where each
// process would make its own.
//
//	store, err := redisstore.New(redisClient)
//	…
//	client, err := certtoken.NewClient(authority, clientID, source, certtoken.WithStore(store, secret))
//
// The client of Redis is the program's own: a single server, Sentinel or a
// cluster, with its TLS and its password. Nothing readable is stored: the
// certtoken client seals every entry by the secret, which Redis never sees.
//
// # When Redis is away
//
// Redis is never needed for a token. While it is down, slow or full, each
// process asks the token endpoint by itself, and the hook StoreFailed tells.
//
// Set ContextTimeoutEnabled in the options of the Redis client. Without it,
// go-redis looks at its own ReadTimeout, 3 s, and not at the context; callers
// are let go after a second in any case, but the call goes on behind them.
package redisstore
