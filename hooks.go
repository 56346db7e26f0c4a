package certtoken

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/workers"
)

// Hooks are functions that a [Client] calls when something happens; any may be nil.
// They are called from many goroutines, and what caused the event waits until they
// return. They must neither wait for a token of the same Client nor close it. A panic
// in Hit, Miss or ChallengeUnanswered reaches the caller of the Client. In RenewalFailed,
// RequestAbandoned and RequestReturned it is dropped, and in any other hook it becomes
// the error of the request. No Event holds a secret.
type Hooks struct {
	Hit  func(Event) // a token came from the cache; called for each one, so it must be quick
	Miss func(Event) // a caller has to wait for a token

	// RequestStart comes before each attempt of a token request. The context it
	// returns, or the given one if that is nil, goes to the HTTP request and to
	// RequestEnd, so that a span can be carried.
	RequestStart func(context.Context, Event) context.Context
	RequestEnd   func(context.Context, Event)

	RenewalFailed func(Event) // a token wasn't renewed; the callers still have a valid one

	// RequestAbandoned is called when a token request was given up because a part of the
	// program, Event.Part, ignored the end of its context. The next caller starts another
	// request. RequestReturned is called if that part returns later. Its result is
	// dropped: it changes neither the cache nor the store.
	RequestAbandoned func(Event)
	RequestReturned  func(Event)

	// These are also called for keys without a certificate, which don't expire.
	CertificateLoaded   func(Event) // another certificate than before is used
	CertificateExpiring func(Event) // it ends soon; at most once a day for each certificate
	CertificateUnusable func(Event) // the source can't use its newest certificate; Event is about the one in use
	CertificateRefused  func(Event) // the endpoint refused it; the source is asked for another

	ChallengeUnanswered func(Event) // a [Transport] got no other token; its caller gets the resource's 401

	ClockCorrected    func(Event) // assertions and DPoP proofs have the endpoint's time from now on
	AlgorithmFallback func(Event) // the signer can't do PSS; RSASSA-PKCS1-v1_5 is used from now on
	StoreFailed       func(Event) // the shared store failed; the client goes on without it
	SessionUnsaved    func(Event) // a [Session] couldn't save its refresh token; it tries again after Event.RetryIn
}

// Event is the argument of a hook. Fields that don't belong to the event are zero.
// A hook must not change its slices.
type Event struct {
	Tenant     string // "" is the authority's
	Agent      string // the agent identity that the token is for; "": none
	Scopes     []string
	Parameters []string      // the names of [Request.Parameters], sorted
	Attempt    int           // of a request, from 1
	Err        error         // nil is success
	Elapsed    time.Duration // of a request

	CorrelationID  string    // of a request
	Thumbprint     string    // SHA-256 of the certificate, lower-case hex; of a key alone its RFC 7638 thumbprint
	NotAfter       time.Time // end of the certificate
	Subject        string    // of the certificate
	ThumbprintSHA1 string    // as portals show it, upper-case hex
	KeyID          string    // of a key alone, for which the three fields above are zero
	ExpiresAt      time.Time // of the token

	Offset    time.Duration // how far the endpoint's clock is ahead of this machine's
	Algorithm Algorithm     // that is used from now on
	RetryIn   time.Duration // pause before the next renewal

	Part      string // the part of the program that hung: "the signer", "the HTTP transport" …
	Abandoned int    // how many requests of this client were given up and still run
}

// eventOf starts an event about a certificate, or about a key alone.
func eventOf(c *Certificate) Event {
	if c.Leaf == nil {
		return Event{KeyID: c.KeyID, Thumbprint: c.thumbprint()}
	}
	return Event{
		Subject: c.Leaf.Subject.String(), NotAfter: c.Leaf.NotAfter,
		Thumbprint: c.thumbprint(), ThumbprintSHA1: c.sha1Hex(),
	}
}

// eventAbout starts an event about a key.
func eventAbout(k *cache.Key) Event {
	e := Event{Tenant: k.Tenant, Agent: k.Agent, Scopes: k.Scopes}
	if len(k.Parameters) > 0 { // a hit without them allocates nothing
		e.Parameters = slices.Sorted(maps.Keys(k.Parameters))
	}
	return e
}

// joinHooks makes one Hooks that calls those of all. A hook that none of them has stays
// nil, so that its event costs only a comparison.
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
		h.SessionUnsaved = both(h.SessionUnsaved, next.SessionUnsaved)
	}
	return h
}

// both calls a, then b. Either may be nil.
func both(a, b func(Event)) func(Event) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(e Event) { a(e); b(e) }
}

// bothStart is both for the start of a request. The context that a returns goes to b.
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

// bothEnd is both for the end of a request. It calls b first: spans are nested, so the
// one that started last must end first.
func bothEnd(a, b func(context.Context, Event)) func(context.Context, Event) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(ctx context.Context, e Event) { b(ctx, e); a(ctx, e) }
}

// emit calls a hook that may be nil.
func emit(hook func(Event), e Event) {
	if hook != nil {
		hook(e)
	}
}

// emitIn is emit in a goroutine of the client. The context carries the goroutine's task,
// which notes that a hook runs, so that a hook that hangs can be named.
func emitIn(ctx context.Context, hook func(Event), e Event) {
	if hook != nil {
		leave := workers.Enter(ctx, partHook)
		hook(e)
		leave()
	}
}

// logHooks writes events to a logger.
func logHooks(log *slog.Logger) Hooks {
	entry := func(level slog.Level, msg string, attrs func(Event) []slog.Attr) func(Event) {
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
	// of is for events that are about a certificate or about a key alone.
	of := func(level slog.Level, msg, ofKey string) func(Event) {
		ofCertificate := entry(level, msg, certificate)
		ofKeyAlone := entry(level, ofKey, func(e Event) []slog.Attr {
			return append(errAttr(e), slog.String("key_id", e.KeyID), slog.String("key_thumbprint", e.Thumbprint))
		})
		return func(e Event) {
			if e.KeyID != "" {
				ofKeyAlone(e)
				return
			}
			ofCertificate(e)
		}
	}
	refused := of(slog.LevelWarn, "certtoken: certificate refused, source asked for another",
		"certtoken: key refused, source asked for another")
	return Hooks{
		RequestEnd: func(ctx context.Context, e Event) {
			level, msg := slog.LevelInfo, "certtoken: token acquired"
			attrs := append(wanted(e), slog.Int("attempt", e.Attempt), span("elapsed", e.Elapsed),
				slog.String("correlation_id", e.CorrelationID))
			if e.Err != nil {
				level, msg = slog.LevelWarn, "certtoken: token request failed"
				if isNonceDemand(e.Err) {
					level, msg = slog.LevelInfo, "certtoken: token endpoint gave a nonce for the DPoP proof"
				}
			} else {
				attrs = append(attrs, slog.Time("expires_at", e.ExpiresAt))
			}
			log.LogAttrs(ctx, level, msg, attrs...)
		},
		RenewalFailed: entry(slog.LevelWarn, "certtoken: renewal failed, the token is still valid",
			func(e Event) []slog.Attr {
				return append(wanted(e), slog.Time("expires_at", e.ExpiresAt), span("retry_in", e.RetryIn))
			}),
		RequestAbandoned: entry(slog.LevelError,
			"certtoken: token request given up, a part of the program hangs", abandoned),
		RequestReturned: entry(slog.LevelWarn,
			"certtoken: a part of the program that hung has returned, its token was dropped", abandoned),
		CertificateLoaded:   of(slog.LevelInfo, "certtoken: certificate in use", "certtoken: key in use"),
		CertificateExpiring: entry(slog.LevelWarn, "certtoken: certificate ends soon", certificate),
		CertificateUnusable: of(slog.LevelWarn,
			"certtoken: certificate source can't use what it finds, the last good one stays in use",
			"certtoken: key source can't use what it finds, the last good one stays in use"),
		CertificateRefused: func(e Event) {
			e.Err = nil // the failed request's line has it
			refused(e)
		},
		ChallengeUnanswered: entry(slog.LevelWarn,
			"certtoken: the API's 401 stands, no other token was acquired", wanted),
		ClockCorrected: entry(slog.LevelWarn, "certtoken: this machine's clock is off, following the endpoint's",
			func(e Event) []slog.Attr { return []slog.Attr{span("offset", e.Offset)} }),
		AlgorithmFallback: entry(slog.LevelWarn, "certtoken: the signer can't do PSS", func(e Event) []slog.Attr {
			return append(errAttr(e), slog.String("algorithm", string(e.Algorithm)))
		}),
		StoreFailed: entry(slog.LevelWarn, "certtoken: shared store failed, going on without", wanted),
		SessionUnsaved: entry(slog.LevelError, "certtoken: a session's refresh token was not saved",
			func(e Event) []slog.Attr { return append(wanted(e), span("retry_in", e.RetryIn)) }),
	}
}

// span is a duration with its unit. A handler for JSON would write a slog.Duration as a
// number, of nanoseconds, and nothing would say so.
func span(name string, d time.Duration) slog.Attr { return slog.String(name, d.String()) }

// isNonceDemand reports whether an attempt ended with the demand for a nonce, which is no
// trouble: the next attempt has it.
func isNonceDemand(err error) bool {
	var refusal interface{ demandsNonce() bool }
	return errors.As(err, &refusal) && refusal.demandsNonce()
}

// wanted are the attributes of most events: what was asked for, and what went wrong.
func wanted(e Event) []slog.Attr {
	attrs := errAttr(e)
	if e.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", e.Tenant))
	}
	if e.Agent != "" {
		attrs = append(attrs, slog.String("agent", e.Agent))
	}
	attrs = append(attrs, slog.Any("scopes", e.Scopes))
	if len(e.Parameters) > 0 {
		attrs = append(attrs, slog.Any("parameters", e.Parameters))
	}
	return attrs
}

// abandoned is what is said of a request that was given up.
func abandoned(e Event) []slog.Attr {
	return append(wanted(e),
		slog.String("part", e.Part), span("elapsed", e.Elapsed), slog.Int("abandoned", e.Abandoned))
}

// errAttr is the attribute of an event's error, or nothing.
func errAttr(e Event) []slog.Attr {
	if e.Err == nil {
		return nil
	}
	return []slog.Attr{slog.String("error", e.Err.Error())}
}
