package interop

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/stretchr/testify/require"
)

// inProcess is a Go library: each setup makes the functions that do the jobs.
type inProcess struct {
	client *http.Client
	make   func(*testing.T, setup, *http.Client) map[string]func(context.Context, job) (string, error)
	ops    map[string]func(context.Context, job) (string, error)
}

func (p *inProcess) setup(t *testing.T, s setup) { p.ops = p.make(t, s, p.client) }

func (p *inProcess) do(t *testing.T, j job) result {
	op := p.ops[j.Op]
	if op == nil {
		return result{Unsupported: true}
	}
	token, err := op(t.Context(), j)
	if err != nil {
		return result{Error: err.Error()}
	}
	return result{Token: token}
}

func msalGo(s *stage) user {
	return &inProcess{client: s.server.Client(), make: newMSALGo}
}

func newMSALGo(t *testing.T, s setup, hc *http.Client) map[string]func(context.Context, job) (string, error) {
	cred, err := confidential.NewCredFromCert([]*x509.Certificate{s.certificate.Leaf}, s.certificate.Signer)
	require.NoError(t, err)
	options := []confidential.Option{
		confidential.WithHTTPClient(
			hc,
		), confidential.WithInstanceDiscovery(!s.Known), confidential.WithClientCapabilities([]string{"cp1"}),
	}
	if s.Chain {
		options = append(options, confidential.WithX5C())
	}
	client, err := confidential.New(s.Authority, s.ClientID, cred, options...)
	require.NoError(t, err)
	var account confidential.Account
	return map[string]func(context.Context, job) (string, error){
		"token": func(ctx context.Context, j job) (string, error) {
			var opts []confidential.AcquireByCredentialOption
			if j.Claims != "" {
				opts = append(opts, confidential.WithClaims(j.Claims))
			}
			r, err := client.AcquireTokenByCredential(ctx, []string{j.Scope}, opts...)
			return r.AccessToken, err
		},
		"obo": func(ctx context.Context, j job) (string, error) {
			r, err := client.AcquireTokenOnBehalfOf(ctx, j.Assertion, []string{j.Scope})
			return r.AccessToken, err
		},
		"code": func(ctx context.Context, j job) (string, error) {
			page, err := client.AuthCodeURL(ctx, s.ClientID, j.RedirectURI, []string{j.Scope})
			if err != nil {
				return "", err
			}
			code, err := follow(ctx, hc, page)
			if err != nil {
				return "", err
			}
			r, err := client.AcquireTokenByAuthCode(ctx, code, j.RedirectURI, []string{j.Scope})
			account = r.Account
			return r.AccessToken, err
		},
		"refresh": func(ctx context.Context, j job) (string, error) {
			r, err := client.AcquireTokenSilent(ctx, []string{j.Scope}, confidential.WithSilentAccount(account))
			return r.AccessToken, err
		},
	}
}

// follow is the browser: it returns the code of the redirect.
func follow(ctx context.Context, hc *http.Client, page string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	resp, err := hc.Transport.RoundTrip(req) // no redirects
	if err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return "", err
	}
	return back.Query().Get("code"), nil
}

func azidentityGo(s *stage) user {
	return &inProcess{client: s.server.Client(), make: newAzidentity}
}

func newAzidentity(t *testing.T, s setup, hc *http.Client) map[string]func(context.Context, job) (string, error) {
	authority, err := url.Parse(s.Authority)
	require.NoError(t, err)
	tenant := strings.TrimPrefix(authority.Path, "/")
	authority.Path = "/"
	options := azcore.ClientOptions{
		Transport: hc,
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: authority.String()},
	}
	certs := []*x509.Certificate{s.certificate.Leaf}
	client, err := azidentity.NewClientCertificateCredential(
		tenant,
		s.ClientID,
		certs,
		s.certificate.Signer,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions:            options,
			DisableInstanceDiscovery: s.Known,
			SendCertificateChain:     s.Chain,
		},
	)
	require.NoError(t, err)
	return map[string]func(context.Context, job) (string, error){
		"token": func(ctx context.Context, j job) (string, error) {
			token, err := client.GetToken(
				ctx,
				policy.TokenRequestOptions{Scopes: []string{j.Scope}, Claims: j.Claims, EnableCAE: true},
			)
			return token.Token, err
		},
		"obo": func(ctx context.Context, j job) (string, error) {
			user, err := azidentity.NewOnBehalfOfCredentialWithCertificate(
				tenant,
				s.ClientID,
				j.Assertion,
				certs,
				s.certificate.Signer,
				&azidentity.OnBehalfOfCredentialOptions{
					ClientOptions:            options,
					DisableInstanceDiscovery: s.Known,
					SendCertificateChain:     s.Chain,
				},
			)
			if err != nil {
				return "", err
			}
			token, err := user.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{j.Scope}})
			return token.Token, err
		},
	}
}
