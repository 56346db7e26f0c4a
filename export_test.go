package certtoken

import (
	"time"

	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/regularfile"
)

// HangFiles makes the source's file system hang until the channel is closed.
func HangFiles(source any, until <-chan struct{}) {
	var files *regularfile.Reader
	switch s := source.(type) {
	case *FileSource:
		files = &s.files
	case *assertionFile:
		files = &s.files
	}
	files.Occupy(until)
}

// WithPasswordFunc is WithPassword with a function, which is called after the
// certificate file was read and before the key file is.
func WithPasswordFunc(password func() string) CertOption {
	return func(c *certConfig) { c.password = password }
}

// ShiftWall moves the wall clock of a client and leaves the monotonic one alone:
// forward as after a suspension, back as an administrator does.
func ShiftWall(c *Client, by time.Duration) { c.clock.Shift(by) }

// ShiftWallOfSource does the same to the clock by which a replaced pair may still sign.
func ShiftWallOfSource(s *FileSource, by time.Duration) { s.back.clock.Shift(by) }

// TakeLock takes a lock of a shared store.
var TakeLock = takeLock

// CacheLen counts the slots that can be found.
func CacheLen(c *Client) int { return c.own.Len() }

// UserCacheLen counts those of tokens on behalf of users.
func UserCacheLen(c *Client) int { return c.users.Len() }

// SharedLeases counts the users of the connections that clients share.
func SharedLeases() int { return connections.Leases() }
