package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if isWorker() {
		os.Exit(workerMain())
	}
	goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find))
}

// patience is how long a test waits for what must come. It only ends a test that hangs.
const patience = 5 * time.Minute

// needsRedis skips a test where there is no server program. CI must have one.
func needsRedis(t *testing.T) string {
	t.Helper()
	program, err := redisProgram()
	if err == nil {
		return program
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v, and CI needs one", err)
	}
	t.Skipf("%v: nothing was tested", err)
	return ""
}

// TestFleet is a short run, so that the program stays one that runs.
func TestFleet(t *testing.T) {
	needsRedis(t)
	if testing.Short() {
		t.Skip("takes eight seconds: not with -short")
	}
	var out strings.Builder
	require.NoError(
		t,
		run(t.Context(), config{duration: 8 * time.Second, workers: 3, callers: 8, faults: 0.25,
			strange: usualStrangers, out: &out}),
	)
	assert.Regexp(t, `\| calls \| [1-9]`, out.String())
	assert.Regexp(t, `get [1-9]`, out.String(), "commands of Redis")
	assert.Regexp(t, `\| trouble \| .* [1-9]`, out.String())
}

// Each trouble can be made, and the fleet gets over it.
func TestTroubles(t *testing.T) {
	needsRedis(t)
	if testing.Short() {
		t.Skip("takes some seconds: not with -short")
	}
	f := &fleet{cfg: config{duration: time.Minute, workers: 2, callers: 4, strange: usualStrangers, out: io.Discard},
		ledger: newLedger()}
	defer func() { assert.NoError(t, f.end()) }()
	require.NoError(t, f.start())
	require.Eventually(t, func() bool { return f.server.CountGranted() > 40 }, patience, 10*time.Millisecond)
	for _, trouble := range troubles {
		require.NoError(t, trouble.make(f, t.Context(), 300*time.Millisecond), trouble.name)
	}
	assert.Len(t, f.crew.past, 1, "one was replaced")
	assert.True(t, f.redis.answers())
	granted := f.server.CountGranted()
	require.Eventually(t, func() bool { return f.server.CountGranted() > granted }, patience, 10*time.Millisecond)
	// Which entries are corrupted is a matter of chance, and so is whether there are any just then.
	for begin := time.Now(); f.corrupted.Load() == 0 && time.Since(begin) < patience; {
		require.NoError(t, f.corrupt(t.Context(), 300*time.Millisecond))
	}
	assert.NotZero(t, f.corrupted.Load())
	f.crew.stop()
	assert.NoError(t, f.crew.fates())
	assert.Zero(t, f.broken.Load())
}

// Redis may be gone for long: processes get tokens of their own meanwhile, and share again
// when it is back.
func TestOutage(t *testing.T) {
	needsRedis(t)
	if testing.Short() {
		t.Skip("takes a quarter of a minute: not with -short")
	}
	shared := regexp.MustCompile(`\| after that \| [1-9].* [1-9]\d* kB to Redis`)
	var text string
	// A store that failed is left alone for 5 s, so the rest of the run is longer. How much of it
	// is left for sharing again depends on the machine: a run in which there was none is too
	// short, and says nothing.
	for _, duration := range []time.Duration{14 * time.Second, 20 * time.Second, 28 * time.Second} {
		var out strings.Builder
		cfg := config{duration: duration, workers: 3, callers: 4, outage: time.Second, out: &out}
		require.NoError(t, run(t.Context(), cfg))
		if text = out.String(); shared.MatchString(text) {
			break
		}
	}
	assert.Regexp(t, `\| trouble \| Redis gone 1 \|`, text)
	assert.Regexp(t, `\| before Redis was gone \| [1-9].* [1-9]\d* kB to Redis`, text)
	// Whether a token is due in that second is a matter of chance.
	assert.Regexp(t, `\| while Redis was gone, [1-9]\d* s \| \d+ requests`, text)
	assert.Regexp(t, shared, text)
	assert.Regexp(t, `first token of a process, after its start \| half within [1-9]`, text)
}

// Whatever way a run ends, nothing that it started is left.
func TestInterrupted(t *testing.T) {
	needsRedis(t)
	if testing.Short() {
		t.Skip("takes a second: not with -short")
	}
	f := &fleet{
		cfg:    config{duration: time.Minute, workers: 3, callers: 2, calm: true, out: io.Discard},
		ledger: newLedger(),
	}
	require.NoError(t, f.start())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	assert.NoError(t, f.work(ctx))
	require.NoError(t, stopProcess(f.redis.pid()), "a frozen one ends too")
	require.NoError(t, f.end())

	children := []*exec.Cmd{f.redis.cmd}
	for _, p := range f.crew.all() {
		children = append(children, p.cmd)
	}
	assert.Len(t, children, 4)
	for _, child := range children {
		assert.NotNil(t, child.ProcessState, "%s has ended and was waited for", child.Path)
	}
	assert.NoError(t, f.crew.fates(), "the workers ended as they were told")
	assert.NoDirExists(t, f.dir)
}

func TestInterruptedRunFails(t *testing.T) {
	needsRedis(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, config{duration: time.Minute, workers: 2, callers: 1, out: io.Discard})
	assert.ErrorIs(t, err, errInterrupted)
}

// A worker that dies although nobody killed it is told of.
func TestWorkerEndsByItself(t *testing.T) {
	needsRedis(t)
	f := &fleet{
		cfg:    config{duration: time.Minute, workers: 2, callers: 1, calm: true, out: io.Discard},
		ledger: newLedger(),
	}
	defer func() { assert.NoError(t, f.end()) }()
	require.NoError(t, f.start())
	dead := f.crew.working[1]
	require.NoError(t, dead.cmd.Process.Kill())
	<-dead.ended
	f.crew.stop()
	assert.ErrorContains(t, f.crew.fates(), "worker 1 ended by itself")
}

func TestOneWorkerIsNoFleet(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), config{workers: 1}), "2 workers")
}

func TestLedger(t *testing.T) {
	const scope, other = "api://soak-1/.default", "api://soak-2/.default"
	now := time.Now()
	issued := func(access, scope string, fault *certtokentest.Fault) certtokentest.Request {
		return certtokentest.Request{Time: now, Scope: scope, AccessToken: access, Fault: fault}
	}
	given := func(access, scope string, left time.Duration) handed {
		return handed{Scope: scope, Sum: sumOf(access), Expires: now.Add(left)}
	}
	for _, c := range []struct {
		name  string
		given handed
		want  string // "": nothing is wrong
	}{
		{"as issued", given("a", scope, load.Lifetime), ""},
		{"held to be shorter", given("a", scope, time.Second), ""},
		{
			"for another scope", given("a", other, load.Lifetime),
			"a token for " + scope + " was handed out for " + other,
		},
		{"held to be longer", given("a", scope, load.Lifetime+time.Second), "valid 1s longer than it is"},
		{"never issued", given("x", scope, load.Lifetime), "hasn't issued"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, early := range []bool{true, false} { // which of the two speaks first
				l := newLedger()
				requests := []certtokentest.Request{
					issued("a", scope, nil),
					issued("", scope, &certtokentest.Fault{Status: 500}),
				}
				if early {
					l.take(c.given)
					l.read(requests)
				} else {
					l.read(requests)
					l.take(c.given)
				}
				l.close()
				bad, wrong := l.blames()
				if c.want == "" {
					assert.Zero(t, bad)
					continue
				}
				assert.Equal(t, 1, bad)
				assert.Contains(t, strings.Join(wrong, "; "), c.want)
			}
		})
	}
}

func TestLedgerCountsOnce(t *testing.T) {
	l := newLedger()
	requests := []certtokentest.Request{
		{Scope: "api://soak-1/.default", AccessToken: "a"},
		{Scope: "api://soak-1/.default", AccessToken: "b", Fault: &certtokentest.Fault{Shape: certtokentest.NoToken}},
		{Scope: "api://stranger-0-1/.default", AccessToken: "c"},
	}
	l.read(requests)
	l.read(requests)
	l.take(handed{Sum: sumOf("a"), Scope: "api://soak-1/.default"})
	l.take(handed{Sum: sumOf("a"), Scope: "api://soak-1/.default"})
	whole, strange, lost, handed := l.counts()
	assert.Equal(t, []int{1, 1, 1, 1}, []int{whole, strange, lost, handed})
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*result)
		want  string // "": nothing is broken
	}{
		{"all well", func(*result) {}, ""},
		{"nobody called", func(r *result) { r.calls = 0 }, "nobody called"},
		{
			"a call failed", func(r *result) { r.broken, r.first = 1, "why" },
			"1 calls failed although a valid token existed or got an expired one, the first: why",
		},
		{
			"a wrong token", func(r *result) { r.bad, r.wrong = 1, []string{"why"} },
			"aren't what the endpoint issued: why",
		},
		{"a gap in the ledger", func(r *result) { r.granted++ }, "the ledger has"},
		{"a key for ever", func(r *result) { r.endless = 1 }, "1 keys in Redis never end"},
		{"callers wait", func(r *result) { r.waits.Add(time.Second) }, "waited"},
		{"a worker's fate", func(r *result) { r.fates = errors.New("worker 1 ended by itself") }, "ended by itself"},
		{"callers wait, in a short run", func(r *result) { r.took = 8 * time.Second; r.waits.Add(time.Second) }, ""},
		{"callers wait, in a run that was to be short", func(r *result) {
			r.cfg.duration = 8 * time.Second
			r.waits.Add(time.Second)
		}, ""},
		{"nothing is shared", func(r *result) { r.whole *= 4; r.granted = r.whole }, "hardly shares: 4.00 times"},
		{"nothing is shared, as told", func(r *result) { r.whole *= 4; r.granted = r.whole; r.cfg.alone = true }, ""},
		{
			"nothing is shared, in a short run",
			func(r *result) { r.took = 8 * time.Second; r.whole *= 4; r.granted = r.whole }, "",
		},
		{"files grow", func(r *result) {
			r.usages[0] = slices.Clone(r.usages[0])
			for i := range r.usages[0] {
				r.usages[0][i].Files += i
			}
		}, "worker 0: the open files grew"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &result{
				cfg:    config{workers: 4, duration: time.Minute},
				took:   time.Minute,
				calls:  1000,
				usages: [][]load.Usage{make([]load.Usage, 60)},
			}
			r.whole = int(r.needed())
			r.granted = r.whole
			r.waits.Add(time.Millisecond)
			c.spoil(r)
			err := r.verdict()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Every corruption changes something, and leaves the key its end.
func TestCorruptions(t *testing.T) {
	program := needsRedis(t)
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(dir, 0o700))
	server, err := startRedis(program, dir)
	require.NoError(t, err)
	defer server.close()
	ctx, client := t.Context(), server.client
	value, other := []byte("the value of this key"), []byte("and that of another")
	for i, way := range slices.Concat(subtle, gross) {
		require.NoError(t, client.FlushAll(ctx).Err())
		require.NoError(t, client.Set(ctx, "key", value, time.Minute).Err())
		require.NoError(t, way(ctx, client, "key", slices.Clone(value), other))
		now, err := client.Get(ctx, "key").Bytes()
		if err == nil {
			assert.NotEqual(t, value, now, "corruption %d", i)
		} else {
			assert.NotErrorIs(t, err, redis.Nil, "corruption %d", i)
		}
		n, all, err := server.endless(ctx)
		require.NoError(t, err)
		assert.Equal(t, []int{0, 1}, []int{n, all}, "corruption %d", i)
	}
	require.NoError(t, client.Set(ctx, "for ever", "x", 0).Err())
	n, all, err := server.endless(ctx)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, []int{n, all})
}
