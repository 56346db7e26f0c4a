package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
)

// outage is how it went while Redis was gone, and before and after that.
type outage struct {
	length time.Duration
	before traffic // until Redis went
	during traffic
	after  traffic
}

// traffic is what went over the network in a part of the run.
type traffic struct {
	took          time.Duration
	requests      int   // to the endpoint
	intoRedis, of int64 // bytes: written to Redis, and read of it
}

// rate is requests a second.
func (t traffic) rate() float64 { return float64(t.requests) / max(t.took.Seconds(), 0.001) }

func (t traffic) String() string {
	return fmt.Sprintf("%d requests in %.0f s, %.1f a second; %d kB to Redis and %d kB from it",
		t.requests, t.took.Seconds(), t.rate(), t.intoRedis>>10, t.of>>10)
}

// loseRedis lets Redis go after a third of the run, and come back empty.
func (f *fleet) loseRedis(ctx context.Context) error {
	if !load.Sleep(ctx, f.cfg.duration/3) {
		return nil
	}
	f.outage.before = f.trafficSince(ctx, f.started, traffic{})
	f.redis.kill()
	gone := time.Now()
	load.Sleep(ctx, f.cfg.outage)
	f.outage.during = traffic{took: time.Since(gone), requests: f.server.Count() - f.outage.before.requests}
	f.outage.length = f.outage.during.took
	if err := f.redis.start(); err != nil {
		return err
	}
	f.troubles.add("Redis gone", 1)
	return nil
}

// endOutage reads what came after it.
func (f *fleet) endOutage(ctx context.Context) {
	o := &f.outage
	if o.length == 0 {
		o.before = f.trafficSince(ctx, f.started, traffic{})
		return
	}
	back := f.started.Add(o.before.took + o.length)
	o.after = f.trafficSince(ctx, back, traffic{requests: o.before.requests + o.during.requests})
}

// trafficSince is the traffic since a time, until when there was some before it. Redis
// counts anew when it is started.
func (f *fleet) trafficSince(ctx context.Context, start time.Time, before traffic) traffic {
	t := traffic{took: time.Since(start), requests: f.server.Count() - before.requests}
	info, err := f.redis.client.Info(ctx, "stats").Result()
	if err != nil {
		return t
	}
	t.intoRedis, t.of = statOf(info, "total_net_input_bytes"), statOf(info, "total_net_output_bytes")
	return t
}

// statOf finds a number in an answer to INFO, or 0.
func statOf(info, name string) int64 {
	_, rest, _ := strings.Cut(info, name+":")
	line, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
