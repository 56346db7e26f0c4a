package rotate_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/rotate"
)

// A CA near its end issues certificates that are due as soon as they are made: they are used
// for a while all the same.
func TestCertificatesThatAreDueAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		end := time.Now().Add(20 * day)
		w, a := newBooked(t, func(w *world, _ *book) {
			w.options.Issue = func(
				_ context.Context, key crypto.Signer, old *x509.Certificate,
			) (*certtoken.Certificate, error) {
				template := &x509.Certificate{
					SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: old.Subject,
					NotBefore: end.Add(-120 * day), NotAfter: end,
				}
				der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
				if err != nil {
					return nil, err
				}
				leaf, err := x509.ParseCertificate(der)
				return &certtoken.Certificate{Leaf: leaf, Signer: key}, err
			}
		})
		w.rotate()
		ctx, cancel := context.WithTimeout(t.Context(), 6*day)
		defer cancel()
		require.ErrorIs(t, w.rotation.Run(ctx), context.DeadlineExceeded)
		assert.Equal(t, 1, a.added)
		status, err := w.rotation.Status(t.Context())
		require.NoError(t, err)
		assert.WithinDuration(t, end.Add(-20*day*2/3), status.Due, time.Hour)
	})
}

// dated is a connection by whose answers the server's clock is behind.
type dated struct {
	http.RoundTripper
	behind time.Duration
}

func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Header.Set("Date", time.Now().Add(-d.behind).UTC().Format(http.TimeFormat))
	}
	return resp, err
}

// A clock that jumps ahead neither removes a key early nor uses one early.
func TestAClockThatJumpsAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, a := newBooked(t)
		web := &dated{RoundTripper: w.server.Client().Transport}
		client, err := certtoken.NewClient(w.authority, clientID, certtoken.CertFile(w.file),
			certtoken.WithHTTPClient(&http.Client{Transport: web}))
		require.NoError(t, err)
		defer client.Close()
		w.options.RemoveAfter, w.options.KeyID = time.Hour, "a-first"
		w.rotation, err = w.options.New(client, slow{a, 20 * time.Minute}, w.dir)
		require.NoError(t, err)
		old := w.current()
		_, err = w.rotation.Begin(t.Context())
		require.NoError(t, err)
		jump := func(by time.Duration) {
			time.Sleep(by)
			web.behind += by
		}
		jump(time.Hour)
		for range 5 {
			w.advance()
			time.Sleep(time.Minute)
		}
		require.Equal(t, old.Leaf.Raw, w.current().Leaf.Raw)
		time.Sleep(20 * time.Minute)
		status := w.advance()
		require.Equal(t, rotate.StepRemove, status.Step)
		jump(2 * time.Hour)
		status, err = w.rotation.Advance(t.Context())
		require.ErrorContains(t, err, "ahead of the token endpoint")
		require.Contains(t, a.keys, "a-first")
		require.NotNil(t, status.Failing)
		time.Sleep(4 * time.Hour)
		assert.Empty(t, w.advance().Retired)
		assert.NotContains(t, a.keys, "a-first")
	})
}

// A clock that was ahead when a step was made, and is right now, delays nothing.
func TestAClockThatWasAhead(t *testing.T) {
	for _, step := range []rotate.Step{rotate.StepConfirm, rotate.StepUse} {
		t.Run(string(step), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w, _ := newBooked(t)
				w.stopAt("turn " + string(step))
				path := w.file + ".rotation.json"
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				var state map[string]any
				require.NoError(t, json.Unmarshal(data, &state))
				ahead := time.Now().Add(365 * day).UTC()
				state["granted"], state["since"] = ahead, ahead
				state["new"].(map[string]any)["registered"] = ahead
				data, err = json.Marshal(state)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, data, 0o600))
				began := time.Now()
				w.rotate()
				assert.LessOrEqual(t, time.Since(began), 10*time.Minute)

				data, err = os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, json.Unmarshal(data, &state))
				state["retired"].([]any)[0].(map[string]any)["remove_at"] = ahead
				data, err = json.Marshal(state)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, data, 0o600))
				w.advance()
				time.Sleep(8 * day)
				assert.Empty(t, w.advance().Retired)
			})
		})
	}
}
