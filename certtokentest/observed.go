package certtokentest

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

// Reset forgets requests, counters, planned faults and which assertions
// and proofs were used. Clients and tokens remain.
func (s *Server) Reset() {
	s.endpoint.log.reset()
	s.endpoint.used.Reset()
	if s.endpoint.proofs != nil {
		s.endpoint.proofs.Reset()
	}
	s.ClearFaults()
}
