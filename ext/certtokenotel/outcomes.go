package certtokenotel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/certtoken/certtoken"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// maxOutcomes bounds the time series of an instrument. The words come from the
// server, which may be anything.
const maxOutcomes = 64

// outcomes makes the attributes of each outcome once.
type outcomes struct {
	attrs []attribute.KeyValue

	mu   sync.Mutex
	made map[outcome]metric.MeasurementOption
}

type outcome struct {
	status    int
	errorType string
}

// of returns the attributes of an outcome. Those beyond the bound are _OTHER.
func (o *outcomes) of(err error, withStatus bool) metric.MeasurementOption {
	key := outcome{errorType: errorType(err)}
	if withStatus {
		key.status = status(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if made, ok := o.made[key]; ok {
		return made
	}
	if len(o.made) >= maxOutcomes {
		key = outcome{errorType: semconv.ErrorTypeOther.Value.AsString()}
	}
	made := metric.WithAttributeSet(attribute.NewSet(slices.Concat(o.attrs, key.attributes())...))
	if o.made == nil {
		o.made = make(map[outcome]metric.MeasurementOption)
	}
	o.made[key] = made
	return made
}

func (o outcome) attributes() []attribute.KeyValue {
	var attrs []attribute.KeyValue
	if o.status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(o.status))
	}
	if o.errorType != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(o.errorType))
	}
	return attrs
}

// status is that of the answer that a request got, or 0.
func status(err error) int {
	var refusal *certtoken.TokenError
	switch {
	case err == nil:
		return 200 // nothing else grants a token
	case errors.As(err, &refusal):
		return refusal.StatusCode
	}
	return 0
}

// errorType is the value of error.type, "" for success.
func errorType(err error) string {
	var refusal *certtoken.TokenError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusalType(refusal)
	}
	for _, known := range knownErrors {
		if known.is(err) {
			return known.name
		}
	}
	return semconv.ErrorTypeOther.Value.AsString()
}

func refusalType(e *certtoken.TokenError) string {
	switch {
	case len(e.AADSTS) > 0:
		return "AADSTS" + strconv.Itoa(e.AADSTS[0])
	case e.Code != "":
		return e.Code
	}
	return strconv.Itoa(e.StatusCode)
}

// knownErrors are in order: a name that can't be resolved in time is both dns
// and timeout.
var knownErrors = []struct {
	name string
	is   func(error) bool
}{
	{"bad_response", sentinel(certtoken.ErrBadResponse)},
	{"certificate_expired", sentinel(certtoken.ErrExpired)},
	{"certificate_not_yet_valid", sentinel(certtoken.ErrNotYetValid)},
	{"dns", kind[*net.DNSError]},
	{"tls", isTLS},
	{"timeout", isTimeout},
	{"canceled", sentinel(context.Canceled)},
	{"connection", isConnection},
}

func sentinel(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func kind[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isTLS(err error) bool {
	return kind[*tls.CertificateVerificationError](err) || kind[tls.RecordHeaderError](err) || kind[tls.AlertError](err) ||
		kind[x509.UnknownAuthorityError](err) ||
		kind[x509.HostnameError](err) ||
		kind[x509.CertificateInvalidError](err)
}

func isConnection(err error) bool {
	return kind[*net.OpError](err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed)
}
