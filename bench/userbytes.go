package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"

	"github.com/certtoken/certtoken"
)

// userBytes is what very large tokens of many users take of the heap, with the limits
// that a client has by default.
type userBytes struct {
	users, size int
	heap        float64
}

// usersLimit is what docs/users.md promises for tokens on behalf of users, and hugeToken
// the length of one that has all groups of its user in it.
const (
	usersLimit = 80 << 20
	hugeToken  = 100_000
)

func measureUserBytes(cfg settings, id identity) (userBytes, error) {
	r := userBytes{users: cfg.huge, size: hugeToken}
	e := newEndpoint()
	e.size = hugeToken
	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, id.free,
		certtoken.WithHTTPClient(&http.Client{Transport: e}))
	if err != nil {
		return r, err
	}
	defer client.Close()
	before := liveHeap()
	for i := range cfg.huge {
		grant := certtoken.OnBehalfOf(fmt.Sprintf("header.payload-of-user-%012d.signature", i))
		_, err := client.Acquire(context.Background(), certtoken.Request{Scopes: oneScope, Grant: grant})
		if err != nil {
			return r, err
		}
	}
	r.heap = float64(liveHeap()) - float64(before)
	runtime.KeepAlive(client)
	return r, nil
}

func (r userBytes) checks() []check {
	return []check{atMost(fmt.Sprintf("heap after tokens of %s bytes for %s users", thousands(int64(r.size)),
		thousands(int64(r.users))), r.heap, usersLimit*1.05, unitBytes)}
}
