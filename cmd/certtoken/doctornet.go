package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

// checkConnection tries network, TLS and clock, and reports whether a request
// can be sent.
func (l *checklist) checkConnection(ctx context.Context, t *target) bool {
	p := l.probe(ctx, t)
	if !p.connected {
		if p.handshake {
			l.ok(checkNetwork, "%s answers%s", t.origin, p.via())
			l.fail(checkTLS, p.err)
		} else {
			l.fail(checkNetwork, p.err)
			l.skip(checkTLS, "needs the network")
		}
		l.skip(checkClock, "needs a connection")
		return false
	}
	l.ok(checkNetwork, "%s%s, in %v", t.origin, p.via(), p.elapsed.Round(time.Millisecond))
	if p.tls == nil {
		l.skip(checkTLS, "plain http on this machine")
	} else {
		l.ok(checkTLS, "%s", tlsText(p.tls))
	}
	l.checkClock(p)
	return true
}

// probe tries the server once for all checks.
func (l *checklist) probe(ctx context.Context, t *target) *probe {
	if l.probed == nil {
		done := l.console.Waiting("connecting to " + t.origin)
		l.probed = t.probe(ctx)
		done()
	}
	return l.probed
}

func tlsText(state *tls.ConnectionState) string {
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		peer := state.PeerCertificates[0]
		text += fmt.Sprintf(", certificate by %q, until %s",
			peer.Issuer.String(), peer.NotAfter.Local().Format("2006-01-02"))
	}
	return text
}
