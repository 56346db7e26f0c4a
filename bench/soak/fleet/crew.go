package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
)

// stopLimit is how long a worker may take to end when it is told to, on a busy machine too.
const stopLimit = 2 * time.Minute

// spokenLimit is how long a worker may take to its first token, from the start of its process.
const spokenLimit = 2 * time.Minute

// crew are the workers, those of before included.
type crew struct {
	settings settings
	hear     func(message) // everything but figures

	mu      sync.Mutex // guards the rest
	working []*process // by number
	past    []*process
	started int
}

// process is a worker's process and what it has told.
type process struct {
	number int
	cmd    *exec.Cmd
	in     io.WriteCloser
	spoken chan struct{} // closed when it was given its first token
	ended  chan struct{} // closed when everything is heard and the process is over
	err    error         // how it ended

	mu      sync.Mutex // guards the rest
	killed  bool
	figures *figures
	usages  load.Usages
}

func startCrew(n int, common settings, hear func(message)) (*crew, error) {
	c := &crew{settings: common, hear: hear}
	for number := range n {
		p, err := c.start(number)
		if err != nil {
			c.stop()
			return nil, err
		}
		c.working = append(c.working, p)
	}
	return c, nil
}

// start starts this program again, as a worker.
func (c *crew) start(number int) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env, cmd.Stderr = append(os.Environ(), workerEnv+"=1"), os.Stderr
	cmd.SysProcAttr = endsWithUs()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{number: number, cmd: cmd, in: in, spoken: make(chan struct{}), ended: make(chan struct{})}
	go p.listen(out, c.hear)
	own := c.settings
	c.started++
	own.Name = fmt.Sprintf("%d-%d", number, c.started)
	if err := json.NewEncoder(in).Encode(own); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// listen hears a worker to its end.
func (p *process) listen(out io.Reader, hear func(message)) {
	defer close(p.ended)
	spoken := sync.OnceFunc(func() { close(p.spoken) })
	lines := json.NewDecoder(out)
	for {
		var m message
		if err := lines.Decode(&m); err != nil { // its end, perhaps in the middle of a line
			break
		}
		if m.Figures != nil {
			p.mu.Lock()
			p.figures = m.Figures
			if !m.Figures.Last {
				p.usages = append(p.usages, m.Figures.Usage)
			}
			p.mu.Unlock()
			continue
		}
		hear(m)
		if m.Handed != nil {
			spoken()
		}
	}
	_, _ = io.Copy(io.Discard, out)
	p.err = p.cmd.Wait()
}

// await waits until each worker was given a token or has ended. The time of a run begins then:
// on a busy machine processes take seconds to start.
func (c *crew) await(ctx context.Context) {
	limit := time.After(spokenLimit)
	for _, p := range c.all() {
		select {
		case <-p.spoken:
		case <-p.ended:
		case <-limit: // the run shows what it comes to
			return
		case <-ctx.Done():
			return
		}
	}
}

// kill ends a worker at once. One that has ended by itself stays one that has.
func (p *process) kill() {
	select {
	case <-p.ended:
		return
	default:
	}
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// state is what is known of it now.
func (p *process) state() (f *figures, usages load.Usages, killed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.figures, p.usages, p.killed
}

// lasting is how many workers nobody kills: what they use is looked at over the
// whole run.
func lasting(workers int) int { return (workers + 1) / 2 }

// replaceOne kills a worker and starts another in its place.
func (c *crew) replaceOne() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := lasting(len(c.working))
	number := first + rand.N(len(c.working)-first)
	c.working[number].kill()
	p, err := c.start(number)
	if err != nil {
		return err
	}
	c.past = append(c.past, c.working[number])
	c.working[number] = p
	return nil
}

// stop has all workers end, and kills those that don't.
func (c *crew) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.working {
		_ = p.in.Close() // some may have ended
	}
	limit := time.After(stopLimit)
	for _, p := range c.working {
		select {
		case <-p.ended:
		case <-limit:
			c.killAll()
			return
		}
	}
}

func (c *crew) killAll() {
	for _, p := range c.working {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range c.working {
		<-p.ended
	}
}

// all are the workers of now and before.
func (c *crew) all() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Concat(c.working, c.past)
}

// survivors are the workers that lived through the whole run.
func (c *crew) survivors() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.working[:lasting(len(c.working))])
}

// fates says which workers didn't end as they were told, after stop.
func (c *crew) fates() error {
	var errs []error
	for _, p := range c.all() {
		f, _, killed := p.state()
		switch {
		case killed:
		case f == nil || !f.Last:
			errs = append(
				errs,
				fmt.Errorf("worker %d ended by itself, or didn't end in time: %w", p.number, cmp.Or(p.err, errNoError)),
			)
		case f.Left > 0:
			errs = append(errs, fmt.Errorf("worker %d: %d goroutines were left after Close", p.number, f.Left))
		}
	}
	return errors.Join(errs...)
}

var errNoError = errors.New("without an error")
