package rotate_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
)

// isRegistered reports whether a program that starts now would be granted a token.
func (w *world) isRegistered() bool {
	cert, err := w.read()
	if err != nil {
		return false
	}
	for _, c := range w.registered() {
		if bytes.Equal(c.Certificate.Raw, cert.Leaf.Raw) {
			return true
		}
	}
	return false
}

// inTwoFiles has the pair in a certificate file and a key file.
func inTwoFiles(w *world) {
	data, err := os.ReadFile(w.file)
	require.NoError(w, err)
	key, rest := pem.Decode(data)
	cert, _ := pem.Decode(rest)
	w.keyFile = filepath.Join(w.dir, "app.key")
	require.NoError(w, os.WriteFile(w.keyFile, pem.EncodeToMemory(key), 0o600))
	require.NoError(w, os.WriteFile(w.file, pem.EncodeToMemory(cert), 0o600))
	w.certOpts = append(w.certOpts, certtoken.WithKeyFile(w.keyFile))
}

// Each boundary of a rotation: before and after every change of a file and every call of the
// registrar. The rotation is stopped there once, as by the end of the process, and once
// fails there. Started again it ends as if nothing had been, and at no moment the file holds
// a pair that the server doesn't know.
func TestStoppedAtEveryPoint(t *testing.T) {
	variants := map[string]struct {
		permitted []string // who can find keys
		change    func(*world)
		stop      bool
	}{
		"it is stopped":                     {[]string{clientID}, func(*world) {}, true},
		"it fails":                          {[]string{clientID}, func(*world) {}, false},
		"stopped where no key can be found": {nil, func(*world) {}, true},
		"stopped with a pair in two files":  {[]string{clientID}, inTwoFiles, true},
	}
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			points, step := 0, 1
			if testing.Short() { // all are stopped at without the race detector
				step = 9
			}
			for at := 1; at == 1 || at <= points; at += step {
				rules := certtokentest.GraphRules{Permitted: v.permitted}
				bubble(t, func(t *testing.T) { points = stoppedAt(t, rules, v.change, at, v.stop) })
				if t.Failed() {
					return
				}
			}
			assert.Greater(t, points, 30)
			t.Logf("%d points", points)
		})
	}
}

// stoppedAt makes a rotation that is stopped, or fails, at the point with a number, and returns
// how many points there are.
func stoppedAt(t *testing.T, rules certtokentest.GraphRules, change func(*world), at int, stop bool) int {
	points, where := 0, ""
	w := newWorld(t, rules, change, func(w *world) {
		w.options.RemoveAfter = time.Hour
		w.options = w.options.WithFault(func(point string) error {
			points++
			assert.True(t, w.isRegistered(), "stopped at %s: %s", where, point)
			if points != at {
				return nil
			}
			where = point
			if stop {
				panic(stopped{point})
			}
			return errInjected
		})
	})
	old := w.current()
	var status rotate.Status
	for tries := 0; ; tries++ {
		require.Less(t, tries, 2000, "stopped at %s: %+v", where, status)
		var err error
		begin := tries == 0 || at > points // a stop before the rotation began leaves nothing of it
		if until(func() {
			if begin && bytes.Equal(w.current().Leaf.Raw, old.Leaf.Raw) {
				status, err = w.rotation.Begin(context.Background())
			} else {
				status, err = w.rotation.Advance(context.Background())
			}
		}) {
			w.restart()
			require.NoError(t, w.client.Check(context.Background(), scope), "stopped at %s", where)
			if bytes.Equal(w.current().Leaf.Raw, old.Leaf.Raw) {
				_, err := w.rotation.Begin(context.Background())
				require.NoError(t, err, "stopped at %s", where)
			}
			continue
		}
		if err != nil {
			require.ErrorIs(t, err, errInjected, "stopped at %s", where)
			require.NotContains(t, err.Error(), "PRIVATE")
			if bytes.Equal(w.current().Leaf.Raw, old.Leaf.Raw) {
				_, err := w.rotation.Begin(context.Background())
				require.NoError(t, err, "stopped at %s", where)
			}
		}
		if err == nil && status.Step == rotate.StepWait && !bytes.Equal(w.current().Leaf.Raw, old.Leaf.Raw) {
			break
		}
		time.Sleep(max(time.Until(status.Due), time.Second))
	}
	assert.True(t, w.isRegistered(), "stopped at %s", where)
	names := named(status)
	inUse := 0
	for _, c := range w.registered() {
		thumbprint := thumbprintOf(c.Certificate.Raw)
		assert.True(t, names[thumbprint], "stopped at %s: the state doesn't name what is registered", where)
		if thumbprint == status.Current.Thumbprint {
			inUse++
		}
	}
	if len(rules.Permitted) > 0 {
		assert.Empty(t, status.Orphans, "stopped at %s", where)
		assert.Len(t, w.registered(), 1, "stopped at %s", where)
	}
	assert.LessOrEqual(t, inUse, 2, "stopped at %s", where)
	assert.Empty(t, w.leftovers(), "stopped at %s", where)
	return points
}

// A registration whose answer is lost is found, and isn't made twice.
func TestALostAnswer(t *testing.T) {
	for name, permitted := range map[string][]string{"keys can be found": {clientID}, "keys can't be found": nil} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{Permitted: permitted})
				w.server.Graph().FailFunc(lostOnce("addKey"))
				_, err := w.rotation.Begin(context.Background())
				var failed *rotate.Error
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, rotate.StepRegister, failed.Step)
				assert.False(t, errors.Is(err, rotate.ErrRefused), "%v", err)
				status := w.rotate()
				assert.Len(t, w.registered(), 2)
				if permitted == nil {
					assert.Empty(t, status.Current.ID, "nobody knows it")
				} else {
					assert.NotEmpty(t, status.Current.ID)
				}
				time.Sleep(8 * day)
				status = w.advance()
				want := 1
				if permitted == nil {
					want = 2 // the first one, whose id isn't known
					require.Len(t, status.Orphans, 1)
				}
				assert.Len(t, w.registered(), want)

				// A rotation later the key without an id is an orphan too.
				w.rotate()
				time.Sleep(8 * day)
				status = w.advance()
				assert.Len(t, status.Orphans, map[bool]int{true: 2, false: 0}[permitted == nil])
				for _, c := range w.registered() {
					assert.True(t, named(status)[thumbprintOf(c.Certificate.Raw)])
				}
			})
		})
	}
}

// A removal whose answer is lost is made again, which is no error.
func TestALostAnswerToARemoval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{Permitted: []string{clientID}})
		w.rotate()
		w.server.Graph().FailFunc(lostOnce("removeKey"))
		time.Sleep(8 * day)
		_, err := w.rotation.Advance(context.Background())
		require.Error(t, err)
		time.Sleep(time.Minute)
		status := w.advance()
		assert.Empty(t, status.Retired)
		assert.Len(t, w.registered(), 1)
	})
}

// A hundred rotations while programs use the file, each stopped at a point of its own and
// started again: no call fails, there is always a registered key, and none is left that the
// state doesn't name.
func TestAHundredRotations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		points, next, random := 0, 1, newRandom()
		w := newWorld(t, certtokentest.GraphRules{Propagation: time.Minute, Servers: 3, Permitted: []string{clientID}},
			func(w *world) {
				w.options.RemoveAfter = 10 * time.Minute
				w.options.Certificate = selfsigned.Options{Validity: day}
				w.options = w.options.WithFault(func(point string) error {
					assert.True(t, w.isRegistered(), point)
					if points++; points == next {
						next += 1 + random.IntN(60)
						panic(stopped{point})
					}
					return nil
				})
			})
		callers := w.startLoad(3, 3*time.Minute)
		stops, rotations, wanted := 0, 0, 100
		if testing.Short() {
			wanted = 15
		}
		const enough = 50 // stops; how many points a rotation has depends on which caller asks first
		last := w.current()
		for rotations < wanted || stops < enough {
			var status rotate.Status
			var err error
			begin := bytes.Equal(last.Leaf.Raw, w.current().Leaf.Raw)
			if until(func() {
				if begin {
					status, err = w.rotation.Begin(context.Background())
				} else {
					status, err = w.rotation.Advance(context.Background())
				}
			}) {
				stops++
				w.restart()
				continue
			}
			require.NoError(t, err)
			names := named(status)
			for _, c := range w.registered() {
				require.True(t, names[thumbprintOf(c.Certificate.Raw)], "%+v", status)
			}
			if status.Step == rotate.StepWait && len(status.Retired) == 0 && !begin {
				rotations++
				last = w.current()
				require.Len(t, w.registered(), 1)
				require.Empty(t, w.leftovers())
				require.Empty(t, status.Orphans)
				continue
			}
			time.Sleep(max(time.Until(status.Due), time.Second))
		}
		callers.end()
		t.Logf("%d stops, %d calls", stops, callers.calls.Load())
	})
}
