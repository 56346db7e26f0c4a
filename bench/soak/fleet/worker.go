package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/bench/soak/internal/load"
	"github.com/certtoken/certtoken/ext/redisstore"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// The program is a worker when workerEnv is set.
const workerEnv = "CERTTOKEN_FLEET_WORKER"

const (
	clientID  = "soak"
	callPause = 5 * time.Millisecond // of one caller
)

func isWorker() bool { return os.Getenv(workerEnv) != "" }

func workerMain() int {
	signal.Ignore(os.Interrupt) // which a terminal sends to all; the coordinator says when
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fleet: worker:", err)
		return 1
	}
	return 0
}

// work is a worker's life, until its input ends.
func work(in io.Reader, out io.Writer) error {
	input := bufio.NewReader(in)
	line, err := input.ReadBytes('\n')
	if err != nil {
		return err
	}
	var cfg settings
	if err := json.Unmarshal(line, &cfg); err != nil {
		return err
	}
	load.Lifetime = cfg.Life
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, input)
	}()
	w := &worker{speaker: speaker{out: out}, cfg: cfg, started: time.Now()}
	if err := w.run(ctx); err != nil {
		return err
	}
	last := w.figures()
	last.Last, last.Left = true, max(0, load.GoroutinesDown(before)-before)
	w.say(message{Figures: last})
	return nil
}

// worker is one process of the fleet.
type worker struct {
	speaker
	cfg     settings
	callers load.Callers
	events  tally
	redis   tally

	started time.Time
	first   atomic.Int64 // token, a time.Duration after that
}

func (w *worker) run(ctx context.Context) error {
	transport, err := newTransport(w.cfg.CA)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	opts := []certtoken.Option{
		certtoken.WithHTTPClient(&http.Client{Transport: transport}),
		certtoken.WithHooks(w.hooks()),
	}
	if w.cfg.Redis != "" {
		logging.Disable() // go-redis would tell of every connection that breaks
		client := redis.NewClient(&redis.Options{Addr: w.cfg.Redis, ContextTimeoutEnabled: true})
		defer client.Close()
		client.AddHook(commandCount{&w.redis})
		store, err := redisstore.New(client)
		if err != nil {
			return err
		}
		opts = append(opts, certtoken.WithStore(store, w.cfg.Secret))
	}
	client, err := certtoken.NewClient(certtoken.Issuer(w.cfg.Issuer, w.cfg.TokenURL), clientID,
		certtoken.CertFile(w.cfg.Cert), opts...)
	if err != nil {
		return err
	}
	w.callers.Client, w.callers.Pause, w.callers.Strangers, w.callers.Stranger = client, callPause, w.cfg.Strangers, w.cfg.Name+"-"
	w.callers.Handed = func(h load.Handed) {
		w.first.CompareAndSwap(0, int64(time.Since(w.started)))
		w.say(message{Handed: &handed{Scope: h.Scope, Sum: sumOf(h.Access), Expires: h.Expires}})
	}
	w.callers.Broken = func(err error) { w.say(message{Broken: err.Error()}) }

	var wg sync.WaitGroup
	wg.Go(func() { w.callers.Run(ctx, w.cfg.Callers) })
	for load.Sleep(ctx, w.cfg.Report) {
		w.say(message{Figures: w.figures()})
	}
	err = client.Close() // lets those go that wait
	wg.Wait()
	return err
}

func newTransport(ca []byte) (*http.Transport, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the endpoint's CA can't be read")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	return transport, nil
}

func (w *worker) hooks() certtoken.Hooks {
	count := func(name string) func(certtoken.Event) {
		return func(certtoken.Event) { w.events.add(name, 1) }
	}
	return certtoken.Hooks{
		Miss:                w.callers.Miss,
		RenewalFailed:       count(eventRenewalFailed),
		CertificateLoaded:   count(eventLoaded),
		CertificateRefused:  count(eventRefused),
		CertificateUnusable: count(eventUnusable),
		StoreFailed:         count(eventStoreFailed),
	}
}

// The events that are counted.
const (
	eventRenewalFailed = "renewals that failed"
	eventLoaded        = "certificates taken up"
	eventRefused       = "certificates refused"
	eventUnusable      = "certificates unusable"
	eventStoreFailed   = "failures of the store"
)

func (w *worker) figures() *figures {
	c := &w.callers
	return &figures{
		Calls: c.Calls.Load(), Failed: c.Failed.Load(), Without: c.Without.Load(), Expired: c.Expired.Load(), Missed: c.Missed.Load(),
		Waits: &c.Waits, Others: &c.Others,
		Events: w.events.all(), Redis: w.redis.all(), Usage: load.ReadUsage(),
		First: time.Duration(w.first.Load()),
	}
}

// failedCommands is the name under which commands are counted that got no
// answer, or an error.
const failedCommands = "failed"

// commandCount counts a Redis client's commands by name.
type commandCount struct{ counts *tally }

var _ redis.Hook = commandCount{}

func (c commandCount) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c commandCount) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		c.counts.add(cmd.Name(), 1)
		if err != nil && !errors.Is(err, redis.Nil) {
			c.counts.add(failedCommands, 1)
		}
		return err
	}
}

func (c commandCount) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next // the store uses none; go-redis greets in one
}
