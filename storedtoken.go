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

// maxStoreEntry is the size of the largest entry that is opened, in bytes.
const maxStoreEntry = 2 * exchange.MaxBody

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
}

func newStoredToken(t *Token) storedToken {
	s := t.secret()
	return storedToken{
		Access: s.access, Type: t.typ, Scopes: t.scopes, Extra: s.extra, Refresh: s.user().refresh, ID: s.user().id,
		Granted: t.granted().UnixNano(), Renew: t.renew, Expires: t.expires,
	}
}

// token makes a token of this process from an entry, or returns nil if the entry has
// expired or isn't plausible.
func (st storedToken) token(asked []string, at clock.Reading, b *mtls.Binding) *Token {
	granted, expires := time.Unix(0, st.Granted), time.Unix(0, st.Expires)
	lifetime := expires.Sub(granted)
	if !syntax.IsVisible(st.Access+st.Type) || st.Access == "" || st.Type == "" ||
		lifetime <= 0 || lifetime > exchange.MaxLife || granted.After(at.Time.Add(maxBackdate)) {
		return nil
	}
	if !granted.Add(handOutTime(lifetime)).After(at.Time) {
		return nil
	}
	g := exchange.Answer{
		Access: st.Access, Type: st.Type, Scopes: st.Scopes, Lifetime: lifetime,
		Extra: st.Extra, Refresh: st.Refresh, ID: st.ID,
	}
	// The token's life began when it was granted, also on this process's clocks. If that
	// is in the future by this machine's clock, it begins now.
	past := clock.Reading{Mono: at.Mono - max(0, at.Time.Sub(granted)), Ahead: at.Ahead, Time: granted}
	t := newToken(g, asked, past, b)
	t.renew = st.Renew
	t.life.Renew = min(past.Mono+time.Duration(st.Renew-st.Granted), t.life.End)
	return t
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
