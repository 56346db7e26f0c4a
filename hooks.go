package certtoken

import (
	"context"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/workers"
)

// Hooks are functions that a [Client] calls on what happens; any may be nil.
// They are called from many goroutines, in the time of whoever caused the
// event, and must neither wait for a token of the same Client nor close it. A
// panic in Hit, Miss or ChallengeUnanswered is the caller's. In RenewalFailed,
// RequestAbandoned and RequestReturned it is dropped, and in any other it becomes
// the error of the request. No Event holds a secret.
type Hooks struct {
	Hit  func(Event) // a token from the cache; called for every one, so be quick
	Miss func(Event) // a caller has to wait for a token

	// RequestStart comes before each attempt of a token request. The context it
	// returns, or the given one if that is nil, goes to the HTTP request and to
	// RequestEnd, so that a span can be carried.
	RequestStart func(context.Context, Event) context.Context
	RequestEnd   func(context.Context, Event)

	RenewalFailed func(Event) // a renewal behind the callers; they have a valid token

	// RequestAbandoned is told of a token request that was given up: Event.Part of
	// the program ignored the end of its context, and the next caller starts another
	// request. RequestReturned is told if that part returns after all: what it brought
	// changed neither the cache nor the store.
	RequestAbandoned func(Event)
	RequestReturned  func(Event)

	CertificateLoaded   func(Event) // a certificate signs that didn't sign before
	CertificateExpiring func(Event) // at most once a day and certificate
	CertificateUnusable func(Event) // what is in the file now can't be used; the last good one signs
	CertificateRefused  func(Event) // the endpoint refused it; the source was asked to reload

	ChallengeUnanswered func(Event) // a [Client.Transport] has no other token: a resource's 401 stands

	ClockCorrected    func(Event) // the endpoint's clock is followed from now on
	AlgorithmFallback func(Event) // the signer can't do PSS: RSASSA-PKCS1-v1_5 from now on
	StoreFailed       func(Event) // the shared store; the client goes on without it
}

// Event is what a hook is told. Fields that don't belong to the event are zero.
// Scopes is only read.
type Event struct {
	Tenant  string // "" is the authority's
	Scopes  []string
	Attempt int           // of a request, from 1
	Err     error         // nil is success
	Elapsed time.Duration // of a request

	CorrelationID  string    // of a request
	Thumbprint     string    // SHA-256 of the certificate, lower-case hex
	NotAfter       time.Time // end of the certificate
	Subject        string    // of the certificate
	ThumbprintSHA1 string    // as portals show it, upper-case hex
	ExpiresAt      time.Time // of the token

	Offset    time.Duration // how far the endpoint's clock is ahead of ours
	Algorithm Algorithm     // that is used from now on
	RetryIn   time.Duration // pause before the next renewal

	Part      string // of the program, that hung: "the signer", "the HTTP transport" …
	Abandoned int    // requests of this client that were given up and still run
}

// eventOf starts an event about a certificate.
func eventOf(c *Certificate) Event {
	return Event{
		Subject: c.Leaf.Subject.String(), NotAfter: c.Leaf.NotAfter,
		Thumbprint: c.thumbprintHex(), ThumbprintSHA1: c.sha1Hex(),
	}
}

// eventAbout starts an event about a key.
func eventAbout(k *cache.Key) Event { return Event{Tenant: k.Tenant, Scopes: k.Scopes} }

// joinHooks joins several Hooks. Those that nobody set stay nil, so that an event
// which nobody hears costs a comparison.
func joinHooks(all []Hooks) Hooks {
	var h Hooks
	for _, next := range all {
		h.Hit = both(h.Hit, next.Hit)
		h.Miss = both(h.Miss, next.Miss)
		h.RequestStart = bothStart(h.RequestStart, next.RequestStart)
		h.RequestEnd = bothEnd(h.RequestEnd, next.RequestEnd)
		h.RenewalFailed = both(h.RenewalFailed, next.RenewalFailed)
		h.RequestAbandoned = both(h.RequestAbandoned, next.RequestAbandoned)
		h.RequestReturned = both(h.RequestReturned, next.RequestReturned)
		h.CertificateLoaded = both(h.CertificateLoaded, next.CertificateLoaded)
		h.CertificateExpiring = both(h.CertificateExpiring, next.CertificateExpiring)
		h.CertificateUnusable = both(h.CertificateUnusable, next.CertificateUnusable)
		h.CertificateRefused = both(h.CertificateRefused, next.CertificateRefused)
		h.ChallengeUnanswered = both(h.ChallengeUnanswered, next.ChallengeUnanswered)
		h.ClockCorrected = both(h.ClockCorrected, next.ClockCorrected)
		h.AlgorithmFallback = both(h.AlgorithmFallback, next.AlgorithmFallback)
		h.StoreFailed = both(h.StoreFailed, next.StoreFailed)
	}
	return h
}

func both(a, b func(Event)) func(Event) {
	if a == nil || b == nil {
		return either(a, b)
	}
	return func(e Event) { a(e); b(e) }
}

func either(a, b func(Event)) func(Event) {
	if a == nil {
		return b
	}
	return a
}

func bothStart(a, b func(context.Context, Event) context.Context) func(context.Context, Event) context.Context {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e Event) context.Context {
		if next := a(ctx, e); next != nil {
			ctx = next
		}
		if next := b(ctx, e); next != nil {
			ctx = next
		}
		return ctx
	}
}

func bothEnd(a, b func(context.Context, Event)) func(context.Context, Event) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	// The other way round than they started, as spans nest.
	return func(ctx context.Context, e Event) { b(ctx, e); a(ctx, e) }
}

// emit calls a hook that may be nil.
func emit(hook func(Event), e Event) {
	if hook != nil {
		hook(e)
	}
}

// emitIn is emit in a goroutine of the client's, whose task the context carries.
func emitIn(ctx context.Context, hook func(Event), e Event) {
	if hook != nil {
		leave := workers.Enter(ctx, partHook)
		hook(e)
		leave()
	}
}

// logHooks writes events to a logger.
func logHooks(log *slog.Logger) Hooks {
	say := func(level slog.Level, msg string, attrs func(Event) []slog.Attr) func(Event) {
		return func(e Event) {
			ctx := context.Background()
			if log.Enabled(ctx, level) {
				log.LogAttrs(ctx, level, msg, attrs(e)...)
			}
		}
	}
	certificate := func(e Event) []slog.Attr {
		return append(errAttr(e), slog.String("subject", e.Subject), slog.String("sha1", e.ThumbprintSHA1),
			slog.String("sha256", e.Thumbprint), slog.Time("not_after", e.NotAfter))
	}
	return Hooks{
		RequestEnd: func(ctx context.Context, e Event) {
			level, msg := slog.LevelInfo, "certtoken: token acquired"
			attrs := append(request(e), slog.Int("attempt", e.Attempt), slog.Duration("elapsed", e.Elapsed),
				slog.String("correlation_id", e.CorrelationID))
			if e.Err != nil {
				level, msg = slog.LevelWarn, "certtoken: token request failed"
			} else {
				attrs = append(attrs, slog.Time("expires_at", e.ExpiresAt))
			}
			log.LogAttrs(ctx, level, msg, attrs...)
		},
		RenewalFailed: say(slog.LevelWarn, "certtoken: renewal failed, the token is still valid", func(e Event) []slog.Attr {
			return append(request(e), slog.Time("expires_at", e.ExpiresAt), slog.Duration("retry_in", e.RetryIn))
		}),
		RequestAbandoned: say(slog.LevelError,
			"certtoken: token request given up, a part of the program hangs", abandoned),
		RequestReturned: say(slog.LevelWarn,
			"certtoken: a part of the program that hung has returned, its token was dropped", abandoned),
		CertificateLoaded:   say(slog.LevelInfo, "certtoken: certificate in use", certificate),
		CertificateExpiring: say(slog.LevelWarn, "certtoken: certificate ends soon", certificate),
		CertificateUnusable: say(slog.LevelWarn, "certtoken: certificate source can't use what it finds, the last good one stays in use", certificate),
		CertificateRefused: say(slog.LevelWarn, "certtoken: certificate refused, source asked for another", func(e Event) []slog.Attr {
			e.Err = nil // the failed request's line has it
			return certificate(e)
		}),
		ChallengeUnanswered: say(slog.LevelWarn, "certtoken: the API's 401 stands, no other token was acquired", request),
		ClockCorrected: say(slog.LevelWarn, "certtoken: this machine's clock is off, following the endpoint's", func(e Event) []slog.Attr {
			return []slog.Attr{slog.Duration("offset", e.Offset)}
		}),
		AlgorithmFallback: say(slog.LevelWarn, "certtoken: the signer can't do PSS", func(e Event) []slog.Attr {
			return append(errAttr(e), slog.String("algorithm", string(e.Algorithm)))
		}),
		StoreFailed: say(slog.LevelWarn, "certtoken: shared store failed, going on without", request),
	}
}

// request is what most events have: what was asked for and what went wrong.
func request(e Event) []slog.Attr {
	attrs := errAttr(e)
	if e.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", e.Tenant))
	}
	return append(attrs, slog.Any("scopes", e.Scopes))
}

// abandoned is what is said of a request that was given up.
func abandoned(e Event) []slog.Attr {
	return append(request(e),
		slog.String("part", e.Part), slog.Duration("elapsed", e.Elapsed), slog.Int("abandoned", e.Abandoned))
}

func errAttr(e Event) []slog.Attr {
	if e.Err == nil {
		return nil
	}
	return []slog.Attr{slog.String("error", e.Err.Error())}
}
