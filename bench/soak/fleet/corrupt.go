package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/redis/go-redis/v9"
)

// corruption is something that somebody can do to a key's value who reads and
// writes Redis and doesn't have the secret. other is the value of another key.
type corruption func(ctx context.Context, client *redis.Client, key string, value, other []byte) error

// subtle corruptions leave something that looks like an entry. Another key's
// entry is the best of them: it is one, and new.
var subtle = []corruption{
	rewritten(func(_, other []byte) []byte { return other }),
	rewritten(func(_, other []byte) []byte { return other }),
	rewritten(func(value, _ []byte) []byte { // one bit
		if len(value) > 0 {
			value[rand.N(len(value))] ^= 1 << rand.N(8)
		}
		return value
	}),
	rewritten(func(value, _ []byte) []byte { return value[:len(value)/2] }),
}

// gross ones may cost a store that meets them its next seconds.
var gross = []corruption{
	rewritten(func(_, _ []byte) []byte { return nil }),
	rewritten(func(value, _ []byte) []byte { _, _ = crand.Read(value); return value }),
	rewritten(func(value, _ []byte) []byte { return append([]byte{0xff}, value...) }),
	rewritten(func(_, _ []byte) []byte { return bytes.Repeat([]byte{1}, largeEntry) }),
	rewritten(func(_, _ []byte) []byte { return []byte(`{"access_token":"forged","expires":9999999999999999999}`) }),
	makeList,
}

// largeEntry is more than a client reads of an entry.
const largeEntry = 5 << 19

// corrupt changes about a quarter of what is in Redis, locks too. All keys keep
// their end.
func corrupt(ctx context.Context, client *redis.Client, keys []string, ways []corruption) (changed int, err error) {
	var other []byte
	for _, key := range keys {
		if rand.N(4) > 0 && other != nil {
			continue
		}
		value, err := client.Get(ctx, key).Bytes()
		if err != nil { // gone, or a list already
			continue
		}
		if other != nil {
			way := ways[rand.N(len(ways))]
			if err := way(ctx, client, key, slices.Clone(value), other); err != nil && !errors.Is(err, redis.Nil) {
				return changed, err
			}
			changed++
		}
		other = value
	}
	return changed, nil
}

func rewritten(change func(value, other []byte) []byte) corruption {
	return func(ctx context.Context, client *redis.Client, key string, value, other []byte) error {
		return client.SetArgs(ctx, key, change(value, other), redis.SetArgs{Mode: "XX", KeepTTL: true}).Err()
	}
}

// makeList puts a list in a value's place, so that commands for values fail.
func makeList(ctx context.Context, client *redis.Client, key string, _, _ []byte) error {
	left, err := client.PTTL(ctx, key).Result()
	if err != nil || left <= 0 {
		return err
	}
	_, err = client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, key)
		p.RPush(ctx, key, "x")
		p.PExpire(ctx, key, left)
		return nil
	})
	return err
}
