package azcred

// AuthenticationError says why no token could be had. It wraps what the client
// said: a [*certtoken.TokenError] with Entra ID's codes and a sentence of advice
// where the endpoint refused, the context's error, [certtoken.ErrClosed], or
// what certificate source or network said.
//
// The SDK doesn't repeat a request that failed with it: the client has already
// tried again what could be tried again.
type AuthenticationError struct {
	err error
}

// Error is the client's error.
func (e *AuthenticationError) Error() string { return "azcred: no token: " + e.err.Error() }

// Unwrap returns the client's error.
func (e *AuthenticationError) Unwrap() error { return e.err }

// NonRetriable marks the error for azcore's retry policy. It does nothing.
func (e *AuthenticationError) NonRetriable() {}
