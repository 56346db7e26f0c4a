package agent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
)

const (
	// minLife is how long a token must still be valid that is handed out, where the
	// endpoint grants such. Some SDKs take one with less than 5 min for expired, and
	// would ask again at every call.
	minLife = 6 * time.Minute

	// patience is how long a caller waits for a longer token while there is a valid one.
	patience = 5 * time.Second

	// tokenLimit is how long a caller waits for a token at all.
	tokenLimit = 40 * time.Second

	shortPause  = 10 * time.Minute // until an endpoint that grants shorter tokens is asked for longer ones again
	failPause   = 30 * time.Second // after a renewal that failed
	maxTroubles = 4096
)

// tokens gets tokens that live long enough. It remembers where that can't be had, so
// that not every caller tries again. It is safe for concurrent use.
type tokens struct {
	mu       sync.Mutex
	troubles map[troubleKey]time.Time // until when what there is must do
}

type troubleKey struct {
	client *certtoken.Client
	scopes string
}

// get returns a token, and whether somebody had to wait for it. While there is a valid
// one, a renewal that fails doesn't keep it from being handed out.
func (t *tokens) get(
	ctx context.Context, client *certtoken.Client, scopes []string,
) (token *certtoken.Token, fetched bool, err error) {
	limited, cancel := context.WithTimeout(ctx, tokenLimit)
	defer cancel()
	watched := &watchedContext{Context: limited}
	token, err = client.Acquire(watched, certtoken.Request{Scopes: scopes})
	if err != nil || time.Until(token.ExpiresAt()) >= minLife {
		return token, watched.asked.Load(), err
	}
	key := troubleKey{client, strings.Join(scopes, " ")}
	if t.known(key) {
		return token, watched.asked.Load(), nil
	}
	longer, err := t.longer(ctx, client, scopes)
	switch {
	case err == nil:
		return longer, true, nil
	case errors.Is(err, certtoken.ErrShortLived):
		t.note(key, shortPause)
		if newest, err := client.Acquire(watched, certtoken.Request{Scopes: scopes}); err == nil {
			return newest, true, nil
		}
	default:
		t.note(key, failPause)
	}
	return token, watched.asked.Load(), nil
}

func (t *tokens) longer(
	ctx context.Context, client *certtoken.Client, scopes []string,
) (*certtoken.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return client.Acquire(ctx, certtoken.Request{Scopes: scopes, MinValidity: minLife})
}

func (t *tokens) known(key troubleKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	until, ok := t.troubles[key]
	if ok && !time.Now().Before(until) {
		delete(t.troubles, key)
		return false
	}
	return ok
}

func (t *tokens) note(key troubleKey, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.troubles == nil || len(t.troubles) >= maxTroubles {
		t.troubles = map[troubleKey]time.Time{}
	}
	t.troubles[key] = time.Now().Add(pause)
}

// forget drops what is known about clients that aren't in use any more.
func (t *tokens) forget(inUse *policy) {
	kept := map[*certtoken.Client]bool{}
	for _, id := range inUse.identities {
		kept[id.Client] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.troubles {
		if !kept[key.client] {
			delete(t.troubles, key)
		}
	}
}

// watchedContext notes whether it was looked at. A client does so if its cache has no
// token, and only then: so the audit log can say where a token came from.
type watchedContext struct {
	context.Context
	asked atomic.Bool
}

func (c *watchedContext) Done() <-chan struct{} {
	c.asked.Store(true)
	return c.Context.Done()
}

func (c *watchedContext) Err() error {
	c.asked.Store(true)
	return c.Context.Err()
}
