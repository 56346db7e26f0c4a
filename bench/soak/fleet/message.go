package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/certtoken/certtoken/bench/soak/internal/load"
)

// settings are the first line that a worker reads. When its input ends, its
// coordinator has ended or wants it to.
type settings struct {
	Name     string        `json:"name"`
	Issuer   string        `json:"issuer"`
	TokenURL string        `json:"token_url"`
	CA       []byte        `json:"ca"` // PEM
	Cert     string        `json:"cert"`
	Redis    string        `json:"redis"` // address; "": share nothing
	Secret   []byte        `json:"secret"`
	Callers  int           `json:"callers"`
	Report   time.Duration `json:"report"` // between two figures

	Life      time.Duration `json:"life"`      // of a token
	Strangers time.Duration `json:"strangers"` // between scopes that are asked for once; 0: none
}

// message is a line that a worker writes.
type message struct {
	Handed  *handed  `json:"handed,omitempty"`
	Broken  string   `json:"broken,omitempty"` // at once: a worker may be killed before its figures come
	Figures *figures `json:"figures,omitempty"`
}

// handed is a token that a worker's callers were given, without the secret.
type handed struct {
	Scope   string    `json:"scope"`
	Sum     string    `json:"sum"`
	Expires time.Time `json:"expires"`
}

func sumOf(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// figures are what a worker has counted since its start.
type figures struct {
	Calls   int64            `json:"calls"`
	Failed  int64            `json:"failed"`
	Without int64            `json:"without"`
	Expired int64            `json:"expired"`
	Missed  int64            `json:"missed"`
	Waits   *load.Histogram  `json:"waits"`
	Others  *load.Histogram  `json:"others"`
	Events  map[string]int64 `json:"events"` // of the client's hooks
	Redis   map[string]int64 `json:"redis"`  // commands
	Usage   load.Usage       `json:"usage"`
	First   time.Duration    `json:"first"` // from the process's start to its first token

	Last bool `json:"last"` // the client is closed
	Left int  `json:"left"` // goroutines, more than before it was made
}

// speaker writes messages from many goroutines.
type speaker struct {
	mu  sync.Mutex
	out io.Writer
}

// say reports nothing: without a coordinator the worker ends anyway.
func (s *speaker) say(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(s.out).Encode(m)
}

// tally counts by name. Its zero value is empty.
type tally struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (t *tally) add(name string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int64)
	}
	t.counts[name] += n
}

func (t *tally) all() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}
