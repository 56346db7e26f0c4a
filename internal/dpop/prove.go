package dpop

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/certtoken/certtoken/internal/jws"
)

// Claims are what a proof says.
type Claims struct {
	Method string    // of the request
	Target string    // see [Target]
	Token  string    // that goes with the request; "": none
	Nonce  string    // of the server; "": none
	Time   time.Time // now, by the server's clock if that is known
}

// Prove makes a proof, with an id of its own (§4.2).
func (k *Key) Prove(ctx context.Context, c Claims) (string, error) {
	claims := struct {
		ID        string `json:"jti"`
		Method    string `json:"htm"`
		Target    string `json:"htu"`
		IssuedAt  int64  `json:"iat"`
		TokenHash string `json:"ath,omitempty"`
		Nonce     string `json:"nonce,omitempty"`
	}{ID: rand.Text(), Method: c.Method, Target: c.Target, IssuedAt: c.Time.Unix(), Nonce: c.Nonce}
	if c.Token != "" {
		claims.TokenHash = TokenHash(c.Token)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := k.header + "." + encode(payload)
	signature, err := jws.Sign(ctx, k.alg, k.signer(), []byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + encode(signature), nil
}
