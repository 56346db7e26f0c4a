package main

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// bareMap is the floor of a cache: what a lookup costs if it does nothing but
// find the token and look at the clock.
type bareMap struct {
	mu     sync.RWMutex
	tokens map[string]bareToken
}

type bareToken struct {
	access  string
	expires time.Time
}

func newBareMap(scopes []string, e *endpoint) *bareMap {
	m := &bareMap{tokens: make(map[string]bareToken)}
	for _, scope := range scopes {
		m.tokens[strings.Clone(scope)] = bareToken{access: bareGrant(e), expires: time.Now().Add(time.Hour)}
	}
	return m
}

// bareGrant is an access token as it comes out of a JSON decoder.
func bareGrant(e *endpoint) string {
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(e.token()), &grant); err != nil {
		panic(err) // we wrote it
	}
	return grant.AccessToken
}

func (m *bareMap) get(scope string) string {
	m.mu.RLock()
	t, ok := m.tokens[scope]
	m.mu.RUnlock()
	if !ok || !time.Now().Before(t.expires) {
		return ""
	}
	return t.access
}
