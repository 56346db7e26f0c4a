package answer

import (
	"bytes"
	"maps"
	"net/http"
)

// Buffer is a ResponseWriter in memory, for handlers that run in the caller's
// goroutine.
type Buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
	sent   http.Header // as of WriteHeader
	taken  *Answer     // that was served whole, or nil
}

var _ http.ResponseWriter = (*Buffer)(nil)

// NewBuffer returns an empty one.
func NewBuffer() *Buffer { return &Buffer{header: make(http.Header)} }

// Header implements [http.ResponseWriter].
func (b *Buffer) Header() http.Header { return b.header }

// WriteHeader implements [http.ResponseWriter].
func (b *Buffer) WriteHeader(status int) {
	if b.status == 0 {
		b.status, b.sent = status, b.header.Clone()
	}
}

// Write implements [http.ResponseWriter].
func (b *Buffer) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

// Answer is what was written.
func (b *Buffer) Answer() *Answer {
	if b.taken != nil {
		whole := *b.taken
		whole.Header = b.header.Clone()
		maps.Copy(whole.Header, b.taken.Header)
		return &whole
	}
	b.WriteHeader(http.StatusOK)
	if b.sent.Get("Content-Type") == "" && b.body.Len() > 0 {
		b.sent.Set("Content-Type", http.DetectContentType(b.body.Bytes()))
	}
	return &Answer{Status: b.status, Header: b.sent, Body: b.body.Bytes()}
}
