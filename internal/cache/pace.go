package cache

import (
	"container/list"
	"sync"
	"time"
)

// Pace spreads out renewals behind the callers. Tokens that were fetched together are
// due together, and nobody waits for them, so they must neither take all places from
// callers who do wait, nor ask an endpoint that has said when it wants to be asked
// again. Those that can't start at once wait without a goroutine, in a lane for each
// tenant. Caches with a common queue have a common Pace. Make one with [NewPace].
type Pace struct {
	most int // renewals at once

	mu      sync.Mutex // guards the rest
	running int
	room    float64          // for so many at once: fewer after an endpoint has refused, and then slowly more
	lanes   map[string]*lane // that are held, or in which renewals wait
	ready   list.List        // of *lane, not held and with renewals that wait; they take turns
}

// lane has the renewals of a tenant that wait.
type lane struct {
	tenant  string
	waiting []func() (started bool)
	until   time.Time   // that the endpoint named,
	timer   *time.Timer // and what ends the pause; nil: there is none
}

// roomGrowth says how slowly there is room for more renewals again: so many must succeed
// for each that is under way.
const roomGrowth = 8

// NewPace returns a Pace for a number of renewals at once.
func NewPace(most int) *Pace {
	return &Pace{most: most, room: float64(most), lanes: make(map[string]*lane)}
}

// enter counts a renewal in if it may start at once. A warm one is for callers who must
// never wait, so it doesn't wait for others either, only for the endpoint.
func (p *Pace) enter(tenant string, warm bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lanes[tenant]; l != nil && l.timer != nil || !p.hasRoom() && !warm {
		return false
	}
	p.running++
	return true
}

// later keeps a renewal that may not start at once. start runs when its turn has come,
// and is counted in; if it returns true, somebody calls leave.
func (p *Pace) later(tenant string, start func() (started bool)) {
	p.mu.Lock()
	l := p.lane(tenant)
	l.waiting = append(l.waiting, start)
	if len(l.waiting) == 1 && l.timer == nil {
		p.ready.PushBack(l)
	}
	p.mu.Unlock()
	p.next() // a place may have become free in between
}

// hasRoom reports whether one more renewal may start. The caller holds p.mu.
func (p *Pace) hasRoom() bool { return float64(p.running)+1 <= p.room }

// leave counts a renewal out, and lets others start.
func (p *Pace) leave(succeeded bool) {
	p.mu.Lock()
	p.running--
	if succeeded {
		p.room = min(float64(p.most), p.room+1/(roomGrowth*p.room))
	}
	p.mu.Unlock()
	p.next()
}

// hold lets no renewal for a tenant start for a while, and half as many at once from
// then on.
func (p *Pace) hold(tenant string, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lane(tenant)
	if until := time.Now().Add(pause); until.After(l.until) {
		l.until = until
	}
	if l.timer != nil {
		return
	}
	p.room = max(1, p.room/2)
	l.timer = time.AfterFunc(pause, func() { p.release(l) })
	for at := p.ready.Front(); at != nil; at = at.Next() {
		if at.Value == l {
			p.ready.Remove(at)
			return
		}
	}
}

// release ends the pause of a lane, unless the endpoint named a later end since.
func (p *Pace) release(l *lane) {
	p.mu.Lock()
	if left := time.Until(l.until); left > 0 {
		l.timer.Reset(left)
		p.mu.Unlock()
		return
	}
	l.timer = nil
	if len(l.waiting) > 0 {
		p.ready.PushBack(l)
	}
	p.forget(l)
	p.mu.Unlock()
	p.next()
}

// next starts what waits, as far as there is room for it.
func (p *Pace) next() {
	for start := p.take(); start != nil; start = p.take() {
		if !start() {
			p.mu.Lock()
			p.running--
			p.mu.Unlock()
		}
	}
}

// take counts the next renewal in and returns its start, or nil.
func (p *Pace) take() (start func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.ready.Front()
	if first == nil || !p.hasRoom() {
		return nil
	}
	p.running++
	l := first.Value.(*lane)
	start, l.waiting = l.waiting[0], l.waiting[1:]
	if len(l.waiting) > 0 {
		p.ready.MoveToBack(first)
	} else {
		p.ready.Remove(first)
		p.forget(l)
	}
	return start
}

// lane is the one of a tenant. The caller holds p.mu.
func (p *Pace) lane(tenant string) *lane {
	l := p.lanes[tenant]
	if l == nil {
		l = &lane{tenant: tenant}
		p.lanes[tenant] = l
	}
	return l
}

// forget drops a lane that holds nothing. The caller holds p.mu.
func (p *Pace) forget(l *lane) {
	if l.timer == nil && len(l.waiting) == 0 {
		delete(p.lanes, l.tenant)
	}
}
