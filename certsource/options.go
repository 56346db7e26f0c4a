package certsource

import (
	"errors"
	"fmt"
	"time"
)

const (
	defaultInterval = 15 * time.Minute
	minInterval     = time.Second
	defaultTimeout  = 20 * time.Second // less than a certtoken.Client waits for a token
	maxTimeout      = 5 * time.Minute
)

// Option changes a [Source] from its defaults.
type Option func(*config)

type config struct {
	interval  time.Duration
	timeout   time.Duration
	noRefresh bool
	errs      []error
}

func newConfig(opts []Option) config {
	cfg := config{interval: defaultInterval, timeout: defaultTimeout}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("certsource: "+format, args...))
}

// validate reports every mistake at once.
func (c *config) validate(name string, load Load) error {
	if name == "" {
		c.fail("no name: it says in errors where the certificate is kept")
	}
	if load == nil {
		c.fail("no function that loads the certificate")
	}
	return errors.Join(c.errs...)
}

// WithRefreshInterval sets how often the function is called for a renewed certificate, at
// most, and only while there are callers: 1 s or more, by default 15 minutes. It is also
// called when the certificate has expired.
func WithRefreshInterval(d time.Duration) Option {
	return func(c *config) {
		if d < minInterval {
			c.fail("WithRefreshInterval: %v is less than %v", d, minInterval)
		}
		c.interval = d
	}
}

// WithTimeout limits one call of the function: up to 5 minutes, by default 20 s.
func WithTimeout(d time.Duration) Option {
	return func(c *config) {
		if d <= 0 || d > maxTimeout {
			c.fail("WithTimeout: %v is not within 0 and %v", d, maxTimeout)
		}
		c.timeout = d
	}
}

// WithoutRefresh is for a certificate that never changes where it is kept, such as one
// version of it: once it was loaded, the function isn't called again.
func WithoutRefresh() Option {
	return func(c *config) { c.noRefresh = true }
}
