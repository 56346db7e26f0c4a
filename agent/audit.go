package agent

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// strangersPerSecond is how many refusals of strangers are written down in a second.
// Everybody who can connect could fill the disk otherwise. The others are counted.
const strangersPerSecond = 50

// auditor writes down what was decided. What strangers send isn't written: it could be
// a secret in the wrong place, and whatever else they like.
type auditor struct {
	log *slog.Logger

	mu      sync.Mutex
	second  time.Time // since when written counts
	written int
	skipped int // refusals that weren't written since the last record that tells of them
}

// granted writes down that a token was handed out.
func (a *auditor) granted(r *http.Request, c *connection, asked ask, g granted) {
	if a.log == nil {
		return
	}
	source := "cache"
	if g.fetched {
		source = "fetched"
	}
	a.log.LogAttrs(r.Context(), slog.LevelInfo, "token granted", append(about(r, c, asked),
		slog.String("caller", g.caller),
		slog.String("identity", g.Name),
		slog.String("scope", strings.Join(texts(g.scopes), " ")),
		slog.String("source", source),
		slog.Time("expires", g.token.ExpiresAt().UTC()),
	)...)
}

// refused writes down that none was. Without a caller it was a stranger.
func (a *auditor) refused(r *http.Request, c *connection, asked ask, g granted, why *refusal, id string) {
	if a.log == nil {
		return
	}
	attrs := append(about(r, c, asked),
		slog.String("reason", why.reason), slog.String("code", why.code), slog.String("id", id))
	switch {
	case g.caller != "":
		attrs = append(attrs, slog.String("caller", g.caller))
		if g.identity.Name != "" {
			attrs = append(attrs, slog.String("identity", g.Name))
		}
		if len(asked.scopes) > 0 {
			attrs = append(attrs, slog.String("scope", strings.Join(texts(asked.scopes), " ")))
		}
	case !a.hasRoom():
		return
	}
	a.log.LogAttrs(r.Context(), slog.LevelWarn, "token refused", attrs...)
}

// hasRoom reports whether one more refusal of a stranger is written, and counts it
// otherwise.
func (a *auditor) hasRoom() bool {
	a.mu.Lock()
	now := time.Now()
	skipped := 0
	if now.Sub(a.second) >= time.Second {
		skipped, a.skipped = a.skipped, 0
		a.second, a.written = now, 0
	}
	room := a.written < strangersPerSecond
	if room {
		a.written++
	} else {
		a.skipped++
	}
	a.mu.Unlock()
	if skipped > 0 {
		a.log.LogAttrs(context.Background(), slog.LevelWarn, "more refusals of strangers that weren't written down",
			slog.Int("count", skipped))
	}
	return room
}

// dropped counts a refusal that was given by closing the connection.
func (a *auditor) dropped() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.skipped++
}

// about is what every record has about the request.
func about(r *http.Request, c *connection, asked ask) []slog.Attr {
	attrs := make([]slog.Attr, 0, 16)
	way := "app-service"
	if asked.form == oauth {
		way = "oauth"
	}
	attrs = append(attrs, slog.String("form", way))
	if !c.unix {
		return append(attrs, slog.String("from", r.RemoteAddr))
	}
	attrs = append(attrs, slog.String("from", "socket"))
	if c.peer != nil {
		attrs = append(attrs, slog.Int64("pid", int64(c.peer.PID)),
			slog.Uint64("uid", uint64(c.peer.UID)), slog.Uint64("gid", uint64(c.peer.GID)))
	}
	return attrs
}
