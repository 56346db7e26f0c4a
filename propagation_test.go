package certtoken_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// What was just registered is refused now and then, for some minutes.
func TestPropagationRetry(t *testing.T) {
	for name, c := range map[string]struct {
		retry  time.Duration
		code   int
		spread time.Duration // when the registration has spread
		ok     bool
		least  time.Duration // what the call takes
		most   time.Duration
	}{
		"off": {code: 700016, spread: time.Second},
		"an app": {
			retry: 3 * time.Minute, code: 700016, spread: 2 * time.Minute, ok: true, least: 2 * time.Minute,
			most: 2*time.Minute + 10*time.Second,
		},
		"a certificate": {
			retry: 3 * time.Minute, code: 700027, spread: 2 * time.Minute, ok: true, least: 2 * time.Minute,
			most: 2*time.Minute + 10*time.Second,
		},
		"a federated credential": {
			retry: 3 * time.Minute, code: 700213, spread: 3 * time.Second, ok: true, least: 3 * time.Second,
			most: 10 * time.Second,
		},
		"not in the time": {
			retry: 3 * time.Minute, code: 700016, spread: time.Hour, least: 2*time.Minute + 45*time.Second,
			most: 3 * time.Minute,
		},
		"less than a request has": {
			// A pause that reaches beyond the 5 s is not made. The pauses are of 0.5 to 1 s, of
			// 1 to 2 s and of 2 to 4 s: the first two always fit, the third only by luck.
			retry: 5 * time.Second, code: 700016, spread: time.Hour, least: 1500 * time.Millisecond,
			most: 5 * time.Second,
		},
		"another refusal": {retry: 3 * time.Minute, code: 7000112, spread: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, certtoken.WithPropagationRetry(c.retry))
				began := time.Now()
				r.server.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
					if time.Since(began) < c.spread {
						return &certtokentest.Fault{Code: c.code}
					}
					return nil
				})
				_, err := r.client.Token(t.Context(), graph)
				took := time.Since(began)
				assert.GreaterOrEqual(t, took, c.least)
				assert.LessOrEqual(t, took, c.most)
				if c.ok {
					require.NoError(t, err)
				} else {
					var refused *certtoken.TokenError
					require.ErrorAs(t, err, &refused)
					assert.Contains(t, refused.AADSTS, c.code)
				}
				assert.LessOrEqual(t, r.server.Count(), 45)
				jtis := map[any]bool{}
				for _, req := range r.server.Requests() {
					jtis[req.AssertionClaims["jti"]] = true
				}
				assert.Len(t, jtis, r.server.Count(), "each is signed anew")
			})
		})
	}
}

// Refusals that come and go, mixed with what is retried anyway.
func TestPropagationRetryAmongFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithPropagationRetry(time.Minute))
		r.server.Fail(
			certtokentest.Fault{Code: 700016},
			certtokentest.Fault{Status: 503},
			certtokentest.Fault{Code: 700027},
			certtokentest.Fault{Status: 503},
			certtokentest.Fault{Code: 700016},
		)
		r.token(t, graph)
		assert.Equal(t, 6, r.server.Count())
	})
}

func TestPropagationRetryOutOfBounds(t *testing.T) {
	for _, d := range []time.Duration{-1, 11 * time.Minute} {
		_, err := certtoken.NewClient(
			certtoken.Entra(tenantID),
			clientID,
			goldenCert(t),
			certtoken.WithPropagationRetry(d),
		)
		assert.ErrorContains(t, err, "WithPropagationRetry")
	}
}
