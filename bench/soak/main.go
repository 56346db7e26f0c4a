// Command soak lets many goroutines use one client for a while, with short
// tokens, an endpoint that fails in many ways and a certificate that is renewed
// on disk again and again:
//
//	go run ./bench/soak                 # a minute
//	go run ./bench/soak -duration 10m
//
// It exits with 1 if a call fails although a valid token exists, a token is
// handed out after its end, or memory, goroutines or open files grow. The folder
// fleet has the same for several processes that share a Redis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/bench/soak/internal/load"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	clientID = "soak"

	strangers   = 20 * time.Millisecond // between scopes that are asked for once
	callPause   = time.Millisecond      // of one caller
	rotateEvery = 5 * time.Second
	reportEvery = 10 * time.Second
	settled     = 15 * time.Second // then everything that is kept once is there
	readings    = 30               // of what is used, from then on
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
	what := "and nothing grew"
	if *duration < load.Settled {
		what = "growth can't be judged in so short a run"
	}
	fmt.Println("soak: no call failed while a valid token existed,", what)
}

// soak is one run.
type soak struct {
	server   *certtokentest.Server
	faults   *load.Faults
	rotation *load.Rotation
	dir      string
	callers  load.Callers

	renewalsFailed atomic.Int64
	firstBroken    atomic.Pointer[error]
	usage          load.Usages
}

func newSoak(part float64) (*soak, error) {
	server, err := certtokentest.Start(
		certtokentest.WithTokenLifetime(load.Lifetime),
		certtokentest.WithRefreshIn(load.RefreshIn),
		certtokentest.WithRequestLimit(100),
		certtokentest.WithOpaqueTokens())
	if err != nil {
		return nil, err
	}
	s := &soak{server: server, faults: load.NewFaults(server, part)}
	if s.dir, err = os.MkdirTemp("", "soak"); err != nil {
		server.Close()
		return nil, err
	}
	return s, nil
}

func (s *soak) run(duration time.Duration, callers int) error {
	defer os.RemoveAll(s.dir)
	defer s.server.Close()
	before := runtime.NumGoroutine()
	path := filepath.Join(s.dir, "private.pem")
	var err error
	if s.rotation, err = load.NewRotation(s.server, clientID, path); err != nil {
		return err
	}
	client, err := certtoken.NewClient(s.server.Authority(), clientID, certtoken.CertFile(path),
		certtoken.WithHTTPClient(s.server.Client()),
		certtoken.WithHooks(certtoken.Hooks{
			Miss:          s.callers.Miss,
			RenewalFailed: func(certtoken.Event) { s.renewalsFailed.Add(1) },
		}))
	if err != nil {
		return err
	}
	s.callers.Client, s.callers.Pause, s.callers.Strangers = client, callPause, strangers
	s.callers.Broken = func(err error) { s.firstBroken.CompareAndSwap(nil, &err) }

	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.callers.Run(ctx, callers) })
	var rotationErr error
	wg.Go(func() { rotationErr = s.rotation.Run(ctx, rotateEvery) })
	wg.Go(func() { s.readUsage(ctx, duration) })
	s.watch(ctx, time.Now())
	wg.Wait()

	closeErr := client.Close()
	s.server.Client().CloseIdleConnections()
	s.server.Close()
	after := load.GoroutinesDown(before)
	return errors.Join(rotationErr, closeErr, s.verdict(duration, before, after))
}

// watch prints how it goes.
func (s *soak) watch(ctx context.Context, start time.Time) {
	for load.Sleep(ctx, reportEvery) {
		s.report(start)
	}
	s.report(start)
}

// readUsage looks at what is used once that has settled.
func (s *soak) readUsage(ctx context.Context, duration time.Duration) {
	rest := duration - min(settled, duration/3)
	load.Sleep(ctx, duration-rest)
	for load.Sleep(ctx, rest/readings) {
		s.usage = append(s.usage, load.ReadUsage())
	}
}

func (s *soak) report(start time.Time) {
	c := &s.callers
	fmt.Printf("%4.0f s  %9d calls, %d failed with a valid token, %d without, %d expired, %d had to wait; waits median %v, 99.9 %% %v, most %v; %d requests, %d faults, %d failed renewals, %d rotations; %v\n",
		time.Since(start).Seconds(), c.Calls.Load(), c.Failed.Load(), c.Without.Load(), c.Expired.Load(), c.Missed.Load(),
		c.Waits.At(0.5), c.Waits.At(0.999), c.Waits.At(1),
		s.server.Count(), s.faults.Count(), s.renewalsFailed.Load(), s.rotation.Count(), load.ReadUsage())
}

func (s *soak) verdict(duration time.Duration, before, after int) error {
	var errs []error
	if n := s.callers.Failed.Load() + s.callers.Expired.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("%d calls failed although a valid token existed or got an expired one, the first: %w", n, *s.firstBroken.Load()))
	}
	if duration >= load.Settled {
		errs = append(errs, s.usage.Grown())
	}
	if after > before {
		errs = append(errs, fmt.Errorf("%d goroutines at the start, %d after Close", before, after))
	}
	return errors.Join(errs...)
}
