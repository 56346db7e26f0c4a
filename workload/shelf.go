package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// Times and bounds of what is kept.
const (
	endMargin  = 2 * time.Minute  // before its end, in which a token isn't handed out
	longLife   = 2 * time.Hour    // from which on a token is renewed after half of it
	afterFault = 30 * time.Second // until the next try to renew a token that is still valid
	maxKept    = 64               // audiences
)

// token is a service's answer.
type token struct {
	text    string
	expires time.Time // zero: unknown, so that it isn't kept
}

// readToken reads an answer.
func readToken(service string, body []byte) (token, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresOn   seconds `json:"expires_on"` // since 1970
		ExpiresIn   seconds `json:"expires_in"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return token{}, fmt.Errorf("%s: the answer has no access_token", service)
	}
	t := token{text: answer.AccessToken}
	switch {
	case answer.ExpiresOn > 0:
		t.expires = time.Unix(int64(answer.ExpiresOn), 0)
	case answer.ExpiresIn > 0:
		t.expires = time.Now().Round(0).Add(time.Duration(answer.ExpiresIn) * time.Second)
	}
	return t, nil
}

// seconds is a number or a text that holds one. What is neither, or more than a hundred years,
// is 0.
type seconds int64

func (s *seconds) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && n > 0 && n < 4e9 {
		*s = seconds(n)
	}
	return nil
}

// shelf keeps tokens by their audience. One goroutine at a time fetches one.
type shelf struct {
	turn chan struct{} // has an element while somebody fetches

	mu   sync.Mutex // guards the rest
	kept map[string]kept
}

type kept struct {
	token token
	renew time.Time // from when on another one is fetched
}

func newShelf() *shelf {
	return &shelf{turn: make(chan struct{}, 1), kept: make(map[string]kept)}
}

// isValid reports whether the token is handed out. Its end is a time of the wall clock, so that
// a machine that slept is seen.
func (k kept) isValid(now time.Time) bool { return now.Before(k.token.expires.Add(-endMargin)) }

// get returns the token for an audience, the kept one or a new one. A token that is due for
// renewal is handed out while somebody else renews it, or if that fails.
func (s *shelf) get(ctx context.Context, audience string, fetch func() (token, error)) (string, error) {
	now := time.Now()
	old := s.look(audience)
	if now.Before(old.renew) {
		return old.token.text, nil
	}
	select {
	case s.turn <- struct{}{}:
	default:
		if old.isValid(now) {
			return old.token.text, nil
		}
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for another request for a token: %w", context.Cause(ctx))
		}
	}
	defer func() { <-s.turn }()
	if old = s.look(audience); time.Now().Before(old.renew) { // somebody else has fetched it
		return old.token.text, nil
	}
	t, err := fetch()
	if err != nil && old.isValid(time.Now()) {
		old.renew = time.Now().Add(afterFault).Round(0)
		s.keep(audience, old)
		return old.token.text, nil
	}
	if err != nil {
		return "", err
	}
	s.keep(audience, kept{t, renewAt(t)})
	return t.text, nil
}

// renewAt is when another token is fetched: for a long-lived one after half of its life.
func renewAt(t token) time.Time {
	now := time.Now()
	if life := t.expires.Sub(now); life > longLife {
		return now.Add(life / 2).Round(0)
	}
	return t.expires.Add(-endMargin)
}

func (s *shelf) look(audience string) kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[audience]
}

// keep keeps a token. Where there are too many audiences, those before are forgotten: a source
// has one audience, as a rule.
func (s *shelf) keep(audience string, k kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.kept[audience]; !known && len(s.kept) >= maxKept {
		clear(s.kept)
	}
	s.kept[audience] = k
}
