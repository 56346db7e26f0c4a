package grants

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/golang-jwt/jwt/v5"
)

// Profile is which claims the access tokens of a server have.
type Profile int

// The profiles.
const (
	EntraV2 Profile = iota // of Entra ID's v2.0 endpoint
	EntraV1                // of the endpoint before it
	ADFS
	RFC9068
)

// Issuance is who issues a token, and when.
type Issuance struct {
	Profile Profile
	Issuer  string
	Tenant  string // its GUID; "" for a server without tenants
	Now     time.Time
	Size    int // the least length of a token, up to which it is filled
}

// Sign makes the JWT that stands for a token.
func (i Issuance) Sign(t *Token) string {
	claims := jwt.MapClaims{
		"iss": i.Issuer,
		"aud": audience(t.Audiences),
		"iat": i.Now.Unix(),
		"exp": t.Expires.Unix(),
	}
	if cnf := confirmation(t); len(cnf) > 0 {
		claims["cnf"] = cnf
	}
	typ, filler := "JWT", "aio"
	switch i.Profile {
	case RFC9068:
		typ, filler = "at+jwt", "certtokentest_filler"
		profileClaims(claims, t)
	case ADFS:
		adfsClaims(claims, t, i.Now)
	default:
		i.entraClaims(claims, t)
	}
	if t.Subject != "" && t.User == "" {
		claims["sub"] = t.Subject
	}
	if t.Actor != "" {
		claims["act"] = map[string]string{"sub": t.Actor} // RFC 8693 §4.1
	}
	token := SharedKey().Sign(typ, claims)
	if short := i.Size - len(token); short > 0 {
		claims[filler] = ids.Text(short * 3 / 4) // base64 makes four characters of three
		token = SharedKey().Sign(typ, claims)
	}
	return token
}

// confirmation is what the token is bound to (RFC 8705 §3.1, RFC 9449 §6.1).
func confirmation(t *Token) map[string]string {
	cnf := make(map[string]string)
	if t.Bound != "" {
		cnf["x5t#S256"] = t.Bound
	}
	if t.Key != "" {
		cnf["jkt"] = t.Key
	}
	return cnf
}

// audience is one text, or a list of several (RFC 7519 §4.1.3).
func audience(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// profileClaims are those of RFC 9068 §2.2.
func profileClaims(claims jwt.MapClaims, t *Token) {
	claims["jti"] = ids.UUID()
	claims["client_id"] = t.ClientID
	claims["sub"] = t.ClientID
	if t.User != "" {
		claims["sub"] = SubjectOf(t.User)
	}
	if len(t.Scopes) > 0 {
		claims["scope"] = strings.Join(t.Scopes, " ")
	}
}

func adfsClaims(claims jwt.MapClaims, t *Token, now time.Time) {
	claims["appid"], claims["apptype"], claims["ver"] = t.ClientID, "Confidential", "1.0"
	claims["authmethod"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	claims["auth_time"] = now.UTC().Format("2006-01-02T15:04:05.000Z")
	claims["nbf"] = now.Unix()
	if t.User != "" {
		claims["upn"], claims["sub"] = t.User, SubjectOf(t.User)
	}
	if len(t.Scopes) > 0 {
		claims["scp"] = strings.Join(t.Scopes, " ")
	}
}

// entraClaims are those of an app's own token or of a user's. Its two versions
// name the same things differently, and a token has the names of one.
func (i Issuance) entraClaims(claims jwt.MapClaims, t *Token) {
	claims["nbf"] = i.Now.Unix()
	claims["idtyp"] = "app"
	claims["oid"], claims["sub"] = SubjectOf(t.ClientID), SubjectOf(t.ClientID)
	claims["tid"] = i.Tenant
	claims["uti"] = ids.Text(22)
	user := "preferred_username"
	if i.Profile == EntraV1 {
		user = "upn"
		claims["appid"], claims["appidacr"], claims["ver"] = t.ClientID, "2", "1.0" // 2: by certificate
		claims["idp"] = i.Issuer
	} else {
		claims["azp"], claims["azpacr"], claims["ver"] = t.ClientID, "2", "2.0"
	}
	if t.User != "" {
		delete(claims, "idp")
		claims["idtyp"], claims["name"], claims[user] = "user", t.User, t.User
		claims["scp"] = strings.Join(t.Scopes, " ")
		claims["oid"], claims["sub"] = SubjectOf(t.User), SubjectOf(t.User)
	}
	if caps := capabilities(t.Claims); len(caps) > 0 {
		claims["xms_cc"] = caps
	}
}

// SubjectOf is the stable subject of a client or a user.
func SubjectOf(name string) string { return ids.StableUUID("oid", name) }

// capabilities reads what a claims parameter declares the client capable of.
func capabilities(claims string) []string {
	var asked struct {
		AccessToken struct {
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if claims == "" || json.Unmarshal([]byte(claims), &asked) != nil {
		return nil
	}
	return asked.AccessToken.Capabilities.Values
}
