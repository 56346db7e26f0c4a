package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	rotateEvery = 10 * time.Second
	reportEvery = 10 * time.Second
	ledgerEvery = 250 * time.Millisecond
	readings    = 60 // of what a worker uses

	usualStrangers = 200 * time.Millisecond
)

// config is what a run is told.
type config struct {
	duration time.Duration
	workers  int
	callers  int
	faults   float64
	calm     bool
	alone    bool
	life     time.Duration // of a token; 0: the usual one
	strange  time.Duration // between scopes that a worker asks for once; 0: it asks for none
	outage   time.Duration // of Redis; 0: other trouble is made
	out      io.Writer
}

// fleet is one run: the coordinator's side of it.
type fleet struct {
	cfg      config
	dir      string
	server   *certtokentest.Server
	faults   *load.Faults
	rotation *load.Rotation
	redis    *redisServer
	crew     *crew
	ledger   *ledger
	started  time.Time

	outage    outage
	troubles  tally
	corrupted atomic.Int64
	broken    atomic.Int64 // messages of workers that say so
	first     atomic.Pointer[string]
}

// errInterrupted is how a run ends that was ended early.
var errInterrupted = errors.New("interrupted")

// run has a fleet work for the given time, and returns what it broke.
func run(ctx context.Context, cfg config) (err error) {
	if cfg.workers < 2 {
		return errors.New("a fleet has 2 workers or more")
	}
	if cfg.life > 0 {
		load.Lifetime = cfg.life
	}
	f := &fleet{cfg: cfg, ledger: newLedger()}
	defer func() { err = errors.Join(err, f.end()) }()
	if err := f.start(); err != nil {
		return err
	}
	f.crew.await(ctx)
	f.started = time.Now()
	working, cancel := context.WithTimeout(ctx, cfg.duration)
	defer cancel()
	problem := f.work(working)
	took := time.Since(f.started)
	f.endOutage(context.WithoutCancel(ctx))
	f.crew.stop()
	f.server.Close() // waits for what a worker asked for last
	f.ledger.read(f.server.Requests())
	f.ledger.close()
	r := f.result(took)
	r.fates = f.crew.fates()
	r.endless, r.keys, err = f.redis.endless(context.WithoutCancel(ctx))
	r.print(cfg.out)
	if ctx.Err() != nil {
		problem = errors.Join(errInterrupted, problem)
	}
	return errors.Join(problem, err, r.verdict())
}

// start starts the endpoint, Redis and the workers.
func (f *fleet) start() error {
	program, err := redisProgram()
	if err != nil {
		return err
	}
	if f.dir, err = os.MkdirTemp("", "fleet"); err != nil {
		return err
	}
	f.server, err = certtokentest.Start(
		certtokentest.WithIssuer(""),
		certtokentest.WithTokenLifetime(load.Lifetime),
		certtokentest.WithRefreshIn(load.RefreshIn()),
		certtokentest.WithRequestLimit(ledgerRequests),
		certtokentest.WithOpaqueTokens())
	if err != nil {
		return err
	}
	f.faults = load.NewFaults(f.server, f.cfg.faults)
	cert := filepath.Join(f.dir, "private.pem")
	if f.rotation, err = load.NewRotation(f.server, clientID, cert); err != nil {
		return err
	}
	if f.redis, err = startRedis(program, f.dir); err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	common := settings{
		Issuer: f.server.Issuer(), TokenURL: f.server.TokenURL(), CA: f.server.CAPEM(), Cert: cert,
		Redis: f.redis.addr, Secret: secret, Callers: f.cfg.callers, Report: f.cfg.duration / readings,
		Life: load.Lifetime, Strangers: f.cfg.strange,
	}
	if f.cfg.alone {
		common.Redis = ""
	}
	f.started = time.Now()
	f.crew, err = startCrew(f.cfg.workers, common, f.hear)
	return err
}

// end ends whatever was started.
func (f *fleet) end() error {
	if f.crew != nil {
		f.crew.stop()
	}
	if f.redis != nil {
		f.redis.close()
	}
	if f.server != nil {
		f.server.Close()
	}
	if f.dir == "" {
		return nil
	}
	return os.RemoveAll(f.dir)
}

// hear takes what a worker says.
func (f *fleet) hear(m message) {
	if m.Handed != nil {
		f.ledger.take(*m.Handed)
	}
	if m.Broken != "" {
		f.broken.Add(1)
		f.first.CompareAndSwap(nil, &m.Broken)
	}
}

// work lets everything go on until ctx ends, or something can't be done.
func (f *fleet) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	task := func(what string, run func() error) {
		wg.Go(func() {
			if err := run(); err != nil {
				cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	task("rotation", func() error { return f.rotation.Run(ctx, rotateEvery) })
	switch {
	case f.cfg.outage > 0:
		task("outage", func() error { return f.loseRedis(ctx) })
	case !f.cfg.calm:
		task("trouble", func() error { return f.makeTrouble(ctx) })
	}
	wg.Go(func() {
		for load.Sleep(ctx, ledgerEvery) {
			f.ledger.read(f.server.Requests())
		}
	})
	wg.Go(func() {
		for load.Sleep(ctx, reportEvery) {
			f.result(time.Since(f.started)).line(f.cfg.out)
		}
	})
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
