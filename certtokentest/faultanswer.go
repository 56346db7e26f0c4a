package certtokentest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

const jsonType = "application/json; charset=utf-8"

// instead is the answer that takes the place of the one that would come, or nil.
// refuse writes an error as the server does.
func (f *Fault) instead(refuse func(*refusal.Refusal) *answer.Answer) *answer.Answer {
	switch {
	case f == nil:
		return nil
	case f.Body != "":
		return f.bare(bodyType(f.Body), []byte(f.Body))
	}
	if a := f.shaped(); a != nil {
		return a
	}
	switch {
	case f.Code != 0 || f.Error != "":
		return refuse(f.refusal())
	case f.Status != 0 && f.Fields == nil && f.Rewrite == nil:
		return f.bare("", nil)
	}
	return nil
}

// shaped is the answer of a shape that replaces it, or nil.
func (f *Fault) shaped() *answer.Answer {
	switch f.Shape {
	case ResetConnection:
		return &answer.Answer{Ending: answer.Reset}
	case EmptyBody:
		return f.bare("application/json", nil)
	case HTML:
		return f.bare(
			"text/html; charset=utf-8",
			[]byte("<!DOCTYPE html>\n<html><head><title>Sign in to the proxy</title>"+
				"</head><body><h1>Proxy</h1></body></html>\n"),
		)
	case NotJSON:
		return f.bare(jsonType, []byte(`{"token_type":"Bearer","expires_in":3599,`))
	case Redirect:
		a := f.bare("", nil)
		a.Status = cmp.Or(f.Status, http.StatusTemporaryRedirect)
		a.Header.Set("Location", f.Location)
		return a
	case EndlessBody:
		a := f.bare(jsonType, bytes.Repeat([]byte(" "), 32<<10))
		a.Ending = answer.Endless
		return a
	case GzipBomb:
		a := f.bare(jsonType, gzipBomb())
		a.Header.Set("Content-Encoding", "gzip")
		return a
	}
	return nil
}

func (f *Fault) bare(contentType string, body []byte) *answer.Answer {
	a := &answer.Answer{Status: cmp.Or(f.Status, http.StatusOK), Header: make(http.Header), Body: body}
	if contentType != "" {
		a.Header.Set("Content-Type", contentType)
	}
	return a
}

func bodyType(body string) string {
	if json.Valid([]byte(body)) {
		return jsonType
	}
	return http.DetectContentType([]byte(body))
}

// refusal is the error that the fault asks for.
func (f *Fault) refusal() *refusal.Refusal {
	refused := refusal.New(f.Code, "%s", cmp.Or(f.Description, "The server was told to refuse this request."))
	if f.Code == 0 {
		refused.Status = http.StatusBadRequest
	}
	refused.Err = cmp.Or(f.Error, refused.Err)
	refused.Status = cmp.Or(f.Status, refused.Status)
	refused.Suberror, refused.Claims = f.Suberror, f.Claims
	return refused
}

// change changes whatever is answered: its fields, then its bytes, times and
// headers. now is the time on the clock of the server that answers.
func (f *Fault) change(a *answer.Answer, now time.Time) {
	if f == nil {
		return
	}
	f.changeFields(a)
	a.Status = cmp.Or(f.Status, a.Status)
	f.changeBytes(a)
	a.Delay, a.BodyDelay, a.Drip, a.Deaf = f.Delay, f.BodyDelay, f.Drip, f.IgnoreContext
	if f.RetryAfter > 0 {
		a.Header.Set("Retry-After", f.retryAfter(now))
	}
	for name, values := range f.Header {
		a.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
}

// changeFields changes a JSON object, and leaves any other body.
func (f *Fault) changeFields(a *answer.Answer) {
	bend := bends[f.Shape]
	if bend == nil && f.Fields == nil && f.Rewrite == nil {
		return
	}
	fields, ok := decode(a.Body)
	if !ok {
		return
	}
	if _, granted := fields["access_token"]; granted && bend != nil {
		bend(fields)
	}
	for name, value := range f.Fields {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	}
	if f.Rewrite != nil {
		f.Rewrite(fields)
	}
	a.Body = answer.Encode(fields)
}

func decode(body []byte) (map[string]any, bool) {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := d.Decode(&fields)
	return fields, err == nil && fields != nil
}

// bends are the shapes that change the fields of a granted token.
var bends = map[Shape]func(fields map[string]any){
	NoToken: func(fields map[string]any) { delete(fields, "access_token") },
	NoExpiry: func(fields map[string]any) {
		delete(fields, "expires_in")
		delete(fields, "ext_expires_in")
	},
	NegativeExpiry: func(fields map[string]any) { fields["expires_in"] = -1 },
	AbsurdExpiry:   func(fields map[string]any) { fields["expires_in"] = int64(1e18) },
	OversizedBody:  func(fields map[string]any) { fields["padding"] = string(bytes.Repeat([]byte("x"), 5<<20)) },
}

func (f *Fault) changeBytes(a *answer.Answer) {
	switch f.Shape {
	case TruncatedBody:
		a.Ending = answer.Cut
	case LostAnswer:
		a.Ending = answer.Reset
	case WrongContentType:
		a.Header.Set("Content-Type", "text/plain; charset=utf-8")
	case FormEncoded:
		encodeForm(a)
	case Gzipped:
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(a.Body) // into memory
		_ = w.Close()
		a.Body = packed.Bytes()
		a.Header.Set("Content-Encoding", "gzip")
	case ByteOrderMark:
		a.Body = slices.Concat([]byte("\uFEFF"), a.Body)
	}
}

// encodeForm writes a JSON object as a form.
func encodeForm(a *answer.Answer) {
	fields, ok := decode(a.Body)
	if !ok {
		return
	}
	form := make(url.Values)
	for name, value := range fields {
		form.Set(name, fmt.Sprint(value))
	}
	a.Body = []byte(form.Encode())
	a.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
}

// retryAfter is in either form of RFC 9110 §10.2.3; the date is by the server's
// clock.
func (f *Fault) retryAfter(now time.Time) string {
	seconds := (f.RetryAfter + time.Second - 1) / time.Second
	if !f.RetryDate {
		return strconv.Itoa(int(seconds))
	}
	return now.Add(seconds * time.Second).UTC().Format(http.TimeFormat)
}

// gzipBomb is 1,024 gzip members of 10 MiB each, which a reader takes for one
// stream.
var gzipBomb = sync.OnceValue(func() []byte {
	var member bytes.Buffer
	w, err := gzip.NewWriterLevel(&member, gzip.BestCompression)
	if err != nil {
		panic(err) // a constant level
	}
	zeros := make([]byte, 64<<10)
	for range 160 {
		_, _ = w.Write(zeros) // into memory
	}
	_ = w.Close()
	return bytes.Repeat(member.Bytes(), 1024)
})
