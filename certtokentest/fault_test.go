package certtokentest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFaults(t *testing.T) {
	began := time.Now()
	tests := []struct {
		name  string
		fault certtokentest.Fault
		check func(t *testing.T, r reply, err error)
	}{
		{"none", certtokentest.Fault{}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.NotEmpty(t, r.token())
		}},
		{"AADSTS code", certtokentest.Fault{Code: 7000277, Suberror: "sub", Claims: `{"a":1}`},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, 7000277, r.code())
				assert.Equal(t, http.StatusUnauthorized, r.status)
				assert.Equal(t, "invalid_client", r.body["error"])
				assert.Equal(t, "sub", r.body["suberror"])
				assert.Equal(t, `{"a":1}`, r.body["claims"])
			}},
		{"unknown AADSTS code", certtokentest.Fault{Code: 12345, Description: "what {it} says %d"},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, 12345, r.code())
				assert.Contains(t, r.text, "what {it} says %d")
			}},
		{"OAuth error", certtokentest.Fault{Error: "server_error", Status: 500},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, 500, r.status)
				assert.Equal(t, "server_error", r.body["error"])
				assert.NotContains(t, r.text, "AADSTS")
			}},
		{"status", certtokentest.Fault{Status: 503, Header: http.Header{"x-proxy": {"a"}}},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, 503, r.status)
				assert.Empty(t, r.text)
				assert.Equal(t, "a", r.header.Get("X-Proxy"))
			}},
		{"throttled", certtokentest.Throttle(1500 * time.Millisecond), func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Equal(t, 429, r.status)
			assert.Equal(t, "2", r.header.Get("Retry-After"))
			assert.Equal(t, 90055, r.code())
		}},
		{"throttled until", certtokentest.Fault{Status: 503, RetryAfter: time.Minute, RetryDate: true},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				until, err := http.ParseTime(r.header.Get("Retry-After"))
				require.NoError(t, err)
				isFromNow(t, began, time.Minute, until)
			}},
		{"reset", certtokentest.Fault{Shape: certtokentest.ResetConnection}, func(t *testing.T, _ reply, err error) {
			assert.ErrorIs(t, err, syscall.ECONNRESET)
		}},
		{"empty body", certtokentest.Fault{Shape: certtokentest.EmptyBody}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Equal(t, 200, r.status)
			assert.Empty(t, r.text)
		}},
		{"HTML", certtokentest.Fault{Shape: certtokentest.HTML, Status: 502}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Equal(t, 502, r.status)
			assert.Contains(t, r.header.Get("Content-Type"), "text/html")
			assert.Contains(t, r.text, "<html>")
		}},
		{"not JSON", certtokentest.Fault{Shape: certtokentest.NotJSON}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Nil(t, r.body)
			assert.NotEmpty(t, r.text)
		}},
		{"redirect", certtokentest.Fault{Shape: certtokentest.Redirect, Location: "https://evil.example/"},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, 307, r.status)
				assert.Equal(t, "https://evil.example/", r.header.Get("Location"))
			}},
		{"endless", certtokentest.Fault{Shape: certtokentest.EndlessBody}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Len(t, r.text, 8<<20, "as much as was read")
		}},
		{"gzip bomb", certtokentest.Fault{Shape: certtokentest.GzipBomb}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Len(t, r.text, 8<<20, "as much as was read")
			assert.Equal(t, byte(0), r.text[0])
		}},
		{"truncated", certtokentest.Fault{Shape: certtokentest.TruncatedBody}, func(t *testing.T, r reply, err error) {
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.NotEmpty(t, r.text)
		}},
		{"oversized", certtokentest.Fault{Shape: certtokentest.OversizedBody}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Greater(t, len(r.text), 5<<20)
			assert.NotEmpty(t, r.token())
		}},
		{"wrong content type", certtokentest.Fault{Shape: certtokentest.WrongContentType},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, "text/plain; charset=utf-8", r.header.Get("Content-Type"))
				assert.NotEmpty(t, r.token())
			}},
		{"no token", certtokentest.Fault{Shape: certtokentest.NoToken}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.Equal(t, 200, r.status)
			assert.NotContains(t, r.body, "access_token")
		}},
		{"no expiry", certtokentest.Fault{Shape: certtokentest.NoExpiry}, func(t *testing.T, r reply, err error) {
			require.NoError(t, err)
			assert.NotContains(t, r.body, "expires_in")
		}},
		{"negative expiry", certtokentest.Fault{Shape: certtokentest.NegativeExpiry},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, -1., r.body["expires_in"])
			}},
		{"absurd expiry", certtokentest.Fault{Shape: certtokentest.AbsurdExpiry},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.Equal(t, 1e18, r.body["expires_in"])
			}},
		{"delays", certtokentest.Fault{Delay: 10 * time.Millisecond, BodyDelay: 10 * time.Millisecond},
			func(t *testing.T, r reply, err error) {
				require.NoError(t, err)
				assert.NotEmpty(t, r.token())
			}},
	}
	eachForm(t, func(t *testing.T, f *fixture) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				f.srv.Reset()
				f.srv.Fail(tt.fault)
				r, err := f.tryPost(f.form())
				tt.check(t, r, err)
				last := f.srv.LastRequest()
				require.NotNil(t, last.Fault)
				assert.Equal(t, tt.fault.Shape, last.Fault.Shape)
				assert.Equal(t, clientID, last.ClientID, "what it was about is known")
				assert.Equal(t, http.StatusOK, f.post(f.form()).status, "one fault, one request")
				assert.Nil(t, f.srv.LastRequest().Fault)
			})
		}
	})
}

func TestFaultThatReplacesUsesNothingUp(t *testing.T) {
	f := newFixture(t)
	f.srv.Fail(certtokentest.Fault{Status: 503})
	form := f.form()
	assert.Equal(t, 503, f.post(form).status)
	assert.Equal(t, 200, f.post(form).status)

	f.srv.Fail(certtokentest.Fault{Shape: certtokentest.NoToken})
	form = f.form()
	assert.Equal(t, 200, f.post(form).status)
	assert.Equal(t, 401, f.post(form).status, "the endpoint had accepted the assertion")
}

// Shapes of a granted token leave a refusal alone.
func TestShapesOfGrantsLeaveRefusals(t *testing.T) {
	f := newFixture(t)
	f.srv.Replace(clientID)
	for _, shape := range []certtokentest.Shape{certtokentest.NegativeExpiry, certtokentest.AbsurdExpiry} {
		f.srv.Fail(certtokentest.Fault{Shape: shape})
		r := f.post(f.form())
		assert.Equal(t, 700027, r.code())
		assert.NotContains(t, r.body, "expires_in")
	}
}

func TestFaultPlan(t *testing.T) {
	f := newFixture(t)
	statuses := func(n int) (list []int) {
		for range n {
			list = append(list, f.post(f.form()).status)
		}
		return list
	}
	f.srv.FailAlways(certtokentest.Fault{Status: 500})
	f.srv.Fail(certtokentest.Fault{Status: 503}, certtokentest.Fault{}, certtokentest.Fault{Status: 429})
	f.srv.Fail(certtokentest.Fault{Status: 502})
	assert.Equal(t, []int{503, 200, 429, 502, 500, 500}, statuses(6))
	f.srv.ClearFaults()
	assert.Equal(t, []int{200}, statuses(1))
	f.srv.FailFunc(func(r *certtokentest.Request) *certtokentest.Fault {
		if strings.HasPrefix(r.Scope, "https://graph") && !r.Done {
			return &certtokentest.Fault{Code: 53003}
		}
		return nil
	})
	assert.Equal(t, []int{400}, statuses(1))
	form := f.form()
	form.Set("scope", "https://vault.azure.net/.default")
	assert.Equal(t, 200, f.post(form).status)
	f.srv.FailFunc(nil)
	assert.Equal(t, []int{200}, statuses(1))
}

func TestGenericServerFault(t *testing.T) {
	f := newFixture(t, certtokentest.WithIssuer(""))
	f.srv.Fail(certtokentest.Fault{Code: 700027},
		certtokentest.Fault{Error: "temporarily_unavailable", Status: 503, Claims: "{}"})
	r := f.post(f.form())
	assert.Equal(t, 401, r.status)
	assert.Equal(t,
		map[string]any{"error": "invalid_client",
			"error_description": "The server was told to refuse this request."}, r.body)
	r = f.post(f.form())
	assert.Equal(t, 503, r.status)
	assert.Equal(t, "{}", r.body["claims"])
}

func TestDelayEndsWithTheRequest(t *testing.T) {
	for name, fault := range map[string]certtokentest.Fault{
		"header": {Delay: time.Hour},
		"body":   {BodyDelay: time.Hour},
		"reset":  {Delay: time.Hour, Shape: certtokentest.ResetConnection},
	} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, func(t *testing.T, f *fixture) {
				f.srv.Fail(fault)
				ctx, cancel := context.WithCancel(t.Context())
				req := tokenRequest(t, f.srv.TokenURL(), f.form()).WithContext(ctx)
				failed := make(chan error, 1)
				go func() {
					_, err := f.do(req)
					failed <- err
				}()
				until(t, func() bool { return f.srv.Count() == 1 })
				cancel()
				assert.ErrorIs(t, <-failed, context.Canceled)
			})
		})
	}
}

func TestCloseEndsDelays(t *testing.T) {
	f := newFixture(t)
	srv, err := certtokentest.Start()
	require.NoError(t, err)
	f.srv = srv
	srv.FailAlways(certtokentest.Fault{Delay: time.Hour})
	var wg sync.WaitGroup
	for range 4 {
		form := f.form()
		wg.Go(func() {
			_, err := f.tryPost(form)
			assert.Error(t, err)
		})
	}
	until(t, func() bool { return srv.Count() == 4 })
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(srv.Close)
	}
	closers.Wait()
	srv.Close()
	wg.Wait()
}

func TestBodyAfterClose(t *testing.T) {
	f := newFixture(t)
	f.srv.Fail(certtokentest.Fault{BodyDelay: time.Hour})
	resp, err := f.srv.Client().Do(tokenRequest(t, f.srv.TokenURL(), f.form()))
	require.NoError(t, err)
	read := make(chan error)
	go func() {
		_, err := resp.Body.Read(make([]byte, 1))
		read <- err
	}()
	require.NoError(t, resp.Body.Close())
	require.Error(t, <-read)
	require.NoError(t, resp.Body.Close())
	_, err = resp.Body.Read(make([]byte, 1))
	assert.Error(t, err)
}

// The faults as certtoken's own user meets them.
func TestFaultsThroughTheClient(t *testing.T) {
	f := newFixture(t)
	f.srv.Fail(certtokentest.Fault{Code: 700016})
	_, err := f.client(f.srv.Authority()).Token(t.Context(), graphScope)
	var refused *certtoken.TokenError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, []int{700016}, refused.AADSTS)
}

func TestCompressedOnlyIfAsked(t *testing.T) {
	f := newFixture(t)
	f.srv.Fail(certtokentest.Fault{Shape: certtokentest.GzipBomb})
	req := tokenRequest(t, f.srv.TokenURL(), f.form())
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := f.srv.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	head := make([]byte, 2)
	_, err = io.ReadFull(resp.Body, head)
	require.NoError(t, err)
	assert.True(t, bytes.Equal([]byte{0x1f, 0x8b}, head))
}

func TestHandlerThatAborts(t *testing.T) {
	f := newFixture(t)
	f.srv.Handle("/abort", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	f.srv.Handle("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New("mine")) }))
	_, err := f.srv.Client().Get(f.srv.URL() + "/abort")
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	assert.PanicsWithError(t, "mine", func() { _, _ = f.srv.Client().Get(f.srv.URL() + "/panic") })
}
