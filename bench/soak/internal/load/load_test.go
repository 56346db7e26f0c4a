package load

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

func TestHistogram(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Microsecond)
	}
	require.InEpsilon(t, 500*time.Microsecond, h.At(0.5), 0.15)
	require.InEpsilon(t, 990*time.Microsecond, h.At(0.99), 0.15)
	require.Equal(t, time.Millisecond, h.At(1))
	for _, d := range []time.Duration{0, 1, 7, 8, 9, 1000, time.Hour} {
		require.LessOrEqual(t, d, upper(step(d)))
	}
}

func TestHistogramsOfProcessesAddUp(t *testing.T) {
	var whole, sum Histogram
	for part := range 3 {
		var h, there Histogram
		for i := range 100 {
			d := time.Duration(1+part*100+i) * time.Millisecond
			h.Add(d)
			whole.Add(d)
		}
		data, err := json.Marshal(&h)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(data, &there))
		sum.Merge(&there)
	}
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
		assert.Equal(t, whole.At(q), sum.At(q), "%v", q)
	}
}

func TestGrown(t *testing.T) {
	flat := func(n int) Usages {
		list := make(Usages, n)
		for i := range list {
			list[i] = Usage{Heap: 10 << 20, Goroutines: 50, Files: 20}
		}
		return list
	}
	for _, c := range []struct {
		name   string
		change func(u Usages)
		want   string // "": nothing grew
	}{
		{"flat", func(Usages) {}, ""},
		{"a peak early", func(u Usages) { u[3].Heap *= 10; u[3].Files *= 10; u[3].Goroutines *= 10 }, ""},
		{"a peak late", func(u Usages) { u[28].Heap *= 10; u[28].Files *= 10; u[28].Goroutines *= 10 }, ""},
		{"the heap, bit by bit", func(u Usages) {
			for i := range u {
				u[i].Heap += uint64(i) << 20
			}
		}, "the heap grew"},
		{"goroutines, bit by bit", func(u Usages) {
			for i := range u {
				u[i].Goroutines += i
			}
		}, "the goroutines grew from at most 59 in the first third to at least 70"},
		{"files, bit by bit", func(u Usages) {
			for i := range u {
				u[i].Files += i
			}
		}, "the open files grew"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := flat(30)
			c.change(list)
			err := list.Grown()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	require.ErrorContains(t, flat(2).Grown(), "too few")
}

func TestThirds(t *testing.T) {
	var list Usages
	for i := range 9 {
		list = append(list, Usage{Files: i})
	}
	assert.Equal(t, []int{1, 4, 7}, []int{list.Third(0).Files, list.Third(1).Files, list.Third(2).Files})
	assert.Equal(t, 5, Usages{{Files: 5}}.Third(2).Files)
}

// The callers see what they are there to see.
func TestCallersJudge(t *testing.T) {
	now := time.Now()
	token := func(access string, left time.Duration) Handed {
		return Handed{Scope: scopeName(0), Access: access, Expires: now.Add(left)}
	}
	var broken []error
	var handed []string
	c := &Callers{
		Broken: func(err error) { broken = append(broken, err) },
		Handed: func(h Handed) { handed = append(handed, h.Access) },
	}
	c.count(true, time.Millisecond, nil)
	c.count(false, time.Second, errors.New("endpoint down"))
	c.take(&c.newest[0], token("a", time.Second), now, now)
	c.take(&c.newest[0], token("a", time.Second), now, now)
	c.take(&c.newest[0], token("b", 2*time.Second), now, now)
	assert.Empty(t, broken)
	assert.Equal(t, []string{"a", "b"}, handed)
	assert.Equal(t, "b", c.newest[0].Load().Access)

	c.count(true, time.Millisecond, errors.New("endpoint down"))
	c.take(&c.newest[0], token("c", 0), now, now)
	require.Len(t, broken, 2)
	assert.ErrorContains(t, broken[0], "although a valid token existed: endpoint down")
	assert.ErrorContains(t, broken[1], "after its end")
	assert.Equal(t, "b", c.newest[0].Load().Access, "an older one doesn't take its place")
	assert.Equal(t, []int64{3, 1, 1, 1}, []int64{c.Calls.Load(), c.Failed.Load(), c.Without.Load(), c.Expired.Load()})
	assert.Equal(t, time.Second, c.Others.At(1))

	// A call that took longer than a client keeps from a token's end may have got it in time.
	long := now.Add(Lifetime/20 + time.Millisecond)
	c.take(&c.newest[0], token("d", time.Millisecond), now, long)
	assert.Equal(t, int64(1), c.Expired.Load())
	c.take(&c.newest[0], token("e", 0), now, long)
	c.take(&c.newest[0], token("f", time.Millisecond), now, now.Add(2*time.Millisecond))
	assert.Equal(t, int64(3), c.Expired.Load())

	for _, scope := range []int{0, 1} { // of which one has a token
		c.newest[0].Store(&Handed{Access: "d", Expires: now.Add(Lifetime)})
		c.Miss(certtoken.Event{Scopes: []string{scopeName(scope)}})
	}
	assert.Equal(t, int64(1), c.Missed.Load())
}

// A client whose endpoint dies for good: nothing fails while the tokens are
// valid, everything afterwards.
func TestCallersOfADeadEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithTokenLifetime(Lifetime), certtokentest.WithOpaqueTokens())
		faults := NewFaults(server, 0)
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		server.Register("soak", cert.Leaf)
		client, err := certtoken.NewClient(server.Authority(), "soak", cert, certtoken.WithHTTPClient(server.Client()))
		require.NoError(t, err)
		defer client.Close()
		for i := range scopes {
			_, err := client.Token(t.Context(), scopeName(i))
			require.NoError(t, err)
		}
		faults.SetDown(true)
		c := &Callers{Client: client, Pause: 10 * time.Millisecond, Strangers: time.Hour}
		run := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			c.Run(ctx, 4)
		}
		run(Lifetime - Lifetime/20 - time.Second)
		require.Zero(t, c.Failed.Load()+c.Without.Load()+c.Expired.Load())
		require.NotZero(t, c.Calls.Load())
		run(20 * time.Second)
		require.Zero(t, c.Failed.Load()+c.Expired.Load())
		require.NotZero(t, c.Without.Load())
		require.NotZero(t, faults.Count())
	})
}
