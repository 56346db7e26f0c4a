package azcred_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
	"github.com/certtoken/certtoken/ext/azcred/internal/azcredtest"
)

// holder is somebody else's struct, in whose unexported field fmt calls no method.
type holder[T any] struct {
	hidden T
	Shown  T
}

// printed is a value in every way that a program might print it.
func printed[T any](v T) string {
	var out strings.Builder
	for _, wrap := range []any{v, &v, holder[T]{v, v}, &holder[T]{v, v}, holder[any]{v, v}, []T{v},
		map[string]T{"k": v}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", wrap)
		}
		data, err := json.Marshal(wrap)
		fmt.Fprintln(&out, string(data), err)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", wrap)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", wrap)
	}
	return out.String()
}

// Random base64 text may hold its first three characters; a full stop it never has.
var jwtBegin = regexp.MustCompile(`eyJ[\w-]+\.`)

// secretFree looks for what the endpoint was sent and granted, which it doesn't
// print either.
func secretFree(t *testing.T, srv *certtokentest.Server, text string) {
	t.Helper()
	require.NotEmpty(t, text)
	assert.False(t, jwtBegin.MatchString(text), "the beginning of a JWT")
	assert.False(t, strings.Contains(text, "PrivateKey"), "a private key")
	for _, r := range srv.Requests() {
		for what, jwt := range map[string]string{"assertion": r.Assertion, "token": r.AccessToken} {
			for _, part := range strings.Split(jwt, ".") {
				for _, form := range []string{part, fmt.Sprintf("%x", part), fmt.Sprintf("%X", part)} {
					assert.False(t, part != "" && strings.Contains(text, form), "a part of the %s", what)
				}
			}
		}
	}
}

func TestSecrecy(t *testing.T) {
	srv := certtokentest.New()
	client := azcredtest.NewClient(t, srv)
	credential := azcredtest.NewCredential(t, client, azcred.WithCAEClient(client))
	got, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
	require.NoError(t, err)
	text := printed(credential) + printed(*credential) + printed[azcore.TokenCredential](credential)
	assert.Contains(t, text, "azcred.Credential(certtoken.Client(client-id at https://login.microsoftonline.com/")
	secretFree(t, srv, text)
	assert.Regexp(t, jwtBegin, printed(got), "the search finds what is there")
}

// Errors hold nothing of what was sent and granted, whatever went wrong.
func TestErrorsShowNoSecret(t *testing.T) {
	const said = "what a panic said of the vault"
	for name, newBroken := range map[string]func(*testing.T, *certtokentest.Server) *certtoken.Client{
		"refused": func(t *testing.T, srv *certtokentest.Server) *certtoken.Client {
			srv.FailFunc(func(r *certtokentest.Request) *certtokentest.Fault {
				return &certtokentest.Fault{Code: 700027, Description: "you sent " + r.Assertion}
			})
			return azcredtest.NewClient(t, srv)
		},
		"granted in vain": func(t *testing.T, srv *certtokentest.Server) *certtoken.Client {
			srv.FailAlways(certtokentest.Fault{Fields: map[string]any{"token_type": "mac"}})
			return azcredtest.NewClient(t, srv)
		},
		"unreachable": func(t *testing.T, srv *certtokentest.Server) *certtoken.Client {
			return azcredtest.NewClient(t, srv,
				certtoken.WithHTTPClient(&http.Client{Transport: talkative{srv.Transport()}}))
		},
		"panicking source": func(t *testing.T, _ *certtokentest.Server) *certtoken.Client {
			client, err := certtoken.NewClient(certtoken.Entra(azcredtest.Tenant), "client-id",
				certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic(said) }))
			require.NoError(t, err)
			return client
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := certtokentest.New()
				client := newBroken(t, srv)
				defer client.Close()
				_, err := azcredtest.NewCredential(t, client).GetToken(t.Context(), request(azcredtest.Scope))
				require.Error(t, err)
				var failed *azcred.AuthenticationError
				require.ErrorAs(t, err, &failed)
				text := printed(err) + printed(*failed) + printed(errors.Unwrap(err))
				secretFree(t, srv, text)
				assert.False(t, strings.Contains(text, said))
			})
		})
	}
}

// talkative has requests answered and then fails, with all that was sent in its
// error.
type talkative struct{ base http.RoundTripper }

func (r talkative) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(strings.NewReader(string(form)))
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return nil, errors.New("connection lost after sending " + string(form))
}
