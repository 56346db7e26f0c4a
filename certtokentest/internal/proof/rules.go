package proof

// Rules are what a kind of server demands of an assertion.
type Rules struct {
	Algorithms    []string // accepted values of alg
	Types         []string // accepted values of typ, compared without case; "" is none at all
	Headers       []string // accepted header parameters; nil: any
	RSA           bool     // keys must be RSA, in TLS too
	NeedName      bool     // the header must name the key, in whatever way
	KeyID         KeyID
	JWKSURL       bool     // a jku must be the URL that the client is registered with
	Audiences     []string // accepted values of aud
	AudienceLists bool     // aud may be a list of these
	Times         Times
}

// KeyID is what a kind of server demands of kid.
type KeyID int

// What servers demand.
const (
	KeyIDFree      KeyID = iota // beside a thumbprint it may say anything
	KeyIDKnown                  // it must be known, whatever else names the key
	KeyIDOfSeveral              // the same, and it must be there if the client has several keys
	KeyIDMandatory              // the same, and it must be there
)
