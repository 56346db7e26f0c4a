package certfile

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// readings holds what ReadOnce has read, by the file and the options.
var readings sync.Map

// ReadOnce is Parse for files that several tests read with the same options. Most of the
// time that these tests take is the derivation of keys, and its result is the same each time.
func ReadOnce(data []byte, opts Options) (*Pair, error) {
	id := fmt.Sprintf("%x %t %x %q %t %q", sha256.Sum256(data), opts.Key == nil, sha256.Sum256(opts.Key),
		opts.Password, opts.HasPassword, opts.Thumbprint)
	read, _ := readings.LoadOrStore(id, sync.OnceValues(func() (*Pair, error) { return Parse(data, opts) }))
	return read.(func() (*Pair, error))()
}
