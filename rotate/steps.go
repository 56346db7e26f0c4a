package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
)

// wait begins a rotation when it is due.
func (t *turn) wait(ctx context.Context, begin bool) (again bool, err error) {
	s := t.state
	if err := t.ask.publish(ctx, t.current); err != nil {
		return false, err
	}
	if err := t.forgetNext(); err != nil {
		return false, err
	}
	t.setDue()
	if !begin && time.Now().Before(s.Due) {
		return false, nil
	}
	if t.pair.hasNext(t.at) {
		return false, fmt.Errorf("%s is there, and this rotation hasn't made it: %w", t.at.main+nextSuffix, errForeignNext)
	}
	if s.Current.ID == "" { // to be able to remove it later; without an id it becomes an orphan then
		if ids, err := t.ask.find(ctx, t.current, t.identity()); err == nil && len(ids) > 0 {
			t.ask.found(&s.Current, ids)
		}
	}
	t.anew()
	return true, t.done(StepWait, StepMake)
}

// forgetNext removes what a rotation has made that was given up. The files of others stay.
func (t *turn) forgetNext() error {
	if !t.state.Next {
		return nil
	}
	if err := t.fence(); err != nil {
		return err
	}
	if err := t.pair.forgetNext(t.at); err != nil {
		return err
	}
	t.state.Next = false
	return nil
}

// makePair makes the new pair in a file beside the present one.
func (t *turn) makePair(ctx context.Context) (again bool, err error) {
	s := t.state
	form, err := t.pair.form(t.at)
	if err != nil {
		return false, err
	}
	made, err := t.pair.make(ctx, t.current, s.KeyName, t.options)
	if err != nil {
		return false, err
	}
	if err := t.fence(); err != nil {
		return false, err
	}
	if err := t.pair.writeNext(ctx, t.at, form, made); err != nil {
		return false, err
	}
	key, err := keyOf(made)
	if err != nil {
		return false, err
	}
	s.New = &key
	return true, t.done(StepMake, StepRegister)
}

// otherRegistrarError says that a rotation was begun with another registrar.
type otherRegistrarError struct{ begun, given string }

func (e *otherRegistrarError) Error() string {
	return fmt.Sprintf("this rotation was begun with another registrar: the new key was given to %q, and now there is %q",
		e.begun, e.given)
}

func (e *otherRegistrarError) rotationAdvice() string {
	return "go on with that registrar until the rotation is over. If the new one must be used now, call Rotation.Begin " +
		"once: it makes another key, and reports the one that was given to the other registrar"
}

// checkRegistrar sees to it that a new key is confirmed where it was registered. With another
// registrar it is an error, unless a rotation is to begin: then another new key is made.
func (t *turn) checkRegistrar(begin bool) (again bool, err error) {
	s := t.state
	if s.Step != StepRegister && s.Step != StepConfirm || s.New.Registrar == "" || t.ask.registers(*s.New) {
		return false, nil
	}
	if !begin {
		return false, &otherRegistrarError{begun: s.New.Registrar, given: t.ask.name.identity}
	}
	t.giveUp(time.Now().UTC())
	t.anew()
	return true, t.save()
}

// register registers the new key beside the old one. That it is about to ask is recorded
// before, so that a crash between the server's answer and the record is noticed.
func (t *turn) register(ctx context.Context) (again bool, err error) {
	s := t.state
	next, err := t.next(ctx)
	if next == nil {
		return err == nil, err
	}
	before, beforeKey := s.Asked, *s.New
	if !s.Asked.IsZero() {
		known, err := t.isRegistered(ctx, next)
		if err != nil || known {
			return known, err
		}
		s.New.Twice = true // or once: whether it was there is known when it is looked for again
	}
	s.Asked, s.New.Registrar = time.Now().UTC(), t.ask.name.identity
	if err := t.save(); err != nil {
		return false, err
	}
	id, err := t.ask.add(ctx, next, t.identity())
	if err != nil {
		if errors.Is(err, ErrRefused) { // what is known is what was before
			s.Asked, *s.New = before, beforeKey
		}
		return false, err
	}
	return true, t.registered(id)
}

// registered records that the new key is registered, under ids of which none may be known.
func (t *turn) registered(ids ...string) error {
	s := t.state
	t.ask.found(s.New, ids)
	s.New.Registered = time.Now().UTC()
	s.Granted = time.Time{}
	return t.done(StepRegister, StepConfirm)
}

// isRegistered finds out whether the server knows the new key although no answer was recorded.
// If it doesn't, or doesn't know it yet, the key is registered again, and it may be there
// twice. What can't be found can't be removed by its id.
func (t *turn) isRegistered(ctx context.Context, next *certtoken.Certificate) (bool, error) {
	ids, err := t.ask.find(ctx, next, t.identity())
	switch {
	case err == nil && len(ids) > 0:
		return true, t.registered(ids...)
	case err == nil:
		return false, nil
	case !errors.Is(err, errors.ErrUnsupported):
		return false, err
	}
	_, err = t.grants(ctx, next)
	switch {
	case err == nil:
		return true, t.registered()
	case refusesKey(err):
		return false, nil
	}
	return false, err
}

// next returns the new pair, or nil where it is lost, and then a rotation begins anew.
func (t *turn) next(ctx context.Context) (*certtoken.Certificate, error) {
	next, err := t.pair.readNext(ctx, t.at)
	if err == nil {
		key, err := keyOf(next)
		if err != nil {
			return nil, err
		}
		if key.Thumbprint == t.state.New.Thumbprint {
			return next, nil
		}
	} else if !errors.Is(err, errNoNext) {
		return nil, err
	}
	t.options.Log.Warn("rotate: the file of the new pair is gone or another one, a new one is made")
	if t.mayBeRegistered() {
		t.retire(*t.state.New, time.Now().UTC())
	}
	t.anew()
	return nil, t.save()
}

// confirm finds out whether tokens are granted for the new key, again and again until they
// have been for a while.
func (t *turn) confirm(ctx context.Context) (again bool, err error) {
	s := t.state
	next, err := t.next(ctx)
	if next == nil {
		return err == nil, err
	}
	now, err := t.grants(ctx, next)
	if err != nil {
		s.Granted = time.Time{}
		return t.notYet(ctx, next, err)
	}
	if s.Granted.IsZero() || s.Granted.After(now) {
		s.Granted = now
	}
	if s.New.Registered.After(now) {
		s.New.Registered = now
	}
	usable := s.Granted.Add(t.options.Settle)
	delay, err := t.ask.delay()
	if err != nil {
		return false, err
	}
	if known := s.New.Registered.Add(delay); known.After(usable) {
		usable = known
	}
	if now.Before(usable) {
		s.Waiting = "tokens are granted for the new key; it is used from " + usable.Format(time.RFC3339) + " on"
		s.Due = time.Now().UTC().Add(min(probeAgain, usable.Sub(now)))
		return false, nil
	}
	return true, t.done(StepConfirm, StepSwitch)
}

// notYet deals with a refusal of the new key, which is what is expected for some minutes.
func (t *turn) notYet(ctx context.Context, next *certtoken.Certificate, why error) (again bool, err error) {
	s := t.state
	s.Due = time.Now().UTC().Add(probeAgain)
	if !refusesKey(why) {
		return false, why
	}
	s.Waiting = "the server doesn't know the new key yet: " + redact.Text(why.Error(), redact.MaxText)
	if time.Since(s.New.Registered) < patience {
		return false, nil
	}
	ids, err := t.ask.find(ctx, next, t.identity())
	if err == nil && len(ids) == 0 { // somebody has removed it
		s.New.ID, s.New.Registrar, s.New.Twice, s.Asked = "", "", false, time.Time{}
		return true, t.done(StepConfirm, StepRegister)
	}
	return false, fmt.Errorf("for %v no token is granted for the new certificate: %w",
		time.Since(s.New.Registered).Round(time.Minute), why)
}

// switchOver puts the new file in the place of the old one.
func (t *turn) switchOver(ctx context.Context) (again bool, err error) {
	s := t.state
	isNew := func() (bool, error) {
		key, err := keyOf(t.current)
		return key.Thumbprint == s.New.Thumbprint, err
	}
	if t.current != nil {
		switched, err := isNew()
		if err != nil {
			return false, err
		}
		if !switched {
			next, err := t.next(ctx)
			if next == nil {
				return err == nil, err
			}
		}
	} else if err := t.pair.checkHalfway(ctx, t.at, *s.New); err != nil {
		return false, err
	}
	if err := t.fence(); err != nil {
		return false, err
	}
	if err := t.pair.switchFiles(t.at); err != nil {
		return false, err
	}
	if t.current, err = t.pair.read(ctx, t.at); err != nil {
		return false, err
	}
	if switched, err := isNew(); err != nil || !switched {
		return false, errors.Join(errors.New("the file doesn't hold the new certificate"), err)
	}
	return true, t.done(StepSwitch, StepUse)
}

// use waits until the client was granted a token for the new key. From then on that is the
// current one, and the old one is to be removed later.
func (t *turn) use(ctx context.Context) (again bool, err error) {
	s := t.state
	uses, err := t.clientUses(ctx, *s.New)
	if err != nil {
		return false, err
	}
	if !uses {
		s.Due = time.Now().UTC().Add(useAgain)
		s.Waiting = "the client still signs with the old key"
		if time.Since(s.New.Registered) > patience {
			return false, errors.New("the client is granted tokens, but not for the new certificate in its file")
		}
		return false, nil
	}
	now := time.Now().UTC()
	t.retire(s.Current, now.Add(t.options.RemoveAfter))
	s.Current, s.Since, s.Rests = *s.New, now, true
	s.started(StepWait)
	return true, t.done(StepUse, StepWait)
}
