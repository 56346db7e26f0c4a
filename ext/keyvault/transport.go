package keyvault

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// maxAnswer bounds the bytes of an answer's body that are read, refusals included. A vault
// takes secrets of at most 25 KiB, and all else that is asked of it is smaller.
const maxAnswer = 1 << 20

// limited is a transport whose answers have bodies of at most maxAnswer bytes. It stands
// below the SDK's policies because one of those reads each body whole, whatever its size,
// before a policy of ours sees the answer.
type limited struct{ transport policy.Transporter }

// limit limits a transport of the user's, or the default one if that is nil.
func limit(transport policy.Transporter) limited {
	if transport == nil {
		transport = defaultClient
	}
	return limited{transport}
}

// Do implements policy.Transporter.
func (l limited) Do(req *http.Request) (*http.Response, error) {
	resp, err := l.transport.Do(req)
	if err != nil || resp == nil || resp.Body == nil {
		return resp, err
	}
	tooLarge := sizeError{resp.StatusCode}
	if resp.ContentLength > maxAnswer {
		resp.Body.Close()
		return nil, tooLarge
	}
	resp.Body = &limitedBody{body: resp.Body, left: maxAnswer, tooLarge: tooLarge}
	return resp, nil
}

// limitedBody fails once more than left bytes have come.
type limitedBody struct {
	body     io.ReadCloser
	left     int
	tooLarge error
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p[:min(len(p), b.left+1)]) // the one more shows that there is more
	if n > b.left {
		return b.left, b.tooLarge
	}
	b.left -= n
	return n, err
}

func (b *limitedBody) Close() error { return b.body.Close() }

// sizeError is an answer that is too large to be a vault's. The SDK doesn't repeat a request
// that failed with it.
type sizeError struct{ status int }

func (e sizeError) Error() string {
	return fmt.Sprintf("the answer (%d %s) has more than %d bytes: is it a vault?",
		e.status, http.StatusText(e.status), maxAnswer)
}

// NonRetriable marks the error for azcore's retry policy. It does nothing.
func (sizeError) NonRetriable() {}

// defaultClient has the settings of the SDK's own default, which can't be had from outside
// the SDK, and a bound on headers. All sources share its connections.
var defaultClient = &http.Client{Transport: &http.Transport{
	Proxy:                  http.ProxyFromEnvironment,
	ForceAttemptHTTP2:      true,
	MaxIdleConns:           100,
	MaxIdleConnsPerHost:    10,
	IdleConnTimeout:        90 * time.Second,
	TLSHandshakeTimeout:    10 * time.Second,
	MaxResponseHeaderBytes: 64 << 10,
	// A connection whose other end is gone is given up before the next request needs it.
	HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
}}
