package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
)

// scaled is what a cache costs that holds tokens of many scopes, tenants or users.
type scaled struct {
	kind   string
	size   int
	tokens int                // in the cache for each of them: an agent has its first leg too
	hits   map[string]samples // serial, any of them: ours and a map of the same keys
	allocs float64            // of a hit of ours

	fill    time.Duration // on the processor, for each token
	bytes   float64       // of the heap, for each token
	slowest time.Duration // of all calls that filled it, by the clock
	paused  time.Duration // the longest stop of the collector meanwhile
	gc      float64       // the collector's part of the processor's time
}

// kinds are what tells the tokens of a cache apart. A row more for a new part of a
// request is a function here.
var kinds = []struct {
	name   string
	tokens int
	make   func(i int) (req certtoken.Request, user string)
}{
	{"scopes", 1, func(i int) (certtoken.Request, string) {
		scope := fmt.Sprintf("api://33333333-3333-4333-8333-%012d/.default", i)
		return certtoken.Request{Scopes: []string{scope}}, ""
	}},
	{"tenants", 1, func(i int) (certtoken.Request, string) {
		tenant := fmt.Sprintf("44444444-4444-4444-8444-%012d", i)
		return certtoken.Request{Tenant: tenant, Scopes: oneScope}, ""
	}},
	{"users", 1, func(i int) (certtoken.Request, string) {
		user := fmt.Sprintf("header.payload-of-user-%012d.signature", i)
		return certtoken.Request{Grant: certtoken.OnBehalfOf(user), Scopes: oneScope}, user
	}},
	{"agents", 2, func(i int) (certtoken.Request, string) {
		return certtoken.Request{Agent: agentName(i), Scopes: oneScope}, ""
	}},
	{"parameters", 1, func(i int) (certtoken.Request, string) {
		resource := fmt.Sprintf("https://resource-%012d.example/", i)
		return certtoken.Request{Parameters: url.Values{"resource": {resource}}, Scopes: oneScope}, ""
	}},
}

// mapKey is a key as it would be in a map that is written by hand. An agent, or a text
// made of the parameters, stands in the place of the user: no request has all of them.
type mapKey struct{ tenant, user, scope string }

// mapKeyOf makes one of the same request that we are asked with. A user is apart, because
// a grant keeps what it was made of.
func mapKeyOf(req *certtoken.Request, user string) mapKey {
	switch {
	case req.Agent != "":
		user = req.Agent
	case len(req.Parameters) > 0:
		user = req.Parameters.Encode()
	}
	return mapKey{req.Tenant, user, req.Scopes[0]}
}

func (k mapKey) clone() mapKey {
	return mapKey{strings.Clone(k.tenant), strings.Clone(k.user), strings.Clone(k.scope)}
}

// keyedMap is bareMap with such keys.
type keyedMap struct {
	mu     sync.RWMutex
	tokens map[mapKey]bareToken
}

func (m *keyedMap) get(k mapKey) string {
	m.mu.RLock()
	t, ok := m.tokens[k]
	m.mu.RUnlock()
	if !ok || !time.Now().Before(t.expires) {
		return ""
	}
	return t.access
}

func measureScale(cfg settings, id identity, progress func(string)) ([]scaled, error) {
	var all []scaled
	for _, size := range cfg.scales {
		for _, kind := range kinds {
			what := fmt.Sprintf("hits with %s %s", thousands(int64(size)), kind.name)
			if !cfg.budget.allows(what, time.Duration(size*kind.tokens)*40*time.Microsecond) {
				continue
			}
			progress(what)
			r, err := scaleOnce(cfg, id, kind.make, size, kind.tokens)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			r.kind, r.size = kind.name, size
			all = append(all, r)
		}
	}
	return all, nil
}

func scaleOnce(
	cfg settings,
	id identity,
	ask func(int) (certtoken.Request, string),
	size, tokens int,
) (r scaled, err error) {
	r.tokens = tokens
	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, id.free, certtoken.WithTenants("*"),
		certtoken.WithHTTPClient(&http.Client{Transport: newEndpoint()}),
		certtoken.WithCacheLimit(size*tokens+1), certtoken.WithUserCacheLimit(size*tokens+1))
	if err != nil {
		return r, err
	}
	defer client.Close()
	requests, users := make([]certtoken.Request, size), make([]string, size)
	for i := range requests {
		requests[i], users[i] = ask(i)
	}
	if err := r.fillWith(client, requests); err != nil {
		return r, err
	}
	m := &keyedMap{tokens: make(map[mapKey]bareToken)}
	e := newEndpoint()
	for i := range requests {
		m.tokens[mapKeyOf(&requests[i], users[i]).clone()] = bareToken{
			access:  bareGrant(e),
			expires: time.Now().Add(time.Hour),
		}
	}
	ctx := context.Background()
	ours := func(i int) {
		if _, err := client.Acquire(ctx, requests[spread(i, size)]); err != nil {
			panic(err)
		}
	}
	runtime.GC()
	r.hits = compare(cfg, 1, subject{nameOurs, ours}, subject{nameMap, func(i int) {
		at := spread(i, size)
		user := ""
		if users[0] != "" {
			user = users[at]
		}
		if m.get(mapKeyOf(&requests[at], user)) == "" {
			panic("map: a token is gone")
		}
	}})
	r.allocs = allocations(ours)
	return r, nil
}

// fillWith fills the cache and notes what that costs.
func (r *scaled) fillWith(client *certtoken.Client, requests []certtoken.Request) error {
	ctx, n := context.Background(), float64(len(requests)*r.tokens)
	before, gcBefore := liveHeap(), collectorTime()
	var stops debug.GCStats
	debug.ReadGCStats(&stops)
	begun, cpu := time.Now(), processTime()
	for _, req := range requests {
		start := time.Now()
		if _, err := client.Acquire(ctx, req); err != nil {
			return err
		}
		r.slowest = max(r.slowest, time.Since(start))
	}
	took := processTime() - cpu
	r.fill = time.Duration(float64(took) / n)
	debug.ReadGCStats(&stops)
	for i, end := range stops.PauseEnd {
		if end.After(begun) {
			r.paused = max(r.paused, stops.Pause[i])
		}
	}
	r.gc = min(1, (collectorTime()-gcBefore).Seconds()/took.Seconds())
	r.bytes = float64(liveHeap()-before) / n
	return nil
}

// collectorTime is the processor's time that the garbage collector has had.
func collectorTime() time.Duration {
	total := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
	}
	metrics.Read(total)
	return time.Duration((total[0].Value.Float64() - total[1].Value.Float64()) * float64(time.Second))
}

// scaleChecks hold the rows against what is promised.
func scaleChecks(all []scaled) (list []check) {
	if len(all) == 0 {
		return nil
	}
	for _, r := range all {
		list = append(list, atMost(fmt.Sprintf("a hit among %s %s : an RWMutex map of the same keys with `time.Now`",
			thousands(int64(r.size)), r.kind), r.hits[nameOurs].over(r.hits[nameMap]), 1.2, " ×"))
	}
	allocs, most := 0.0, 0.0
	fill := make(map[int]time.Duration)
	for _, r := range all {
		allocs, most, fill[r.size] = max(allocs, r.allocs), max(most, r.bytes), max(fill[r.size], r.fill)
	}
	list = append(
		list,
		atMost("allocations of a hit among many scopes, tenants, users, agents or parameters", allocs, 0, ""),
		atMost("bytes for each token of 1,536 among many of them", most, 2000, unitBytes),
	)
	for _, limit := range []struct {
		size   int
		micros float64
	}{{10_000, 19}, {1_000_000, 28}} {
		if is, measured := fill[limit.size]; measured {
			list = append(list, atMost(fmt.Sprintf("filling with %s, for each token, on the processor",
				thousands(int64(limit.size))), micros(is), limit.micros, " µs"))
		}
	}
	return list
}

// scaleHitTable is what a hit costs.
func scaleHitTable(line func(string, ...any), all []scaled) {
	line("| a hit among | certtoken | a map of the same keys | | allocations |")
	line("|---|---|---|---|---|")
	for _, s := range all {
		line("| %s %s | %s | %s | %s × | %.0f |", thousands(int64(s.size)), s.kind, cell(s.hits[nameOurs]),
			cell(s.hits[nameMap]), number(s.hits[nameOurs].over(s.hits[nameMap])), s.allocs)
	}
	line("")
	line(
		"Any of them in no order, asked for by the same request. The map is under an RWMutex, has a struct of strings as its key, and a look at " +
			"`time.Now` follows; parameters have to be made a text for it. A user's hit is one with a Grant that was made before.",
	)
	line("")
}

// scaleFillTable is what filling costs.
func scaleFillTable(line func(string, ...any), all []scaled) {
	line(
		"| filling with | each token, on the processor | heap for each token | slowest call | longest stop of the collector | " +
			"collector's part of the processor's time |",
	)
	line("|---|---|---|---|---|---|")
	for _, s := range all {
		line("| %s %s | %s | %s | %s | %s | %.0f %% |", thousands(int64(s.size)), s.kind, duration(s.fill),
			thousands(int64(s.bytes+0.5)), duration(s.slowest), duration(s.paused), 100*s.gc)
	}
	line("")
	line(
		"An agent has two tokens: its first leg, and its own. The slowest call is by the clock, so it has in it whatever " +
			"the machine and the collector did meanwhile.",
	)
	line("")
}
