package keyvault

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// The version of the vault's REST interface that every cloud has.
const certificatesAPI = "7.4"

// certificates reads certificates without their keys. It is one request, "Get
// Certificate" of the vault's REST interface, over the SDK's pipeline: neither
// azsecrets nor azkeys has it.
type certificates struct {
	client *azcore.Client
	vault  string
}

// bundle is what the vault says of a version of a certificate.
type bundle struct {
	ID         string `json:"id"`
	KID        string `json:"kid"` // the id of its key, with the version
	CER        []byte `json:"cer"` // DER
	Attributes struct {
		Enabled *bool `json:"enabled"`
	} `json:"attributes"`
}

func newCertificates(vaultURL string, credential azcore.TokenCredential, cfg config) (*certificates, error) {
	client, err := azcore.NewClient("certtoken/ext/keyvault", "v0.1.0", runtime.PipelineOptions{
		APIVersion: runtime.APIVersionOptions{Location: runtime.APIVersionLocationQueryParam, Name: "api-version"},
		PerRetry:   []policy.Policy{newChallengePolicy(credential, cfg)},
		Tracing:    runtime.TracingOptions{Namespace: "Microsoft.KeyVault"},
	}, &cfg.client)
	if err != nil {
		return nil, err
	}
	return &certificates{client: client, vault: vaultURL}, nil
}

// get reads a version of a certificate, the newest if version is empty.
func (c *certificates) get(ctx context.Context, name, version string) (got bundle, err error) {
	ctx, end := runtime.StartSpan(ctx, "Client.GetCertificate", c.client.Tracer(), nil)
	defer func() { end(err) }()
	path := "certificates/" + url.PathEscape(name)
	if version != "" {
		path += "/" + url.PathEscape(version)
	}
	req, err := runtime.NewRequest(ctx, http.MethodGet, runtime.JoinPaths(c.vault, path))
	if err != nil {
		return bundle{}, err
	}
	req.Raw().URL.RawQuery = url.Values{"api-version": {certificatesAPI}}.Encode()
	req.Raw().Header.Set("Accept", "application/json")
	resp, err := c.client.Pipeline().Do(req)
	if err != nil {
		return bundle{}, err
	}
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return bundle{}, runtime.NewResponseError(resp)
	}
	if err := runtime.UnmarshalAsJSON(resp, &got); err != nil {
		return bundle{}, err
	}
	if len(got.CER) == 0 || !strings.Contains(got.ID, "/") {
		return bundle{}, errors.New("the answer holds no certificate: is it a vault?")
	}
	return got, nil
}
