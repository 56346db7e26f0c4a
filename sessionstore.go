package certtoken

import (
	"context"
	"time"

	"github.com/certtoken/certtoken/internal/cache"
	"github.com/certtoken/certtoken/internal/workers"
)

// successorLife is how long other processes can learn what came for a refresh token.
const successorLife = 7 * 24 * time.Hour

// sessionStore keeps in a shared store what came for which refresh token. The entries have
// secret names and are sealed, as those of tokens.
type sessionStore struct {
	store    *sharedStore
	key      cache.Key // of the request, for hooks
	endpoint string
}

var _ successors = sessionStore{}

// parts make the name of a refresh token's entry. That of a token's entry has more of them.
func (s sessionStore) parts(token string) []string {
	return []string{"refresh token", s.endpoint, s.store.clientID, token}
}

func (s sessionStore) of(ctx context.Context, token string) string {
	for _, sk := range s.store.keys() {
		name := sk.Name(s.parts(token)...)
		var sealed []byte
		err := s.store.callStore(ctx, s.key, func(ctx context.Context) (err error) {
			sealed, err = s.store.store.Get(ctx, name)
			return err
		})
		if err != nil || len(sealed) > 2*maxGrantText {
			continue
		}
		next, err := sk.Open(name, sealed)
		if err != nil {
			s.store.storeFailed(ctx, s.key, err)
			continue
		}
		if checkSecret("the refresh token", string(next)) == nil {
			return string(next)
		}
	}
	return ""
}

func (s sessionStore) keep(ctx context.Context, token, next string) {
	sk := s.store.keys()[0]
	name := sk.Name(s.parts(token)...)
	sealed := sk.Seal(name, []byte(next))
	_ = s.store.callStore(ctx, s.key, func(ctx context.Context) error {
		return s.store.store.Set(ctx, name, sealed, successorLife)
	})
}

func (s sessionStore) lock(ctx context.Context, token string) (unlock func()) {
	unlock = func() {}
	locker, ok := s.store.store.(Locker)
	if !ok {
		return unlock
	}
	name := s.store.keys()[0].Name(append(s.parts(token), "the lock")...)
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		release, err := s.store.tryLock(ctx, locker, s.key, name)
		switch {
		case err != nil:
			return unlock
		case release != nil:
			return release
		case !workers.Sleep(ctx, lockPoll):
			return unlock
		}
	}
}
