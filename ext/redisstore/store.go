package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/redis/go-redis/v9"
)

// Store is a [certtoken.Store] and [certtoken.Locker] in Redis or Valkey. Make
// one with [New]; it may be used from many goroutines.
//
// Every command touches one key, so that a cluster takes it. They are GET, SET,
// DEL, EVAL and EVALSHA.
type Store struct {
	client redis.UniversalClient
	prefix string
}

var _ certtoken.Locker = (*Store)(nil)

// Option changes a [Store] from its defaults.
type Option func(*config)

type config struct{ prefix string }

// WithPrefix puts a prefix, such as "billing:", before the names of all keys,
// for a Redis that others use too. Names begin with certtoken- after it.
// Replicas share tokens only under the same prefix.
func WithPrefix(prefix string) Option {
	return func(c *config) { c.prefix = prefix }
}

// New returns a store in the Redis that client reaches. It does no I/O, and the
// client remains its owner's to close. The error is a nil client.
func New(client redis.UniversalClient, opts ...Option) (*Store, error) {
	if client == nil {
		return nil, errors.New("redisstore: nil client")
	}
	var cfg config
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	return &Store{client: client, prefix: cfg.prefix}, nil
}

// Get implements [certtoken.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := s.client.Get(ctx, s.prefix+key).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, certtoken.ErrStoreMiss
	case err != nil:
		return nil, fmt.Errorf("redisstore: get: %w", err)
	}
	return value, nil
}

// Set implements [certtoken.Store]. Redis counts in milliseconds; a part of one
// is a whole one.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.client.Set(ctx, s.prefix+key, value, wholeMillis(ttl)).Err(); err != nil {
		return fmt.Errorf("redisstore: set: %w", err)
	}
	return nil
}

// Delete implements [certtoken.Store].
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.client.Del(ctx, s.prefix+key).Err(); err != nil {
		return fmt.Errorf("redisstore: delete: %w", err)
	}
	return nil
}

// wholeMillis rounds a lifetime up to milliseconds. A lifetime of 0 or less becomes
// 1 ms, because go-redis would take 0 for an entry that never expires.
func wholeMillis(ttl time.Duration) time.Duration {
	return max(time.Millisecond, (ttl + time.Millisecond - 1).Truncate(time.Millisecond))
}
