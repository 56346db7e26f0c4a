package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/single"
	"github.com/certtoken/certtoken/rotate/internal/disk"
)

// askLimit is how long a registrar may take for one call. A little less than a step, so that
// the step can still be recorded.
const askLimit = stepLimit - 5*time.Second

// maxID bounds what a registrar names a key by.
const maxID = 512

// named is a registrar by what the state and errors call it.
type named struct {
	text     string // for people, as its String says
	identity string // tells it from other registrars: two that are equal are the same place
}

// asker asks a registrar, which is anybody's code: it may hang, panic, and say secrets.
type asker struct {
	registrar Registrar
	name      named
	disk      disk.Disk
	calls     single.Caller[[]string]
}

func (a *asker) add(ctx context.Context, key *certtoken.Certificate, as Identity) (id string, err error) {
	ids, err := a.call(ctx, "add", func(ctx context.Context) ([]string, error) {
		id, err := a.registrar.Add(ctx, publicOf(key), as)
		return []string{id}, err
	})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

func (a *asker) remove(ctx context.Context, key Key, as Identity) error {
	_, err := a.call(ctx, "remove", func(ctx context.Context) ([]string, error) {
		return nil, a.registrar.Remove(ctx, key, as)
	})
	return err
}

// find returns the ids of a key. The error wraps errors.ErrUnsupported where the registrar
// can't find keys.
func (a *asker) find(ctx context.Context, key *certtoken.Certificate, as Identity) ([]string, error) {
	finder, ok := a.registrar.(Finder)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return a.call(ctx, "find", func(ctx context.Context) ([]string, error) {
		return finder.Find(ctx, publicOf(key), as)
	})
}

// publish lets a registrar that is a document have the key that signs now.
func (a *asker) publish(ctx context.Context, key *certtoken.Certificate) error {
	set, ok := a.registrar.(interface {
		publish(context.Context, *certtoken.Certificate) error
	})
	if !ok {
		return nil
	}
	_, err := a.call(ctx, "publish", func(ctx context.Context) ([]string, error) {
		return nil, set.publish(ctx, publicOf(key))
	})
	return err
}

// delay is how long a new key isn't to be used.
func (a *asker) delay() (time.Duration, error) {
	d, ok := a.registrar.(Delayer)
	if !ok {
		return 0, nil
	}
	return guarded(a.name.text, func() (time.Duration, error) { return max(0, d.Delay()), nil })
}

// found records the ids under which this registrar has a key. Later it is removed by all of
// them: where keys can't be found then, those beyond the first are reported.
func (a *asker) found(key *Key, ids []string) {
	key.Registrar = a.name.identity
	if len(ids) > 0 {
		key.ID, key.Twice = ids[0], key.Twice || len(ids) > 1
	}
}

// registers reports whether this registrar has a key, by what is recorded.
func (a *asker) registers(key Key) bool { return key.Registrar == a.name.identity }

func (a *asker) call(
	ctx context.Context, what string, f func(context.Context) ([]string, error),
) ([]string, error) {
	if err := a.disk.At("before " + what); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	ids, err := a.calls.Do(ctx, askLimit, func() ([]string, error) { return f(limited) })
	if err := a.disk.At("after " + what); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.name.text, redact.Error(err))
	}
	for _, id := range ids {
		if len(id) > maxID {
			return nil, fmt.Errorf("%s: an id of %d bytes, which is too long", a.name.text, len(id))
		}
		if !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
			return nil, fmt.Errorf("%s: the id %.60q has control characters, or isn't UTF-8", a.name.text, id)
		}
	}
	return ids, nil
}
