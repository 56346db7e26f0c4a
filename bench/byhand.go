package main

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"golang.org/x/oauth2"
)

// byHand is the least that a token costs: a JWT by golang-jwt, one signature,
// one POST. x/oauth2 has no client assertion, so this is also what its users
// write and put into a ReuseTokenSource.
type byHand struct {
	http  *http.Client
	url   string // of the token endpoint
	key   *rsa.PrivateKey
	x5t   string
	scope string
}

var _ oauth2.TokenSource = (*byHand)(nil)

func newByHand(e *endpoint, id identity, scope string) *byHand {
	return &byHand{http: e.client(), url: tokenURL, key: id.key(), x5t: thumbprint(id.cert.Leaf), scope: scope}
}

func (s *byHand) Token() (*oauth2.Token, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodPS256, handClaims())
	token.Header["x5t#S256"] = s.x5t
	assertion, err := token.SignedString(s.key)
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_id":             {clientID},
		"scope":                 {s.scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	req, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	var grant struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&grant); err != nil {
		return nil, err
	}
	return &oauth2.Token{
		AccessToken: grant.AccessToken,
		TokenType:   grant.TokenType,
		Expiry:      time.Now().Add(time.Duration(grant.ExpiresIn) * time.Second),
	}, nil
}

// handClaims are the seven claims that our assertion has.
func handClaims() jwt.Claims {
	now := time.Now()
	return jwt.RegisteredClaims{
		Audience:  jwt.ClaimStrings{tokenURL},
		Issuer:    clientID,
		Subject:   clientID,
		ID:        uuid.NewString(),
		NotBefore: jwt.NewNumericDate(now),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)),
	}
}
