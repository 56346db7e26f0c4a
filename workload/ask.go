package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
	"github.com/certtoken/certtoken/internal/workers"
)

// Bounds of one question.
const (
	attempts     = 3                // the second after pause, the third after twice of that
	pause        = time.Second      // before the second attempt
	attemptLimit = 10 * time.Second // for one attempt
	maxAnswer    = 1 << 20          // bytes of an answer
)

// service is whom a source asks.
type service struct {
	name      string // for errors
	client    *http.Client
	temporary func(status int) bool // reports whether the same question may be answered later
}

// question is what a source asks: a GET of an address, with a header that is secret.
type question struct {
	address *url.URL
	header  http.Header
	secret  string // in the header; no error shows it
}

// newClient is a copy of a client that follows no redirect, which would take the secret
// elsewhere, and keeps no cookies.
func newClient(given *http.Client) *http.Client {
	own := *given
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// checkAddress refuses an address that would show the secret to the network.
func checkAddress(variable, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%s %q is not the address of a service", variable, redact.Short(text))
	case u.Scheme == "https", u.Scheme == "http" && isNear(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("%s %q is neither https nor http to this machine or a link-local address",
		variable, redact.Short(text))
}

// isNear reports whether a host is this machine, or an address that no router passes on.
func isNear(host string) bool {
	address, _ := netip.ParseAddr(host) // of a name it is the zero Addr, which is no address
	return syntax.IsLoopback(host) || address.IsLinkLocalUnicast()
}

// ask asks until there is an answer, at most three times.
func (s *service) ask(ctx context.Context, q question) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		body, again, err := s.askOnce(ctx, q)
		if err == nil {
			return body, nil
		}
		err = redact.New(q.secret).Error(fmt.Errorf("%s: %w", s.name, err))
		if !again || attempt == attempts || !workers.Sleep(ctx, pause<<(attempt-1)) {
			return nil, err
		}
	}
}

// askOnce asks once. again reports whether the same question may be answered later.
func (s *service) askOnce(ctx context.Context, q question) (body []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.address.String(), nil)
	if err != nil {
		return nil, false, err
	}
	req.Header = q.header
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, !isDial(err), fmt.Errorf("no answer from %s: %w", q.address.Host, cause(err))
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, true, fmt.Errorf("the answer of %s broke off: %w", q.address.Host, err)
	case len(body) > maxAnswer:
		return nil, false, fmt.Errorf("the answer of %s has more than %d bytes", q.address.Host, maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, s.temporary(resp.StatusCode), &refusal{resp.StatusCode, q.address.Host, messageOf(body)}
	}
	return body, false, nil
}

// refusal is an answer without a token.
type refusal struct {
	status  int
	host    string
	message string // "": none
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%s answered %d", r.host, r.status)
	if r.message != "" {
		text += ": " + r.message
	}
	return text
}

// messageOf is what an answer says of an error, in whichever of the forms that are in use.
func messageOf(body []byte) string {
	var answer struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
		Message     string          `json:"message"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	var inner struct{ Message string }
	var code string
	_ = json.Unmarshal(answer.Error, &inner) // it is an object or a text
	_ = json.Unmarshal(answer.Error, &code)
	for _, text := range []string{answer.Description, inner.Message, answer.Message, code} {
		if text != "" {
			return redact.Text(text, redact.MaxText)
		}
	}
	return ""
}

// isDial reports whether no connection was made: nobody is there.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// cause is an error of net/http without the URL, whose query a reader doesn't need.
func cause(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// isBusy reports whether a status says that a server is busy or broken.
func isBusy(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500
}
