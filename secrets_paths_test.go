package certtoken_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// A store's life: what is sealed, what its failures say, what a rotation of its
// secret does.
func TestSharedStoreShowsNoSecret(t *testing.T) {
	const secret, older = "the store's secret, which is long enough", "the store's older secret, which is long enough"
	bubble(t, func(t *testing.T) {
		spy := &spyStore{Store: certtoken.NewMemoryStore()}
		var echoed []string
		store := hostile{Store: spy, get: func(ctx context.Context, key string) ([]byte, error) {
			value, err := spy.Get(ctx, key)
			if err == nil {
				echoed = append(echoed, key)
				return value[:len(value)-1], nil // broken
			}
			return nil, err
		}}
		s := newSecretive(t, nil, certtoken.WithStore(store, []byte(secret), []byte(older)))
		s.watch.text("the store's secret", secret)
		s.watch.text("the store's older secret", older)
		for range 3 {
			s.token(t, graph)
			assertion := s.server.UserToken(user, appID)
			s.watch.assertion(assertion)
			req := certtoken.Request{Scopes: []string{userRead}, Grant: certtoken.OnBehalfOf(assertion)}
			tok, err := s.client.Acquire(t.Context(), req)
			require.NoError(t, err)
			print(s.watch, tok)
			synctest.Wait()
			time.Sleep(52 * time.Minute) // due, and the entry is there
		}
		require.NotEmpty(t, echoed)
		print(s.watch, s.client)
		print(s.watch, certtoken.WithStore(store, []byte(secret)))
		spy.mu.Lock()
		for key, value := range spy.entries { // what who reads the store sees
			fmt.Fprintf(s.watch, "%s %s %x\n", key, value, value)
		}
		spy.mu.Unlock()
		assert.Contains(t, s.watch.out.String(), "store\n")
		s.check(t)

		_, err := certtoken.NewClient(
			s.server.Authority(),
			appID,
			s.cert,
			certtoken.WithStore(store, []byte(secret[:20])),
		)
		s.printError(t, err)
		s.check(t)
	})
}

// Check, and a client that is closed, at each way to fail.
func TestCheckShowsNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSecretive(t, nil)
		require.NoError(t, s.client.Check(t.Context()))
		for _, fault := range []certtokentest.Fault{
			{Code: 700027}, {Code: 700016}, {Status: 502, Shape: certtokentest.HTML}, {Shape: certtokentest.NoToken},
			{Shape: certtokentest.ResetConnection}, {Shape: certtokentest.Redirect}, {Delay: time.Hour},
		} {
			s.server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
				fault.Description = "you sent " + req.Form.Encode()
				fault.Location = "https://evil.example/?" + req.Form.Encode()
				return &fault
			})
			s.printError(t, s.client.Check(t.Context(), vault))
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := s.client.Token(ctx, "api://gone/.default")
			cancel()
			s.printError(t, err)
			time.Sleep(time.Minute)
		}
		require.NoError(t, s.client.Close())
		s.printError(t, s.client.Check(t.Context()))
		s.check(t)
	})
}

// Discovery sends no secret, but a server may have some to tell.
func TestDiscoveryShowsNoSecret(t *testing.T) {
	const issuer = "https://as.example.com"
	jwt := certtokentest.New().UserToken("ada", appID)
	for name, answer := range map[string]func() (*http.Response, error){
		"an error": func() (*http.Response, error) { return nil, errors.New("proxy says " + jwt) },
		"redirect": func() (*http.Response, error) {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://" + jwt + "/"}},
				Body: http.NoBody}, nil
		},
		"issuer": func() (*http.Response, error) { return metadataOf(`{"issuer":"` + jwt + `"}`), nil },
		"endpoint": func() (*http.Response, error) {
			return metadataOf(`{"issuer":"` + issuer + `","token_endpoint":"http://x/` + jwt + `"}`), nil
		},
		"user in it": func() (*http.Response, error) {
			return metadataOf(`{"issuer":"` + issuer + `","token_endpoint":"https://u:` + jwt + `@x/"}`), nil
		},
		"no JSON": func() (*http.Response, error) { return metadataOf(jwt), nil },
		"a body that breaks": func() (*http.Response, error) {
			resp := metadataOf("")
			resp.Body = io.NopCloser(brokenReader{errors.New("reading " + jwt)})
			return resp, nil
		},
	} {
		bubble(t, func(t *testing.T) {
			w := new(watch)
			w.assertion(jwt)
			transport := roundTripFunc(func(req *http.Request) (*http.Response, error) {
				resp, err := answer()
				if resp != nil {
					resp.Request = req
				}
				return resp, err
			})
			_, err := certtoken.Discover(t.Context(), issuer,
				certtoken.WithDiscoveryClient(&http.Client{Transport: transport}))
			require.Error(t, err, name)
			fmt.Fprintf(w, "%s %v %+v %#v\n", name, err, err, err)
			dump(w, err)
			w.check(t)
		})
	}
}

func metadataOf(body string) *http.Response {
	return &http.Response{
		StatusCode: 200,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}
}

// Files of assertions, and clients made of the environment.
func TestFilesAndEnvironmentShowNoSecret(t *testing.T) {
	w := new(watch)
	jwt := certtokentest.New().UserToken("ada", appID)
	w.assertion(jwt)
	const password = "pa55word-of-the-environment"
	w.text("the password", password)
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	for _, content := range []string{jwt + "\n" + jwt, `{"token":"` + jwt + `"}`, strings.ReplaceAll(jwt, ".", " "),
		jwt[:len(jwt)/2], strings.Repeat(jwt, 200)} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		source := certtoken.AssertionFile(path)
		_, err := source.Assertion(t.Context(), "")
		fmt.Fprintf(w, "%v %#v %v %#v\n", err, err, source, source)
		dump(w, err)
	}
	_, err := certtoken.AssertionFile(dir).Assertion(t.Context(), "")
	fmt.Fprintf(w, "%v %#v\n", err, err)

	for name, value := range map[string]string{
		"AZURE_TENANT_ID": "contoso.com", "AZURE_CLIENT_ID": appID, "AZURE_CLIENT_CERTIFICATE_PASSWORD": password,
		"AZURE_CLIENT_CERTIFICATE_PATH": "", "AZURE_FEDERATED_TOKEN_FILE": path,
		"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN": password, "AZURE_AUTHORITY_HOST": "https://u:" + password + "@x/",
	} {
		t.Setenv(name, value)
	}
	_, err = certtoken.ClientFromEnvironment()
	require.Error(t, err)
	fmt.Fprintf(w, "%v %#v\n", err, err)
	dump(w, err)
	w.check(t)
}

// A signer that fails is a vault or an HSM; the key of another one is in memory
// all the same.
func TestFailingSignersShowNoSecret(t *testing.T) {
	for name, sign := range map[string]func() ([]byte, error){
		"fails":     func() ([]byte, error) { return nil, errors.New("the session ended") },
		"nothing":   func() ([]byte, error) { return nil, nil },
		"too short": func() ([]byte, error) { return make([]byte, 17), nil },
	} {
		t.Run(name, func(t *testing.T) {
			pair := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			broken := &certtoken.Certificate{Leaf: pair.Leaf, Signer: brokenSigner{pair.Signer.(*rsa.PrivateKey), sign}}
			s := newSecretive(t, broken)
			_, err := s.client.Token(t.Context(), graph)
			s.printError(t, err)
			s.printError(t, s.client.Check(t.Context()))
			print(s.watch, broken)
			print(s.watch, s.client)
			s.check(t)
		})
	}
}

type brokenSigner struct {
	*rsa.PrivateKey
	sign func() ([]byte, error)
}

func (s brokenSigner) SignContext(context.Context, []byte, crypto.SignerOpts) ([]byte, error) {
	return s.sign()
}

// The endpoint for tests doesn't show the keys and passwords of its users.
func TestTheFakeServerShowsNoKey(t *testing.T) {
	s := newSecretive(t, nil)
	s.token(t, graph)
	s.server.Fail(certtokentest.Fault{Code: 700027})
	_, err := s.client.Token(t.Context(), vault)
	s.printError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		fmt.Fprintf(s.watch, verb+"\n", s.server.Authority())
	}
	for _, refused := range []string{"eyJhbGciOiJub25lIn0.e30.", s.server.LastRequest().Assertion} {
		resp, err := s.server.Client().PostForm(s.server.URL()+"/contoso.com/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {appID}, "scope": {graph}, "client_assertion": {refused},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
		require.NoError(t, err)
		require.NotEqual(t, 200, resp.StatusCode, "a replay")
		require.NoError(t, resp.Write(s.watch))
	}
	s.check(t)
}
