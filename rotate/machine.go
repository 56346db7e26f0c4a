package rotate

import (
	"context"
	"errors"
	"time"
)

// make makes the next step. Where that has to wait, or fails, a retired key is removed if that
// is due: neither keeps the other from being done. again reports whether another step can
// follow at once.
func (t *turn) make(ctx context.Context, now bool) (again bool, err error) {
	if err := t.pair.disk.At("turn " + string(t.state.Step)); err != nil {
		return false, err
	}
	step := t.state.Step
	again, err = t.makeStep(ctx, now)
	if ended := interrupted(ctx); ended != nil && err != nil {
		return false, errors.Join(ended, t.save()) // what was done is recorded
	}
	t.state.Failing, err = t.outcome(step, t.state.Failing, err)
	if !again && err == nil && step == StepWait {
		t.lookForOrphan(ctx)
	}
	if !again && t.canRemove() {
		removed, failed := t.removeRetired(ctx)
		if ended := interrupted(ctx); ended != nil && failed != nil {
			return false, errors.Join(ended, t.save())
		}
		t.state.Removing, failed = t.outcome(StepRemove, t.state.Removing, failed)
		again = removed && err == nil
		if err == nil {
			err = failed
		}
	}
	if saveErr := t.save(); saveErr != nil {
		return false, errors.Join(err, t.failed(ctx, step, saveErr))
	}
	return again && err == nil, err
}

// canRemove reports whether a retired key is to be removed now: it is due, and so is the next
// try after a failure.
func (t *turn) canRemove() bool {
	due, ok := t.state.removalDue()
	return ok && t.state.settled() && !time.Now().Before(due)
}

func (t *turn) makeStep(ctx context.Context, now bool) (again bool, err error) {
	if again, err = t.checkRegistrar(now); again || err != nil {
		return again, err
	}
	switch t.state.Step {
	case StepMake:
		return t.makePair(ctx)
	case StepRegister:
		return t.register(ctx)
	case StepConfirm:
		return t.confirm(ctx)
	case StepSwitch:
		return t.switchOver(ctx)
	case StepUse:
		return t.use(ctx)
	}
	return t.wait(ctx, now)
}
