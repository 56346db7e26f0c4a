package spiffe

import (
	"context"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/certtoken/certtoken"
)

// How long a stream may be silent before it is opened anew.
const (
	minSilence  = 5 * time.Second // at least
	idleSilence = time.Minute     // when its answer had no SVID for us
)

// errNoNews is about a stream that was silent for too long.
var errNoNews = status.Error(codes.DeadlineExceeded, "no answer, or no new SVID in time")

// follower keeps a stream of X.509-SVIDs open, and passes on what it learns from that.
type follower struct {
	cfg   *config
	learn func(change func(standing) standing)
}

// follow returns when ctx ends.
func (f follower) follow(ctx context.Context, agent agent) {
	pauses := &doubling{}
	for ctx.Err() == nil {
		f.stream(ctx, agent)
		select {
		case <-time.After(pauses.Next()):
		case <-ctx.Done():
		}
	}
}

// stream opens a stream, again and again with go-spiffe's pauses when the agent has ended
// it. It returns when a stream has been silent for too long: an agent that is frozen, or
// that has forgotten about us, doesn't end it.
func (f follower) stream(ctx context.Context, agent agent) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := watcher{follower: f, ctx: ctx, silence: newSilence(maxAnswer, cancel)}
	defer w.silence.stop()
	_ = agent.WatchX509Context(ctx, w) // the watcher has heard of its error
}

// watcher hears the answers of one stream.
type watcher struct {
	follower
	ctx     context.Context // of the stream
	silence *silence        // ends it
}

var _ workloadapi.X509ContextWatcher = watcher{}

// OnX509ContextUpdate takes the SVID from an answer of the agent.
func (w watcher) OnX509ContextUpdate(answer *workloadapi.X509Context) {
	w.silence.allow(idleSilence)
	i, err := choose(w.cfg, x509Identities(answer.SVIDs))
	if err != nil { // an answer is complete, so what isn't in it was taken back
		w.learn(func(standing) standing { return without(err) })
		return
	}
	svid := answer.SVIDs[i]
	cert, err := certtoken.NewCertificate(svid.PrivateKey, svid.Certificates[0], svid.Certificates[1:])
	if err != nil {
		err = fmt.Errorf("spiffe: %s: the SVID of %s: %w", w.cfg.address, cut(svid.ID.String(), maxName), err)
		w.learn(func(known standing) standing { return known.refusing(svid.ID, err) })
		return
	}
	w.silence.allow(silenceAfter(cert, time.Now()))
	w.learn(func(known standing) standing { return known.taking(svid.ID, cert) })
}

// OnX509ContextWatchError notes why there is no answer. The agent is asked again.
func (w watcher) OnX509ContextWatchError(err error) {
	if w.ctx.Err() != nil { // by silence, or because the source was closed, which learns nothing
		w.learn(func(known standing) standing { return known.silent(explain(w.cfg, errNoNews)) })
		return
	}
	w.silence.allow(maxAnswer)
	err = explain(w.cfg, err)
	w.learn(func(known standing) standing {
		if isRefusal(err) {
			return without(err)
		}
		return known.failing(err)
	})
}

// silenceAfter is how long a stream may be silent after it has sent an SVID: until the last
// tenth of its life, by which each agent has sent the next one.
func silenceAfter(cert *certtoken.Certificate, now time.Time) time.Duration {
	life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
	return max(cert.Leaf.NotAfter.Add(-life/10).Sub(now), minSilence)
}
