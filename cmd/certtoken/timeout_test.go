package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRequestTimeouts(t *testing.T) {
	for timeout, want := range map[time.Duration][2]time.Duration{
		time.Second:      {10 * time.Second, 30 * time.Second}, // the command's own limit comes first
		30 * time.Second: {10 * time.Second, 30 * time.Second},
		2 * time.Minute:  {40 * time.Second, 2 * time.Minute},
		time.Hour:        {200 * time.Second, 10 * time.Minute}, // the library's bound
	} {
		attempt, whole := requestTimeouts(timeout)
		assert.Equal(t, want, [2]time.Duration{attempt, whole}, "%v", timeout)
	}
}
