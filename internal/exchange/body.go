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
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, ErrTooLong
	}
	return data, nil
}

// readBody reads a response's body. Nobody asked for a compressed one, but some
// gateways send it all the same.
func readBody(resp *http.Response) ([]byte, error) {
	tooLong := fmt.Errorf("it is larger than %d bytes: %w", MaxBody, ErrTooLong)
	body, err := ReadAll(resp.Body, MaxBody)
	if errors.Is(err, ErrTooLong) {
		return nil, tooLong
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
		return nil, tooLong
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
