package agent

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
)

// Paths by which the agent is watched.
const (
	HealthPath = "/healthz" // 200 while it runs
	ReadyPath  = "/readyz"  // 200 with a Health, or 503 if an identity can't get tokens
)

const (
	soon        = 14 * 24 * time.Hour // before its end, a certificate is about to end
	healthAge   = 5 * time.Second     // for which an answer is good
	healthLimit = 10 * time.Second    // for asking all certificates
)

// healthOf asks the certificates of a policy's identities.
func healthOf(ctx context.Context, p *policy) Health {
	h := Health{Ready: true, Identities: make([]IdentityHealth, len(p.identities))}
	var all sync.WaitGroup
	for i, id := range p.identities {
		all.Go(func() { h.Identities[i] = id.health(ctx) })
	}
	all.Wait()
	for _, one := range h.Identities {
		h.Ready = h.Ready && one.Problem == ""
	}
	return h
}

// health asks the identity's certificate. Its source may be the program's own: one that hangs
// or panics is a problem of this identity, and neither holds up the answer nor ends the process.
func (id *identity) health(ctx context.Context) IdentityHealth {
	if id.Certificate == nil {
		return IdentityHealth{Name: id.Name}
	}
	h, err := id.asked.Do(ctx, healthLimit, func() (IdentityHealth, error) { return id.ask(ctx), nil })
	if err != nil {
		return IdentityHealth{Name: id.Name, Problem: "the certificate's source: " + problemText(err)}
	}
	return h
}

func (id *identity) ask(ctx context.Context) IdentityHealth {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	h := IdentityHealth{Name: id.Name}
	cert, err := id.Certificate.Certificate(ctx)
	if err != nil {
		h.Problem = problemText(err)
		return h
	}
	if source, ok := id.Certificate.(interface{ Health() error }); ok {
		if err := source.Health(); err != nil {
			h.Warning = problemText(err)
		}
	}
	if cert.Leaf == nil { // a bare key has no end
		return h
	}
	h.setEnd(cert, time.Now())
	return h
}

func (h *IdentityHealth) setEnd(cert *certtoken.Certificate, now time.Time) {
	end := cert.Leaf.NotAfter.UTC()
	h.NotAfter = &end
	if err := cert.Valid(now); err != nil {
		h.Problem = problemText(err)
	} else if end.Sub(now) < soon && h.Warning == "" {
		h.Warning = "the certificate ends at " + end.Format(time.RFC3339)
	}
}

// healthCache keeps an answer for some seconds, because anybody on this machine can ask.
type healthCache struct {
	mu   sync.Mutex
	last Health
	at   time.Time
	busy chan struct{} // closed when the question under way was answered; nil: none is
}

func problemText(err error) string {
	return redact.Text(strings.TrimPrefix(err.Error(), "certtoken: "), redact.MaxText)
}

// serve answers /healthz, which says that the agent runs, and /readyz.
func (c *healthCache) serve(w http.ResponseWriter, r *http.Request, ask func(context.Context) Health) {
	if r.Method != http.MethodGet {
		writeJSON(w, http.StatusBadRequest, oauthError{invalidRequest, "this is asked by GET"})
		return
	}
	if r.URL.Path == HealthPath {
		writeJSON(w, http.StatusOK, struct {
			Status string `json:"status"`
		}{"ok"})
		return
	}
	h, ok := c.get(r.Context(), ask)
	status := http.StatusOK
	if !ok || !h.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, h)
}

// get returns the last answer, or asks for another, once for all who wait.
func (c *healthCache) get(ctx context.Context, ask func(context.Context) Health) (Health, bool) {
	c.mu.Lock()
	if time.Since(c.at) < healthAge {
		defer c.mu.Unlock()
		return c.last, true
	}
	busy := c.busy
	if busy == nil {
		busy = make(chan struct{})
		c.busy = busy
		c.mu.Unlock()
		h := ask(context.WithoutCancel(ctx))
		c.mu.Lock()
		c.last, c.at, c.busy = h, time.Now(), nil
		close(busy)
		c.mu.Unlock()
		return h, true
	}
	c.mu.Unlock()
	select {
	case <-busy:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.last, true
	case <-ctx.Done():
		return Health{}, false
	}
}

// forget makes the next question a new one.
func (c *healthCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}
