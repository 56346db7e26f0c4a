package certtokentest

import "time"

// The options below make a server of [WithIssuer] as strict and as lenient as a
// real one is by default, in what concerns client assertions. Options after them
// change details.

// LikeKeycloak refuses an assertion that was issued over 60 s ago or is ahead, by
// 15 s at most for drift, and an invalid client with status 400. It takes the URL of
// the token endpoint as audience too, and an exp that is a day ahead.
func LikeKeycloak() Option {
	return together(
		WithLeeway(15*time.Second),
		WithTimeLimits(TimeLimits{MaxAge: time.Minute}),
		WithRefusalForm(RefusalBadRequest),
		WithLooseAudience(),
	)
}

// LikeBetterAuth refuses an assertion that ends over 300 s ahead, or was issued
// over 300 s ago.
func LikeBetterAuth() Option {
	return together(
		WithTimeLimits(TimeLimits{MaxAge: 5 * time.Minute, MaxLife: 5 * time.Minute}),
	)
}

// LikeGlewlwyd bounds how far ahead an assertion may end, here to 600 s, and answers
// refusals with an empty 403.
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
