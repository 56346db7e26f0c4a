package jwks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/panics"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/single"
)

const (
	// setType is the media type of a JWK Set (RFC 7517 §8.5), and plainType the one that
	// everybody takes: some servers refuse a set that comes under its own name.
	setType   = "application/jwk-set+json"
	plainType = "application/json"

	defaultMaxAge = 5 * time.Minute

	// A source is asked at most once in this time, however many requests come.
	askAgain = time.Second

	// sourceLimit is how long a source may take. A request waits so long for it where
	// there is no set yet, and only for patience where there is an old one.
	sourceLimit = 10 * time.Second
	patience    = time.Second
)

// Source supplies the certificates and bare keys of a set. It is called from one
// goroutine at a time, again and again, so it may return others when a key was
// replaced. Its context ends after 10 seconds.
type Source func(context.Context) ([]*certtoken.Certificate, error)

// Handler serves the set of these sources' certificates and bare keys, one of each.
// For a rollover give it the source of the next key too.
//
// It answers GET and HEAD, with an ETag and Cache-Control, as application/json, or as
// application/jwk-set+json where the request accepts that by name. The sources are asked at
// most once a second, so a renewed certificate is served at once. While one of them
// fails, panics or takes over a second, the last good set is served; without one the
// answer has status 500 and says nothing of the reason, which is logged. The handler
// may be used from many goroutines.
func Handler(sources ...certtoken.CertSource) http.Handler {
	return Options{}.Handler(func(ctx context.Context) ([]*certtoken.Certificate, error) {
		certs := make([]*certtoken.Certificate, len(sources))
		for i, source := range sources {
			cert, err := source.Certificate(ctx)
			if err != nil {
				return nil, fmt.Errorf("source %d: %w", i+1, err)
			}
			certs[i] = cert
		}
		return certs, nil
	})
}

// Handler is the function [Handler] with these options, for a set that one function
// supplies as a whole.
func (o Options) Handler(source Source) http.Handler {
	h := &handler{options: o, source: source, log: o.Log}
	switch {
	case o.MaxAge < 0:
		h.cacheControl = "no-cache"
	case o.MaxAge == 0:
		o.MaxAge = defaultMaxAge
		fallthrough
	default:
		h.cacheControl = fmt.Sprintf("public, max-age=%d", int64(o.MaxAge.Seconds()))
	}
	return h
}

type handler struct {
	options      Options
	source       Source
	log          *slog.Logger // nil: the default one at the time
	cacheControl string

	caller single.Caller[*served]

	mu    sync.Mutex // held for assignments only
	asked time.Time  // when the source answered last
	last  *served    // the last good set; nil: there was none
	err   error      // why the source's last answer is no set
}

// served is a set in the form in which it is sent.
type served struct {
	body []byte
	etag string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	set := h.current(r.Context())
	if set == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the keys can't be read now", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType(r))
	w.Header().Set("Vary", "Accept")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", h.cacheControl)
	w.Header().Set("ETag", set.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(set.body)) // If-None-Match, HEAD
}

// mediaType is the set's own one for those who ask for it by name.
func mediaType(r *http.Request) string {
	for _, accepted := range r.Header.Values("Accept") {
		if strings.Contains(strings.ToLower(accepted), setType) {
			return setType
		}
	}
	return plainType
}

// current is the set to serve, or nil if there is none.
func (h *handler) current(ctx context.Context) *served {
	last, fresh := h.remembered()
	if fresh {
		return last
	}
	limit := sourceLimit
	if last != nil {
		limit = patience
	}
	call, _ := h.caller.Start(func() (*served, error) { return h.refresh(context.WithoutCancel(ctx)) })
	if set, err := call.Wait(ctx, limit); err == nil {
		return set
	}
	last, _ = h.remembered() // it may have come meanwhile
	return last
}

// remembered is the last good set, and whether the source needn't be asked now.
func (h *handler) remembered() (last *served, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, !h.asked.IsZero() && time.Since(h.asked) < askAgain
}

var errEnded = errors.New("the source ended its goroutine")

// refresh asks the source, which is anybody's code, and remembers what it said.
func (h *handler) refresh(ctx context.Context) (set *served, err error) {
	ctx, cancel := context.WithTimeout(ctx, sourceLimit)
	defer cancel()
	err = errEnded
	if last, fresh := h.remembered(); fresh { // another request has asked meanwhile
		return last, nil
	}
	defer func() {
		if p := recover(); p != nil {
			set, err = nil, panics.Error("the source of the key set", p)
		}
		h.remember(set, redact.Error(err))
	}()
	certs, err := h.source(ctx)
	if err != nil {
		return nil, err
	}
	body, err := h.options.Marshal(certs...)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &served{body, `"` + hex.EncodeToString(sum[:16]) + `"`}, nil
}

// remember keeps the source's answer, and logs if it is another than before.
func (h *handler) remember(set *served, err error) {
	h.mu.Lock()
	before := h.err
	h.asked, h.err = time.Now(), err
	if set != nil {
		h.last = set
	}
	old := h.last != nil
	h.mu.Unlock()

	log := h.log
	if log == nil {
		log = slog.Default()
	}
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		log.Error("jwks: the source of the key set fails",
			slog.Any("error", err), slog.Bool("old_set_is_served", old))
	case err == nil && before != nil:
		log.Info("jwks: the source of the key set works again")
	}
}
