package certtoken_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// vaultOf keeps the refresh token of a session, as a program's database does.
type vaultOf struct {
	mu    sync.Mutex
	saved []string
	fails error
	calls int
}

func (v *vaultOf) save(_ context.Context, token string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	if v.fails != nil {
		return v.fails
	}
	v.saved = append(v.saved, token)
	return nil
}

func (v *vaultOf) failWith(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fails = err
}

func (v *vaultOf) state() (saved []string, calls int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.saved, v.calls
}

// signedIn returns the refresh token of a user who signed in.
func (r *rig) signedIn(t testing.TB, scopes ...string) string {
	t.Helper()
	tok, err := r.acquire(t, certtoken.AuthorizationCode(
		r.server.AuthorizationCode(signIn(append(scopes, "offline_access")...)), callback, verifier))
	require.NoError(t, err)
	require.NotEmpty(t, tok.RefreshToken())
	return tok.RefreshToken()
}

// refreshes counts the refresh tokens that the server was shown.
func (r *rig) refreshes() (n int) {
	for _, sent := range r.server.Requests() {
		if sent.Form.Get("grant_type") == "refresh_token" {
			n++
		}
	}
	return n
}

// A session goes through days with a server that rotates and looks for reuse, with many
// callers for several scopes, and no refresh token is used twice.
func TestSessionWithRotation(t *testing.T) {
	for name, opts := range map[string][]certtokentest.Option{
		"rotation":         {certtokentest.WithReuseDetection()},
		"without rotation": {certtokentest.WithoutRefreshRotation()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := genericRig(t, "", opts...)
				var vault vaultOf
				first := r.signedIn(t, "read", "write")
				session := r.client.Session(first, vault.save)
				for range 48 {
					var all sync.WaitGroup
					for _, scope := range []string{"read", "write"} {
						for range 5 {
							all.Go(func() {
								tok, err := session.Token(t.Context(), scope)
								if assert.NoError(t, err) {
									assert.Equal(t, []string{scope}, tok.Scopes())
								}
							})
						}
					}
					all.Wait()
					time.Sleep(50 * time.Minute)
				}
				synctest.Wait()
				saved, calls := vault.state()
				if name == "rotation" {
					assert.Equal(t, r.refreshes(), calls, "each new one is saved once")
					assert.Equal(t, saved[len(saved)-1], session.RefreshToken())
				} else {
					assert.Zero(t, calls)
					assert.Equal(t, first, session.RefreshToken(), "it stays")
				}
				restarted := r.client.Session(session.RefreshToken(), vault.save)
				_, err := restarted.Token(t.Context())
				require.NoError(t, err, "the last one saved works after a restart")
			})
		})
	}
}

// Renewal happens behind the caller.
func TestSessionRenewsBehindTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := genericRig(t, "")
		var vault vaultOf
		session := r.client.Session(r.signedIn(t, "read"), vault.save)
		tok, err := session.Token(t.Context(), "read")
		require.NoError(t, err)
		time.Sleep(time.Until(tok.RenewAt()) + time.Second)
		same, err := session.Token(t.Context(), "read")
		require.NoError(t, err)
		assert.Same(t, tok, same)
		synctest.Wait()
		next, err := session.Token(t.Context(), "read")
		require.NoError(t, err)
		assert.NotSame(t, tok, next)
		assert.Equal(t, 2, r.refreshes())
	})
}

// While save fails callers have their token, a hook is told, and save is called again until
// it succeeds.
func TestSessionWhileSaveFails(t *testing.T) {
	for name, fail := range map[string]func(v *vaultOf){
		"error": func(v *vaultOf) { v.failWith(errors.New("the database is down")) },
		"panic": func(v *vaultOf) { v.failWith(panicsOnSave{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan certtoken.Event, 100)
				r := newRigOf(t, certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithReuseDetection()),
					nil,
					certtoken.WithHooks(certtoken.Hooks{SessionUnsaved: func(e certtoken.Event) { told <- e }}))
				var vault vaultOf
				fail(&vault)
				session := r.client.Session(r.signedIn(t, "read", "write"),
					func(ctx context.Context, token string) error {
						err := vault.save(ctx, token)
						if errors.As(err, new(panicsOnSave)) {
							panic("secret " + token)
						}
						return err
					})
				_, err := session.Token(t.Context(), "read")
				require.NoError(t, err)
				event := <-told
				require.ErrorContains(t, event.Err, "the session's refresh token was not saved")
				assert.NotContains(t, event.Err.Error(), session.RefreshToken())
				assert.Equal(t, time.Second, event.RetryIn)
				time.Sleep(4 * time.Second)
				_, calls := vault.state()
				assert.Equal(t, 3, calls, "after 1 s and 2 s more")

				_, err = session.Token(t.Context(), "write")
				require.NoError(t, err, "the session goes on")
				vault.failWith(nil)
				time.Sleep(10 * time.Second)
				saved, _ := vault.state()
				assert.Equal(t, []string{session.RefreshToken()}, saved, "the newest is saved, once")
			})
		})
	}
}

type panicsOnSave struct{}

func (panicsOnSave) Error() string { return "panics" }

// A save that hangs costs its limit and no more.
func TestSessionWhileSaveHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := genericRig(t, "")
		session := r.client.Session(r.signedIn(t, "read"), func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		began := time.Now()
		_, err := session.Token(t.Context(), "read")
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

// A save that ignores its context costs its limit once: callers have their tokens, the session goes on,
// and no second call runs beside the one that hangs. When it has returned, the newest is saved.
func TestSessionWhileSaveIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan certtoken.Event, 100)
		r := newRigOf(t, certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithReuseDetection()), nil,
			certtoken.WithHooks(certtoken.Hooks{SessionUnsaved: func(e certtoken.Event) { told <- e }}))
		release := make(chan struct{})
		var calls atomic.Int32
		var vault vaultOf
		session := r.client.Session(r.signedIn(t, "read", "write"), func(ctx context.Context, token string) error {
			if calls.Add(1) == 1 {
				<-release
			}
			return vault.save(context.WithoutCancel(ctx), token)
		})
		began := time.Now()
		_, err := session.Token(t.Context(), "read")
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, time.Since(began))
		event := <-told
		require.ErrorContains(t, event.Err, "save did not return within 5s")

		began = time.Now()
		_, err = session.Token(t.Context(), "write")
		require.NoError(t, err)
		assert.Zero(t, time.Since(began), "one that hangs is waited for once")
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, calls.Load())
		close(release)
		time.Sleep(5 * time.Minute)
		saved, _ := vault.state()
		require.Len(t, saved, 2)
		assert.Equal(t, session.RefreshToken(), saved[1])
	})
}

// What only the user can help with is one error, with the server's words in it.
func TestSessionIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		fault certtokentest.Fault
		over  bool
	}{
		"refused":     {certtokentest.Fault{Code: 700082}, true},
		"interaction": {certtokentest.Fault{Code: 50076, Claims: `{"access_token":{}}`}, true},
		"throttled":   {certtokentest.Fault{Code: 90055}, false},
		"client":      {certtokentest.Fault{Code: 7000112}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRigOf(t, nil, nil)
				var vault vaultOf
				session := r.client.Session(r.signedIn(t, userRead), vault.save)

				for range 6 {
					r.server.Fail(c.fault)
				}
				for range 2 { // the second time it is remembered
					_, err := session.Token(t.Context(), userRead)
					require.Error(t, err)
					assert.Equal(t, c.over, errors.Is(err, certtoken.ErrSignInRequired), err)
					var te *certtoken.TokenError
					require.ErrorAs(t, err, &te)
					assert.Equal(t, c.fault.Claims, te.Claims)
				}
			})
		})
	}
}

// Processes with one session between them redeem each refresh token once, at whatever
// time they look and whichever of the saved ones they began with.
func TestSessionInAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := certtoken.WithStore(certtoken.NewMemoryStore(), []byte("0123456789abcdef0123456789abcdef"))
		r := newRigOf(t, certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithReuseDetection()), nil,
			store)
		var vault vaultOf
		first := r.signedIn(t, "read")
		var fleet []*certtoken.Session
		join := func(token string) {
			client, err := certtoken.NewClient(r.server.Authority(), appID, r.cert,
				certtoken.WithHTTPClient(r.server.Client()), store)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, client.Close()) })
			fleet = append(fleet, client.Session(token, vault.save))
		}
		for range 4 {
			join(first)
		}
		for round := range 6 {
			var all sync.WaitGroup
			for i, session := range fleet {
				if round%2 == 1 && i%2 == 0 { // these are asleep
					continue
				}
				all.Go(func() {
					_, err := session.Token(t.Context(), "read")
					assert.NoError(t, err)
				})
			}
			all.Wait()
			saved, _ := vault.state()
			join(saved[len(saved)-1])
			time.Sleep(5 * time.Hour)
		}
		synctest.Wait()
		saved, _ := vault.state()
		unique := make(map[string]bool)
		for _, token := range saved {
			assert.False(t, unique[token])
			unique[token] = true
		}
		assert.Len(t, saved, r.refreshes())
	})
}

// Sessions share nothing, print no secret, and say what is wrong with how they were made.
func TestSessionsAreApart(t *testing.T) {
	r := genericRig(t, "", certtokentest.WithoutRefreshRotation())
	var vault vaultOf
	token := r.signedIn(t, "read")
	one, two := r.client.Session(token, vault.save), r.client.Session(token, vault.save)
	a, err := one.Token(t.Context(), "read")
	require.NoError(t, err)
	b, err := two.Token(t.Context(), "read")
	require.NoError(t, err)
	assert.NotEqual(t, a.AccessToken(), b.AccessToken())
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s", one, one, one, *one), token)

	_, err = one.Acquire(t.Context(), certtoken.Request{Grant: certtoken.OnBehalfOf("a")})
	require.ErrorContains(t, err, "the request has a Grant")
	_, err = r.client.Session("", nil).Token(t.Context())
	require.ErrorContains(t, err, "the refresh token is empty")
	require.ErrorContains(t, err, "no function to save")
}

// A session outlives the assertion of an on-behalf-of token.
func TestSessionOnBehalfOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, certtokentest.New(certtokentest.WithTokenLifetime(time.Hour)), nil)
		tok, err := r.acquire(t, certtoken.OnBehalfOf(r.server.UserToken(user, appID)), userRead, "offline_access")
		require.NoError(t, err)
		var vault vaultOf
		session := r.client.Session(tok.RefreshToken(), vault.save)
		time.Sleep(24 * time.Hour)
		_, err = session.Token(t.Context(), userRead)
		require.NoError(t, err)
	})
}
