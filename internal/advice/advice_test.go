package advice

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
)

// entries are all that there is, by name.
func entries() map[any]Entry {
	all := make(map[any]Entry)
	for code, e := range AADSTS {
		all[code] = e
	}
	for code, e := range OAuth {
		all[code] = e
	}
	return all
}

// A request is advised by what it carried: a client without a certificate is told
// nothing of one, and a request without an assertion nothing of its header.
func TestAdviceFitsTheProof(t *testing.T) {
	ownKey := regexp.MustCompile(
		`(?i)upload|register the certificate|add the certificate|With(X5C|Thumbprint|KeyID|Algorithm|AssertionType|Audience)`,
	)
	header := regexp.MustCompile(`With(X5C|ThumbprintHeader|KeyID|Algorithm|AssertionType|Audience)`)
	for code, e := range entries() {
		assert.NotEmpty(t, e.Advice, code)
		assert.NotRegexp(t, ownKey, e.For(Request{Proof: ByOthers}), code)
	}
	for _, code := range []string{"invalid_client", "unauthorized_client", "invalid_grant", "invalid_request"} {
		assert.NotRegexp(t, header, OAuth[code].For(Request{Proof: ByTLS}), code)
	}
	for _, code := range []int{700027, 7000218, 50012, 1000502} {
		assert.NotRegexp(t, header, AADSTS[code].For(Request{Proof: ByTLS}), code)
	}
	assert.Regexp(t, `subject \(DN\) or SAN.*key.*mTLS endpoint`, OAuth["invalid_client"].For(Request{Proof: ByTLS}))
}

// A client that acts as itself has no user to send to sign in.
func TestAdviceFitsTheGrant(t *testing.T) {
	for _, code := range []any{"invalid_grant", "interaction_required", 53003, 53000, 530003, 530035} {
		e := entries()[code]
		assert.NotRegexp(t, "sign in|send them|this user", e.For(Request{}), code)
		assert.Regexp(t, "user", e.For(Request{ForUser: true}), code)
		assert.Equal(t, e.For(Request{ForUser: true}), e.For(Request{ForUser: true, Proof: ByOthers}), code)
	}
	assert.Contains(t, OAuth["invalid_grant"].For(Request{}), "bound")
}

func TestEveryCodeHasAdvice(t *testing.T) {
	for _, code := range []int{
		5002723, 5002738, 5002727, 50027, 90014, 700021, 700023, 700024, 700027, 7000274, 700030,
		1000502, 7000214, 7000277, 7000215, 7000222, 7000218, 700025, 700016, 90002, 900023, 7000112,
		500011, 70011, 1002012, 700022, 53003, 50196, 90033, 90006, 90024, 90055, 50194, 9001023, 100007,
		50012, 7000213, 7002138, 500014, 650057, 65005, 530035, 53000, 530003, 7000110, 90094,
	} {
		assert.NotEmpty(t, AADSTS[code].Advice, code)
	}
	assert.True(t, OAuth["temporarily_unavailable"].Temporary)
	assert.Equal(t, Later, OAuth["temporarily_unavailable"].Advice)
}
