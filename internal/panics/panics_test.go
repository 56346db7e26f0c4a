package panics_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/internal/panics"
)

// recovered is the error of what f panics with.
func recovered(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panics.Error("the signer", p)
		}
	}()
	f()
	return nil
}

func TestError(t *testing.T) {
	var none map[string]int
	for name, c := range map[string]struct {
		f    func()
		want string
	}{
		"text":            {func() { panic("a secret") }, "the signer panicked (string) in "},
		"error":           {func() { panic(errors.New("a secret")) }, "the signer panicked (*errors.errorString) in "},
		"runtime error":   {func() { none["a"] = 1 }, "the signer panicked (assignment to entry in nil map) in "},
		"nil":             {func() { panic(nil) }, "the signer panicked ("},
		"nothing happens": {func() {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := recovered(c.f)
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, "panics_test.TestError", "the function that panicked")
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}
