package certtokentest

// Agent is an agent identity of Entra ID. It has no key: its blueprint gets an assertion
// for it, at the tenant that the agent lives in.
type Agent struct {
	ID        string   // the client id
	Blueprint string   // the client id of the blueprint, which is registered as other clients are
	Tenant    string   // in which it lives
	Users     []string // as which it may act by itself (the grant user_fic)
}
