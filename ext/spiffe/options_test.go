package spiffe_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/ext/spiffe"
)

func TestAddresses(t *testing.T) {
	for address, says := range map[string]string{
		"unix:///run/spire/agent/public/api.sock": "",
		"tcp://127.0.0.1:8080":                    "",
		"tcp://[::1]:8080":                        "",
		"":                                        "set SPIFFE_ENDPOINT_SOCKET",
		"/run/spire/agent/public/api.sock":        "such as unix:///run",
		"unix:run/api.sock":                       "must not be opaque",
		"https://spire.example":                   "such as unix:///run",
		"tcp://10.0.0.1:8080":                     "is not on this machine",
		"tcp://spire.example:8080":                "must be an IP:port",
		"tcp://[fe80::1]:8080":                    "is not on this machine",
	} {
		t.Run(address, func(t *testing.T) {
			t.Setenv("SPIFFE_ENDPOINT_SOCKET", address)
			_, fromEnvironment := spiffe.NewX509Source()
			t.Setenv("SPIFFE_ENDPOINT_SOCKET", "unix:///elsewhere")
			_, fromOption := spiffe.NewJWTSource(spiffe.WithAddress(address))
			for _, err := range []error{fromEnvironment, fromOption} {
				if says == "" {
					assert.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, says)
				}
			}
		})
	}
}

// Every mistake is told at once.
func TestMistakes(t *testing.T) {
	opts := []spiffe.Option{
		spiffe.WithAddress("nowhere"), spiffe.WithID("example.org/my-app"), spiffe.WithHint(""), spiffe.WithTimeout(0),
		spiffe.WithTimeout(time.Hour), nil,
	}
	_, x509Err := spiffe.NewX509Source(append(opts, spiffe.WithJWTSPIFFE())...)
	_, jwtErr := spiffe.NewJWTSource(opts...)
	for _, err := range []error{x509Err, jwtErr} {
		require.Error(t, err)
		for _, says := range []string{
			`"nowhere"`, `"example.org/my-app"`, "no hint", "WithTimeout: 0s", "WithTimeout: 1h0m0s",
		} {
			assert.ErrorContains(t, err, says)
		}
	}
	assert.ErrorContains(t, x509Err, "WithJWTSPIFFE is for NewJWTSource")
}

func TestAssertionTypes(t *testing.T) {
	for want, opts := range map[string][]spiffe.Option{
		"urn:ietf:params:oauth:client-assertion-type:jwt-bearer": nil,
		"urn:ietf:params:oauth:client-assertion-type:jwt-spiffe": {spiffe.WithJWTSPIFFE()},
	} {
		source, err := spiffe.NewJWTSource(append(opts, spiffe.WithAddress("tcp://127.0.0.1:1"),
			spiffe.WithTimeout(5*time.Minute))...)
		require.NoError(t, err)
		assert.Equal(t, want, source.AssertionType())
		assert.NoError(t, source.Close())
	}
}
