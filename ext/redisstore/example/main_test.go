package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Of five replicas that start at once, one asks the endpoint.
func TestReplicas(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		server := redistest.Start(t, program)
		endpoint := certtokentest.New()
		cert := certtokentest.NewCertificate(t)
		endpoint.Register("client-id", cert.Leaf)
		outs := make([]bytes.Buffer, 5)
		var wg sync.WaitGroup
		for i := range outs {
			wg.Go(func() {
				assert.NoError(t, run(t.Context(), &outs[i], replica{
					authority: endpoint.Authority(),
					clientID:  "client-id",
					source:    cert,
					scope:     "https://graph.microsoft.com/.default",
					redis:     []string{server.Addr},
					secret:    bytes.Repeat([]byte("s"), 32),
					http:      endpoint.Client(),
				}))
			})
		}
		wg.Wait()
		var all strings.Builder
		for i := range outs {
			all.Write(outs[i].Bytes())
		}
		assert.Equal(t, 1, endpoint.Count())
		assert.Equal(t, 1, strings.Count(all.String(), "from the token endpoint"), all.String())
		assert.Equal(t, 4, strings.Count(all.String(), "from Redis"), all.String())
	})
}
