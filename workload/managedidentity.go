package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
)

// Identity names a managed identity that a user assigned, by one of its ids. The zero value is
// the one that the system assigned.
type Identity struct {
	ClientID   string
	ObjectID   string // of its service principal
	ResourceID string // in Azure Resource Manager: /subscriptions/…/userAssignedIdentities/…
}

// ManagedIdentity is a source of the tokens of a managed identity in Azure, which Entra ID
// takes as assertions of another app: the app has a federated credential whose issuer is
// https://login.microsoftonline.com/{tenant id}/v2.0, whose subject is the object id of the
// identity, and whose audience is that of the assertions (api://AzureADTokenExchange).
//
// With IDENTITY_ENDPOINT and IDENTITY_HEADER it asks as App Service, Functions and Container
// Apps want it, and otherwise the instance metadata service of virtual machines and
// Kubernetes nodes (IMDS), at AZURE_POD_IDENTITY_AUTHORITY_HOST where that is set. Azure Arc
// and Service Fabric are errors.
//
// Tokens live for up to a day. They are kept for each audience, and asked for again after half
// of that. While the service fails, the kept one is handed out until 2 min before its end. Each
// attempt has 10 s; a busy service is asked up to three times.
//
// The client sends the requests; it follows no redirect. With nil it is one that uses no proxy
// and gives up after 2 s where nobody is there.
func ManagedIdentity(identity Identity, client *http.Client) certtoken.AssertionSource {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			DialContext:       (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			DisableKeepAlives: true, // it is asked every few hours
		}}
	}
	return &managedIdentity{identity: identity, client: newClient(client), kept: newShelf()}
}

type managedIdentity struct {
	identity Identity
	client   *http.Client
	kept     *shelf
}

// String names the source.
func (s *managedIdentity) String() string {
	return "workload.ManagedIdentity(" + s.identity.String() + ")"
}

// String is the id.
func (i Identity) String() string {
	name, id, _ := i.parameter("resource id")
	if name == "" {
		return "assigned by the system"
	}
	return name + " " + redact.Short(id)
}

// parameter is the query parameter that names the identity; that of a resource id differs
// between services. Both are "" for the one that the system assigned.
func (i Identity) parameter(resourceID string) (name, id string, err error) {
	given := 0
	for _, p := range [][2]string{{"client_id", i.ClientID}, {"object_id", i.ObjectID}, {resourceID, i.ResourceID}} {
		if p[1] != "" {
			name, id = p[0], p[1]
			given++
		}
	}
	if given > 1 {
		return "", "", errors.New("managed identity: name it by one id, not by several")
	}
	return name, id, nil
}

func (s *managedIdentity) Assertion(ctx context.Context, audience string) (string, error) {
	if audience == "" {
		return "", errors.New("managed identity: the audience is empty, and tokens are for one: give WithAudience")
	}
	return s.kept.get(ctx, audience, func() (token, error) { return s.fetch(ctx, audience) })
}

// fetch asks the service that is there.
func (s *managedIdentity) fetch(ctx context.Context, resource string) (token, error) {
	endpoint, header := os.Getenv("IDENTITY_ENDPOINT"), os.Getenv("IDENTITY_HEADER")
	switch {
	case endpoint != "" && header != "" && os.Getenv("IDENTITY_SERVER_THUMBPRINT") != "":
		return token{}, errors.New("managed identity: Service Fabric (IDENTITY_SERVER_THUMBPRINT) is not supported")
	case endpoint != "" && header != "":
		return s.fromAppService(ctx, endpoint, header, resource)
	case endpoint != "" && os.Getenv("IMDS_ENDPOINT") != "":
		return token{}, errors.New("managed identity: Azure Arc (IMDS_ENDPOINT) is not supported")
	case endpoint != "":
		return token{}, errors.New("managed identity: IDENTITY_ENDPOINT is set and IDENTITY_HEADER is not: " +
			"both come from App Service, or from none")
	}
	return s.fromIMDS(ctx, resource)
}

func (s *managedIdentity) fromAppService(ctx context.Context, endpoint, header, resource string) (token, error) {
	asked := service{name: "managed identity (IDENTITY_ENDPOINT)", client: s.client, temporary: func(status int) bool {
		return status == http.StatusNotFound || isBusy(status) // 404 while an identity is being assigned
	}}
	address, err := s.address("IDENTITY_ENDPOINT", endpoint, "2019-08-01", resource, "mi_res_id")
	if err != nil {
		return token{}, err
	}
	body, err := asked.ask(ctx, question{
		address: address, secret: header, header: http.Header{"X-Identity-Header": {header}},
	})
	if err != nil {
		return token{}, s.explain(err)
	}
	return readToken(asked.name, body)
}

// The instance metadata service, whose address is the same in all of Azure.
const (
	imds     = "http://169.254.169.254"
	imdsPath = "/metadata/identity/oauth2/token"
	imdsHost = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
)

func (s *managedIdentity) fromIMDS(ctx context.Context, resource string) (token, error) {
	asked := service{name: "managed identity (IMDS)", client: s.client, temporary: func(status int) bool {
		return status == http.StatusNotFound || status == http.StatusGone || isBusy(status)
	}}
	base := os.Getenv(imdsHost)
	if base == "" {
		base = imds
	}
	address, err := s.address(imdsHost, base, "2018-02-01", resource, "msi_res_id")
	if err != nil {
		return token{}, err
	}
	address.Path = imdsPath
	body, err := asked.ask(ctx, question{address: address, header: http.Header{"Metadata": {"true"}}})
	if err != nil {
		return token{}, s.explain(err)
	}
	return readToken(asked.name, body)
}

// address is that of a question for a token.
func (s *managedIdentity) address(variable, base, version, resource, resourceID string) (*url.URL, error) {
	u, err := checkAddress(variable, base)
	if err != nil {
		return nil, fmt.Errorf("managed identity: %w", err)
	}
	name, id, err := s.identity.parameter(resourceID)
	if err != nil {
		return nil, err
	}
	query := url.Values{"api-version": {version}, "resource": {resource}}
	if name != "" {
		query.Set(name, id)
	}
	u.RawQuery = query.Encode()
	return u, nil
}

// explain says what to do about an error.
func (s *managedIdentity) explain(err error) error {
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusBadRequest:
		return fmt.Errorf("%w: is the identity (%s) assigned to where this runs?", err, s.identity)
	case isDial(err):
		return fmt.Errorf("%w: does this run in Azure, where a managed identity is assigned to it? "+
			"IDENTITY_ENDPOINT isn't set", err)
	}
	return err
}
