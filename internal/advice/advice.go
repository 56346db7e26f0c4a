// Package advice is what to do about each error code of a token endpoint, as data.
// It knows codes and how a request was proved, and never a request, a response or
// a client.
//
//	advice.go   what fits which request
//	aadsts.go   the codes of Entra ID
//	oauth.go    those of every server
package advice

// Proof is how a request proved who the client is.
type Proof int

// The proofs. The zero value is an assertion that the client's own key signed.
const (
	ByCertificate Proof = iota
	ByTLS               // the certificate in the TLS handshake is all
	ByOthers            // an assertion from elsewhere: the client has no certificate
)

// Request is what is known of a refused request.
type Request struct {
	Proof   Proof
	ForUser bool // its grant is a user's: their assertion, code or refresh token

	Signed   bool // its grant is an assertion for a user that the client's own key signed
	Exchange bool // its grant exchanges a token for another
}

// Entry is what a code asks for.
type Entry struct {
	Advice      string
	User        string // where the grant is a user's; "": Advice
	TLS         string // where the proof is [ByTLS]; "": Advice
	Others      string // where the proof is [ByOthers]; "": Advice
	Signed      string // where the client signed the grant; "": User
	Exchange    string // where the grant exchanges a token; "": User
	Certificate bool   // another certificate may help: reload, retry once
	Temporary   bool   // retried
	Mismatch    bool   // an assertion and the certificate in TLS don't belong together: another assertion may help
}

// For is the advice that fits a request.
func (e Entry) For(r Request) string {
	switch {
	case r.Signed && e.Signed != "":
		return e.Signed
	case r.Exchange && e.Exchange != "":
		return e.Exchange
	case r.ForUser && e.User != "":
		return e.User
	case r.Proof == ByTLS && e.TLS != "":
		return e.TLS
	case r.Proof == ByOthers && e.Others != "":
		return e.Others
	}
	return e.Advice
}

// What a refusal without a code asks for.
const (
	// Later is for a fault that passes.
	Later = "a fault or throttling on the server's side: call again later"

	// Fault is for a fault that the server gives no reason for.
	Fault = "a fault on the server's side, which its log explains; some servers answer so to an assertion " +
		"whose times, audience or key they don't take"

	// Elsewhere is for a status by which a server says that nothing is there.
	Elsewhere = "compare the token endpoint's URL with the server's documentation or metadata"

	// Page is for a page of HTML: it says nothing of the client's key.
	Page = "the page is not the token endpoint's own: give who runs the web filter, proxy or gateway " +
		"in between the time and the page's id"
)
