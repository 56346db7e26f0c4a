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

// SetLifetime changes how long tokens are valid from now on.
func (s *Server) SetLifetime(d time.Duration) {
	s.endpoint.retune(func(t *tuning) { t.lifetime = d })
}

// SetRefreshIn changes refresh_in from now on; 0 sends none.
func (s *Server) SetRefreshIn(d time.Duration) {
	s.endpoint.retune(func(t *tuning) { t.refreshIn = d })
}

// SetClockOffset sets the server's clock ahead of the machine's, or behind.
func (s *Server) SetClockOffset(d time.Duration) {
	s.endpoint.retune(func(t *tuning) { t.offset = d })
}

// SetGrantedScope sets the scope of every response from now on.
func (s *Server) SetGrantedScope(scope string) {
	s.endpoint.retune(func(t *tuning) { t.granted = &scope })
}

// SetRefusalForm changes how refusals are written from now on.
func (s *Server) SetRefusalForm(form RefusalForm) {
	s.endpoint.retune(func(t *tuning) { t.form = form })
}

// Requests returns the last requests to the token endpoint, oldest first, by
// default up to 1,000; see [WithRequestLimit].
func (s *Server) Requests() []Request { return s.endpoint.log.requests() }

// LastRequest returns the last request to the token endpoint. Without any it
// is the zero Request, whose Done is false.
func (s *Server) LastRequest() Request { return s.endpoint.log.last() }

// Count is the number of requests that reached the token endpoint, those in
// progress and refused included.
func (s *Server) Count() int {
	_, tokens, _ := s.endpoint.log.counts()
	return tokens
}

// CountGranted is the number of tokens granted.
func (s *Server) CountGranted() int {
	_, _, granted := s.endpoint.log.counts()
	return granted
}

// CountAll is the number of requests of every kind: to the token endpoint, for
// discovery and keys, to mounted handlers and to nothing.
func (s *Server) CountAll() int {
	all, _, _ := s.endpoint.log.counts()
	return all
}

// Reset forgets requests, counters, planned faults and which assertions were
// used. Clients and tokens remain.
func (s *Server) Reset() {
	s.endpoint.log.reset()
	s.endpoint.used.Reset()
	s.ClearFaults()
}
