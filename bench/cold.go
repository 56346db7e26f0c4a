package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
)

// Subjects of signing.
const (
	subjectAssertion = "certtoken assertion, free signer"
	subjectHS256     = "golang-jwt SignedString, HS256"
	subjectRS256     = "crypto/rsa, PKCS #1 v1.5"
	subjectPS256     = "crypto/rsa, PSS"
	subjectSigned    = "certtoken assertion, PS256"
)

// measureSigning compares an assertion with what golang-jwt takes for the same
// claims, and with the RSA signature alone.
func measureSigning(cfg settings, id identity) map[string]samples {
	ctx := context.Background()
	assertion := certtoken.Assertion{ClientID: clientID, Audience: tokenURL}
	sign := func(cert *certtoken.Certificate) func(int) {
		return func(int) {
			if _, err := assertion.Sign(ctx, cert); err != nil {
				panic(err)
			}
		}
	}
	secret, x5t := make([]byte, 32), thumbprint(id.cert.Leaf)
	digest := sha256.Sum256([]byte("digest"))
	bare := func(opts crypto.SignerOpts) func(int) {
		return func(int) {
			if _, err := id.key().Sign(rand.Reader, digest[:], opts); err != nil {
				panic(err)
			}
		}
	}
	return compare(cfg, 1,
		subject{subjectAssertion, sign(id.free)},
		subject{subjectHS256, func(int) {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, handClaims())
			token.Header["x5t#S256"] = x5t
			if _, err := token.SignedString(secret); err != nil {
				panic(err)
			}
		}},
		subject{subjectSigned, sign(id.cert)},
		subject{subjectRS256, bare(crypto.SHA256)},
		subject{subjectPS256, bare(&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})},
	)
}

// measureCold acquires tokens that aren't in the cache, each for a scope of its
// own so that no cache can help.
func measureCold(cfg settings, id identity) (map[string]samples, error) {
	e := newEndpoint()
	client, err := newOurs(e, id.cert)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	msal, err := newMSAL(e, id.cert)
	if err != nil {
		return nil, err
	}
	azid, err := newAzidentity(e, id.cert)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	serial := 0
	next := func() string { serial++; return fmt.Sprintf("api://cold-%08d/.default", serial) }
	by := func(get acquire) func(int) {
		return func(int) {
			if err := get(ctx, next()); err != nil {
				panic(err)
			}
		}
	}
	hand := newByHand(e, id, "")
	cfg.threads = true // ours works behind its callers
	return compare(cfg, 1,
		subject{subjectHand, func(int) {
			hand.scope = next()
			if _, err := hand.Token(); err != nil {
				panic(err)
			}
		}},
		subject{nameOurs, by(acquireOurs(client))},
		subject{nameMSAL, by(msal)},
		subject{nameAzidentity, by(azid)},
		subject{nameOAuth2, func(int) {
			if _, err := oauth2.ReuseTokenSource(nil, hand).Token(); err != nil {
				panic(err)
			}
		}},
	), nil
}

// filling is what one more token costs when a cache holds so many.
type filling struct {
	library string
	at      map[int]samples // by number of tokens
}

// fillSpan is how many tokens are taken together.
const fillSpan = 500

// measureFilling measures ours. That of the others is noted where they are filled for
// their hits, because it takes minutes.
func measureFilling(cfg settings, id identity, others []filling) ([]filling, error) {
	ours := filling{library: nameOurs, at: make(map[int]samples)}
	for range cfg.rounds {
		client, err := newOurs(newEndpoint(), id.free)
		if err != nil {
			return nil, err
		}
		if err := fillOnce(acquireOurs(client), []int{1_000, 10_000}, 10_000, ours.at); err != nil {
			return nil, err
		}
		if err := client.Close(); err != nil {
			return nil, err
		}
	}
	return append([]filling{ours}, others...), nil
}

// fillOnce fills a cache up to limit and notes what the tokens around each size
// cost: the collector's work is spread over all of them, as it is in life.
func fillOnce(get acquire, sizes []int, limit int, at map[int]samples) error {
	ctx := context.Background()
	scopes := scopeNames(limit)
	runtime.GC()
	for i, next := 0, 0; i < limit && next < len(sizes); {
		until := min(sizes[next]-fillSpan, limit)
		for ; i < until; i++ {
			if err := get(ctx, scopes[i]); err != nil {
				return err
			}
		}
		if sizes[next] > limit {
			break
		}
		start := time.Now()
		for ; i < sizes[next]; i++ {
			if err := get(ctx, scopes[i]); err != nil {
				return err
			}
		}
		at[sizes[next]] = append(at[sizes[next]], float64(time.Since(start))/fillSpan)
		next++
	}
	return nil
}

// memory is what a cached token takes of the heap.
type memory struct {
	library string
	tokens  int
	bytes   float64
}

func measureMemory(cfg settings, id identity) ([]memory, error) {
	const ours = 10_000
	peers := min(2_000, cfg.peers)
	scopes := scopeNames(ours)
	var results []memory
	for _, m := range makers() {
		n := peers
		switch m.library {
		case nameOurs:
			n = ours
		case nameOAuth2:
			continue // one token only
		}
		bytes, err := memoryOf(m, identity{cert: id.free, free: id.free}, scopes[:n])
		if err != nil {
			return nil, err
		}
		results = append(results, memory{m.library, n, bytes})
	}
	e := newEndpoint()
	before := liveHeap()
	tokens := newBareMap(scopes, e)
	after := liveHeap()
	runtime.KeepAlive(tokens)
	return append(results, memory{nameMap, ours, float64(after-before) / ours}), nil
}

// memoryOf fills a cache that has already done everything that it does once.
// Keys are copies: a cache that keeps its caller's string pays for it.
func memoryOf(m maker, id identity, scopes []string) (float64, error) {
	get, done, err := m.make(newEndpoint(), id)
	if err != nil {
		return 0, err
	}
	defer done()
	ctx := context.Background()
	if err := get(ctx, "api://first/.default"); err != nil {
		return 0, err
	}
	before := liveHeap()
	for _, scope := range scopes {
		if err := get(ctx, strings.Clone(scope)); err != nil {
			return 0, err
		}
	}
	after := liveHeap()
	runtime.KeepAlive(get)
	return float64(after-before) / float64(len(scopes)), nil
}

// rush is what many callers at once make of a cold cache.
type rush struct {
	library  string
	requests int64
	wall     time.Duration
	slowest  time.Duration
	failed   int
}

const (
	rushCallers = 1000
	rushDelay   = 200 * time.Millisecond
	coldScopes  = 10
	coldDelay   = 300 * time.Millisecond
)

// maker makes one library's client of an endpoint, for callers of a scope, and
// what ends it.
type maker struct {
	library string
	make    func(e *endpoint, id identity) (get acquire, done func(), err error)
}

func makers() []maker {
	return []maker{
		{nameOurs, func(e *endpoint, id identity) (acquire, func(), error) {
			client, err := newOurs(e, id.cert)
			if err != nil {
				return nil, nil, err
			}
			return acquireOurs(client), func() { client.Close() }, nil
		}},
		{nameMSAL, func(e *endpoint, id identity) (acquire, func(), error) {
			get, err := newMSAL(e, id.signing())
			return get, func() {}, err
		}},
		{nameAzidentity, func(e *endpoint, id identity) (acquire, func(), error) {
			get, err := newAzidentity(e, id.signing())
			return get, func() {}, err
		}},
		{nameOAuth2, func(e *endpoint, id identity) (acquire, func(), error) {
			source := oauth2.ReuseTokenSource(nil, newByHand(e, id, "scope"))
			return func(context.Context, string) error { _, err := source.Token(); return err }, func() {}, nil
		}},
	}
}

func measureRush(id identity) ([]rush, error) {
	var results []rush
	for _, m := range makers() {
		e := newEndpoint()
		get, done, err := m.make(e, id)
		if err != nil {
			return nil, err
		}
		e.delay.Store(int64(rushDelay))
		r := together(rushCallers, func(int) error { return get(context.Background(), "api://rush/.default") })
		r.library, r.requests = m.library, e.requests.Load()
		results = append(results, r)
		done()
	}
	return results, nil
}

// measureScopes fetches ten scopes at once.
func measureScopes(id identity) ([]rush, error) {
	var results []rush
	scopes := scopeNames(coldScopes)
	for _, m := range makers() {
		if m.library == nameOAuth2 {
			continue // one token only
		}
		e := newEndpoint()
		get, done, err := m.make(e, id)
		if err != nil {
			return nil, err
		}
		e.delay.Store(int64(coldDelay))
		r := together(coldScopes, func(i int) error { return get(context.Background(), scopes[i]) })
		r.library, r.requests = m.library, e.requests.Load()
		results = append(results, r)
		done()
	}
	return results, nil
}

// together lets n callers go at the same moment.
func together(n int, call func(i int) error) rush {
	var r rush
	var mu sync.Mutex
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			start := time.Now()
			err := call(i)
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			r.slowest = max(r.slowest, took)
			if err != nil {
				r.failed++
			}
		})
	}
	start := time.Now()
	close(gate)
	wg.Wait()
	r.wall = time.Since(start)
	return r
}
