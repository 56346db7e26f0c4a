//go:build !windows

package certstore

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// supported says that this system has no such store.
func supported() error {
	return fmt.Errorf(
		"certstore: %w: the certificate store is Windows', this is %s",
		errors.ErrUnsupported,
		runtime.GOOS,
	)
}

func findInStore(*config, time.Time) (*found, error) { return nil, supported() }
