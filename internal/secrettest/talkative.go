package secrettest

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// Talkative has requests answered and then fails, with all that was sent in its error.
type Talkative struct{ Base http.RoundTripper }

// RoundTrip fails once the server has answered.
func (r Talkative) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(strings.NewReader(string(form)))
	resp, err := r.Base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return nil, errors.New("connection lost after sending " + string(form))
}
