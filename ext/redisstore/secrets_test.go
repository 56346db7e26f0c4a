package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
	"github.com/certtoken/certtoken/internal/secrettest"
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
	setErr, deleteErr := store.Set(t.Context(), name, []byte(value), time.Second), store.Delete(t.Context(), name)
	for _, err := range []error{getErr, lockErr, setErr, deleteErr} {
		require.Error(t, err)
	}
	text := secrettest.Printed(getErr, lockErr, setErr, deleteErr) + secrettest.Printed(store) +
		secrettest.Printed(*store)
	for _, secret := range []string{password, name, value} {
		assert.False(t, secrettest.Shows(text, secret), "%q was printed", secret)
	}
}
