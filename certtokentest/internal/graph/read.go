package graph

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"

	"crypto/fips140"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// read answers an object with its keyCredentials.
func (a *API) read(r *http.Request, o object) (*answer.Answer, *failure) {
	if !a.isPermitted(r) {
		return nil, denied("reading an object needs a permission, which '" + a.Caller(r) + "' doesn't have")
	}
	client := a.Clients.Lookup(o.clientID)
	if client == nil {
		return nil, notFound("Resource '%s' does not exist.", o.id)
	}
	// The certificates themselves come only where they are asked for by name.
	selected := strings.Split(r.URL.Query().Get("$select"), ",")
	keys := []map[string]any{}
	for _, credential := range client.Credentials(o.owner) {
		keys = append(keys, keyCredential(credential, slices.Contains(selected, "keyCredentials")))
	}
	return answer.JSON(http.StatusOK, map[string]any{
		"@odata.context": odataContext(r, "$entity"), "id": o.id, "appId": o.clientID, "displayName": o.clientID,
		"keyCredentials": keys,
	}), nil
}

// keyCredential is a certificate as Microsoft Graph writes it.
func keyCredential(c proof.Credential, withKey bool) map[string]any {
	fields := map[string]any{
		"customKeyIdentifier": thumbprint(c.Cert),
		"displayName":         c.Name,
		"endDateTime":         date(c.Cert.NotAfter),
		"key":                 nil,
		"keyId":               c.ID,
		"startDateTime":       date(c.Cert.NotBefore),
		"type":                "AsymmetricX509Cert",
		"usage":               "Verify",
	}
	if withKey {
		fields["key"] = base64.StdEncoding.EncodeToString(c.Cert.Raw)
	}
	return fields
}

// thumbprint names a certificate and protects nothing, so FIPS mode has no say in it.
func thumbprint(cert *x509.Certificate) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Raw) })
	return base64.StdEncoding.EncodeToString(sum[:])
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func odataContext(r *http.Request, of string) string {
	return "https://" + r.Host + "/v1.0/$metadata#" + of
}
