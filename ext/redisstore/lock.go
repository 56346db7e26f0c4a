package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// lock sets the lock's key to its holder's value unless somebody else has it.
// go-redis repeats a command whose answer was lost: a holder who finds its own
// value has taken the lock at the first try.
var lock = redis.NewScript(`
if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
	return 1
end
if redis.call("GET", KEYS[1]) == ARGV[1] then
	return 1
end
return 0
`)

// unlock removes the lock of this holder, and not that of the next one.
var unlock = redis.NewScript(`
if redis.call("GET", KEYS[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0
`)

// TryLock implements [certtoken.Locker]. A failover of Redis can give a lock
// away twice, as replication is asynchronous: the fleet then makes one token
// request more.
func (s *Store) TryLock(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, error) {
	keys, holder := []string{s.prefix + key}, rand.Text()
	taken, err := lock.Run(ctx, s.client, keys, holder, wholeMillis(ttl).Milliseconds()).Bool()
	switch {
	case err != nil:
		return nil, fmt.Errorf("redisstore: lock: %w", err)
	case !taken:
		return nil, nil
	}
	return func(ctx context.Context) error {
		if err := unlock.Run(ctx, s.client, keys, holder).Err(); err != nil {
			return fmt.Errorf("redisstore: unlock: %w", err)
		}
		return nil
	}, nil
}
