// Command soak lets many goroutines use one client for a while, with short
// tokens, an endpoint that fails in many ways and a certificate that is renewed
// on disk again and again:
//
//	go run ./bench/soak                 # a minute
//	go run ./bench/soak -duration 10m
//
// It exits with 1 if a call fails although a valid token exists, a token is
// handed out after its end, or memory or goroutines grow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

const (
	clientID = "soak"

	lifetime  = 10 * time.Second // of a token
	refreshIn = 4 * time.Second

	scopes      = 40                    // asked for all the time
	strangers   = 20 * time.Millisecond // between scopes that are asked for once
	callPause   = time.Millisecond      // of one caller
	rotateEvery = 5 * time.Second
	reportEvery = 10 * time.Second
	settled     = 15 * time.Second // then everything that is kept once is there
	heapSlack   = 4 << 20
)

func main() {
	duration := flag.Duration("duration", time.Minute, "how long to run")
	callers := flag.Int("callers", 64, "goroutines that ask for tokens")
	faults := flag.Float64("faults", 0.25, "part of the token requests that fail")
	flag.Parse()
	s, err := newSoak(*faults)
	if err == nil {
		err = s.run(*duration, *callers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	fmt.Println("soak: no call failed while a valid token existed, and nothing grew")
}

// soak is one run.
type soak struct {
	server *certtokentest.Server
	client *certtoken.Client
	dir    string
	names  []string
	newest []atomic.Pointer[certtoken.Token] // by scope: the one that ends last of those seen

	calls, failed  atomic.Int64 // failed: although a valid token existed
	without        atomic.Int64 // failed without one: the endpoint's faults add up
	expired        atomic.Int64
	faults         atomic.Int64
	rotations      atomic.Int64
	renewalsFailed atomic.Int64
	firstFailure   atomic.Pointer[error]
	waits          histogram
	heapBase       uint64
	heap           [3]uint64 // the last readings
}

func newSoak(part float64) (*soak, error) {
	server, err := certtokentest.Start(
		certtokentest.WithTokenLifetime(lifetime),
		certtokentest.WithRefreshIn(refreshIn),
		certtokentest.WithRequestLimit(100),
		certtokentest.WithOpaqueTokens())
	if err != nil {
		return nil, err
	}
	s := &soak{server: server, names: make([]string, scopes), newest: make([]atomic.Pointer[certtoken.Token], scopes)}
	for i := range s.names {
		s.names[i] = fmt.Sprintf("api://soak-%d/.default", i)
	}
	server.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
		if rand.Float64() >= part {
			return nil
		}
		s.faults.Add(1)
		fault := faultList[rand.N(len(faultList))]
		return &fault
	})
	if s.dir, err = os.MkdirTemp("", "soak"); err != nil {
		return nil, err
	}
	return s, nil
}

var faultList = []certtokentest.Fault{
	{Status: 500},
	{Status: 503, RetryAfter: time.Second},
	certtokentest.Throttle(time.Second),
	{Code: 90033},
	{Delay: 1500 * time.Millisecond},
	{BodyDelay: 800 * time.Millisecond},
	{Shape: certtokentest.ResetConnection},
	{Shape: certtokentest.TruncatedBody},
	{Shape: certtokentest.HTML},
	{Shape: certtokentest.EmptyBody},
	{Shape: certtokentest.OversizedBody},
	{Shape: certtokentest.NoToken},
	{Shape: certtokentest.Redirect, Location: "https://elsewhere.invalid/"},
	{Error: "invalid_client"},
}

func (s *soak) run(duration time.Duration, callers int) error {
	defer os.RemoveAll(s.dir)
	defer s.server.Close()
	before := runtime.NumGoroutine()
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		return err
	}
	s.server.Register(clientID, cert.Leaf)
	path := filepath.Join(s.dir, "private.pem")
	if err := replaceFile(path, cert); err != nil {
		return err
	}
	s.client, err = certtoken.NewClient(s.server.Authority(), clientID, certtoken.CertFile(path),
		certtoken.WithHTTPClient(s.server.Client()),
		certtoken.WithHooks(certtoken.Hooks{RenewalFailed: func(certtoken.Event) { s.renewalsFailed.Add(1) }}))
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { s.call(ctx, i) })
	}
	wg.Go(func() { s.askOnce(ctx) })
	var rotationErr error
	wg.Go(func() { rotationErr = s.rotate(ctx, path) })
	s.watch(ctx, time.Now(), duration)
	wg.Wait()

	closeErr := s.client.Close()
	s.server.Client().CloseIdleConnections()
	s.server.Close()
	after := goroutinesDown(before)
	return errors.Join(rotationErr, closeErr, s.verdict(before, after))
}

// call asks for tokens in every way that there is, until ctx ends.
func (s *soak) call(ctx context.Context, worker int) {
	sources := make([]*certtoken.TokenSource, scopes)
	for i, name := range s.names {
		sources[i] = s.client.TokenSource(name)
	}
	for ctx.Err() == nil {
		i := rand.N(scopes)
		known := s.newest[i].Load()
		start := time.Now()
		valid := known != nil && start.Before(usableUntil(known))
		var err error
		var token *certtoken.Token
		if worker%2 == 0 {
			token, err = s.client.Token(context.Background(), s.names[i])
		} else if t, sourceErr := sources[i].Token(); sourceErr != nil {
			err = sourceErr
		} else if !time.Now().Before(t.Expiry) {
			s.expired.Add(1)
		}
		took := time.Since(start)
		s.note(i, valid, took, token, err)
		time.Sleep(callPause)
	}
}

// note judges one call.
func (s *soak) note(i int, valid bool, took time.Duration, token *certtoken.Token, err error) {
	s.calls.Add(1)
	switch {
	case err != nil && valid:
		s.failed.Add(1)
		s.firstFailure.CompareAndSwap(nil, &err)
	case err != nil:
		s.without.Add(1)
	case token != nil:
		if !time.Now().Before(token.ExpiresAt()) {
			s.expired.Add(1)
		}
		for {
			old := s.newest[i].Load()
			if old != nil && !old.ExpiresAt().Before(token.ExpiresAt()) || s.newest[i].CompareAndSwap(old, token) {
				break
			}
		}
	}
	if valid {
		s.waits.add(took)
	}
}

// usableUntil is until when a client hands the token out: 5 % before its end,
// and a little less for what passes between two looks at the clock.
func usableUntil(t *certtoken.Token) time.Time {
	return t.ExpiresAt().Add(-lifetime/20 - 50*time.Millisecond)
}

// askOnce asks for scopes that nobody asks for again: their tokens have to
// leave the cache.
func (s *soak) askOnce(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := 0; ctx.Err() == nil; n++ {
		wg.Go(func() {
			_, _ = s.client.Token(ctx, fmt.Sprintf("api://stranger-%d/.default", n)) // faults are allowed here
		})
		sleep(ctx, strangers)
	}
}

// rotate renews the certificate: registers the new one, writes it, removes the
// old one. Every third time somebody writes it before it is registered.
func (s *soak) rotate(ctx context.Context, path string) error {
	for n := 1; sleep(ctx, rotateEvery); n++ {
		next, err := certtokentest.MakeCertificate()
		if err != nil {
			return err
		}
		hasty := n%3 == 0
		if !hasty {
			s.server.Register(clientID, next.Leaf)
		}
		if err := replaceFile(path, next); err != nil {
			return err
		}
		if hasty {
			sleep(ctx, time.Second)
			s.server.Register(clientID, next.Leaf)
		}
		sleep(ctx, time.Second)
		s.server.Replace(clientID, next.Leaf)
		s.rotations.Add(1)
	}
	return nil
}

func replaceFile(path string, cert *certtoken.Certificate) error {
	data, err := selfsigned.EncodePEM(cert)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// watch prints how it goes and looks at the heap.
func (s *soak) watch(ctx context.Context, start time.Time, duration time.Duration) {
	base := min(settled, duration/3)
	sleep(ctx, base)
	s.heapBase = liveHeap()
	s.report(start)
	for sleep(ctx, reportEvery) {
		s.readHeap()
		s.report(start)
	}
	s.readHeap()
	s.report(start)
}

func (s *soak) readHeap() { s.heap = [3]uint64{s.heap[1], s.heap[2], liveHeap()} }

// heapLately is the least of the last readings: an answer of megabytes that is
// being read just then is no growth.
func (s *soak) heapLately() uint64 { return min(s.heap[0], s.heap[1], s.heap[2]) }

func (s *soak) report(start time.Time) {
	fmt.Printf("%4.0f s  %9d calls, %d failed with a valid token, %d without, %d expired; waits median %v, 99.9 %% %v, most %v; %d requests, %d faults, %d failed renewals, %d rotations; heap %.1f MB, %d goroutines\n",
		time.Since(start).Seconds(), s.calls.Load(), s.failed.Load(), s.without.Load(), s.expired.Load(),
		s.waits.at(0.5), s.waits.at(0.999), s.waits.at(1),
		s.server.Count(), s.faults.Load(), s.renewalsFailed.Load(), s.rotations.Load(),
		float64(liveHeap())/(1<<20), runtime.NumGoroutine())
}

func (s *soak) verdict(before, after int) error {
	var errs []error
	if n := s.failed.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d calls failed although a valid token existed, the first with: %w", n, *s.firstFailure.Load()))
	}
	if n := s.expired.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d tokens were handed out after their end", n))
	}
	if lately := s.heapLately(); lately > s.heapBase+s.heapBase/10+heapSlack {
		errs = append(errs, fmt.Errorf("the heap grew from %d to %d bytes", s.heapBase, lately))
	}
	if after > before {
		errs = append(errs, fmt.Errorf("%d goroutines at the start, %d after Close", before, after))
	}
	return errors.Join(errs...)
}

// goroutinesDown waits for the last connections to end.
func goroutinesDown(to int) int {
	n := runtime.NumGoroutine()
	for range 50 {
		if n <= to {
			break
		}
		time.Sleep(20 * time.Millisecond)
		n = runtime.NumGoroutine()
	}
	return n
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sleep waits, and reports whether it wasn't cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
