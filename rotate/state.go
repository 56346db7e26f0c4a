package rotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/rotate/internal/disk"
)

const (
	stateVersion = 2
	stateSuffix  = ".rotation.json"
	lockSuffix   = ".rotation.lock"
	nextSuffix   = ".next"

	failAgainMax = time.Hour // the longest pause after a failure

	// Longer lists than these don't come from rotations that work.
	maxRetired = 16
	maxOrphans = 64
)

// state is what the state file holds. Everything in it was done before it was written, but
// for Asked, which is written before something is done.
type state struct {
	Version int `json:"version"`
	Status

	Since   time.Time `json:"since,omitzero"`     // when Current was first seen in use
	Rests   bool      `json:"rests,omitempty"`    // a rotation has ended at Since: the next one isn't begun at once
	Next    bool      `json:"next,omitempty"`     // the files of a new pair, if there are any, were made here
	KeyName string    `json:"key_name,omitempty"` // of the new key in a KeyStore
	Asked   time.Time `json:"asked,omitzero"`     // when the registrar was asked to add New; zero: it has answered
	Granted time.Time `json:"granted,omitzero"`   // since when tokens are granted for New; zero: they aren't

	// Removing is why a retired key wasn't removed. Failing is about the other steps.
	Removing *Failure `json:"removing,omitempty"`
}

// readState reads a state file. One that isn't there is the state before the first step.
// content is the file's, nil where it isn't there.
func readState(d disk.Disk, path string) (s *state, content []byte, err error) {
	content, err = d.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{Version: stateVersion, Status: Status{Step: StepWait}}, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	s = new(state)
	if err := json.Unmarshal(content, s); err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrState, path, err)
	}
	return s, content, s.check(path)
}

func (s *state) check(path string) error {
	switch {
	case s.Version != stateVersion:
		return fmt.Errorf("%w: %s has version %d, and this program knows %d", ErrState, path, s.Version, stateVersion)
	case !slices.Contains([]Step{StepWait, StepMake, StepRegister, StepConfirm, StepSwitch, StepUse}, s.Step):
		return fmt.Errorf("%w: %s names the step %.20q", ErrState, path, s.Step)
	case s.New == nil && slices.Contains([]Step{StepRegister, StepConfirm, StepSwitch, StepUse}, s.Step):
		return fmt.Errorf("%w: %s has no new key for the step %s", ErrState, path, s.Step)
	case len(s.Retired) > maxRetired || len(s.Orphans) > maxOrphans:
		return fmt.Errorf("%w: %s has %d retired keys and %d orphans, and this program knows of at most %d and %d",
			ErrState, path, len(s.Retired), len(s.Orphans), maxRetired, maxOrphans)
	case s.Failing != nil && s.Failing.Count < 0 || s.Removing != nil && s.Removing.Count < 0:
		return fmt.Errorf("%w: %s counts less than no failures", ErrState, path)
	}
	return nil
}

// notAfter corrects times that a clock wrote which was ahead then and isn't any more: what would
// be waited for, up to years, begins now.
func (s *state) notAfter(now time.Time, removeAfter time.Duration) {
	correct := func(t *time.Time, latest time.Time) {
		if t.After(latest) {
			*t = latest
		}
	}
	correct(&s.Since, now)
	correct(&s.Granted, now)
	if s.New != nil {
		correct(&s.New.Registered, now)
	}
	for i := range s.Retired {
		correct(&s.Retired[i].RemoveAt, now.Add(removeAfter))
	}
	for _, f := range []*Failure{s.Failing, s.Removing} {
		if f != nil {
			correct(&f.Since, now)
			correct(&f.Again, now.Add(failAgainMax))
		}
	}
}

func (s *state) encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// present is the state for people: what comes next of everything that there is to do.
func (s *state) present() Status {
	status := s.Status
	status.Retired, status.Orphans = slices.Clone(s.Retired), slices.Clone(s.Orphans)
	if due, ok := s.removalDue(); ok && due.Before(status.Due) && s.settled() {
		status.Step, status.Due = StepRemove, due
	}
	if status.Failing == nil {
		status.Failing = s.Removing
	}
	return status
}

// settled reports whether the key in the file is one that the client was granted a token for
// since it is there, so that others may be removed.
func (s *state) settled() bool { return s.Step != StepSwitch && s.Step != StepUse }

// removalDue is when the next retired key may be removed, if there is one.
func (s *state) removalDue() (due time.Time, ok bool) {
	for _, k := range s.Retired {
		if !ok || k.RemoveAt.Before(due) {
			due, ok = k.RemoveAt, true
		}
	}
	if ok && s.Removing != nil {
		if again := s.Removing.Again; again.After(due) {
			due = again
		}
	}
	return due, ok
}

// retire notes that a key is to be removed from a time on.
func (s *state) retire(k Key, at time.Time) (left *Key) {
	k.RemoveAt = at
	s.Retired = append(s.Retired, k)
	if len(s.Retired) > maxRetired {
		left, s.Retired = &s.Retired[0], slices.Delete(slices.Clone(s.Retired), 0, 1)
	}
	return left
}

// takeBack returns what is known about a key that is in the file again, and drops it from those
// that are to be removed.
func (s *state) takeBack(found Key) Key {
	same := func(k Key) bool { return k.Thumbprint == found.Thumbprint }
	for _, list := range []*[]Key{&s.Orphans, &s.Retired} { // of a retired one more is known
		if i := slices.IndexFunc(*list, same); i >= 0 {
			found = (*list)[i]
			found.RemoveAt, found.Note = time.Time{}, ""
			*list = slices.DeleteFunc(slices.Clone(*list), same)
		}
	}
	return found
}

// orphan notes that a key must be removed by hand, and reports whether that is new.
func (s *state) orphan(k Key, note string) bool {
	k.Note, k.RemoveAt = note, time.Time{}
	for _, known := range s.Orphans {
		if known.Thumbprint == k.Thumbprint && known.ID == k.ID && known.Registrar == k.Registrar {
			return false
		}
	}
	s.Orphans = append(s.Orphans, k)
	if len(s.Orphans) > maxOrphans {
		s.Orphans = slices.Delete(slices.Clone(s.Orphans), 0, 1)
	}
	return true
}

// forget drops the orphans with a thumbprint, and reports whether there were any.
func (s *state) forget(thumbprint string) bool {
	before := len(s.Orphans)
	s.Orphans = slices.DeleteFunc(slices.Clone(s.Orphans), func(k Key) bool {
		return strings.EqualFold(k.Thumbprint, thumbprint) || k.SHA1 != "" && strings.EqualFold(k.SHA1, thumbprint)
	})
	return len(s.Orphans) < before
}

// started forgets what is known about the new key.
func (s *state) started(step Step) {
	s.Step, s.New, s.KeyName = step, nil, ""
	s.Asked, s.Granted, s.Failing, s.Waiting = time.Time{}, time.Time{}, nil, ""
}

// ReadStatus reads how far the rotation of a certificate file is, as it was last recorded,
// without a client and without the network. The error wraps [fs.ErrNotExist] if no rotation
// has run for this file.
func ReadStatus(path string) (Status, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Status{}, fmt.Errorf("rotate: %w", err)
	}
	file := real + stateSuffix
	if disk.Missing(file) {
		return Status{}, fmt.Errorf("rotate: no rotation has run for %s: %w", path, fs.ErrNotExist)
	}
	s, _, err := readState(disk.Disk{}, file)
	if err != nil {
		return Status{}, fmt.Errorf("rotate: %w", err)
	}
	return s.present(), nil
}
