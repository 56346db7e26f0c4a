package certtokengrpc_test

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

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
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
func secretFree(t *testing.T, endpoint *certtokentest.Server, text string) {
	t.Helper()
	require.NotEmpty(t, text)
	assert.False(t, jwtBegin.MatchString(text), "the beginning of a JWT")
	for _, r := range endpoint.Requests() {
		for what, jwt := range map[string]string{"assertion": r.Assertion, "token": r.AccessToken} {
			for _, part := range strings.Split(jwt, ".") {
				for _, form := range []string{part, fmt.Sprintf("%x", part), fmt.Sprintf("%X", part)} {
					assert.False(t, part != "" && strings.Contains(text, form), "a part of the %s", what)
				}
			}
		}
	}
}

func TestPrintingShowsNoToken(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, check(t.Context(), w.dial(grpc.WithStatsHandler(w.creds.StatsHandler()))))
	w.endpoint.RevokeAll()
	refused := check(t.Context(), w.dial(grpc.WithStatsHandler(w.creds.StatsHandler())))
	require.Error(t, refused)
	require.NotEmpty(t, w.endpoint.LastRequest().AccessToken)
	secretFree(t, w.endpoint, printed(w.creds))
	secretFree(t, w.endpoint, printed(w.creds.StatsHandler()))
	secretFree(t, w.endpoint, printed(refused))

	metadata, err := w.creds.GetRequestMetadata(secure(t.Context()))
	require.NoError(t, err)
	assert.Regexp(t, jwtBegin, printed(metadata), "the search finds what is there")
}

// Nor do the errors, as the credentials return them and as a call does.
func TestErrorsShowNoSecret(t *testing.T) {
	const said = "what a panic said of the vault"
	for name, break_ := range map[string]func(*testing.T, *world){
		"refused": func(_ *testing.T, w *world) {
			w.endpoint.FailFunc(func(r *certtokentest.Request) *certtokentest.Fault {
				return &certtokentest.Fault{Code: 700027, Description: "you sent " + r.Assertion}
			})
		},
		"granted in vain": func(_ *testing.T, w *world) {
			w.endpoint.FailAlways(certtokentest.Fault{Fields: map[string]any{"token_type": "mac"}})
		},
		"unreachable": func(t *testing.T, w *world) {
			w.use(t, nil, certtoken.WithHTTPClient(&http.Client{Transport: talkative{w.endpoint.Transport()}}))
		},
		"panicking source": func(t *testing.T, w *world) {
			w.use(t, certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic(said) }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			break_(t, w)
			_, err := w.creds.GetRequestMetadata(secure(t.Context()))
			require.Error(t, err)
			called := check(t.Context(), w.dial())
			require.Error(t, called)
			text := printed(
				err,
			) + printed(
				errors.Unwrap(err),
			) + printed(
				called,
			) + printed(
				status.Convert(err).Proto(),
			) + printed(
				status.Convert(called).Proto(),
			)
			secretFree(t, w.endpoint, text)
			assert.False(t, strings.Contains(text, said))
		})
	}
}

// use gives the world another client, of the same application.
func (w *world) use(t *testing.T, source certtoken.CertSource, opts ...certtoken.Option) {
	t.Helper()
	if source == nil {
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		w.endpoint.Register(clientID, cert.Leaf)
		source = cert
	}
	tokens, err := certtoken.NewClient(certtoken.Entra("contoso.com"), clientID, source, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tokens.Close()) })
	w.creds = certtokengrpc.New(tokens, scope)
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
