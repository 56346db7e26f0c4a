package rotate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/inside"
	"github.com/certtoken/certtoken/internal/redact"
)

const (
	probeLimit = 45 * time.Second // for a token that is asked for to find out whether it is granted
	probeAgain = 10 * time.Second // after a refusal of the new key, and while granting settles
	useAgain   = 30 * time.Second // while the client still signs with the old key

	// patience is how long a new key may be refused before that is a failure. Entra ID takes
	// some minutes.
	patience = 30 * time.Minute

	failAgain = time.Minute // the first pause after a failure; it doubles
)

// turn is one look at a rotation by the process that holds its lock.
type turn struct {
	*parts
	at      places
	state   *state
	written []byte                 // the state file's content; nil: it isn't there
	until   time.Time              // when another process may get the lock
	current *certtoken.Certificate // in the file; nil: it can't be read between two renames
}

// begin reads what there is.
func begin(ctx context.Context, p *parts, until time.Time) (*turn, error) {
	at, err := p.pair.places()
	if err != nil {
		return nil, err
	}
	t := &turn{parts: p, at: at, until: until}
	if t.state, t.written, err = readState(p.pair.disk, at.main+stateSuffix); err != nil {
		return nil, err
	}
	t.current, err = p.pair.read(ctx, at)
	if err != nil {
		if t.state.Step != StepSwitch {
			return nil, err
		}
		t.current = nil // the switch goes on
		return t, nil
	}
	return t, t.reconcile()
}

// save writes the state if it has changed.
func (t *turn) save() error {
	data, err := t.state.encode()
	if err != nil || bytes.Equal(data, t.written) {
		return err
	}
	if err := t.fence(); err != nil {
		return err
	}
	if err := t.pair.disk.Write(t.at.main+stateSuffix, data); err != nil {
		return fmt.Errorf("the state of the rotation can't be written: %w", err)
	}
	t.written = data
	return nil
}

// errOvertaken is a step that took too long.
var errOvertaken = errors.New("the step took so long that another process may have taken its place: nothing more " +
	"is changed")

// fence is asked before each change of a file and each call that changes something: it is an
// error once another process may have got the lock, or has changed the state.
func (t *turn) fence() error {
	if time.Now().After(t.until) {
		return errOvertaken
	}
	data, err := t.pair.disk.Read(t.at.main + stateSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if !bytes.Equal(data, t.written) {
		return errOvertaken
	}
	return nil
}

// reconcile compares the state with the file, which somebody else may have replaced.
func (t *turn) reconcile() error {
	key, err := keyOf(t.current)
	if err != nil {
		return err
	}
	s := t.state
	s.File, s.Registrar = t.at.main, t.ask.name.text
	s.notAfter(time.Now().UTC(), t.options.RemoveAfter)
	if s.Current.ID == "" && s.Current.Registered.IsZero() { // nobody knows yet where it is registered
		s.Current.Registrar = t.ask.name.identity
	}
	key.Registrar = t.ask.name.identity
	switch {
	case key.Thumbprint == s.Current.Thumbprint && s.Step != StepUse:
		return nil
	case key.Thumbprint == s.Current.Thumbprint:
		t.putBack()
		return nil
	case s.New != nil && key.Thumbprint == s.New.Thumbprint && (s.Step == StepSwitch || s.Step == StepUse):
		return nil // the step sees to it
	case s.Current.Thumbprint == "": // the first time
		key.ID = t.options.KeyID
	default:
		key = t.replacedByHand(key)
	}
	s.Current, s.Since, s.Rests = key, time.Now().UTC(), false
	t.setDue()
	return nil
}

// replacedByHand gives up a rotation whose old key isn't in the file any more, and returns what
// is known about the one that was found. What was registered is removed later. The file that was
// made is removed by the next step.
func (t *turn) replacedByHand(found Key) Key {
	s := t.state
	t.options.Log.Warn("rotate: somebody else has replaced the certificate file",
		slog.String("old", s.Current.String()), slog.String("new", found.String()))
	later := time.Now().UTC().Add(t.options.RemoveAfter)
	if s.New != nil && found.Thumbprint == s.New.Thumbprint {
		found = *s.New
	} else {
		t.giveUp(later)
		found = s.takeBack(found)
	}
	t.retire(s.Current, later)
	s.started(StepWait)
	return found
}

// putBack gives up a rotation whose new key was in the file: somebody has put the old one there
// again. Others may have read the new one.
func (t *turn) putBack() {
	t.options.Log.Warn("rotate: somebody has put the old certificate back into the file",
		slog.String("old", t.state.Current.String()), slog.String("new", t.state.New.String()))
	t.giveUp(time.Now().UTC().Add(t.options.RemoveAfter))
	t.state.started(StepWait)
	t.state.Since, t.state.Rests = time.Now().UTC(), true // not at once: it may be put back each time
	t.setDue()
}

// giveUp has the new key removed from a time on, if the registrar may have it.
func (t *turn) giveUp(at time.Time) {
	s := t.state
	if s.New == nil || !t.mayBeRegistered() {
		return
	}
	if s.Step != StepSwitch && s.Step != StepUse { // nobody has used it
		at = time.Now().UTC()
	}
	t.retire(*s.New, at)
}

// mayBeRegistered reports whether a registrar may have the new key. What was refused is nowhere.
func (t *turn) mayBeRegistered() bool { return t.state.New.Registrar != "" }

// anew begins a rotation.
func (t *turn) anew() {
	t.state.started(StepMake)
	t.state.Next = true
	if t.pair.store != nil {
		t.state.KeyName = newKeyName()
	}
}

// outcome is what is known after a try about why a step fails, and the error that it is told
// by. It tells hooks and the log of a failure.
func (t *turn) outcome(step Step, before *Failure, err error) (*Failure, error) {
	if err == nil {
		return nil, nil
	}
	err = redact.Error(err)
	now := time.Now().UTC()
	f := &Failure{Step: step, Since: now}
	if before != nil && before.Step == step {
		f.Since, f.Count = before.Since, before.Count
	}
	f.Count++
	pause := min(failAgain<<min(f.Count-1, 10), failAgainMax)
	var limited interface{ retryAfter() time.Duration }
	if errors.As(err, &limited) {
		pause = min(max(pause, limited.retryAfter()), failAgainMax)
	}
	f.Again, f.Error, f.Advice = now.Add(pause), err.Error(), adviceFor(step, err, t.ask.name.text)
	if step != StepRemove {
		t.state.Due = f.Again
	}
	t.options.Log.Warn("rotate: a step failed", slog.String("step", string(step)), slog.String("error", f.Error),
		slog.String("advice", f.Advice), slog.Int("failures", f.Count), slog.Time("again", f.Again))
	failure := &Error{Step: step, Advice: f.Advice, Err: err}
	t.tell(t.options.Hooks.Failed, Event{Step: step, Err: failure, Failures: f.Count, Advice: f.Advice})
	return f, failure
}

// done records a step and tells of it.
func (t *turn) done(step, next Step) error {
	t.state.Step, t.state.Failing, t.state.Waiting = next, nil, ""
	t.setDue()
	e := Event{Step: step}
	if err := t.save(); err != nil {
		return err
	}
	t.options.Log.Info("rotate: "+string(step)+" done", slog.String("next", string(next)),
		slog.Time("due", t.state.Due), slog.String("current", t.state.Current.String()))
	t.tell(t.options.Hooks.Done, e)
	return nil
}

// removed records that a retired key isn't registered any more, and tells of it.
func (t *turn) removed(key Key) error {
	if err := t.save(); err != nil {
		return err
	}
	t.options.Log.Info("rotate: remove done", slog.String("key", key.String()), slog.String("key_id", key.ID))
	t.tell(t.options.Hooks.Done, Event{Step: StepRemove, Old: key})
	return nil
}

// tell calls a hook with what is the same in all events.
func (t *turn) tell(hook func(Event), e Event) {
	if hook == nil {
		return
	}
	status := t.state.present()
	e.Next, e.Due = status.Step, status.Due
	if e.Old.Thumbprint == "" {
		e.Old = t.state.Current
	}
	if t.state.New != nil {
		e.New = *t.state.New
	}
	t.call(hook, e)
}

// abandon notes and tells that a key must be removed by hand.
func (t *turn) abandon(k Key, note string) {
	known := t.state.Orphans
	if !t.state.orphan(k, note) {
		return
	}
	if len(known) == maxOrphans {
		t.options.Log.Error("rotate: there are too many keys that must be removed by hand, so the first one isn't listed "+
			"any more", slog.String("key", known[0].String()), slog.String("sha256", known[0].Thumbprint),
			slog.String("reason", known[0].Note))
	}
	t.options.Log.Error("rotate: a key must be removed from the registration by hand",
		slog.String("key", k.String()), slog.String("sha256", k.Thumbprint), slog.String("reason", note))
	t.tell(t.options.Hooks.Orphan, Event{Step: StepRemove, Old: k, Advice: note})
}

// retire notes that a key is to be removed from a time on.
func (t *turn) retire(k Key, at time.Time) {
	if left := t.state.retire(k, at); left != nil {
		t.abandon(*left, fmt.Sprintf("there are over %d keys that couldn't be removed", maxRetired))
	}
}

// setDue sets when the next step is due.
func (t *turn) setDue() {
	if t.state.Step == StepWait {
		t.state.Due = t.dueOfRotation()
		return
	}
	t.state.Due = time.Now().UTC()
}

// dueOfRotation is when the key in the file is to be replaced. After a rotation that is at the
// earliest when a third of what was left then is over: a CA that ends soon issues certificates
// that are due as soon as they are made.
func (t *turn) dueOfRotation() time.Time {
	if t.current == nil || t.current.Leaf == nil {
		return t.state.Since.Add(t.options.Every)
	}
	leaf := t.current.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	due := leaf.NotAfter.Add(-min(t.options.Before, life/3*2))
	if since := t.state.Since; t.state.Rests && since.Before(leaf.NotAfter) {
		if earliest := since.Add(leaf.NotAfter.Sub(since) / 3); earliest.After(due) {
			due = earliest
		}
	}
	return due.UTC()
}

// identity is who asks the registrar: the key in the file is registered.
func (t *turn) identity() Identity { return Identity{Client: t.client, Certificate: t.current} }

// grants reports whether a token is granted for a pair that the client doesn't use yet, and
// returns the time then.
func (t *turn) grants(ctx context.Context, cert *certtoken.Certificate) (now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	made, err := t.about.Twin(cert)
	if err != nil {
		return time.Now(), err
	}
	twin := made.(*certtoken.Client)
	defer twin.Close()
	_, err = twin.Acquire(ctx, t.options.Probe)
	return sureTime(inside.ClientOf(twin)), err
}

// sureTime is a time that isn't later than the token endpoint's, as far as that is known: this
// machine's clock may have jumped ahead, and what is waited for isn't over then.
func sureTime(client inside.Client) time.Time {
	return time.Now().UTC().Add(min(0, client.Ahead()))
}

// clientUses reports whether the client is granted a token for a key, by the file that it
// follows. It asks for a token as any caller does, but not from the cache.
func (t *turn) clientUses(ctx context.Context, key Key) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	probe := t.options.Probe
	probe.Fresh = true
	if _, err := t.client.Acquire(ctx, probe); err != nil {
		return false, err
	}
	sum, granted := t.granted()
	return granted && key.is(sum), nil
}

// newKeyName is the name of a key in a KeyStore.
func newKeyName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "certtoken-" + hex.EncodeToString(b[:])
}
