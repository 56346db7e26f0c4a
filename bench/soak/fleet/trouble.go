package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
)

const (
	troubleEvery  = 10 * time.Second // and in a short run more often, so that all of it happens
	troubleLength = 3 * time.Second
	corruptEvery  = 100 * time.Millisecond
)

// trouble is something that is done to the fleet's surroundings, or to one of
// it. What lasts, lasts for the given time.
type trouble struct {
	name string
	make func(f *fleet, ctx context.Context, length time.Duration) error
}

// A store that failed is left alone for 5 s, so what fails it comes after what
// needs it, in short runs too.
var troubles = []trouble{
	{"entries in Redis corrupted", (*fleet).corrupt},
	{
		"worker killed and replaced",
		func(f *fleet, _ context.Context, _ time.Duration) error { return f.crew.replaceOne() },
	},
	{"Redis emptied", (*fleet).empty},
	{"Redis frozen", (*fleet).freeze},
	{"endpoint down", (*fleet).endpointDown},
	{"Redis restarted", func(f *fleet, _ context.Context, _ time.Duration) error { return f.redis.restart() }},
}

// makeTrouble goes through the troubles again and again, until ctx ends.
func (f *fleet) makeTrouble(ctx context.Context) error {
	every := min(troubleEvery, f.cfg.duration/time.Duration(len(troubles)+1))
	length := min(troubleLength, every/2)
	for i := 0; load.Sleep(ctx, every-length); i++ {
		t := troubles[i%len(troubles)]
		until := time.Now().Add(length)
		if err := t.make(f, ctx, length); err != nil && !isOver(ctx) {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		f.troubles.add(t.name, 1)
		load.Sleep(ctx, time.Until(until))
	}
	return nil
}

// isOver reports whether a context has ended, or is about to: a connection's deadline, which is
// the context's, may be noticed before it is.
func isOver(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// freeze stops the process: connections stay and nobody answers.
func (f *fleet) freeze(ctx context.Context, length time.Duration) error {
	pid := f.redis.pid()
	err := stopProcess(pid)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Fprintf(f.cfg.out, "no process can be frozen on %s: left out\n", runtime.GOOS)
		return nil
	}
	if err != nil {
		return err
	}
	load.Sleep(ctx, length)
	return continueProcess(pid)
}

// corrupt goes on for the given time, so that workers meet what is new.
func (f *fleet) corrupt(ctx context.Context, length time.Duration) error {
	for until := time.Now().Add(length); time.Now().Before(until); {
		if err := f.corruptBy(ctx, subtle); err != nil || !load.Sleep(ctx, corruptEvery) {
			return err
		}
	}
	return f.corruptBy(ctx, gross)
}

func (f *fleet) corruptBy(ctx context.Context, ways []corruption) error {
	keys, err := f.redis.keys(ctx)
	if err != nil {
		return err
	}
	n, err := corrupt(ctx, f.redis.client, keys, ways)
	f.corrupted.Add(int64(n))
	return err
}

func (f *fleet) empty(ctx context.Context, _ time.Duration) error {
	return f.redis.client.FlushAll(ctx).Err()
}

func (f *fleet) endpointDown(ctx context.Context, length time.Duration) error {
	f.faults.SetDown(true)
	defer f.faults.SetDown(false)
	load.Sleep(ctx, length)
	return nil
}
