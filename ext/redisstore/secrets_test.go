package redisstore_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/ext/redisstore"
	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
)

// Neither the store nor an error shows the password of the connection string,
// nor an entry's name and value, whether no server answers or the password is
// refused.
func TestStoreShowsNoSecret(t *testing.T) {
	t.Run("no server answers", func(t *testing.T) { showsNoSecret(t, "127.0.0.1:1") })
	redistest.Each(t, func(t *testing.T, program string) {
		server := redistest.Start(t, program)
		require.NoError(t, server.Client().Do(t.Context(), "ACL", "SETUSER", "replica", "on", ">the-right-one").Err())
		showsNoSecret(t, server.Addr)
	})
}

func showsNoSecret(t *testing.T, addr string) {
	const password, name, value = "pa55w0rd-of-the-store", "name-of-an-entry", "value-of-an-entry"
	options, err := redis.ParseURL("redis://replica:" + password + "@" + addr + "/0")
	require.NoError(t, err)
	options.MaxRetries, options.DialerRetries = -1, 1
	client := redis.NewClient(options)
	defer client.Close()
	store := newStore(t, client)
	_, getErr := store.Get(t.Context(), name)
	_, lockErr := store.TryLock(t.Context(), name, time.Second)
	type holder struct { // in whose unexported fields fmt calls no method
		store *redisstore.Store
		any   any
	}
	var out strings.Builder
	print := func(v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		data, err := json.Marshal(v)
		fmt.Fprintln(&out, string(data), err)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", v)
	}
	for _, err := range []error{getErr, lockErr, store.Set(t.Context(), name, []byte(value), time.Second),
		store.Delete(t.Context(), name)} {
		require.Error(t, err)
		print(err)
		print(holder{store, err})
	}
	for _, v := range []any{store, *store, holder{store, *store}, &holder{store, store}, []any{store}} {
		print(v)
	}
	for _, secret := range []string{password, name, value} {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
			assert.False(t, strings.Contains(out.String(), form), "%q was printed", secret)
		}
	}
}
