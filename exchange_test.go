package certtoken

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/advice"
	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

func TestParseTokenError(t *testing.T) {
	const entra = `{"error":"invalid_client","error_description":"AADSTS700027: Client assertion failed signature ` +
		`validation.\r\nTrace ID: 1",` +
		`"error_codes":[700027],"timestamp":"2026-01-01 ` +
		`00:00:00Z","trace_id":"t-1","correlation_id":"c-1",` +
		`"error_uri":"https://login.microsoftonline.com/error?code=700027","suberror":"s-1",` +
		`"claims":"{\"access_token\":{}}"}`
	response := func(status int, header ...string) *http.Response {
		r := &http.Response{
			StatusCode: status,
			Header:     http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	const endpoint = "https://login.microsoftonline.com/t/oauth2/v2.0/token?secret=1"

	t.Run("Entra", func(t *testing.T) {
		e := refusalOf(endpoint, response(401, "Date", "Mon, 23 Nov 2026 10:00:00 GMT"), []byte(entra), nil, "sent")
		assert.Equal(t, 401, e.StatusCode)
		assert.Equal(t, "invalid_client", e.Code)
		assert.Equal(
			t,
			`AADSTS700027: Client assertion failed signature validation.\r\nTrace ID: 1`,
			e.Description,
			"control characters are escaped",
		)
		assert.Equal(t, []int{700027}, e.AADSTS)
		assert.Equal(t, "t-1", e.TraceID)
		assert.Equal(t, "c-1", e.CorrelationID)
		assert.Equal(t, "s-1", e.Suberror)
		assert.JSONEq(t, `{"access_token":{}}`, e.Claims)
		assert.Equal(t, "https://login.microsoftonline.com/error?code=700027", e.URI)
		assert.False(t, e.Temporary())
		assert.True(t, e.blamesCertificate())
		assert.Contains(t, e.Advice(), "upload")
		text := e.Error()
		for _, part := range []string{"https://login.microsoftonline.com/t/oauth2/v2.0/token answered 401 " +
			"invalid_client",
			"c-1", "upload"} {
			assert.Contains(t, text, part)
		}
		assert.NotContains(t, text, "secret=1")
		assert.NotContains(t, text, "\n")
	})
	t.Run("codes only in the text", func(t *testing.T) {
		e := refusalOf(
			endpoint,
			response(400),
			[]byte(`{"error":"invalid_client","error_description":"AADSTS700024: clock"}`),
			nil,
			"",
		)
		assert.Equal(t, []int{700024}, e.AADSTS)
		assert.True(t, e.blamesClock())
	})
	t.Run("a proxy's page", func(t *testing.T) {
		e := refusalOf(
			endpoint,
			response(502, "Content-Type", "text/html"),
			[]byte("<html>Bad gateway</html>"),
			nil,
			"sent",
		)
		assert.Equal(t, "sent", e.CorrelationID)
		assert.Contains(t, e.Description, "text/html")
		assert.NotContains(t, e.Error(), "Bad gateway")
		assert.True(t, e.Temporary())
	})
	t.Run("a refusal by the status alone", func(t *testing.T) {
		for status, advised := range map[int]bool{400: false, 401: true, 403: true, 404: false} {
			e := refusalOf(endpoint, response(status), nil, nil, "sent")
			assert.Equal(t, status, e.StatusCode)
			assert.Empty(t, e.Code)
			assert.Contains(t, e.Description, "without a word")
			assert.Equal(t, advised, strings.Contains(e.Error(), "WithKeyID"), "%v", e)
			assert.False(t, e.Temporary())
		}
	})
	t.Run("an echo of the assertion", func(t *testing.T) {
		jwt := "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJodHRwczovLyJ9.c2lnbmF0dXJl"
		body, err := json.Marshal(
			map[string]string{
				"error":             jwt,
				"error_description": "what is " + jwt + " supposed to be",
				"claims":            `{"a":"` + jwt + `"}`,
				"suberror":          jwt,
				"trace_id":          jwt,
				"correlation_id":    jwt,
				"error_uri":         jwt,
			},
		)
		require.NoError(t, err)
		e := refusalOf(endpoint, response(400), body, nil, "sent")
		dump, err := json.Marshal(e)
		require.NoError(t, err)
		for _, part := range strings.Split(jwt, ".") {
			assert.NotContains(t, e.Error(), part)
			assert.NotContains(t, string(dump), part)
		}
		assert.Contains(t, e.Description, "what is [removed] supposed to be")
	})
	t.Run("a long text", func(t *testing.T) {
		body, err := json.Marshal(
			map[string]string{"error": "invalid_request", "error_description": strings.Repeat("ä", 5000)},
		)
		require.NoError(t, err)
		e := refusalOf(endpoint, response(400), body, nil, "sent")
		assert.LessOrEqual(t, len(e.Description), redact.MaxText+len("…"))
	})
}

// A refusal blames the certificate for the codes for which another one may help.
func TestRefusalsThatBlameTheCertificate(t *testing.T) {
	reload := map[int]bool{700027: true, 7000214: true, 1000502: true, 7000274: true, 7000277: true}
	for code, entry := range advice.AADSTS {
		assert.Equal(t, reload[code], entry.Certificate, code)
		assert.Equal(
			t,
			reload[code],
			(&TokenError{Code: "invalid_client", AADSTS: []int{code}}).blamesCertificate(),
			code,
		)
	}
	assert.Empty(t, (&TokenError{AADSTS: []int{1}}).Advice())
}

func seeds(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(f, err)
	require.NotEmpty(f, files, "the seeds are missing")
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
}

func FuzzTokenResponse(f *testing.F) {
	seeds(f, "testdata/response/*")
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := exchange.Read(new(exchange.Request), &http.Response{StatusCode: 200, Header: http.Header{}}, body)
		if err != nil {
			assert.Zero(t, g)
			return
		}
		assert.True(t, syntax.IsVisible(g.Access) && g.Access != "")
		assert.True(t, g.Lifetime > 0 && g.Lifetime <= exchange.MaxLife)
		token := newToken(g, []string{"scope"}, clock.New().Look(), nil)
		assert.LessOrEqual(t, token.life.Renew, token.life.End)
		assert.False(t, token.ExpiresAt().Before(token.RenewAt()))
		assert.NotContains(t, token.String(), "access_token")
		token.Extra("anything")
	})
}

func FuzzErrorResponse(f *testing.F) {
	seeds(f, "testdata/response/*")
	f.Fuzz(func(t *testing.T, body []byte) {
		e := refusalOf(
			"https://issuer.example/token",
			&http.Response{StatusCode: 400, Header: http.Header{}},
			body,
			nil,
			"sent",
		)
		text := e.Error()
		assert.Less(t, len(text), 3*redact.MaxText)
		assert.NotContains(t, text, "\n")
		assert.LessOrEqual(t, len(e.AADSTS), 16)
	})
}

// Lifetimes and margins of a token are in proportion, from seconds to days.
func TestTokenMargins(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, time.Hour,
		28 * time.Hour, exchange.MaxLife} {
		for _, refresh := range []time.Duration{0, life / 2, life, 2 * life} {
			for range 20 {
				at := clock.New().Look()
				token := newToken(exchange.Answer{Access: "x", Lifetime: life, RefreshIn: refresh}, nil, at, nil)
				renew, end := token.life.Renew-at.Mono, token.life.End-at.Mono
				want := float64(life) * 0.75
				if refresh == life/2 {
					want = float64(life) / 2
				}
				assert.InDelta(t, want, float64(renew), 0.1*want+1, "%v %v", life, refresh)
				margin := math.Min(float64(30*time.Second), 0.05*float64(life))
				assert.InDelta(t, float64(life)-margin, float64(end), 2, "%v", life)
			}
		}
	}
}

// refusalOf reads a refusal as a client does.
func refusalOf(endpoint string, resp *http.Response, body []byte, form url.Values, id string) *TokenError {
	_, err := exchange.Read(&exchange.Request{Endpoint: endpoint, Form: form, CorrelationID: id}, resp, body)
	var refused *exchange.Refusal
	if !errors.As(err, &refused) {
		panic(err)
	}
	return newTokenError(refused, Event{}, advice.Request{})
}
