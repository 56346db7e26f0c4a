package graph

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// maxBody bounds a request: a certificate in base64, a proof, and their names.
const maxBody = 256 << 10

// change is the body of addKey and of removeKey.
type change struct {
	KeyCredential *struct {
		Type        string  `json:"type"`
		Usage       string  `json:"usage"`
		Key         string  `json:"key"`
		DisplayName *string `json:"displayName"`
	} `json:"keyCredential"`
	PasswordCredential json.RawMessage `json:"passwordCredential"`
	KeyID              string          `json:"keyId"`
	Proof              string          `json:"proof"`
}

func (a *API) addKey(r *http.Request, o object) (*answer.Answer, *failure) {
	asked, failed := a.readChange(r, o)
	if failed != nil {
		return nil, failed
	}
	cert, failed := a.certificate(asked)
	if failed != nil {
		return nil, failed
	}
	added := proof.Credential{
		ID: ids.UUID(), Name: cert.Subject.String(), Owner: o.owner, Cert: cert, Known: a.propagation(),
	}
	if name := asked.KeyCredential.DisplayName; name != nil {
		added.Name = *name
	}
	a.Clients.Update(o.clientID, func(c *proof.Client) {
		if failed = a.checkProof(c, asked, o); failed == nil {
			c.AddCredential(added)
		}
	})
	if failed != nil {
		return nil, failed
	}
	body := keyCredential(added, false)
	body["@odata.context"] = odataContext(r, "microsoft.graph.keyCredential")
	return answer.JSON(http.StatusOK, body), nil
}

func (a *API) removeKey(r *http.Request, o object) (*answer.Answer, *failure) {
	asked, failed := a.readChange(r, o)
	if failed != nil {
		return nil, failed
	}
	a.Clients.Update(o.clientID, func(c *proof.Client) {
		if failed = a.checkProof(c, asked, o); failed != nil {
			return
		}
		if failed = a.checkRemoval(c, asked, o); failed == nil {
			c.RemoveCredential(asked.KeyID)
		}
	})
	if failed != nil {
		return nil, failed
	}
	return &answer.Answer{Status: http.StatusNoContent, Header: make(http.Header)}, nil
}

func (a *API) checkRemoval(c *proof.Client, asked *change, o object) *failure {
	have := c.Credentials(o.owner)
	switch {
	case !slices.ContainsFunc(have, func(k proof.Credential) bool { return k.ID == asked.KeyID }):
		return notFound("No credential with the keyId '%s' exists.", asked.KeyID)
	case a.KeepLast && len(have) == 1:
		return badRequest("The last key credential of the object can't be removed.")
	}
	return nil
}

// readChange reads the body, and checks what is the same for adding and for removing.
func (a *API) readChange(r *http.Request, o object) (*change, *failure) {
	typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || typ != "application/json" {
		return nil, badRequest("The content type must be application/json, not '%s'.", typ)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return nil, badRequest("The request body can't be read, or is larger than %d bytes.", maxBody)
	}
	asked := new(change)
	if err := json.Unmarshal(body, asked); err != nil {
		return nil, badRequest("Unable to read JSON request payload: %v.", err)
	}
	switch {
	case a.Caller(r) != o.clientID && !a.isPermitted(r):
		return nil, denied("the access token is that of '" + a.Caller(r) + "', and the object another client's")
	case asked.Proof == "":
		return nil, denied("the body has no proof")
	}
	return asked, nil
}

func (a *API) checkProof(c *proof.Client, asked *change, o object) *failure {
	rules := a.Proof
	rules.ObjectID = o.id
	if err := c.VerifyRollover(asked.Proof, o.owner, &rules, a.Now()); err != nil {
		return wrongProof(err)
	}
	return nil
}

// certificate is the one to add.
func (a *API) certificate(asked *change) (*x509.Certificate, *failure) {
	given := asked.KeyCredential
	switch {
	case given == nil:
		return nil, badRequest("A value must be provided for the property 'keyCredential'.")
	case given.Type != "AsymmetricX509Cert" || given.Usage != "Verify":
		return nil, badRequest("A keyCredential of type '%s' and usage '%s' is not modelled: "+
			"type must be 'AsymmetricX509Cert', and usage 'Verify'.", given.Type, given.Usage)
	case len(asked.PasswordCredential) > 0 && string(asked.PasswordCredential) != "null":
		return nil, badRequest("The passwordCredential must be null for the type 'AsymmetricX509Cert'.")
	}
	der, err := base64.StdEncoding.DecodeString(given.Key)
	if err != nil {
		return nil, badRequest("Cannot convert the value of 'key' to the expected type 'Edm.Binary'.")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, badRequest("The value of 'key' is no X.509 certificate in DER.")
	}
	return cert, a.checkCertificate(cert)
}

func (a *API) checkCertificate(cert *x509.Certificate) *failure {
	life := cert.NotAfter.Sub(cert.NotBefore)
	switch _, isRSA := cert.PublicKey.(*rsa.PublicKey); {
	case !isRSA:
		return badRequest("The certificate has a key of a kind that is not supported: %v.", cert.PublicKeyAlgorithm)
	case a.Now().After(cert.NotAfter):
		return badRequest("The certificate has ended: its endDateTime is %s.", date(cert.NotAfter))
	case a.MaxLife > 0 && life > a.MaxLife:
		return &failure{http.StatusBadRequest, "CredentialInvalidLifetimeAsPerAppPolicy",
			"Credential lifetime exceeds the max value allowed as per assigned policy.", ""}
	}
	return nil
}

// propagation is how the token endpoint hears of a certificate that is added now. Its
// servers answer in turn, and each knows it some time after the one before.
func (a *API) propagation() func(time.Time) bool {
	if a.Propagation <= 0 {
		return nil
	}
	added, servers := a.Now(), int64(max(a.Servers, 1))
	var asked atomic.Int64
	return func(now time.Time) bool {
		server := asked.Add(1) % servers // the last one is 0, and hears of it last
		if server == 0 {
			server = servers
		}
		return !now.Before(added.Add(a.Propagation * time.Duration(server) / time.Duration(servers)))
	}
}
