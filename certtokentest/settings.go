package certtokentest

import "time"

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

// ExpireNonces makes the nonces stale that the token endpoint gave for DPoP proofs so far.
// [Resource.ExpireNonces] does it to those of an API.
func (s *Server) ExpireNonces() {
	if s.endpoint.proofs != nil {
		s.endpoint.proofs.ExpireNonces()
	}
}
