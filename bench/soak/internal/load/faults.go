package load

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
)

var faultList = []certtokentest.Fault{
	{Status: http.StatusInternalServerError},
	{Status: http.StatusServiceUnavailable, RetryAfter: time.Second},
	certtokentest.Throttle(time.Second),
	{Code: 90033},
	{Delay: 1500 * time.Millisecond},
	{BodyDelay: 800 * time.Millisecond},
	{Shape: certtokentest.ResetConnection},
	{Shape: certtokentest.TruncatedBody},
	{Shape: certtokentest.HTML},
	{Shape: certtokentest.EmptyBody},
	{Shape: certtokentest.OversizedBody},
	{Shape: certtokentest.NoToken},
	{Shape: certtokentest.Redirect, Location: "https://elsewhere.invalid/"},
	{Error: "invalid_client"},
}

// Faults is what goes wrong at a token endpoint.
type Faults struct {
	part  float64
	down  atomic.Bool
	count atomic.Int64
}

// NewFaults has a part of the server's token requests fail, each in one way of
// the list.
func NewFaults(server *certtokentest.Server, part float64) *Faults {
	f := &Faults{part: part}
	server.FailFunc(f.next)
	return f
}

// SetDown(true) refuses every request by 503, SetDown(false) ends that.
func (f *Faults) SetDown(down bool) { f.down.Store(down) }

// Count is the number of requests that something went wrong with.
func (f *Faults) Count() int64 { return f.count.Load() }

func (f *Faults) next(*certtokentest.Request) *certtokentest.Fault {
	if f.down.Load() {
		f.count.Add(1)
		return &certtokentest.Fault{Status: http.StatusServiceUnavailable}
	}
	if rand.Float64() >= f.part {
		return nil
	}
	f.count.Add(1)
	fault := faultList[rand.N(len(faultList))]
	return &fault
}

// Loses reports whether a fault keeps a token that was granted from its client.
func Loses(fault *certtokentest.Fault) bool {
	if fault == nil {
		return false
	}
	switch fault.Shape {
	case certtokentest.TruncatedBody, certtokentest.OversizedBody, certtokentest.NoToken:
		return true
	}
	return false
}
