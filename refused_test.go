package certtoken_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// refuse asks for another token than the refused one.
func (r *rig) refuse(t testing.TB, refused *certtoken.Token) (*certtoken.Token, error) {
	t.Helper()
	return r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Refused: refused})
}

// However many ask for another token, one request is made, and the others keep the cached
// token until it has landed.
func TestARefusedTokenIsRenewedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		r.server.FailAlways(certtokentest.Fault{Delay: 2 * time.Second})
		var all sync.WaitGroup
		start := time.Now()
		for range 50 {
			all.Go(func() {
				newer, err := r.refuse(t, first)
				if assert.NoError(t, err) {
					assert.NotEqual(t, first.AccessToken(), newer.AccessToken())
				}
			})
		}
		synctest.Wait()
		assert.Same(t, first, r.hit(t, graph), "the others keep theirs")
		all.Wait()
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.Equal(t, 2, r.server.Count())
		assert.NotSame(t, first, r.hit(t, graph))
	})
}

// A caller who comes later with the old token gets the newer one without a request.
func TestANewerTokenThanTheRefusedOneWillDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		second, err := r.refuse(t, first)
		require.NoError(t, err)
		third, err := r.refuse(t, first)
		require.NoError(t, err)
		assert.Same(t, second, third)
		assert.Equal(t, 2, r.server.Count())
	})
}

// Within a minute no other request is made, and the error says so.
func TestAResourceThatRefusesEveryToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		token := r.token(t, graph)
		for range 10 * 60 {
			newer, err := r.refuse(t, token)
			if err != nil {
				require.EqualError(t, err,
					"certtoken: the token was already renewed for this resource within the last minute")
			} else {
				token = newer
			}
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1+10, r.server.Count())
		assert.Same(t, token, r.hit(t, graph), "others have the token all the same")
	})
}

// The minute is one of the token: others are asked for all the same.
func TestTheMinuteOfARefusedTokenIsItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		_, err := r.refuse(t, r.token(t, graph))
		require.NoError(t, err)
		other := r.token(t, vault)
		newer, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{vault}, Refused: other})
		require.NoError(t, err)
		assert.NotEqual(t, other.AccessToken(), newer.AccessToken())
	})
}

// A token comes from the shared store a second time, after it left the cache. It is the
// refused one though it is another value.
func TestARefusedTokenOfTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, cert := fleet(t)
		store := certtoken.NewMemoryStore()
		first, err := process(t, srv, cert, store).Token(t.Context(), scope)
		require.NoError(t, err)
		synctest.Wait()
		client := process(t, srv, cert, store)
		same, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
		require.Equal(t, first.AccessToken(), same.AccessToken())
		newer, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Refused: first})
		require.NoError(t, err)
		assert.NotEqual(t, first.AccessToken(), newer.AccessToken())
		assert.Equal(t, 2, srv.Count())
	})
}

// A server that answers with the same token again is of no help, and the caller is told.
func TestTheSameTokenGrantedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		r.server.FailAlways(certtokentest.Fault{Fields: map[string]any{"access_token": first.AccessToken()}})
		for range 2 {
			_, err := r.refuse(t, first)
			require.ErrorContains(t, err, "the token endpoint granted the refused token again")
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 3, r.server.Count())
	})
}

// While the endpoint is down the caller is told why, and the others keep their token.
func TestARefusedTokenThatCantBeRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		first := r.token(t, graph)
		r.server.FailAlways(certtokentest.Fault{Code: 700016})
		_, err := r.refuse(t, first)
		var refused *certtoken.TokenError
		require.ErrorAs(t, err, &refused)
		assert.Same(t, first, r.hit(t, graph))
	})
}

func TestRefusedThatMakesNoSense(t *testing.T) {
	r := newRig(t)
	first := r.token(t, graph)
	for want, req := range map[string]certtoken.Request{
		"Refused and Fresh: they exclude each other": {Fresh: true},
		"AuthorizationCode: Refused is for tokens that are cached": {Grant: certtoken.AuthorizationCode("code", "",
			"")},
		`CorrelationID "a b" is not at most 128 printable ASCII ch`: {CorrelationID: "a b"},
	} {
		req.Scopes, req.Refused = []string{graph}, first
		_, err := r.client.Acquire(t.Context(), req)
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, 1, r.server.Count())
}
