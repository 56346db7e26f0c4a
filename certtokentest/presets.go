package certtokentest

import "time"

// LikeKeycloak makes a server of [WithIssuer] take and refuse client assertions as
// Keycloak does by default: it refuses one that was issued over 60 s ago or is ahead,
// with 15 s for drift, and an invalid client with status 400. It takes the URL of the
// token endpoint as audience too, and an exp that is a day ahead. Options after it
// change details.
func LikeKeycloak() Option {
	return together(
		WithLeeway(15*time.Second),
		WithTimeLimits(TimeLimits{MaxAge: time.Minute}),
		WithRefusalForm(RefusalBadRequest),
		WithLooseAudience(),
	)
}

// LikeBetterAuth makes a server of [WithIssuer] take and refuse client assertions as
// Better Auth does by default: it refuses one that ends over 300 s ahead, or was
// issued over 300 s ago. Options after it change details.
func LikeBetterAuth() Option {
	return WithTimeLimits(TimeLimits{MaxAge: 5 * time.Minute, MaxLife: 5 * time.Minute})
}

// LikeGlewlwyd makes a server of [WithIssuer] take and refuse client assertions as
// Glewlwyd does: it bounds how far ahead one may end, here to 600 s, and answers
// refusals with an empty 403. Options after it change details.
func LikeGlewlwyd() Option {
	return together(
		WithTimeLimits(TimeLimits{MaxLife: 10 * time.Minute}),
		WithRefusalForm(RefusalEmpty),
	)
}

func together(opts ...Option) Option {
	return func(c *config) {
		for _, opt := range opts {
			opt(c)
		}
	}
}
