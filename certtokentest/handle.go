package certtokentest

import (
	"net/http"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/certtoken/certtoken/certtokentest/internal/tenant"
)

// handle decides what a request gets.
func (e *endpoint) handle(r *http.Request) *answer.Answer {
	e.log.count()
	to, ok := e.cfg.route(r)
	switch {
	case !ok:
		return e.stamped(answer.JSON(http.StatusNotFound, map[string]string{"error": "not_found"}))
	case to.place == atToken:
		return e.token(r, to)
	case to.place == atSignIn:
		return e.stamped(e.signIn(r, to))
	}
	fault := e.discovery.Next(newRequest(r, time.Now()))
	a := fault.instead(func(f *refusal.Refusal) *answer.Answer { return e.discoveryRefused(to, f) })
	if a == nil {
		a = e.discover(r, to)
	}
	e.stamped(a)
	fault.change(a, e.now())
	return a
}

func (e *endpoint) discover(r *http.Request, to route) *answer.Answer {
	switch to.place {
	case atKeys:
		return keySet()
	case atInstance:
		return e.instanceDiscovery(r, to)
	}
	return e.metadata(to)
}

// stamped adds the server's time. A Date without values keeps net/http from adding one.
func (e *endpoint) stamped(a *answer.Answer) *answer.Answer {
	if a.Header == nil {
		a.Header = make(http.Header)
	}
	a.Header["Date"] = nil
	if !e.cfg.noDate {
		a.Header.Set("Date", e.date())
	}
	return a
}

// token answers a request to the token endpoint and records it.
func (e *endpoint) token(r *http.Request, to route) *answer.Answer {
	c := newCall(e, r, to)
	refused := c.read(r)
	entry := e.log.begin(c.request)
	seen := *c.request
	fault := e.faults.Next(&seen)
	c.request.Fault = fault

	a := c.decide(refused, fault)
	e.stamped(a)
	a.Header.Set("Cache-Control", "no-store")
	a.Header.Set("Pragma", "no-cache")
	if to.dialect.dpop {
		putNonce(e.proofs, a.Header, c.now)
	}
	fault.change(a, e.now())
	c.request.Status = a.Status
	if a.Ending == answer.Reset {
		c.request.Status = 0
	}
	e.log.finish(entry, c.request)
	return a
}

// decide lets a fault answer in the endpoint's place, or the endpoint.
func (c *call) decide(refused *refusal.Refusal, fault *Fault) *answer.Answer {
	form := c.tune.form
	if fault != nil && fault.Form != RefusalDefault {
		form = fault.Form
	}
	refuse := func(f *refusal.Refusal) *answer.Answer { return c.refused(f, form) }
	if a := fault.instead(refuse); a != nil {
		return a
	}
	if refused == nil {
		refused = c.authorize()
	}
	if refused != nil {
		return refuse(refused)
	}
	return c.granted()
}

// authorize checks everything about a well-formed request.
func (c *call) authorize() *refusal.Refusal {
	for _, check := range []func() *refusal.Refusal{
		c.checkTenant, c.checkGrant, c.checkClient, c.checkPossession, c.checkUser, c.checkScope, c.checkClaims,
		c.checkFMIPath,
	} {
		if refused := check(); refused != nil {
			return refused
		}
	}
	return nil
}

func (c *call) checkTenant() *refusal.Refusal {
	if c.route.dialect.tenants {
		return tenant.Refuse(c.route.tenant, c.endpoint.cfg.tenants)
	}
	return nil
}

// checkUser checks what a user's grant brings beside the client's own proof.
func (c *call) checkUser() *refusal.Refusal {
	switch c.form("grant_type") {
	case grantUser:
		if c.isBearerGrant() {
			return c.checkBearerGrant()
		}
		return c.checkUserAssertion()
	case grantExchange:
		return c.checkExchange()
	case grantAgentUser:
		return c.checkAgentUser()
	case grantCode:
		return c.redeem(c.form("code"), false)
	case grantRefresh:
		return c.redeem(c.form("refresh_token"), true)
	}
	return nil
}
