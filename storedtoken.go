package certtoken

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/seal"
	"github.com/certtoken/certtoken/internal/syntax"
)

// maxStoreEntry is as much as is opened of an entry.
const maxStoreEntry = 2 * exchange.MaxBody

// maxFuture is how far in this process's future a stored token may have been granted.
// The clocks of machines that are kept right differ by less.
const maxFuture = time.Minute

// storedToken is an entry before it is sealed.
type storedToken struct {
	Access  string   `json:"access_token"`
	Type    string   `json:"token_type"`
	Scopes  []string `json:"scopes,omitempty"`
	Extra   string   `json:"extra,omitempty"`
	Refresh string   `json:"refresh_token,omitempty"`
	ID      string   `json:"id_token,omitempty"`
	Granted int64    `json:"granted"` // Unix nanoseconds
	Renew   int64    `json:"renew"`
	Expires int64    `json:"expires"`
	Issued  int64    `json:"issued,omitempty"` // Unix seconds by the endpoint's clock; 0: not known
}

func newStoredToken(t *Token) storedToken {
	s := t.secret()
	return storedToken{
		Access: s.access, Type: t.typ, Scopes: t.scopes, Extra: s.extra, Refresh: s.user().refresh, ID: s.user().id,
		Granted: t.granted().UnixNano(), Renew: t.renew, Expires: t.expires, Issued: t.issued,
	}
}

// token is the entry as a token of this process, or nil if it is over or makes no
// sense. ahead is how far the endpoint's clock is ahead of this process's, as far as
// that is known.
func (st storedToken) token(asked []string, at clock.Reading, ahead time.Duration, b *mtls.Binding) *Token {
	granted, end, ok := st.span(at.Time, ahead)
	if !ok || !syntax.IsVisible(st.Access+st.Type) || st.Access == "" || st.Type == "" {
		return nil
	}
	lifetime := end.Sub(granted)
	if !granted.Add(usable(lifetime)).After(at.Time) {
		return nil
	}
	a := exchange.Answer{
		Access: st.Access, Type: st.Type, Scopes: st.Scopes, Lifetime: lifetime,
		Extra: st.Extra, Refresh: st.Refresh, ID: st.ID,
	}
	// The answer lies back by so much on this process's clocks too.
	// If it was granted in what this clock takes for the future, it starts now.
	past := clock.Reading{Mono: at.Mono - max(0, at.Time.Sub(granted)), Ahead: at.Ahead, Time: granted}
	t := newToken(a, asked, past, b)
	t.issued = st.Issued
	renewIn := min(time.Duration(st.Renew-st.Granted), lifetime)
	t.renew = granted.Add(renewIn).UnixNano()
	t.life.Renew = min(past.Mono+renewIn, t.life.End)
	return t
}

// span is when the entry's token was granted and when it ends, by this process's clock.
//
// The entry was written by a process whose clock may be wrong, and it is read by one
// whose clock may be wrong too. The token ends when the endpoint says so, or at the
// writer's end if that is earlier. If this process's clock is behind the endpoint's,
// both are moved back by as much; if it is ahead, nothing is moved, since the token then
// ends too early and never too late. A token that comes from the future shows that one
// of the clocks is wrong in a way that isn't known, so it isn't used.
func (st storedToken) span(now time.Time, ahead time.Duration) (granted, end time.Time, ok bool) {
	granted, end = time.Unix(0, st.Granted), time.Unix(0, st.Expires)
	lifetime := end.Sub(granted)
	if lifetime <= 0 || lifetime > exchange.MaxLife {
		return granted, end, false
	}
	latest := granted
	if st.Issued != 0 {
		issued := time.Unix(st.Issued, 0)
		if issued.After(latest) {
			latest = issued
		}
		if byEndpoint := issued.Add(lifetime); byEndpoint.Before(end) {
			granted, end = issued, byEndpoint
		}
	}
	behind := max(0, ahead)
	if latest.Add(-behind).After(now.Add(maxFuture)) {
		return granted, end, false
	}
	return granted.Add(-behind), end.Add(-behind), true
}

func sealEntry(k seal.Key, name string, st storedToken) ([]byte, error) {
	plain, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return k.Seal(name, plain), nil
}

func openEntry(k seal.Key, name string, sealed []byte) (st storedToken, err error) {
	if len(sealed) > maxStoreEntry {
		return st, errors.New("an entry is too large")
	}
	plain, err := k.Open(name, sealed)
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(plain, &st); err != nil {
		return st, errors.New("an entry can't be read")
	}
	return st, nil
}
