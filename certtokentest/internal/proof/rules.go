package proof

// Rules are what a kind of server demands of an assertion.
type Rules struct {
	Algorithms    []string // accepted values of alg
	Types         []string // accepted values of typ, compared without case; "" is none at all
	Headers       []string // accepted header parameters; nil: any
	NeedKeyID     bool     // the header must name the key
	KnownKeyID    bool     // a kid must be known, whatever else names the key
	Audiences     []string // accepted values of aud
	AudienceLists bool     // aud may be a list of these
	Times         Times
}
