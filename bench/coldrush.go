package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// A rush on cold keys: so many goroutines ask at the same moment, each for a scope that
// nobody has asked for before. Unlike everything else here it has real connections: the
// token endpoint is a process of its own with TLS on loopback, and so are the callers,
// one process for each library, so that none of them inherits the connections, the
// memory or the goroutines of another.

// coldRush is how one library got through.
type coldRush struct {
	library    string
	http2      bool
	keys       int
	outcome    outcome
	sight      sight
	signatures time.Duration // what as many signatures take, on all cores, with nothing else
}

// peersRush is the largest rush for the others: with 10,000 keys most of their calls fail,
// after minutes.
const peersRush = 10_000

// rushLibraries are those that take part.
var rushLibraries = []string{nameOurs, nameLimited, nameMSAL, nameOAuth2}

// rushRow is a library, a number of keys and a protocol.
type rushRow struct {
	library string
	keys    int
	http2   bool
}

// manyKeys is where most calls of the others fail, after minutes.
const manyKeys = 10_000

// rushRows are the rows in the order of the tables: those of ours and the small ones of
// the others, or the large ones of the others, which are measured last.
func rushRows(cfg settings, largeOfOthers bool) (rows []rushRow) {
	for _, keys := range cfg.rushes {
		for _, http2 := range []bool{false, true} {
			for _, library := range rushLibraries {
				isOurs := library == nameOurs || library == nameLimited
				if keys > peersRush && library != nameOurs || largeOfOthers == (isOurs || keys < manyKeys) {
					continue
				}
				rows = append(rows, rushRow{library, keys, http2})
			}
		}
	}
	return rows
}

// rushLimit is when a row is ended.
const rushLimit = 4 * time.Minute

// takes is about how long a row takes, with a millisecond for a signature, or with calls
// that fail after half a minute.
func (r rushRow) takes() time.Duration {
	if r.keys >= manyKeys && r.library != nameOurs && r.library != nameLimited {
		return time.Minute
	}
	return time.Duration(r.keys) * time.Millisecond
}

// measureColdRush lets libraries through, one after the other.
func measureColdRush(cfg settings, progress func(string), rows []rushRow) ([]coldRush, error) {
	dir, err := os.MkdirTemp("", "certtoken-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var results []coldRush
	for _, row := range rows {
		what := fmt.Sprintf("a rush on %d cold keys, %s, %s", row.keys, protocol(row.http2), row.library)
		if !cfg.budget.allows(what, row.takes()) {
			continue
		}
		progress(what)
		r, err := rushOnce(row, cfg.budget.left(rushLimit), filepath.Join(dir, "roots.pem"))
		switch {
		case errors.Is(err, errTooLong):
			cfg.budget.omit(fmt.Sprintf("%s: %v", what, err))
		case err != nil:
			return nil, fmt.Errorf("%s: %w", row.library, err)
		default:
			results = append(results, r)
		}
	}
	return results, nil
}

// errTooLong ends a row that isn't through when its time is over.
var errTooLong = errors.New("ended, because it took too long")

// byTable sorts rows as the tables have them.
func byTable(a, b coldRush) int {
	order := func(r coldRush) int {
		at := r.keys*2*len(rushLibraries) + slices.Index(rushLibraries, r.library)
		if r.http2 {
			at += len(rushLibraries)
		}
		return at
	}
	return order(a) - order(b)
}

// rushOnce has a new endpoint and a new process of callers. The callers' process trusts
// the endpoint through SSL_CERT_FILE, so that each library uses the connections that it
// uses by default.
func rushOnce(row rushRow, limit time.Duration, roots string) (coldRush, error) {
	r := coldRush{library: row.library, http2: row.http2, keys: row.keys}
	server, err := startChild("endpoint", row.http2)
	if err != nil {
		return r, err
	}
	var at struct{ Host, Certificate string }
	if err := server.hear(&at); err != nil {
		return r, errors.Join(err, server.end(nil))
	}
	err = os.WriteFile(roots, []byte(at.Certificate), 0o600)
	if err == nil {
		err = callersOnce(&r, limit, at.Host, roots)
	}
	if err := errors.Join(err, server.end(&r.sight)); err != nil {
		return r, err
	}
	r.signatures = r.outcome.Sign * time.Duration(row.keys) / time.Duration(runtime.GOMAXPROCS(0))
	return r, nil
}

func callersOnce(r *coldRush, limit time.Duration, host, roots string) error {
	callers, err := startChild("caller", rushTask{Library: r.library, Keys: r.keys, Host: host}, "SSL_CERT_FILE="+roots)
	if err != nil {
		return err
	}
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = callers.cmd.Process.Kill() // an error means that it has ended
	})
	defer timer.Stop()
	err = callers.end(&r.outcome)
	if late.Load() {
		return errTooLong
	}
	return err
}

func protocol(http2 bool) string {
	if http2 {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}
