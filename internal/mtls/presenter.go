package mtls

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"weak"
)

// Presenter makes connections to resources that present the certificate which a token is
// bound to. It keeps those of the newest certificate. It may be used from many goroutines.
type Presenter struct {
	base http.RoundTripper
	ctx  context.Context // at whose end the connections end

	mu      sync.Mutex // guards the rest
	binding *Binding
	kept    *http.Transport
}

// NewPresenter makes connections like those of base. They are closed when the context ends.
func NewPresenter(ctx context.Context, base http.RoundTripper) *Presenter {
	return &Presenter{base: base, ctx: ctx}
}

// Of returns the connections that present a binding's certificate.
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
	if p.binding != nil && b.age < p.binding.age { // a last request with an older certificate
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

// CloseIdle closes the connections that are not in use.
func (p *Presenter) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept != nil {
		p.kept.CloseIdleConnections()
	}
}

// closeWith closes a transport's connections when ctx ends, each as soon as it is unused.
// It holds the transport weakly, so one that is forgotten before is collected.
func closeWith(ctx context.Context, t *http.Transport) {
	held := weak.Make(t)
	stop := context.AfterFunc(ctx, func() {
		if t := held.Value(); t != nil {
			t.CloseIdleConnections()
		}
	})
	runtime.AddCleanup(t, func(stop func() bool) { stop() }, stop)
}
