package leaktest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

var errLeft = errors.New("a goroutine is left")

// finder is goleak.Find of goroutines that end after a while.
type finder struct {
	end  time.Time
	opts []string
}

func goroutinesFor(d time.Duration) *finder { return &finder{end: time.Now().Add(d)} }

func (f *finder) find(opts ...string) error {
	f.opts = opts
	if time.Now().Before(f.end) {
		time.Sleep(500 * time.Millisecond)
		return errLeft
	}
	return nil
}

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		life, takes time.Duration
		err         error
	}{
		"nothing is left":    {},
		"they end in time":   {life: 2 * time.Minute, takes: 2 * time.Minute},
		"they end too late":  {life: time.Hour, takes: 3 * time.Minute, err: errLeft},
		"they end at last":   {life: 3*time.Minute - time.Second, takes: 3*time.Minute - time.Second},
		"they end in a blip": {life: time.Millisecond, takes: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, f := time.Now(), goroutinesFor(c.life)
				assert.Equal(t, c.err, leaktest.Find(f.find, "ignored"))
				assert.Equal(t, c.takes, time.Since(began))
				assert.Equal(t, []string{"ignored"}, f.opts)
			})
		})
	}
}

// tests end with an exit status.
type tests int

func (s tests) Run() int { return int(s) }

func TestPatient(t *testing.T) {
	for name, c := range map[string]struct {
		status      tests
		life, takes time.Duration
	}{
		"goroutines end":        {life: time.Minute, takes: time.Minute},
		"goroutines stay":       {life: time.Hour, takes: 3 * time.Minute},
		"there are none":        {},
		"the tests have failed": {status: 1, life: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, f := time.Now(), goroutinesFor(c.life)
				assert.Equal(t, int(c.status), leaktest.Patient(c.status, f.find, "ignored").Run())
				assert.Equal(t, c.takes, time.Since(began))
				if c.status == 0 {
					assert.Equal(t, []string{"ignored"}, f.opts)
				}
			})
		})
	}
}

// A goroutine that takes longer to end than goleak waits isn't one that leaks.
func TestWithGoleak(t *testing.T) {
	ignore, end := goleak.IgnoreCurrent(), make(chan struct{})
	go func() { <-end }()
	var reported []error
	assert.NoError(t, leaktest.Find(func(opts ...goleak.Option) error {
		err := goleak.Find(opts...)
		if err != nil && len(reported) == 0 {
			close(end)
		}
		reported = append(reported, err)
		return err
	}, ignore))
	assert.ErrorContains(t, reported[0], "TestWithGoleak", "goleak alone would have reported it")
}
