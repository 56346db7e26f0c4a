package rotate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/regularfile"
	"github.com/certtoken/certtoken/internal/single"
	"github.com/certtoken/certtoken/rotate/internal/disk"
)

const (
	// backFor is how long the certificate before signs after the endpoint refused the one in
	// the file. Then that is tried again.
	backFor = 10 * time.Minute

	// backMost is how long the certificate before may sign at all after it was replaced, as
	// with a certtoken.FileSource.
	backMost = 24 * time.Hour

	// storePatience is how long a store is waited for while there is a good pair.
	storePatience = 5 * time.Second
)

// HeldKey is a source for a key that never leaves a [KeyStore]. The file at path holds the
// certificate, in PEM or DER, and is followed. Make the client with it, and its rotation makes
// the new key in the same store. Old keys stay in the store.
//
// While the file can't be used, or the store doesn't have the key of a new one within 5 s, the last
// good pair stays in use. While the token endpoint
// refuses the certificate in the file, the one before signs, if it was granted a token in this
// process and is valid, for at most a day. It may be used from many goroutines.
func HeldKey(path string, store KeyStore) *HeldKeySource {
	return &HeldKeySource{path: path, store: store}
}

// HeldKeySource is what [HeldKey] makes.
type HeldKeySource struct {
	path  string
	store KeyStore
	files regularfile.Reader
	calls single.Caller[struct{}]

	mu      sync.Mutex // held for assignments only
	content []byte     // of the file that current is from
	current *certtoken.Certificate
	worked  bool                   // current was granted a token
	before  *certtoken.Certificate // was granted a token and then replaced; nil: none
	since   time.Time              // when current was first found
	refused time.Time              // when the endpoint refused current
	err     error                  // why the file isn't in use
}

var (
	_ certtoken.CertSource = (*HeldKeySource)(nil)
	_ certtoken.Reloader   = (*HeldKeySource)(nil)
)

// Certificate returns the certificate in the file with its key. The error is that of the file
// or of the store, if there was never a pair.
func (s *HeldKeySource) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	data, err := s.files.Read(ctx, s.path, disk.MaxFile)
	if err == nil && !s.isCurrent(data) {
		err = s.load(ctx, data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	switch {
	case s.current == nil:
		return nil, fmt.Errorf("rotate: %s: %w", s.path, err)
	case s.isBack():
		return s.before, nil
	}
	return s.current, nil
}

// load looks for the key of a certificate that is new in the file. The store may hang: while there
// is a pair, it is waited for a moment only, and that pair goes on.
func (s *HeldKeySource) load(ctx context.Context, data []byte) error {
	limit := askLimit
	if s.hasPair() {
		limit = storePatience
	}
	_, err := s.calls.Do(ctx, limit, func() (struct{}, error) {
		if s.isCurrent(data) { // another caller has loaded it meanwhile
			return struct{}{}, nil
		}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
		defer cancel()
		cert, err := heldPair(limited, data, s.store)
		if err == nil {
			s.found(cert, data)
		}
		return struct{}{}, err
	})
	if errors.Is(err, single.ErrNoAnswer) {
		err = fmt.Errorf("the key store: %w", err)
	}
	return err
}

func (s *HeldKeySource) hasPair() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil
}

// isBack reports whether the pair before signs. The caller holds s.mu.
func (s *HeldKeySource) isBack() bool {
	return s.before != nil && !s.refused.IsZero() && time.Since(s.refused) < backFor &&
		time.Since(s.since) < backMost && s.before.Valid(time.Now()) == nil
}

func (s *HeldKeySource) isCurrent(data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && bytes.Equal(s.content, data)
}

// isOf reports whether a certificate is the one in the file. It may be another source's, or a
// key without one. The caller holds s.mu.
func (s *HeldKeySource) isOf(cert *certtoken.Certificate) bool {
	return s.current != nil && cert != nil && cert.Leaf != nil && bytes.Equal(cert.Leaf.Raw, s.current.Leaf.Raw)
}

func (s *HeldKeySource) found(cert *certtoken.Certificate, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.worked {
		s.before = s.current
	}
	s.current, s.content, s.worked, s.since, s.refused = cert, data, false, time.Now(), time.Time{}
}

// Reload is told that the endpoint refused a certificate.
func (s *HeldKeySource) Reload(_ context.Context, refused *certtoken.Certificate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOf(refused) && !s.worked {
		s.refused = time.Now()
	}
	return s.err
}

// Granted is told that the endpoint granted a token for a certificate.
func (s *HeldKeySource) Granted(cert *certtoken.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOf(cert) {
		s.worked, s.before, s.refused = true, nil, time.Time{}
	}
}

// Health says why the certificate in the file isn't in use, or returns nil.
func (s *HeldKeySource) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return fmt.Errorf("rotate: %s: %w", s.path, s.err)
	case s.isBack():
		return fmt.Errorf("rotate: %s: the token endpoint refused this certificate; the one before it signs", s.path)
	}
	return nil
}

// newest is the SHA-256 of the certificate in the file, and whether a token was granted for it.
func (s *HeldKeySource) newest() (sum [32]byte, granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return sum, false
	}
	return sha256.Sum256(s.current.Leaf.Raw), s.worked
}

// String names the source by its path.
func (s *HeldKeySource) String() string { return "rotate.HeldKey(" + s.path + ")" }
