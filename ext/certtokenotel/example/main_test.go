package main

import (
	"bytes"
	"regexp"
	"sync"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/secrettest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// buffer is written to by both exporters.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// randomIDs are those of traces and spans, which exemplars have in base64: in there any few
// letters may stand, and so may the beginning of a JWT.
var randomIDs = regexp.MustCompile(`"(Trace|Span)ID": ?"[^"]*"`)

func TestExample(t *testing.T) {
	endpoint := certtokentest.New()
	cert := certtokentest.NewCertificate(t)
	endpoint.Register("client-id", cert.Leaf)
	var out buffer
	require.NoError(t, run(t.Context(), &out, endpoint.Authority(), "client-id", cert,
		"https://graph.microsoft.com/.default",
		certtoken.WithHTTPClient(endpoint.Client())))
	for _, want := range []string{
		`"nightly report"`, `"acquire token"`,
		`"certtoken.cache.lookups"`, `"certtoken.request.duration"`, `"certtoken.certificate.time_to_expiry"`,
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.False(t, secrettest.BeginsJWT(randomIDs.ReplaceAllString(out.String(), "")), "the beginning of a JWT")
}
