package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const (
	keycloakUser     = "alice"
	keycloakPassword = "only on loopback"
)

// keycloakJudges are Keycloak with a certificate for each client, as its console's
// tab "Keys" imports it, and with a set of keys.
func keycloakJudges(t *testing.T) []*judge {
	t.Helper()
	k := startedKeycloak(t)
	certificate := k.judge(t, func(r registration) map[string]string {
		own := r.keys[0]
		return map[string]string{
			"jwt.credential.certificate": derBase64(own.cert),
			"jwt.credential.kid":         own.id,
		}
	})
	certificate.oneKey = true
	certificate.registerBound = k.registersBound(func(_ *testing.T, cert *certtoken.Certificate) map[string]string {
		return map[string]string{"jwt.credential.certificate": derBase64(cert)}
	})
	jwks := k.judge(t, func(r registration) map[string]string {
		set, err := json.Marshal(r.jwks())
		require.NoError(t, err)
		return map[string]string{"use.jwks.string": "true", "jwks.string": string(set)}
	})
	jwks.name += ", JWKS"
	jwks.needsKeyID, jwks.needsFor = true, "another algorithm than RS256"
	jwks.registerCertificate = func(t *testing.T, id string, cert *certtoken.Certificate) {
		t.Helper()
		k.register(t, id, "client-jwt", map[string]string{"jwt.credential.certificate": derBase64(cert)})
	}
	jwks.registerSet = func(t *testing.T, r keySet) error {
		t.Helper()
		attributes := map[string]string{"use.jwks.string": "true", "jwks.string": string(r.set)}
		if r.url != "" {
			attributes = map[string]string{"use.jwks.url": "true", "jwks.url": r.url}
		}
		k.register(t, r.id, "client-jwt", attributes)
		return nil
	}
	jwks.curves = []certtoken.Algorithm{
		certtoken.ES256, certtoken.ES384, certtoken.ES512, certtoken.EdDSA,
	}
	jwks.publish = k.tls.serve
	jwks.registerBound = k.registersBound(func(t *testing.T, cert *certtoken.Certificate) map[string]string {
		return map[string]string{"use.jwks.string": "true", "jwks.string": string(printedWithCertificate(t, cert))}
	})
	return []*judge{certificate, jwks}
}

// registersBound registers clients with a binding. The function tells Keycloak by what
// attributes it knows the key of an assertion.
func (k *keycloak) registersBound(
	known func(*testing.T, *certtoken.Certificate) map[string]string,
) func(*testing.T, binding, string, *certtoken.Certificate) bool {
	return func(t *testing.T, b binding, id string, cert *certtoken.Certificate) bool {
		t.Helper()
		attributes, authenticator := known(t, cert), "client-jwt"
		if b == boundToKey {
			attributes["dpop.bound.access.tokens"] = "true"
		} else {
			attributes["tls.client.certificate.bound.access.tokens"] = "true"
		}
		if b == byCA || b == bySelf {
			attributes["x509.subjectdn"] = "CN=" + cert.Leaf.Subject.CommonName
			authenticator = "client-x509"
		}
		k.register(t, id, authenticator, attributes)
		return true
	}
}

func (k *keycloak) judge(t *testing.T, credentials func(registration) map[string]string) *judge {
	return &judge{
		name:     "Keycloak " + keycloakVersion,
		issuer:   k.issuer(),
		tokenURL: k.tokenURL(),
		http:     k.tls.client(t),
		noDate:   true,
		places:   k.places,
		algorithms: []certtoken.Algorithm{
			certtoken.RS256, certtoken.RS384, certtoken.RS512,
			certtoken.PS256, certtoken.PS384, certtoken.PS512,
		},
		register: func(t *testing.T, r registration) {
			t.Helper()
			attributes := credentials(r)
			if r.lifetime > 0 {
				attributes["access.token.lifespan"] = strconv.Itoa(int(r.lifetime.Seconds()))
			}
			k.register(t, r.id, "client-jwt", attributes)
		},
	}
}

func (k *keycloak) issuer() string { return k.url + "/realms/" + keycloakRealm }
func (k *keycloak) tokenPath() string {
	return "/realms/" + keycloakRealm + "/protocol/openid-connect/token"
}
func (k *keycloak) tokenURL() string { return k.url + k.tokenPath() }

// derBase64 is a certificate as Keycloak keeps it.
func derBase64(c *certtoken.Certificate) string { return base64.StdEncoding.EncodeToString(c.Leaf.Raw) }

// importRealm makes the realm. All but its scopes and its user is as Keycloak makes
// it, and tokens live for an hour.
func (k *keycloak) importRealm() error {
	scopes := make([]map[string]any, 0, 3)
	for _, name := range []string{scope, otherScope, foreignScope} {
		scopes = append(scopes, map[string]any{
			"name": name, "protocol": "openid-connect",
			"attributes": map[string]string{"include.in.token.scope": "true"},
		})
	}
	return k.administer(http.MethodPost, "", map[string]any{
		"realm": keycloakRealm, "enabled": true, "sslRequired": "all",
		"accessTokenLifespan": int(time.Hour.Seconds()), "ssoSessionIdleTimeout": int(2 * time.Hour.Seconds()),
		"clientScopes": scopes, "defaultDefaultClientScopes": []string{}, "defaultOptionalClientScopes": []string{},
		"revokeRefreshToken": true, "refreshTokenMaxReuse": 0,
		"users": []map[string]any{{
			"username": keycloakUser, "enabled": true, "emailVerified": true,
			"email": "alice@example.com", "firstName": "Alice", "lastName": "Example",
			"credentials": []map[string]any{{"type": "password", "value": keycloakPassword, "temporary": false}},
		}},
	})
}

// register makes a client, or replaces it.
func (k *keycloak) register(t *testing.T, id, authenticator string, attributes map[string]string) {
	t.Helper()
	client := map[string]any{
		"id": id, "clientId": id, "enabled": true, "protocol": "openid-connect", "publicClient": false,
		"clientAuthenticatorType": authenticator, "serviceAccountsEnabled": true,
		"standardFlowEnabled": false, "directAccessGrantsEnabled": true, "attributes": attributes,
		"defaultClientScopes": []string{}, "optionalClientScopes": []string{scope, otherScope},
	}
	err := k.administer(http.MethodPost, "/"+keycloakRealm+"/clients", client)
	if err != nil && strings.Contains(err.Error(), "409") {
		err = k.administer(http.MethodPut, "/"+keycloakRealm+"/clients/"+url.PathEscape(id), client)
	}
	require.NoError(t, err)
}

// administer sends what an administrator would.
func (k *keycloak) administer(method, path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	admin, err := k.adminToken()
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, k.url+"/admin/realms"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+admin)
	resp, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		said, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, said)
	}
	return nil
}

func (k *keycloak) adminToken() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Now().Before(k.before) {
		return k.admin, nil
	}
	resp, err := k.http.PostForm(k.url+"/realms/master/protocol/openid-connect/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {keycloakAdmin}, "client_secret": {k.secret},
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
		Error   string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("Keycloak's administrator gets no token: %s %s %w", resp.Status, answer.Error, err)
	}
	k.admin, k.before = answer.Token, time.Now().Add(time.Duration(answer.Expires)*time.Second/2)
	return k.admin, nil
}
