package certtoken

// Parts of the program that run in a client's goroutines. Errors name the one that
// panicked or doesn't return.
const (
	partCertSource      = "the certificate source"
	partAssertionSource = "the assertion source"
	partSigner          = "the signer"
	partTransport       = "the HTTP transport"
	partStore           = "the store"
	partHook            = "a hook"
	partSave            = "the function that saves a session"
)
