package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// removeRetired removes one retired key, if that is due. The client must be granted a token for
// the key in the file just then.
func (t *turn) removeRetired(ctx context.Context) (removed bool, err error) {
	s := t.state
	now := time.Now()
	i := slices.IndexFunc(s.Retired, func(k Key) bool { return !now.Before(k.RemoveAt) })
	if i < 0 || !s.settled() {
		return false, nil
	}
	key := s.Retired[i]
	drop := func() error {
		s.Retired, s.Removing = slices.Delete(slices.Clone(s.Retired), i, i+1), nil
		return t.removed(key)
	}
	if key.Thumbprint == s.Current.Thumbprint || s.New != nil && key.Thumbprint == s.New.Thumbprint {
		return true, drop() // somebody has put it back: it is in use
	}
	uses, err := t.clientUses(ctx, s.Current)
	if err != nil || !uses {
		return false, errors.Join(errors.New("nothing is removed before the client was granted a token for the "+
			"certificate in its file"), err)
	}
	if sure := sureTime(t.about); sure.Before(key.RemoveAt) {
		return false, fmt.Errorf("this machine's clock is %v ahead of the token endpoint's, by which the old key isn't to "+
			"be removed before %s: set the clock", now.Sub(sure).Round(time.Second), key.RemoveAt.Format(time.RFC3339))
	}
	ids, left, err := t.idsOf(ctx, key)
	if err != nil {
		return false, err
	}
	inUse, sure := t.idsInUse(ctx, key)
	if !sure {
		ids, left = nil, "it has the same key as the certificate in use, whose id isn't known: removing one may "+
			"remove both"
	}
	for _, id := range ids {
		if slices.Contains(inUse, id) {
			continue
		}
		if err := t.fence(); err != nil {
			return false, err
		}
		one := key
		one.ID = id
		if err := t.ask.remove(ctx, one, t.identity()); err != nil {
			return false, err
		}
	}
	if left != "" {
		t.abandon(key, left)
	}
	return true, drop()
}

// idsOf are the ids of a retired key at the registrar. left says what they leave: a registration
// whose id isn't known, or one at another registrar.
func (t *turn) idsOf(ctx context.Context, key Key) (ids []string, left string, err error) {
	here := t.ask.registers(key)
	public, err := key.public()
	if err == nil {
		ids, err = t.ask.find(ctx, public, t.identity())
	} else {
		err = errors.ErrUnsupported // the state doesn't say what to look for
	}
	found := err == nil
	enough := here && key.ID != "" && !key.Twice
	if !found && !enough && !errors.Is(err, errors.ErrUnsupported) {
		return nil, "", err
	}
	switch {
	case !here && key.ID == "" && key.Registered.IsZero():
		left = fmt.Sprintf("it may be registered at %q, which gave no answer and isn't asked any more", key.Registrar)
	case !here:
		left = fmt.Sprintf("it is registered at %q, and now there is %q", key.Registrar, t.ask.name.identity)
	case !found && key.ID == "":
		left = "the id under which it is registered isn't known"
	case !found && key.Twice:
		left = "it was registered twice if the first answer was lost: the registration may hold it a second time, " +
			"under an id that isn't known"
	}
	if here && key.ID != "" && !slices.Contains(ids, key.ID) {
		ids = append(ids, key.ID)
	}
	return ids, left, nil
}

// idsInUse are the ids that aren't removed. sure is false if a key in use may be registered by an
// id of the retired one: a registrar may name keys by their public half, which a certificate
// that somebody has renewed shares with the one before.
func (t *turn) idsInUse(ctx context.Context, retired Key) (ids []string, sure bool) {
	s := t.state
	if s.Current.ID == "" {
		if found, err := t.ask.find(ctx, t.current, t.identity()); err == nil && len(found) > 0 {
			t.ask.found(&s.Current, found)
			ids = append(ids, found...)
		}
	}
	used := []Key{s.Current}
	if s.New != nil && t.mayBeRegistered() {
		used = append(used, *s.New)
	}
	sure = true
	for _, key := range used {
		if key.ID != "" {
			ids = append(ids, key.ID)
		} else if key.sharesKey(retired) {
			sure = false
		}
	}
	return ids, sure
}

// lookForOrphan looks whether an orphan is still registered, one at each turn, and forgets one
// that isn't: somebody has removed it. One of another registrar is left to people.
func (t *turn) lookForOrphan(ctx context.Context) {
	s := t.state
	i := slices.IndexFunc(s.Orphans, t.ask.registers)
	if i < 0 {
		return
	}
	orphan, others := s.Orphans[i], slices.Delete(slices.Clone(s.Orphans), i, i+1)
	s.Orphans = append(others, orphan) // the next turn looks for another one
	public, err := orphan.public()
	if err != nil {
		return
	}
	if ids, err := t.ask.find(ctx, public, t.identity()); err != nil || len(ids) > 0 {
		return
	}
	s.Orphans = others
	t.options.Log.Info("rotate: an orphan isn't registered any more", slog.String("key", orphan.String()))
}
