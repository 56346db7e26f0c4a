package certtokentest

import "sync"

// requestLog keeps the last requests and counts all.
type requestLog struct {
	limit int // of those that it keeps

	mu     sync.Mutex
	all    int // of every kind
	tokens int // to the token endpoint
	done   int // of these, granted
	first  int // number of kept[0]
	kept   []*Request
}

func (l *requestLog) count() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
}

// begin records a request on arrival, so that one that is being delayed counts.
func (l *requestLog) begin(r *Request) (number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == l.limit {
		l.kept[0] = nil
		l.kept = l.kept[1:]
		l.first++
	}
	l.tokens++
	arrived := *r
	l.kept = append(l.kept, &arrived)
	return l.first + len(l.kept) - 1
}

// finish adds how it was answered, unless it was dropped in between.
func (l *requestLog) finish(number int, r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.AccessToken != "" {
		l.done++
	}
	if i := number - l.first; i >= 0 && i < len(l.kept) {
		answered := *r
		answered.Done = true
		l.kept[i] = &answered
	}
}

// requests are the last ones, oldest first.
func (l *requestLog) requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Request, len(l.kept))
	for i, r := range l.kept {
		list[i] = *r
	}
	return list
}

// last is the last one, or the zero Request.
func (l *requestLog) last() Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == 0 {
		return Request{}
	}
	return *l.kept[len(l.kept)-1]
}

// counts are the numbers of requests of every kind, to the token endpoint, and
// that were granted a token.
func (l *requestLog) counts() (all, tokens, granted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, l.tokens, l.done
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first += len(l.kept)
	l.kept, l.all, l.tokens, l.done = nil, 0, 0, 0
}
