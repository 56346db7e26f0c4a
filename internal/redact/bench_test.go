package redact

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func BenchmarkText(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	assertion := randomJWT(r)
	const description = "AADSTS700027: Client assertion failed signature validation. [Reason - The key was not " +
		"found., Thumbprint of key used by client: 'B8E1D3'] Trace ID: 0f1d6e7a-2c3b-4d5e-8f90-1a2b3c4d5e6f " +
		"Timestamp: 2026-01-01 00:00:00Z"
	for name, text := range map[string]string{
		"a description": description,
		"a long one":    strings.Repeat(description+" ", 20),
		"an echo":       strings.Repeat(assertion+" ", 20),
		"a megabyte":    strings.Repeat(description, 1<<20/len(description)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				New(assertion).Text(text, MaxText)
			}
		})
	}
}
