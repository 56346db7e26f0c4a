// Command fleet is the soak of several processes: workers with many callers each
// share their tokens through a Redis, with one secret and one certificate file,
// while everything around them goes wrong:
//
//	go run ./bench/soak/fleet                 # a minute
//	go run ./bench/soak/fleet -duration 10m
//	go run ./bench/soak/fleet -duration 4m -workers 50 -callers 1 -faults 0 -life 1m -strangers 0 -outage 1m
//
// It needs redis-server or valkey-server, which it starts by itself, as it does
// the token endpoint and the workers; all of them are on loopback and end with
// it. The endpoint throttles, fails, is slow, breaks connections, sends garbage
// and is down for a while; the certificate is renewed on disk; Redis is frozen,
// emptied, restarted and filled with garbage; workers are killed.
//
// It exits with 1 if a call fails although its process has a valid token, if a
// token is handed out that has expired or that the endpoint didn't issue for
// that scope, if the processes hardly share, if a worker ends by itself, if
// something in Redis has no end, or if memory, goroutines or open files of the
// workers grow.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if isWorker() {
		os.Exit(workerMain())
	}
	cfg := config{out: os.Stdout}
	flag.DurationVar(&cfg.duration, "duration", time.Minute, "how long to run")
	flag.IntVar(&cfg.workers, "workers", 4, "processes, 2 or more")
	flag.IntVar(&cfg.callers, "callers", 16, "goroutines of each that ask for tokens")
	flag.Float64Var(&cfg.faults, "faults", 0.25, "part of the token requests that fail")
	flag.DurationVar(&cfg.life, "life", 0, "of a token (default 10s)")
	flag.DurationVar(&cfg.strange, "strangers", usualStrangers, "between scopes that a worker asks for once, 0 for none")
	flag.BoolVar(&cfg.calm, "calm", false, "leave Redis, the endpoint as a whole and the workers alone")
	flag.DurationVar(&cfg.outage, "outage", 0, "in place of all other trouble, have Redis gone for so long, once")
	flag.BoolVar(&cfg.alone, "alone", false, "share nothing, to compare")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
	fmt.Println("fleet: every invariant held")
}
