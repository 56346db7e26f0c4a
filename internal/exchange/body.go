package exchange

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

// MaxBody is as much as is read of an answer, and as much as it may come to
// where it is compressed.
const MaxBody = 1 << 20

var (
	// ErrTooLong is what ReadAll says of more than its limit.
	ErrTooLong = errors.New("too long")

	errEncoding = errors.New("its encoding can't be read")
)

// ReadAll reads all of r, or reports ErrTooLong.
func ReadAll(r io.Reader, limit int64) ([]byte, error) { return readSized(r, 0, limit) }

// usualBody is how much is made room for at once, however long the server says that its
// answer is.
const usualBody = 16 << 10

// readSized is ReadAll of a text whose size was told, rightly or not; 0 or less is unknown.
func readSized(r io.Reader, size, limit int64) ([]byte, error) {
	var data bytes.Buffer
	data.Grow(int(min(max(size, 0), usualBody)) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit {
		return nil, ErrTooLong
	}
	return data.Bytes(), nil
}

// errBodyTooLong is ErrTooLong of an answer's body.
var errBodyTooLong = fmt.Errorf("it is larger than %d bytes: %w", MaxBody, ErrTooLong)

// readBody reads a response's body. The request doesn't ask for a compressed one, but some
// gateways send it all the same.
func readBody(resp *http.Response) ([]byte, error) {
	body, err := readSized(resp.Body, resp.ContentLength, MaxBody)
	if errors.Is(err, ErrTooLong) {
		return nil, errBodyTooLong
	} else if err != nil {
		return nil, err
	}
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); {
	case bytes.HasPrefix(body, []byte("\x1f\x8b")): // gzip (RFC 1952 §2.3.1), and no text begins so
	case encoding == "" || encoding == "identity" || encoding == "gzip" || encoding == "x-gzip":
		return body, nil // the transport may have read it
	default:
		return nil, fmt.Errorf("%w: it is %s", errEncoding, redact.Short(encoding))
	}
	plain, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: it is broken gzip", errEncoding)
	}
	body, err = ReadAll(plain, MaxBody)
	if errors.Is(err, ErrTooLong) {
		return nil, errBodyTooLong
	} else if err != nil {
		return nil, fmt.Errorf("%w: it is broken gzip", errEncoding)
	}
	return body, nil
}

// mediaType is a response's content type without its parameters, or "".
func mediaType(resp *http.Response) string {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// ContentType is a response's, for people.
func ContentType(resp *http.Response) string { return contentType(resp, nil) }

func contentType(resp *http.Response, secrets *redact.Scrubber) string {
	if t := mediaType(resp); t != "" {
		return secrets.Short(t)
	}
	return "no content type"
}
