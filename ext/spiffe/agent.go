package spiffe

import (
	"context"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// maxRedial is the longest pause before the agent is dialled again. It listens on this
// machine, so asking often costs little, and by default gRPC pauses for 2 minutes.
const maxRedial = 5 * time.Second

// maxAnswer is how long the agent may take for its answer. Then it is asked anew. It is longer
// than the callers wait by default, so that an agent that is only slow serves later callers.
const maxAnswer = 30 * time.Second

// agent is what the sources need of the Workload API. [workloadapi.Client] is one.
type agent interface {
	// WatchX509Context reports each answer to the watcher until ctx ends. It dials anew by
	// itself.
	WatchX509Context(ctx context.Context, watcher workloadapi.X509ContextWatcher) error

	FetchJWTSVIDs(ctx context.Context, params jwtsvid.Params) ([]*jwtsvid.SVID, error)

	// Close ends every call under way.
	Close() error
}

// dial makes a connection to the agent of c, for the SVID that c wants. It does no I/O itself; what is wrong with the
// address shows in the calls.
func dial(c *config) (agent, error) {
	pauses := backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: maxRedial}
	return workloadapi.New(context.Background(),
		workloadapi.WithAddr(c.address),
		workloadapi.WithBackoffStrategy(redial{}),
		workloadapi.WithDialOptions(append(relevantOnly(c),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: pauses, MinConnectTimeout: maxRedial}))...))
}

// redial makes the pauses between the streams that the agent has ended: 500 ms, doubling
// to maxRedial.
type redial struct{}

func (redial) NewBackoff() workloadapi.Backoff { return &doubling{} }

type doubling struct{ failures int }

func (d *doubling) Next() time.Duration {
	const first = 500 * time.Millisecond
	pause := min(first<<min(d.failures, 10), maxRedial)
	d.failures++
	return pause
}

func (d *doubling) Reset() { d.failures = 0 }
