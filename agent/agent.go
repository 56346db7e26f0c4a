package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// wrongDelay is how long the answer to a wrong secret takes.
	wrongDelay = 500 * time.Millisecond

	// maxSlow is how many such answers are waited for at once. Over that the connection is
	// closed without an answer. Who shows a right secret is never affected.
	maxSlow = 64

	// closeGrace is how long Close waits for requests under way.
	closeGrace = 10 * time.Second
)

// Agent hands out tokens. It is an [http.Handler] for connections of this machine: serve
// it by [Agent.Serve], which bounds what a connection can cost, or by an [http.Server] of
// yours with [ConnContext]. It may be used from many goroutines.
type Agent struct {
	policy  atomic.Pointer[policy]
	tokens  tokens
	audit   auditor
	health  healthCache
	slow    chan struct{} // a place for each wrong secret whose answer waits
	stopped context.Context
	stop    context.CancelFunc
	servers servers

	mu   sync.Mutex
	work sync.WaitGroup // requests under way; added to under mu while not stopped
}

// New makes an agent. It does no I/O, and its error holds every mistake at once.
func New(cfg Config) (*Agent, error) {
	p, err := newPolicy(cfg.Identities)
	if err != nil {
		return nil, prefixed(err)
	}
	a := &Agent{slow: make(chan struct{}, maxSlow), audit: auditor{log: cfg.Audit}}
	a.stopped, a.stop = context.WithCancel(context.Background())
	a.policy.Store(p)
	return a, nil
}

// Update replaces the identities. Requests under way end with those from before. An
// error holds every mistake at once, and nothing was changed then. Identities that stay
// should keep their Client, and so the tokens in its cache.
func (a *Agent) Update(identities []Identity) error {
	p, err := newPolicy(identities)
	if err != nil {
		return prefixed(err)
	}
	if a.stopped.Err() != nil {
		return ErrClosed
	}
	a.policy.Store(p)
	a.tokens.forget(p)
	a.health.forget()
	return nil
}

// Serve answers the connections of a listener until Close, and then returns
// [http.ErrServerClosed]. The listener must be on a loopback address or a Unix socket;
// [Listen] makes one, and Serve closes it. It may be called for several listeners.
//
// A connection may take 5 s to send the header of a request and 10 s for all of it.
// There are at most 1024 connections. If another one comes, that one is closed which
// showed no right secret and came first.
func (a *Agent) Serve(listener net.Listener) error {
	if err := checkLocal(listener.Addr()); err != nil {
		return errors.Join(fmt.Errorf(prefix+"%w", err), listener.Close())
	}
	server := newServer(a)
	if !a.servers.add(server) {
		return errors.Join(ErrClosed, listener.Close())
	}
	return server.Serve(listener)
}

// Close ends the servers of Serve: no new connection is taken, and requests under way
// have 10 s to end. It doesn't close the clients. A second call does nothing.
func (a *Agent) Close() error {
	a.mu.Lock()
	first := a.stopped.Err() == nil
	a.stop()
	a.mu.Unlock()
	if !first {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	err := a.servers.shutdown(ctx)
	done := make(chan struct{})
	go func() { a.work.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, errors.New(prefix+"some requests didn't end within 10 s"))
	}
}

// Health asks the identities' certificates. An identity without [Identity.Certificate]
// counts as ready.
func (a *Agent) Health(ctx context.Context) Health { return healthOf(ctx, a.policy.Load()) }

// enter reports whether a request may begin.
func (a *Agent) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped.Err() != nil {
		return false
	}
	a.work.Add(1)
	return true
}

// ServeHTTP answers a request. It panics with [http.ErrAbortHandler], which closes the
// connection, where too many wrong secrets are shown at once.
func (a *Agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !a.enter() {
		w.Header().Set("Connection", "close")
		writeJSON(w, http.StatusServiceUnavailable, oauthError{unavailable, "the agent is ending"})
		return
	}
	defer a.work.Done()
	c := connectionOf(r.Context())
	if err := guard(r, c); err != nil {
		a.refuseStranger(w, r, c, refuse(http.StatusForbidden, invalidRequest, err.Error()))
		return
	}
	switch path := r.URL.Path; {
	case r.URL.RawPath != "" || r.URL.IsAbs():
		a.refuseStranger(w, r, c, refuse(http.StatusBadRequest, invalidRequest, askInOtherWay))
	case path == AppServicePath:
		asked, refused := readAppService(r)
		a.answer(w, r, c, asked, refused)
	case path == OAuthPath:
		asked, refused := readOAuth(w, r)
		a.answer(w, r, c, asked, refused)
	case path == HealthPath || path == ReadyPath:
		a.health.serve(w, r, a.Health)
	default:
		a.refuseStranger(w, r, c, refuse(http.StatusBadRequest, invalidRequest, askInOtherWay))
	}
}

// answer decides, writes that down, and answers.
func (a *Agent) answer(w http.ResponseWriter, r *http.Request, c *connection, asked ask, refused *refusal) {
	var g granted
	who := askerOf(c, asked)
	listed := a.policy.Load().granteesOf(who)
	switch {
	case len(listed) == 0: // whatever else is wrong: only who is known is told
		refused = asked.refuseUnknown(c, refused)
	default:
		c.trust()
		if refused == nil {
			g, refused = a.decide(r.Context(), listed, asked)
		}
	}
	if refused != nil && refused.slow && !a.slowDown(r.Context()) {
		a.audit.dropped()
		panic(http.ErrAbortHandler)
	}
	if refused != nil {
		id := newID()
		a.audit.refused(r, c, asked, g, refused, id)
		if refused.slow {
			w.Header().Set("Connection", "close")
		}
		asked.form.refuse(w, refused, id)
		return
	}
	a.audit.granted(r, c, asked, g)
	asked.form.grant(w, &g)
}

// askerOf is what a request shows of who asks.
func askerOf(c *connection, asked ask) asker {
	who := asker{onSocket: c.unix, peer: c.peer}
	who.offer(asked.secrets)
	return who
}

// decide gets the token that was asked for, if the identity may have it.
func (a *Agent) decide(ctx context.Context, listed []grantee, asked ask) (granted, *refusal) {
	chosen, ok := choose(listed, asked.named)
	g := granted{grantee: chosen, resource: asked.resource}
	if !ok {
		g.grantee = grantee{identity: &identity{}, caller: listed[0].caller}
		return g, refuse(http.StatusUnauthorized, invalidClient, notListed)
	}
	scopes := asked.scopes
	if len(scopes) == 0 {
		if scopes, ok = chosen.only(); !ok {
			return g, refuse(http.StatusBadRequest, invalidScope, "no scope was asked for, and the identity lists several")
		}
	}
	g.scopes = scopes
	if !chosen.allows(scopes) {
		return g, refuse(http.StatusForbidden, invalidScope, notAllowed)
	}
	if !chosen.begin(ctx) {
		return g, refuse(http.StatusBadRequest, unavailable, "this caller has too many requests under way")
	}
	defer chosen.end()
	var err error
	g.token, g.fetched, err = a.tokens.get(ctx, chosen.Client, texts(scopes))
	switch {
	case err != nil:
		return g, refusalOf(err)
	case g.token.Type() != "Bearer":
		return g, refuse(http.StatusBadRequest, serverError, "the token is bound to the certificate or to a key: no caller could use it")
	}
	return g, nil
}

// slowDown takes the time that a wrong secret costs. It reports false if too many are
// waiting already.
func (a *Agent) slowDown(ctx context.Context) bool {
	select {
	case a.slow <- struct{}{}:
		defer func() { <-a.slow }()
	default:
		return false
	}
	timer := time.NewTimer(wrongDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-a.stopped.Done():
	}
	return true
}

// refuseStranger refuses a request that no program of this machine sends, whatever it
// asks for.
func (a *Agent) refuseStranger(w http.ResponseWriter, r *http.Request, c *connection, why *refusal) {
	id := newID()
	a.audit.refused(r, c, ask{}, granted{}, why, id)
	w.Header().Set("Connection", "close")
	appService.refuse(w, why, id)
}

func newID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
