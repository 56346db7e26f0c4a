package keyvault

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// maxRetryAfter is as long a pause as is obeyed.
const maxRetryAfter = 5 * time.Minute

// throttle remembers the pause that a vault asked for and the SDK's retries
// didn't sit out. It holds for everything that a Source asks of the vault.
type throttle struct {
	mu    sync.Mutex
	until time.Time
	why   error
}

// check returns the vault's refusal while its pause lasts.
func (t *throttle) check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if left := time.Until(t.until); left > 0 {
		return fmt.Errorf("%w (asked again in %v at the earliest)", t.why, left.Round(time.Second))
	}
	return nil
}

// note remembers the pause that an error asks for, and returns the error.
func (t *throttle) note(err error) error {
	if pause := retryAfter(err); pause > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.until, t.why = time.Now().Add(min(pause, maxRetryAfter)), err
	}
	return err
}

// retryAfter is the pause that a response asks for (RFC 9110 §10.2.3).
func retryAfter(err error) time.Duration {
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.RawResponse == nil {
		return 0
	}
	value := refused.RawResponse.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return time.Until(date)
	}
	return 0
}
