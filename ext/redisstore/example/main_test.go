package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/redisstore/internal/redistest"
	"github.com/stretchr/testify/assert"
)

// Of five replicas that start at once, one asks the endpoint.
func TestReplicas(t *testing.T) {
	redistest.Each(t, func(t *testing.T, program string) {
		// On a machine that is too busy for its own Redis, which has a second for an answer,
		// replicas ask for themselves, as they should.
		for try := 1; ; try++ {
			started := time.Now()
			requests, said := playReplicas(t, redistest.Start(t, program))
			if requests != 1 && time.Since(started) >= time.Second && try < 20 {
				t.Logf("once more: %d requests in %v", requests, time.Since(started))
				continue
			}
			assert.Equal(t, 1, requests)
			assert.Equal(t, 1, strings.Count(said, "from the token endpoint"), said)
			assert.Equal(t, 4, strings.Count(said, "from Redis"), said)
			return
		}
	})
}

// playReplicas returns how many requests five replicas made, and what they said.
func playReplicas(t *testing.T, server *redistest.Server) (requests int, said string) {
	t.Helper()
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
	return endpoint.Count(), all.String()
}
