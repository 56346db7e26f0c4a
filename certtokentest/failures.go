package certtokentest

import "time"

// Fail plans faults for the next requests to the token endpoint, one each, in
// this order, after those that are planned already.
func (s *Server) Fail(faults ...Fault) { s.endpoint.faults.Add(faults) }

// FailFor plans faults in turn, again and again, for every request of the next d
// that [Server.Fail] has none for: what comes and goes, such as Entra ID's refusals
// right after an app was made, while some of its servers know the app and others
// don't. The zero Fault is a request that goes well.
func (s *Server) FailFor(d time.Duration, faults ...Fault) {
	s.endpoint.faults.TakeTurns(faults, time.Now().Add(d))
}

// FailAlways plans a fault for every request that no planned one is for, until
// [Server.ClearFaults].
func (s *Server) FailAlways(fault Fault) {
	s.FailFunc(func(*Request) *Fault { return &fault })
}

// FailFunc lets a function decide about every request that no planned fault is
// for; nil means none. The function is called from many goroutines, sees the
// request before it is checked, and must not change it. A nil function decides
// nothing any more.
func (s *Server) FailFunc(decide func(*Request) *Fault) { s.endpoint.faults.Ask(decide) }

// FailDiscovery plans faults for the next requests for metadata and keys, one each.
// A fault with Fields changes the metadata.
func (s *Server) FailDiscovery(faults ...Fault) { s.endpoint.discovery.Add(faults) }

// FailDiscoveryFunc is [Server.FailFunc] for requests for metadata and keys, of
// which it sees the method, the URL and the header.
func (s *Server) FailDiscoveryFunc(decide func(*Request) *Fault) { s.endpoint.discovery.Ask(decide) }

// ClearFaults forgets everything that was planned.
func (s *Server) ClearFaults() {
	s.endpoint.faults.Clear()
	s.endpoint.discovery.Clear()
}
