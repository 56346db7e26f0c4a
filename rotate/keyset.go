package rotate

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/regularfile"
	"github.com/certtoken/certtoken/internal/workers"
	"github.com/certtoken/certtoken/jwks"
	"github.com/certtoken/certtoken/rotate/internal/disk"
)

const (
	defaultMaxAge = 5 * time.Minute // of package jwks

	// setLock is how long the file's lock is waited for. It is held for a moment.
	setLock      = 10 * time.Second
	setLockAgain = 20 * time.Millisecond

	// lookAgain is how long a request is answered from what the one before has read.
	lookAgain = time.Second
)

// JWKS registers keys in a JWK Set that the server reads by its URL (jwks_uri, RFC 7591 §2).
// path is the file that holds the set; it is made with the key that signs now if it isn't
// there. Serve it by a web server, or by the result, which is an [http.Handler].
//
// Keys that others have put into the file stay in it. A new key signs only after everybody
// who has read the set must have read it again (jwks.Options.MaxAge, 5 minutes by default). If
// a web server or a proxy allows more, set that.
func JWKS(path string) *KeySet { return JWKSOptions{}.Registrar(path) }

// JWKSOptions change what [JWKS] does.
type JWKSOptions struct {
	// Set says how keys are written, and for how long a reader may use them.
	Set jwks.Options
}

// Registrar is the function [JWKS] with these options.
func (o JWKSOptions) Registrar(path string) *KeySet {
	return &KeySet{options: o, path: path, disk: disk.Disk{Like: path}}
}

// KeySet is a JWK Set in a file. It may be used from many goroutines, and the file by many
// processes. Make one with [JWKS].
type KeySet struct {
	options JWKSOptions
	path    string
	disk    disk.Disk

	files  regularfile.Reader        // for requests, of which there may be many while the file hangs
	served atomic.Pointer[servedSet] // the last good one
	looked atomic.Pointer[time.Time] // when a request has read the file; nil: it must be read
}

// servedSet is a set in the form in which it is sent.
type servedSet struct {
	body []byte
	etag string
}

var (
	_ Finder       = (*KeySet)(nil)
	_ Delayer      = (*KeySet)(nil)
	_ http.Handler = (*KeySet)(nil)
)

func (s *KeySet) validate() error {
	if s == nil || s.path == "" {
		return errors.New("jwks: no path given")
	}
	return nil
}

// String names the set by its path.
func (s *KeySet) String() string { return "jwks:" + s.path }

// Publish adds keys to the set, such as the one that signs now, before the server is given
// the URL. A key that is there already is left alone. A rotation does so for the key in the
// client's file.
func (s *KeySet) Publish(keys ...*certtoken.Certificate) error {
	for _, key := range keys {
		if err := s.publish(context.Background(), key); err != nil {
			return fmt.Errorf("rotate: %s: %w", s, err)
		}
	}
	return nil
}

func (s *KeySet) publish(ctx context.Context, key *certtoken.Certificate) error {
	_, err := s.add(ctx, key)
	return err
}

// Add adds a key to the set. Its id is its kid.
func (s *KeySet) Add(ctx context.Context, key *certtoken.Certificate, _ Identity) (string, error) {
	return s.add(ctx, key)
}

// Remove takes the key with this kid out of the set.
func (s *KeySet) Remove(ctx context.Context, key Key, _ Identity) error {
	return s.change(ctx, func(d *document) (bool, error) {
		i := d.find(key.ID)
		switch {
		case i < 0:
			return false, nil
		case len(d.keys) == 1:
			return false, fmt.Errorf("%w: it is the last key of the set", ErrRefused)
		}
		d.keys = slices.Delete(d.keys, i, i+1)
		return true, nil
	})
}

// Find returns the kid of a key that is in the set.
func (s *KeySet) Find(_ context.Context, key *certtoken.Certificate, _ Identity) ([]string, error) {
	d, err := s.read()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, entry := range d.keys {
		if entry.holds(key.Signer.Public()) {
			ids = append(ids, entry.kid)
		}
	}
	return ids, nil
}

// Delay is how long a reader of the set may use it.
func (s *KeySet) Delay() time.Duration {
	if age := s.options.Set.MaxAge; age != 0 {
		return max(0, age)
	}
	return defaultMaxAge
}

func (s *KeySet) add(ctx context.Context, key *certtoken.Certificate) (kid string, err error) {
	made, err := s.entryOf(key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return made.kid, s.change(ctx, func(d *document) (bool, error) {
		if i := d.find(made.kid); i >= 0 {
			if !d.keys[i].holds(key.Signer.Public()) {
				return false, fmt.Errorf("%w: the set has another key with the kid %q", ErrRefused, made.kid)
			}
			return false, nil
		}
		d.keys = append(d.keys, made)
		return true, nil
	})
}

// entryOf is a key as the set has it.
func (s *KeySet) entryOf(key *certtoken.Certificate) (entry, error) {
	data, err := s.options.Set.Marshal(key)
	if err != nil {
		return entry{}, err
	}
	d, err := parseDocument(data)
	if err != nil {
		return entry{}, err
	}
	return d.keys[0], nil
}

// change changes the file, which no other process changes meanwhile.
func (s *KeySet) change(ctx context.Context, f func(*document) (bool, error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return &setError{err}
	}
	defer unlock()
	d, err := s.read()
	if err != nil {
		return err
	}
	changed, err := f(d)
	if err != nil || !changed {
		return err
	}
	data, err := d.encode()
	if err != nil {
		return err
	}
	if err := s.disk.Replace(s.file(), data); err != nil {
		return &setError{err}
	}
	s.looked.Store(nil)
	return nil
}

func (s *KeySet) lock(ctx context.Context) (unlock func(), err error) {
	for end := time.Now().Add(setLock); ; {
		unlock, err = s.disk.TryLock(s.file() + ".lock")
		if err != nil || unlock != nil {
			return unlock, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%w: another process holds the lock of %s", ErrRefused, s.path)
		}
		if !workers.Sleep(ctx, setLockAgain) {
			return nil, context.Cause(ctx)
		}
	}
}

// file is the file's path, links resolved if it is there.
func (s *KeySet) file() string {
	if real, err := filepath.EvalSymlinks(s.path); err == nil {
		return real
	}
	return s.path
}

func (s *KeySet) read() (*document, error) {
	data, err := s.disk.Read(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &document{members: map[string]json.RawMessage{}}, nil
	}
	if err != nil {
		return nil, &setError{err}
	}
	d, err := parseDocument(data)
	if err != nil {
		return nil, &setError{err}
	}
	return d, nil
}

// setError is what is the matter with the file of a set.
type setError struct{ err error }

func (e *setError) Error() string { return e.err.Error() }

func (e *setError) Unwrap() error { return e.err }

func (*setError) rotationAdvice() string {
	return "it is the file of the JWK Set: it must hold a set, without private keys, and its folder must be there " +
		"and be written to by the user who rotates; without the file a new set is made, with the present key"
}

// ServeHTTP answers GET and HEAD with the set, an ETag and Cache-Control, as [jwks.Handler]
// does. While the file can't be read, or holds a private key, the last good set is served. A
// change of the file that was not made here is served within a second.
func (s *KeySet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	set := s.current(r.Context())
	if set == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the keys can't be read now", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache")
	if age := s.Delay(); age > 0 {
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int64(age.Seconds())))
	}
	w.Header().Set("ETag", set.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(set.body))
}

// current is the set to serve, or nil if there was never one. Anybody may ask, so the file is read
// once a second, and by one request at a time.
func (s *KeySet) current(ctx context.Context) *servedSet {
	if last := s.looked.Load(); last != nil && time.Since(*last) < lookAgain {
		return s.served.Load()
	}
	if set := s.look(ctx); set != nil {
		s.served.Store(set)
	}
	if ctx.Err() == nil { // after the set is there: the next request goes by it
		now := time.Now()
		s.looked.Store(&now)
	}
	return s.served.Load()
}

// look reads the file for a request. It is nil if the file can't be served.
func (s *KeySet) look(ctx context.Context) *servedSet {
	data, err := s.files.Read(ctx, s.path, disk.MaxFile)
	if err != nil {
		return nil
	}
	d, err := parseDocument(data)
	if err != nil || len(d.keys) == 0 {
		return nil
	}
	body, err := d.encode()
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(body)
	return &servedSet{body, `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// document is the content of the file. What isn't known of it is kept.
type document struct {
	members map[string]json.RawMessage
	keys    []entry
}

// entry is one key of the set.
type entry struct {
	raw json.RawMessage
	kid string
}

// parseDocument reads a set. A private key has no place in it.
func parseDocument(data []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(data, &d.members); err != nil || d.members == nil {
		return nil, fmt.Errorf("it is no JSON object: %w", cmp.Or(err, errors.New("it is null")))
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(d.members["keys"], &raws); err != nil {
		return nil, errors.New("it has no list of keys, so it is no JWK Set")
	}
	for _, raw := range raws {
		var e struct {
			KeyID string `json:"kid"`
		}
		names, err := jws.MemberNames(raw)
		if err != nil || json.Unmarshal(raw, &e) != nil {
			return nil, errors.New("one of its keys is no JSON object")
		}
		if slices.ContainsFunc(names, isPrivate) {
			return nil, fmt.Errorf("the key with the kid %.40q is a private one: take it out and replace it everywhere",
				e.KeyID)
		}
		d.keys = append(d.keys, entry{raw, e.KeyID})
	}
	return d, nil
}

// privateMembers are those of a JWK of whatever kind that nobody else may know (RFC 7518 §6.2.2, §6.3.2
// and §6.4.1, RFC 8037 §2, and priv of the kind AKP). The primes alone are as good as d.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// isPrivate compares without case: some readers of JSON do.
func isPrivate(name string) bool {
	return slices.ContainsFunc(privateMembers, func(private string) bool { return strings.EqualFold(private, name) })
}

func (d *document) find(kid string) int {
	return slices.IndexFunc(d.keys, func(e entry) bool { return e.kid == kid && kid != "" })
}

func (d *document) encode() ([]byte, error) {
	raws := make([]json.RawMessage, len(d.keys))
	for i, e := range d.keys {
		raws[i] = e.raw
	}
	var err error
	if d.members["keys"], err = json.Marshal(raws); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(d.members, "", "  ")
	return append(data, '\n'), err
}

// holds reports whether the entry is of a public key.
func (e entry) holds(pub crypto.PublicKey) bool {
	key, err := jwk.Parse(e.raw)
	if err != nil {
		return false
	}
	same, ok := key.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && same.Equal(pub)
}
