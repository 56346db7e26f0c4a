package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// acquire gets a token for a scope by one of the libraries, from its cache if
// it is there.
type acquire func(ctx context.Context, scope string) error

// identity is the certificate that all libraries sign with.
type identity struct {
	cert *certtoken.Certificate
	free *certtoken.Certificate // the same with a signer that does nothing
}

func newIdentity() (identity, error) {
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		return identity{}, err
	}
	free, err := certtoken.NewCertificate(freeSigner{cert.Signer.Public()}, cert.Leaf, nil)
	return identity{cert: cert, free: free}, err
}

// signing is the certificate for libraries that want the key itself; nil, so
// that they don't sign, where the signer does nothing.
func (id identity) signing() *certtoken.Certificate {
	if id.cert == id.free {
		return nil
	}
	return id.cert
}

func (id identity) key() *rsa.PrivateKey { return id.cert.Signer.(*rsa.PrivateKey) }

// freeSigner leaves the signature out of what is measured: an RSA signature
// takes some thirty times of everything else.
type freeSigner struct{ public crypto.PublicKey }

func (s freeSigner) Public() crypto.PublicKey { return s.public }

func (s freeSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, s.public.(*rsa.PublicKey).Size()), nil
}

func newOurs(e *endpoint, cert *certtoken.Certificate, opts ...certtoken.Option) (*certtoken.Client, error) {
	return certtoken.NewClient(certtoken.Entra(tenant), clientID, cert,
		append([]certtoken.Option{certtoken.WithHTTPClient(e.client())}, opts...)...)
}

func acquireOurs(client *certtoken.Client) acquire {
	return func(ctx context.Context, scope string) error {
		_, err := client.Token(ctx, scope)
		return err
	}
}

// freeAssertion is for MSAL and azidentity what freeSigner is for us.
const freeAssertion = "header.payload.signature"

// newMSAL signs with the certificate, or not at all if that is nil.
func newMSAL(e *endpoint, cert *certtoken.Certificate) (acquire, error) {
	credential := confidential.NewCredFromAssertionCallback(
		func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			return freeAssertion, nil
		},
	)
	if cert != nil {
		var err error
		if credential, err = confidential.NewCredFromCert([]*x509.Certificate{cert.Leaf}, cert.Signer); err != nil {
			return nil, err
		}
	}
	return msalWith("https://login.microsoftonline.com/"+tenant, credential, confidential.WithHTTPClient(e.client()))
}

// msalAt signs with the certificate for an authority.
func msalAt(authority string, cert *certtoken.Certificate, opts ...confidential.Option) (acquire, error) {
	credential, err := confidential.NewCredFromCert([]*x509.Certificate{cert.Leaf}, cert.Signer)
	if err != nil {
		return nil, err
	}
	return msalWith(authority, credential, opts...)
}

func msalWith(authority string, credential confidential.Credential, opts ...confidential.Option) (acquire, error) {
	client, err := confidential.New(authority, clientID, credential, opts...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, scope string) error {
		_, err := client.AcquireTokenByCredential(ctx, []string{scope}) // looks into its cache first
		return err
	}, nil
}

// newAzidentity signs with the certificate, or not at all if that is nil.
func newAzidentity(e *endpoint, cert *certtoken.Certificate) (acquire, error) {
	options := azcore.ClientOptions{Transport: e.client()}
	var credential azcore.TokenCredential
	var err error
	if cert != nil {
		credential, err = azidentity.NewClientCertificateCredential(
			tenant,
			clientID,
			[]*x509.Certificate{cert.Leaf},
			cert.Signer,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options},
		)
	} else {
		credential, err = azidentity.NewClientAssertionCredential(tenant, clientID,
			func(context.Context) (string, error) { return freeAssertion, nil },
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: options})
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, scope string) error {
		_, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return err
	}, nil
}

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

// bareMap is the floor of a cache: what a lookup costs if it does nothing but
// find the token and look at the clock.
type bareMap struct {
	mu     sync.RWMutex
	tokens map[string]bareToken
}

type bareToken struct {
	access  string
	expires time.Time
}

func newBareMap(scopes []string, e *endpoint) *bareMap {
	m := &bareMap{tokens: make(map[string]bareToken)}
	for _, scope := range scopes {
		m.tokens[strings.Clone(scope)] = bareToken{access: bareGrant(e), expires: time.Now().Add(time.Hour)}
	}
	return m
}

// bareGrant is an access token as it comes out of a JSON decoder.
func bareGrant(e *endpoint) string {
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(e.token()), &grant); err != nil {
		panic(err) // we wrote it
	}
	return grant.AccessToken
}

func (m *bareMap) get(scope string) string {
	m.mu.RLock()
	t, ok := m.tokens[scope]
	m.mu.RUnlock()
	if !ok || !time.Now().Before(t.expires) {
		return ""
	}
	return t.access
}

func thumbprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
