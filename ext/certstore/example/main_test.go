package main

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Elsewhere the program says what is wrong.
func TestRunElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this is Windows")
	}
	assert.ErrorIs(t, run(t.Context(), "app", true, "contoso.com", "client-id"), errors.ErrUnsupported)
}
