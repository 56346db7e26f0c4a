package certtokentest

import (
	"net/http"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/grants"
	"github.com/certtoken/certtoken/certtokentest/internal/plan"
	"github.com/certtoken/certtoken/certtokentest/internal/possession"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// endpoint is what an authorization server knows: how it was made, who is
// registered, what it has granted and seen, and what is to go wrong. It knows
// neither its socket nor the handlers beside it.
type endpoint struct {
	cfg       config
	clients   proof.Clients
	issuers   proof.Clients // whose assertions are taken as grants, by the issuer's name
	used      proof.Used
	tokens    grants.Tokens
	codes     grants.Codes
	proofs    *possession.Checker // of DPoP; nil: they are ignored
	log       requestLog
	faults    plan.Plan[Fault, *Request] // of the token endpoint
	discovery plan.Plan[Fault, *Request] // of metadata and keys

	announceTLS bool // the metadata say that certificates in TLS are taken

	mu   sync.Mutex // guards tune
	tune tuning
}

func newEndpoint(cfg config) *endpoint {
	e := &endpoint{
		cfg:         cfg,
		tune:        cfg.tuning,
		log:         requestLog{limit: cfg.requestLimit},
		announceTLS: cfg.clientCerts,
	}
	if cfg.dpop != nil {
		e.proofs = cfg.dpop.checker(cfg.dpop.Nonces)
	}
	return e
}

func (e *endpoint) retune(change func(*tuning)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.tune)
}

func (e *endpoint) tuned() tuning {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tune
}

// now is the time on the server's clock.
func (e *endpoint) now() time.Time { return time.Now().Add(e.tuned().offset) }

// date is the server's time as a header.
func (e *endpoint) date() string { return e.now().UTC().Format(http.TimeFormat) }
