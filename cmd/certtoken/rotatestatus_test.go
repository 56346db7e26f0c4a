package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken/rotate"
)

// What monitoring is told, and nothing else.
func TestAttention(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble begins
	well := rotate.Status{
		Step: rotate.StepWait, Due: now.Add(300 * day), Current: rotate.Key{NotAfter: now.Add(330 * day)},
	}
	for name, tt := range map[string]struct {
		change func(*rotate.Status)
		want   string // "": nothing
	}{
		"all is well":    {func(*rotate.Status) {}, ""},
		"a step is due":  {func(s *rotate.Status) { s.Due = now.Add(-time.Hour) }, ""},
		"a day late":     {func(s *rotate.Status) { s.Due = now.Add(-25 * time.Hour) }, ""},
		"two days late":  {func(s *rotate.Status) { s.Due = now.Add(-2 * day) }, "wait is 2 days late: is the timer"},
		"an old key":     {func(s *rotate.Status) { s.Retired = []rotate.Key{{ID: "x", RemoveAt: now.Add(day)}} }, ""},
		"another has it": {func(s *rotate.Status) { s.Held = true }, ""},
		"a key alone":    {func(s *rotate.Status) { s.Current.NotAfter = time.Time{} }, ""},
		"the end":        {func(s *rotate.Status) { s.Current.NotAfter = now.Add(-time.Second) }, "has ended"},
		"an orphan":      {func(s *rotate.Status) { s.Orphans = []rotate.Key{{ID: "x"}} }, "a key must be removed"},
		"two":            {func(s *rotate.Status) { s.Orphans = make([]rotate.Key, 2) }, "2 keys must be removed"},
		"one failure": {func(s *rotate.Status) {
			s.Failing = &rotate.Failure{Step: rotate.StepUse, Count: 1, Since: now, Advice: "look"}
		}, "use has failed once (" + now.Local().Format("2006-01-02 15:04:05 MST") + ", now): look"},
		"a failure": {func(s *rotate.Status) {
			s.Failing = &rotate.Failure{Step: rotate.StepRegister, Count: 3, Since: now.Add(-2 * day), Advice: "look"}
			s.Due, s.Failing.Again = now.Add(-3*day), now // tried since, so the timer runs
		}, "register has failed 3 times since"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := well
				tt.change(&s)
				got := attentionOf(s)
				switch {
				case tt.want == "" && len(got) > 0:
					t.Errorf("%q", got)
				case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

// A failure of a month ago isn't all that there is to say where nothing was tried since.
func TestAttentionWhereTheTimerIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now()
		time.Sleep(30 * day)
		got := attentionOf(rotate.Status{Step: rotate.StepRegister, Due: since.Add(time.Minute),
			Failing: &rotate.Failure{
				Step: rotate.StepRegister, Count: 1, Since: since, Again: since.Add(time.Minute), Advice: "look",
			}})
		text := strings.Join(got, "\n")
		if len(got) != 2 || !strings.Contains(text, "register has failed once") ||
			!strings.Contains(text, "register is 29 days late: is the timer running?") {
			t.Errorf("%q", got)
		}
	})
}

func TestRotationRows(t *testing.T) {
	now := time.Date(2026, 11, 28, 10, 0, 0, 0, time.Local) // days are local ones
	var text strings.Builder
	for _, r := range rotationRows(rotate.Status{
		File: "/a/app.pem", Registrar: "graph:applications/1", Step: rotate.StepConfirm, Due: now.Add(-time.Minute),
		Current: rotate.Key{Subject: "CN=a", Thumbprint: "beef", SHA1: "CAFE", ID: "1", NotAfter: now.Add(3 * day)},
		New:     &rotate.Key{Thumbprint: "f00d", ID: "f00d"},
		Retired: []rotate.Key{{Thumbprint: "0001", RemoveAt: now.Add(5 * day)}},
		Orphans: []rotate.Key{{Thumbprint: "0002", Note: "its id isn't known"}},
		Failing: &rotate.Failure{Step: rotate.StepConfirm, Count: 1, Error: "no"},
		Waiting: "for the server", Held: true,
	}, now) {
		text.WriteString(r.label + ": " + r.text + "\n")
	}
	want := `File: /a/app.pem
Registered: at graph:applications/1
In use: CN=a, CAFE, key id 1, until 2026-12-01, in 3 days
New: f00d
Old: 0001, to be removed 2026-12-03, in 5 days
By hand: remove 0002: its id isn't known
Waiting: for the server
Failing: confirm, once: no
Held: another process rotates the file now, so this run made no step
Next: confirm, due now: ` + rotate.StepConfirm.Explain() + "\n"
	if text.String() != want {
		t.Errorf("%s\nwant\n%s", text.String(), want)
	}
}

// A run waits for what is due within its time, and no longer.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		until := start.Add(time.Minute)
		if !pause(t.Context(), start.Add(20*time.Second), until) || time.Since(start) != 20*time.Second {
			t.Errorf("it waited for %v", time.Since(start))
		}
		if !pause(t.Context(), start, until) || time.Since(start) != 21*time.Second { // what is due waits a second
			t.Errorf("it waited for %v", time.Since(start))
		}
		if pause(t.Context(), until.Add(time.Second), until) || time.Since(start) != 21*time.Second {
			t.Errorf("it waited for what is too late, for %v", time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if pause(ctx, start.Add(50*time.Second), until) || time.Since(start) != 21*time.Second {
			t.Errorf("it waited after the interrupt, for %v", time.Since(start))
		}
	})
}
