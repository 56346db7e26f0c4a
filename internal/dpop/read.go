package dpop

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// Bounds of a proof, in bytes. One of an RSA key of 16384 bits has about 6 kB.
const (
	maxProof = 16 << 10
	maxID    = 256
)

// Proof is a proof whose signature was found to be that of the key in it. Whether it is
// one for a request, [Proof.Check] decides.
type Proof struct {
	Algorithm  string
	Thumbprint string // of its key
	ID         string
	Method     string
	Target     string
	TokenHash  string // "": none
	Nonce      string // "": none
	IssuedAt   time.Time
}

// Read reads a proof and verifies its signature (§4.3). Only the named algorithms are taken.
// Errors are sentences for the sender and repeat nothing of the proof.
func Read(compact string, algorithms []string) (*Proof, error) {
	if len(compact) > maxProof {
		return nil, fmt.Errorf("the proof has over %d bytes", maxProof)
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return nil, errors.New("the proof is not a JWT")
	}
	header, err := readObject(parts[0])
	if err != nil {
		return nil, err
	}
	claims, err := readObject(parts[1])
	if err != nil {
		return nil, err
	}
	signature, err := decode(parts[2])
	if err != nil {
		return nil, err
	}
	p := &Proof{Algorithm: header.text("alg")}
	switch {
	case header.text("typ") != typ:
		return nil, errors.New("the proof's typ is not " + typ)
	case !slices.Contains(algorithms, p.Algorithm):
		return nil, fmt.Errorf("the proof's alg is none of %s", strings.Join(algorithms, ", "))
	case header["crit"] != nil:
		return nil, errors.New("the proof has critical parameters")
	case header["jwk"] == nil:
		return nil, errors.New("the proof has no jwk")
	}
	key, err := jwk.Parse(header["jwk"])
	switch {
	case err != nil:
		return nil, errors.New("the proof's jwk can't be read")
	case key.Private != nil:
		return nil, errors.New("the proof's jwk is a private key")
	}
	if jws.Verify(p.Algorithm, key.Public, []byte(parts[0]+"."+parts[1]), signature) != nil {
		return nil, errors.New("the proof's signature is not valid")
	}
	if p.Thumbprint, err = jwk.Thumbprint(key.Public); err != nil {
		return nil, errors.New("the proof's jwk can't be used")
	}
	return p, p.readClaims(claims)
}

func (p *Proof) readClaims(claims object) error {
	p.ID, p.Method, p.Target = claims.text("jti"), claims.text("htm"), claims.text("htu")
	p.TokenHash, p.Nonce = claims.text("ath"), claims.text("nonce")
	var issued float64
	switch {
	case p.ID == "" || len(p.ID) > maxID:
		return errors.New("the proof has no jti that names it")
	case p.Method == "" || p.Target == "":
		return errors.New("the proof has no htm or no htu")
	case claims["iat"] == nil || json.Unmarshal(claims["iat"], &issued) != nil || issued < 0 || issued > math.MaxInt32*256:
		return errors.New("the proof's iat is not a time")
	}
	p.IssuedAt = time.UnixMilli(int64(issued * 1000))
	return nil
}

// object is a JSON object by the exact names of its members.
type object map[string]json.RawMessage

func readObject(part string) (object, error) {
	data, err := decode(part)
	if err != nil {
		return nil, err
	}
	var o object
	if json.Unmarshal(data, &o) != nil || o == nil {
		return nil, errors.New("the proof is not a JWT")
	}
	return o, nil
}

// text is a member that is a string; any other counts as absent.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return ""
	}
	return s
}

func decode(part string) ([]byte, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") { // which encoding/base64 ignores
		return nil, errors.New("the proof is not a JWT")
	}
	return data, nil
}
