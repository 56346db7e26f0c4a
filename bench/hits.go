package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
)

// cached is a filled cache of one library.
type cached struct {
	library string
	size    int
	fill    float64 // nanoseconds for each of the last fillSpan tokens, if there were more
	op      func(i int)
}

// filled acquires tokens for all scopes and returns the operation that hits one
// of them.
func filled(library string, get acquire, scopes []string) (cached, error) {
	ctx, n := context.Background(), len(scopes)
	var last time.Time
	for i, scope := range scopes {
		if i == n-fillSpan {
			last = time.Now()
		}
		if err := get(ctx, scope); err != nil {
			return cached{}, fmt.Errorf("%s: %w", library, err)
		}
	}
	return cached{library: library, size: n, fill: float64(time.Since(last)) / fillSpan, op: func(i int) {
		if get(ctx, scopes[spread(i, n)]) != nil {
			panic(library + ": a cached token is gone")
		}
	}}, nil
}

// oursFilled is filled for this library, called as its users call it.
func oursFilled(id identity, scopes []string) (cached, *certtoken.Client, error) {
	client, err := newOurs(newEndpoint(), id.free)
	if err != nil {
		return cached{}, nil, err
	}
	c, err := filled(nameOurs, acquireOurs(client), scopes)
	if err != nil {
		return cached{}, nil, err
	}
	ctx, n := context.Background(), len(scopes)
	c.op = func(i int) {
		if _, err := client.Token(ctx, scopes[spread(i, n)]); err != nil {
			panic(err)
		}
	}
	return c, client, nil
}

func mapFilled(scopes []string) cached {
	m, n := newBareMap(scopes, newEndpoint()), len(scopes)
	return cached{library: nameMap, size: n, op: func(i int) {
		if m.get(scopes[spread(i, n)]) == "" {
			panic("map: a token is gone")
		}
	}}
}

func msalFilled(scopes []string) (cached, error) {
	get, err := newMSAL(newEndpoint(), nil)
	if err != nil {
		return cached{}, err
	}
	return filled(nameMSAL, get, scopes)
}

func azidentityFilled(scopes []string) (cached, error) {
	get, err := newAzidentity(newEndpoint(), nil)
	if err != nil {
		return cached{}, err
	}
	return filled(nameAzidentity, get, scopes)
}

// oauth2Hit is a ReuseTokenSource with a token in it.
func oauth2Hit(id identity) func(int) {
	source := oauth2.ReuseTokenSource(nil, newByHand(newEndpoint(), id, "scope"))
	return func(int) {
		if _, err := source.Token(); err != nil {
			panic(err)
		}
	}
}

// handleHit is a TokenSource of ours with a token in it.
func handleHit(client *certtoken.Client, scope string) func(int) {
	source := client.TokenSource(scope)
	return func(int) {
		if _, err := source.Token(); err != nil {
			panic(err)
		}
	}
}

// severalHit asks for one token by three scopes in changing order.
func severalHit(client *certtoken.Client) func(int) {
	const a, b, c = "https://server.example/read", "https://server.example/write", "https://server.example/admin"
	orders := [][]string{{a, b, c}, {c, a, b}, {b, c, a}, {c, b, a}}
	ctx := context.Background()
	return func(i int) {
		if _, err := client.Token(ctx, orders[i&3]...); err != nil {
			panic(err)
		}
	}
}

// hitResults are the costs of cached tokens.
type hitResults struct {
	one      map[string]samples // serial, one token in the cache
	oneParal map[string]samples
	bySize   map[int]map[string]samples // serial, any of n tokens
	bySizePl map[int]map[string]samples
	allocs   map[string]float64
	fills    []filling // of the others: it takes so long that it isn't done a second time
	routines int       // goroutines that a client with cached tokens holds
}

// goroutinesOver counts those that stay: the last flight's takes a moment to end.
func goroutinesOver(before int) int {
	over := runtime.NumGoroutine() - before
	for range 100 {
		if over <= 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
		over = runtime.NumGoroutine() - before
	}
	return max(over, 0)
}

// leastHits is how many hits are taken together: in a list, what one costs
// depends on its place.
const leastHits = 64

func measureHits(cfg settings, id identity, progress func(string)) (hitResults, error) {
	cfg.least = leastHits
	r := hitResults{
		bySize:   make(map[int]map[string]samples),
		bySizePl: make(map[int]map[string]samples),
		allocs:   make(map[string]float64),
	}
	procs := runtime.GOMAXPROCS(0)

	for _, size := range cfg.sizes {
		progress("hits with " + tokens(size))
		scopes := scopeNames(size)
		before := runtime.NumGoroutine()
		ours, client, err := oursFilled(id, scopes)
		if err != nil {
			return r, err
		}
		r.routines = max(r.routines, goroutinesOver(before))
		caches := []cached{ours, mapFilled(scopes)}
		if size <= cfg.peers {
			for _, fill := range []func([]string) (cached, error){msalFilled, azidentityFilled} {
				c, err := fill(scopes)
				if err != nil {
					return r, err
				}
				caches = append(caches, c)
				r.noteFill(c)
			}
		}
		subjects := make([]subject, 0, len(caches))
		for _, c := range caches {
			subjects = append(subjects, subject{c.library, c.op})
		}
		runtime.GC()
		if size == 1 {
			now := time.Now()
			subjects = append(subjects,
				subject{nameOAuth2, oauth2Hit(id)},
				subject{subjectHandle, handleHit(client, scopes[0])},
				subject{subjectSeveral, severalHit(client)},
				subject{subjectClock, func(int) { _ = time.Now().Before(now) }})
			r.one = compare(cfg, 1, subjects...)
			r.oneParal = compare(cfg, procs, subjects...)
			r.bySize[size], r.bySizePl[size] = r.one, r.oneParal
			for _, s := range subjects {
				r.allocs[s.name] = allocations(s.op)
			}
		} else {
			r.bySize[size] = compare(cfg, 1, subjects...)
			r.bySizePl[size] = compare(cfg, procs, subjects...)
		}
		if err := client.Close(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// noteFill keeps what one more token costs in a full cache.
func (r *hitResults) noteFill(c cached) {
	if c.size <= fillSpan {
		return
	}
	for _, f := range r.fills {
		if f.library == c.library {
			f.at[c.size] = samples{c.fill}
			return
		}
	}
	r.fills = append(r.fills, filling{c.library, map[int]samples{c.size: {c.fill}}})
}
