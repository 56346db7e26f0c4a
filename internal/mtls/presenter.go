package mtls

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"weak"
)

// Presenter makes connections to resources with the certificate that a token is
// bound to: those of the newest certificate are kept.
type Presenter struct {
	base http.RoundTripper
	ctx  context.Context // at whose end the connections end

	mu      sync.Mutex // guards the rest
	binding *Binding
	kept    *http.Transport
}

// NewPresenter makes connections as base does, until the context ends.
func NewPresenter(ctx context.Context, base http.RoundTripper) *Presenter {
	return &Presenter{base: base, ctx: ctx}
}

// Of returns connections with a binding's certificate.
func (p *Presenter) Of(b *Binding) (http.RoundTripper, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b == nil {
		return nil, errors.New("the token is bound to no certificate")
	}
	if b == p.binding {
		return p.kept, nil
	}
	t, err := b.transport(p.base)
	if err != nil {
		return nil, err
	}
	if p.binding != nil && b.age < p.binding.age { // a last request with the old certificate
		t.DisableKeepAlives = true
		return t, nil
	}
	if p.kept != nil {
		p.kept.CloseIdleConnections()
	}
	p.binding, p.kept = b, t
	closeWith(p.ctx, t)
	return t, nil
}

// CloseIdle closes idle connections.
func (p *Presenter) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept != nil {
		p.kept.CloseIdleConnections()
	}
}

// closeWith closes a transport's connections, as they fall idle, when ctx ends. A
// transport that was forgotten before isn't held.
func closeWith(ctx context.Context, t *http.Transport) {
	held := weak.Make(t)
	stop := context.AfterFunc(ctx, func() {
		if t := held.Value(); t != nil {
			t.CloseIdleConnections()
		}
	})
	runtime.AddCleanup(t, func(stop func() bool) { stop() }, stop)
}
