package workload_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/certtoken/certtoken/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

const (
	appID    = "5f1b7c7e-0000-4000-8000-000000000001"
	secret   = "the-secret-of-the-request-0123456789"
	audience = certtokentest.ExchangeAudience
	graph    = "https://graph.microsoft.com/.default"
)

// variables are those that the sources read. Tests begin without them.
var variables = []string{
	"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
	"IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST",
}

func setVariables(t *testing.T, values map[string]string) {
	t.Helper()
	for _, name := range variables {
		t.Setenv(name, values[name])
	}
}

// service answers on loopback, and keeps what it was asked.
type service struct {
	url string

	mu     sync.Mutex
	asked  []*http.Request
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

func newService(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *service {
	t.Helper()
	s := &service{answer: answer}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r)
		n := len(s.asked)
		s.mu.Unlock()
		s.answer(n, w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	s.url = server.URL
	return s
}

func (s *service) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.asked...)
}

// text answers with a text.
func text(status int, body string) func(int, http.ResponseWriter, *http.Request) {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// federated is a client of Entra ID that trusts a provider's assertions.
func federated(
	t *testing.T, source certtoken.AssertionSource,
) (*certtoken.Client, *certtokentest.IdentityProvider) {
	t.Helper()
	server := certtokentest.New()
	provider := certtokentest.NewIdentityProvider("https://provider.example")
	server.Federate(appID, provider.Federation("me", audience))
	client, err := certtoken.NewFederatedClient(server.Authority(), appID, source,
		certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client, provider
}

func TestGitHubActions(t *testing.T) {
	client, provider := federated(t, workload.GitHubActions(nil))
	github := newService(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		value := provider.Assertion("me", r.URL.Query().Get("audience"), 5*time.Minute)
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": value})
	})
	setVariables(t, map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL":   github.url + "/idtoken/1?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret,
	})
	for _, scope := range []string{graph, "https://vault.azure.net/.default"} {
		_, err := client.Token(t.Context(), scope)
		require.NoError(t, err)
	}
	asked := github.requests()
	require.Equal(t, 2, len(asked), "each assertion is asked for")
	assert.Equal(t, "Bearer "+secret, asked[0].Header.Get("Authorization"))
	assert.Equal(t, "/idtoken/1", asked[0].URL.Path)
	assert.Equal(t, "2.0", asked[0].URL.Query().Get("api-version"), "the address keeps its query")
	assert.Equal(t, audience, asked[0].URL.Query().Get("audience"))
}

// What goes wrong is said, with what to do and without a secret.
func TestGitHubActionsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set    map[string]string // "@" stands for the service
		answer func(int, http.ResponseWriter, *http.Request)
		says   []string
	}{
		"nothing set": {says: []string{"ACTIONS_ID_TOKEN_REQUEST_URL and", "permissions: {id-token: write}"}},
		"no token": {
			set:  map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "@"},
			says: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set", "fork"},
		},
		"no address": {
			set:  map[string]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret},
			says: []string{"ACTIONS_ID_TOKEN_REQUEST_URL is not set"},
		},
		"plain http": {
			set: map[string]string{
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret, "ACTIONS_ID_TOKEN_REQUEST_URL": "http://github.example/x",
			},
			says: []string{"neither https nor http to this machine"},
		},
		"no URL": {
			set: map[string]string{
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret, "ACTIONS_ID_TOKEN_REQUEST_URL": "://",
			},
			says: []string{"is not the address of a service"},
		},
		"refused":   {answer: text(403, `{"message":"no `+secret+` here"}`), says: []string{"answered 403: no "}},
		"not JSON":  {answer: text(200, "<html>"), says: []string{"has no token"}},
		"no value":  {answer: text(200, `{"count":0}`), says: []string{"has no token"}},
		"too large": {answer: text(200, strings.Repeat(" ", 2<<20)), says: []string{"more than 1048576 bytes"}},
		"redirected": {
			answer: func(_ int, w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
			},
			says: []string{"answered 302"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.answer
			if answer == nil {
				answer = text(200, "{}")
			}
			github := newService(t, answer)
			set := map[string]string{
				"ACTIONS_ID_TOKEN_REQUEST_URL": github.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret,
			}
			if c.answer == nil {
				set = make(map[string]string)
				for name, value := range c.set {
					set[name] = strings.ReplaceAll(value, "@", github.url)
				}
			}
			setVariables(t, set)
			_, err := workload.GitHubActions(nil).Assertion(t.Context(), audience)
			require.Error(t, err)
			for _, says := range c.says {
				assert.ErrorContains(t, err, says)
			}
			assert.NotContains(t, err.Error(), secret)
			if c.answer == nil {
				assert.Empty(t, github.requests())
			} else {
				assert.Equal(t, 1, len(github.requests()))
			}
		})
	}
}

// Both services of Azure are asked in their own form.
func TestManagedIdentity(t *testing.T) {
	const resourceID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n"
	for name, c := range map[string]struct {
		app      bool
		identity workload.Identity
		path     string
		query    map[string]string
		header   [2]string
	}{
		"App Service": {
			app: true, path: "/msi/token", query: map[string]string{"api-version": "2019-08-01"},
			header: [2]string{"X-Identity-Header", secret},
		},
		"App Service, resource id": {
			app: true, path: "/msi/token", identity: workload.Identity{ResourceID: resourceID},
			query: map[string]string{"mi_res_id": resourceID}, header: [2]string{"X-Identity-Header", secret},
		},
		"IMDS": {
			path: "/metadata/identity/oauth2/token", query: map[string]string{"api-version": "2018-02-01"},
			header: [2]string{"Metadata", "true"},
		},
		"IMDS, client id": {
			identity: workload.Identity{ClientID: "an-app"}, path: "/metadata/identity/oauth2/token",
			query: map[string]string{"client_id": "an-app"}, header: [2]string{"Metadata", "true"},
		},
		"IMDS, object id": {
			identity: workload.Identity{ObjectID: "an-object"}, path: "/metadata/identity/oauth2/token",
			query: map[string]string{"object_id": "an-object"}, header: [2]string{"Metadata", "true"},
		},
		"IMDS, resource id": {
			identity: workload.Identity{ResourceID: resourceID}, path: "/metadata/identity/oauth2/token",
			query: map[string]string{"msi_res_id": resourceID}, header: [2]string{"Metadata", "true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, provider := federated(t, workload.ManagedIdentity(c.identity, nil))
			azure := newService(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{
					"access_token": provider.Assertion("me", r.URL.Query().Get("resource"), 24*time.Hour),
					"expires_on":   fmt.Sprint(time.Now().Add(24 * time.Hour).Unix()), "token_type": "Bearer",
				})
			})
			if c.app {
				setVariables(t, map[string]string{"IDENTITY_ENDPOINT": azure.url + "/msi/token",
					"IDENTITY_HEADER": secret})
			} else {
				setVariables(t, map[string]string{"AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.url})
			}
			for _, scope := range []string{graph, "https://vault.azure.net/.default"} {
				_, err := client.Token(t.Context(), scope)
				require.NoError(t, err)
			}
			asked := azure.requests()
			require.Equal(t, 1, len(asked), "the token is kept")
			assert.Equal(t, c.path, asked[0].URL.Path)
			assert.Equal(t, audience, asked[0].URL.Query().Get("resource"))
			for name, value := range c.query {
				assert.Equal(t, value, asked[0].URL.Query().Get(name))
			}
			assert.Equal(t, c.header[1], asked[0].Header.Get(c.header[0]))
		})
	}
}

func TestManagedIdentityRefused(t *testing.T) {
	two := workload.Identity{ClientID: "a", ObjectID: "b"}
	for name, c := range map[string]struct {
		set      map[string]string // "@" stands for the service; nil: App Service
		identity workload.Identity
		audience string
		answer   func(int, http.ResponseWriter, *http.Request)
		says     string
	}{
		"App Service's error": {
			answer: text(400, `{"statusCode":400,"message":"No User Assigned identity for `+secret+`"}`),
			says:   "answered 400: No User Assigned identity",
		},
		"IMDS's error": {
			set:    map[string]string{"AZURE_POD_IDENTITY_AUTHORITY_HOST": "@"},
			answer: text(400, `{"error":"invalid_request","error_description":"Identity not found"}`),
			says:   "Identity not found: is the identity (assigned by the system) assigned to where this runs?",
		},
		"an object": {answer: text(403, `{"error":{"code":"x","message":"not you"}}`), says: "answered 403: not you"},
		"a code":    {answer: text(401, `{"error":"nobody"}`), says: "answered 401: nobody"},
		"a page":    {answer: text(403, `<html>`), says: "answered 403"},
		"no token":  {answer: text(200, `{"expires_on":"1"}`), says: "no access_token"},
		"two ids":   {identity: two, says: "by one id"},
		"no audience": {
			audience: "none", says: "the audience is empty",
		},
		"Service Fabric": {
			set: map[string]string{
				"IDENTITY_ENDPOINT": "@", "IDENTITY_HEADER": secret, "IDENTITY_SERVER_THUMBPRINT": "x",
			},
			says: "Service Fabric",
		},
		"Azure Arc": {set: map[string]string{"IDENTITY_ENDPOINT": "@", "IMDS_ENDPOINT": "@"}, says: "Azure Arc"},
		"no header": {set: map[string]string{"IDENTITY_ENDPOINT": "@"}, says: "IDENTITY_HEADER is not"},
		"plain http": {
			set:  map[string]string{"IDENTITY_ENDPOINT": "http://10.0.0.1/msi", "IDENTITY_HEADER": secret},
			says: "link-local",
		},
		"plain http for IMDS": {
			set:  map[string]string{"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://imds.example"},
			says: "link-local",
		},
		"nobody there": {
			set:  map[string]string{"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1"},
			says: "does this run in Azure",
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.answer
			if answer == nil {
				answer = text(200, `{"access_token":"x"}`)
			}
			azure := newService(t, answer)
			set := map[string]string{"IDENTITY_ENDPOINT": azure.url, "IDENTITY_HEADER": secret}
			if c.set != nil {
				set = make(map[string]string)
				for name, value := range c.set {
					set[name] = strings.ReplaceAll(value, "@", azure.url)
				}
			}
			setVariables(t, set)
			wanted := audience
			if c.audience != "" {
				wanted = ""
			}
			_, err := workload.ManagedIdentity(c.identity, nil).Assertion(t.Context(), wanted)
			require.ErrorContains(t, err, c.says)
			assert.NotContains(t, err.Error(), secret)
			if c.answer == nil {
				assert.Empty(t, azure.requests())
			} else {
				assert.Equal(t, 1, len(azure.requests()))
			}
		})
	}
}

// Link-local addresses and https need no more.
func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"http://169.254.131.4:8081/msi/token": true, "http://localhost:12356/msi/token": true, "http://[::1]:8": true,
		"http://[fe80::1]:8": true, "https://identity.example/msi": true, "http://identity.example/msi": false,
		"http://169.253.0.1": false, "http://u:p@127.0.0.1": false, "ftp://127.0.0.1": false, "127.0.0.1:80": false,
		"https:///msi": false, "https://identity.example/#x": false,
	} {
		setVariables(t, map[string]string{"IDENTITY_ENDPOINT": address, "IDENTITY_HEADER": secret})
		_, err := workload.ManagedIdentity(workload.Identity{}, stub(func(*http.Request) (int, string, error) {
			return 200, `{"access_token":"x"}`, nil
		})).Assertion(t.Context(), audience)
		assert.Equal(t, good, err == nil, "%s: %v", address, err)
	}
}

// stub is a client without connections.
func stub(answer func(*http.Request) (status int, body string, err error)) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		status, body, err := answer(r)
		if err != nil {
			return nil, err
		}
		return &http.Response{
			StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A busy service is asked up to three times, with pauses; a refusal is final.
func TestAttempts(t *testing.T) {
	github := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": "https://github.example/x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret,
	}
	app := map[string]string{"IDENTITY_ENDPOINT": "http://127.0.0.1/msi", "IDENTITY_HEADER": secret}
	gitHubActions := workload.GitHubActions
	managedIdentity := func(client *http.Client) certtoken.AssertionSource {
		return workload.ManagedIdentity(workload.Identity{}, client)
	}
	for name, c := range map[string]struct {
		source   func(*http.Client) certtoken.AssertionSource
		set      map[string]string
		statuses []int // 0: the connection breaks
		asked    int
		fails    bool
	}{
		"GitHub is busy":          {gitHubActions, github, []int{503, 429, 200}, 3, false},
		"GitHub stays busy":       {gitHubActions, github, []int{503, 503, 503, 200}, 3, true},
		"GitHub breaks off":       {gitHubActions, github, []int{0, 200}, 2, false},
		"GitHub knows nothing":    {gitHubActions, github, []int{404, 200}, 1, true},
		"App Service isn't ready": {managedIdentity, app, []int{404, 200}, 2, false},
		"App Service has gone":    {managedIdentity, app, []int{410, 200}, 1, true},
		"IMDS isn't ready":        {managedIdentity, nil, []int{410, 404, 200}, 3, false},
		"IMDS refuses":            {managedIdentity, nil, []int{403, 200}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			setVariables(t, c.set)
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				source := c.source(stub(func(*http.Request) (int, string, error) {
					asked++
					status := c.statuses[asked-1]
					if status == 0 {
						return 0, "", errors.New("the connection with " + secret + " broke")
					}
					return status, `{"access_token":"x","value":"x"}`, nil
				}))
				began := time.Now()
				_, err := source.Assertion(t.Context(), audience)
				assert.Equal(t, c.fails, err != nil, "%v", err)
				assert.Equal(t, c.asked, asked)
				want := []time.Duration{0, time.Second, 3 * time.Second}[asked-1]
				assert.Equal(t, want, time.Since(began))
				if err != nil {
					assert.NotContains(t, err.Error(), secret)
				}
			})
		})
	}
}

// A service that hangs is given up, and a caller who leaves isn't kept.
func TestHangingService(t *testing.T) {
	setVariables(t, nil)
	synctest.Test(t, func(t *testing.T) {
		source := workload.ManagedIdentity(workload.Identity{}, stub(func(r *http.Request) (int, string, error) {
			<-r.Context().Done()
			return 0, "", r.Context().Err()
		}))
		began := time.Now()
		_, err := source.Assertion(t.Context(), audience)
		require.Error(t, err)
		assert.Equal(t, 33*time.Second, time.Since(began), "three attempts of 10 s, and the pauses")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := source.Assertion(ctx, audience)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		all.Wait()
		assert.Equal(t, 34*time.Second, time.Since(began))
	})
}

// azure grants tokens in a bubble.
type azure struct {
	asked  atomic.Int32
	life   time.Duration
	fails  atomic.Bool
	takes  time.Duration
	format string // of the lifetime; "": expires_in
}

func (a *azure) answer(r *http.Request) (int, string, error) {
	n := a.asked.Add(1)
	time.Sleep(a.takes)
	if a.fails.Load() {
		return 403, "{}", nil
	}
	life := fmt.Sprintf(`"expires_in":"%d"`, int(a.life.Seconds()))
	switch a.format {
	case "none":
		life = `"x":0`
	case "expires_on":
		life = fmt.Sprintf(`"expires_on":%d,"expires_in":1`, time.Now().Add(a.life).Unix())
	}
	return 200, fmt.Sprintf(`{"access_token":"%s-%d",%s}`, r.URL.Query().Get("resource"), n, life), nil
}

// Tokens are kept as long as they may be, and renewed in time.
func TestKeptTokens(t *testing.T) {
	setVariables(t, nil)
	for name, c := range map[string]struct {
		azure *azure
		at    []time.Duration // when the source is asked
		want  []string        // what it hands out
	}{
		"a day": {
			&azure{life: 24 * time.Hour},
			[]time.Duration{0, 11 * time.Hour, 12*time.Hour + time.Second}, []string{"r-1", "r-1", "r-2"},
		},
		"a day, by its end": {
			&azure{life: 24 * time.Hour, format: "expires_on"},
			[]time.Duration{0, 11 * time.Hour, 12*time.Hour + 2*time.Second}, []string{"r-1", "r-1", "r-2"},
		},
		"an hour": {
			&azure{life: time.Hour},
			[]time.Duration{0, 57 * time.Minute, 58*time.Minute + time.Second}, []string{"r-1", "r-1", "r-2"},
		},
		"a minute":        {&azure{life: time.Minute}, []time.Duration{0, 0}, []string{"r-1", "r-2"}},
		"nobody knows it": {&azure{format: "none"}, []time.Duration{0, 0}, []string{"r-1", "r-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := workload.ManagedIdentity(workload.Identity{}, stub(c.azure.answer))
				began := time.Now()
				for i, at := range c.at {
					time.Sleep(time.Until(began.Add(at)))
					got, err := source.Assertion(t.Context(), "r")
					require.NoError(t, err)
					assert.Equal(t, c.want[i], got, at)
				}
				other, err := source.Assertion(t.Context(), "other")
				require.NoError(t, err)
				assert.True(t, strings.HasPrefix(other, "other-"), "each audience has its own")
			})
		})
	}
}

// While the service fails, the kept token is handed out until its end, and the service is
// left alone for half a minute.
func TestServiceThatFails(t *testing.T) {
	setVariables(t, nil)
	synctest.Test(t, func(t *testing.T) {
		a := azure{life: 24 * time.Hour}
		source := workload.ManagedIdentity(workload.Identity{}, stub(a.answer))
		ask := func() (string, error) { return source.Assertion(t.Context(), "r") }
		_, err := ask()
		require.NoError(t, err)
		a.fails.Store(true)
		time.Sleep(13 * time.Hour)
		for range 3 {
			got, err := ask()
			require.NoError(t, err)
			assert.Equal(t, "r-1", got)
		}
		assert.EqualValues(t, 2, a.asked.Load())
		time.Sleep(31 * time.Second)
		_, err = ask()
		require.NoError(t, err)
		assert.EqualValues(t, 3, a.asked.Load())
		time.Sleep(11 * time.Hour)
		_, err = ask()
		assert.ErrorContains(t, err, "answered 403")
	})
}

// One caller fetches; the others wait, or have the token that is still valid.
func TestCallersAtOnce(t *testing.T) {
	setVariables(t, nil)
	synctest.Test(t, func(t *testing.T) {
		a := azure{life: 24 * time.Hour, takes: 5 * time.Second}
		source := workload.ManagedIdentity(workload.Identity{}, stub(a.answer))
		ask := func(n int, want string) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					got, err := source.Assertion(t.Context(), "r")
					assert.NoError(t, err)
					assert.Equal(t, want, got)
				})
			}
			all.Wait()
		}
		ask(20, "r-1")
		assert.EqualValues(t, 1, a.asked.Load())
		time.Sleep(13 * time.Hour)
		began := time.Now()
		var renewing sync.WaitGroup
		renewing.Go(func() { ask(1, "r-2") })
		synctest.Wait()
		ask(20, "r-1")
		assert.Zero(t, time.Since(began), "nobody waits for a renewal")
		renewing.Wait()
		assert.EqualValues(t, 2, a.asked.Load())
	})
}

// Many audiences don't fill the memory, and each gets its own token all the same.
func TestManyAudiences(t *testing.T) {
	setVariables(t, nil)
	synctest.Test(t, func(t *testing.T) {
		a := azure{life: 24 * time.Hour}
		source := workload.ManagedIdentity(workload.Identity{}, stub(a.answer))
		for n := range 200 {
			name := fmt.Sprint("api://", n%100)
			got, err := source.Assertion(t.Context(), name)
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(got, name+"-"))
		}
	})
}

// No printing verb shows what a source keeps.
func TestNoSecretIsPrinted(t *testing.T) {
	setVariables(t, map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": "https://github.example/x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret,
	})
	client := stub(func(*http.Request) (int, string, error) {
		return 200, `{"access_token":"` + secret + `","value":"` + secret + `","expires_in":86400}`, nil
	})
	for _, source := range []certtoken.AssertionSource{
		workload.GitHubActions(client), workload.ManagedIdentity(workload.Identity{ClientID: "an-app"}, client),
	} {
		got, err := source.Assertion(t.Context(), audience)
		require.NoError(t, err)
		require.Equal(t, secret, got)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			for _, value := range []any{source, struct{ field any }{source}} {
				assert.NotContains(t, fmt.Sprintf(verb, value), secret)
			}
		}
		data, _ := json.Marshal(source)
		assert.NotContains(t, string(data), secret)
	}
	assert.Equal(t, "workload.ManagedIdentity(client_id an-app)",
		fmt.Sprint(workload.ManagedIdentity(workload.Identity{ClientID: "an-app"}, nil)))
}

// The answers come from outside.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"x","expires_on":"1700000000"}`, `{"access_token":"x","expires_in":3599.5}`, `{}`, `[]`,
		`{"access_token":"x","expires_on":"1/1/2030 0:00:00 AM +00:00"}`, `{"error":{"message":"x"}}`, `{"error":[1]}`,
		`{"access_token":1}`, `{"access_token":"x","expires_on":1e999,"expires_in":"-1"}`,
	} {
		f.Add(200, seed)
		f.Add(403, seed)
	}
	for _, name := range variables {
		f.Setenv(name, "")
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		source := workload.ManagedIdentity(workload.Identity{}, stub(func(*http.Request) (int, string, error) {
			return 400 - status%2*200, body, nil // 200 or 400
		}))
		got, err := source.Assertion(t.Context(), audience)
		if err == nil && got == "" {
			t.Error("neither a token nor an error")
		}
	})
}
