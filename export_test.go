package certtoken

import (
	"time"

	"github.com/certtoken/certtoken/internal/connections"
)

// ShiftWall moves the wall clock of a client and leaves the monotonic one alone:
// forward as after a suspension, back as an administrator does.
func ShiftWall(c *Client, by time.Duration) { c.clock.Shift(by) }

// CacheLen counts the slots that can be found.
func CacheLen(c *Client) int { return c.own.Len() }

// UserCacheLen counts those of tokens on behalf of users.
func UserCacheLen(c *Client) int { return c.users.Len() }

// SharedLeases counts the users of the connections that clients share.
func SharedLeases() int { return connections.Leases() }
