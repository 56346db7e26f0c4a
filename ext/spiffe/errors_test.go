package spiffe

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What go-spiffe can't read isn't an agent that is away.
func TestAnswersThatCannotBeRead(t *testing.T) {
	cause := errors.New("x509svid: leaf certificate must not have CA flag set to true")
	err := explain(&config{address: "unix:///agent"}, cause)
	assert.ErrorContains(t, err, `unusable answer of the agent: "x509svid: leaf`)
	assert.ErrorIs(t, err, cause)
	assert.NotErrorIs(t, err, ErrUnavailable)
}

// Whatever is in an answer that can't be read, the error is one line without tokens.
func TestTextsOfAnswersThatCannotBeRead(t *testing.T) {
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
	err := explain(&config{address: "unix:///a"}, errors.New("no \"host\"\n2026 INFO all is well\x1b[31m "+jwt))
	assert.EqualError(t, err, `spiffe: unix:///a: unusable answer of the agent: `+
		`"no \"host\"\n2026 INFO all is well\x1b[31m [removed]"`)
	long := explain(&config{}, errors.New(strings.Repeat("long ", 2000)))
	assert.Less(t, len(long.Error()), 2*maxMessage)
}

// An error of no kind wraps its cause alone: nil must not be among what is wrapped.
func TestErrorsOfNoKind(t *testing.T) {
	cause := status.Error(codes.InvalidArgument, "bad")
	var said *agentError
	assert.ErrorAs(t, explain(&config{}, cause), &said)
	assert.Equal(t, []error{cause}, said.Unwrap())
}

// The whole text, with and without an SVID that was asked for.
func TestTextsOfAnswers(t *testing.T) {
	plain, mine := &config{address: "unix:///a"}, &config{address: "unix:///a", hint: "mine"}
	refused := status.Error(codes.PermissionDenied, "no identity issued")
	const advice = `(PermissionDenied: "no identity issued"); register the process (with SPIRE an entry whose selectors ` +
		`fit), or wait until the entry has reached the agent`
	const none = "spiffe: unix:///a: the agent has no identity for this process "
	assert.EqualError(t, explain(plain, refused), none+advice)
	assert.EqualError(t, explain(mine, refused), none+`with the hint "mine" `+advice)
	assert.EqualError(t, explain(mine, status.Error(codes.Unimplemented, "")),
		"spiffe: unix:///a: the agent lacks this part of the Workload API (Unimplemented)")
}

// However many identities there are, an error lists some.
func TestManyIdentities(t *testing.T) {
	listed := make([]identity, maxListed+5)
	for i := range listed {
		listed[i].id = spiffeid.RequireFromString(fmt.Sprintf("spiffe://example.org/n%02d", i))
	}
	_, err := choose(&config{hint: "mine"}, listed)
	assert.ErrorContains(t, err, "/n09, …")
	assert.NotContains(t, err.Error(), "/n10")
}
