package exchange

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

const (
	maxProblemDepth = 4 // of objects within objects
	maxProblems     = 3 // of a list that are told
	maxCode         = 64
)

// An error shows the first kilobyte of a description. What a server says beyond these
// bounds is left out, because each text is compared with what was said before: without
// them, a body of a megabyte costs half a minute.
const (
	maxTexts       = 32                 // that are compared
	maxDescription = 4 * redact.MaxText // bytes, as many as redact looks at
)

// problem is what a server says is wrong, before anything of it was scrubbed.
type problem struct {
	code        string // such as invalid_client; "": none
	description string // for people; "": none
	texts       int    // that were offered for the description
}

// isNothing reports whether the server said nothing that is understood.
func (p *problem) isNothing() bool { return p.code == "" && p.description == "" }

// isFull reports whether no more is added to the description.
func (p *problem) isFull() bool { return p.texts >= maxTexts || len(p.description) >= maxDescription }

// codeFields and textFields are the names that servers give to a code and to a
// text, the most telling first. Beside OAuth's own (RFC 6749 §5.2) they are those
// of problem details (RFC 9457), of gateways and of frameworks. They are compared
// without case, underscores and hyphens.
var (
	codeFields = []string{"errorcode", "errorname"}
	textFields = []string{
		"errordescription", "errormessage", "errorsummary", "message", "msg", "faultstring", "title",
		"detail", "details", "description", "reason", "errordetail", "errordetails", "errorhint", "hint", "errorcauses",
	}
)

// problem is what a JSON object says is wrong.
func (f fields) problem() problem {
	var p problem
	p.readObject(f, 0)
	return p
}

// problemOf is what any JSON value says is wrong.
func problemOf(value json.RawMessage) problem {
	var p problem
	p.readValue(value, 0)
	return p
}

func (p *problem) readObject(f fields, depth int) {
	f = f.folded()
	if s, ok := scalar(f["error"]); ok && f.has("errordescription") {
		p.code = s // whatever it looks like, as OAuth has it
	} else {
		p.readCode(f["error"], depth)
	}
	for _, name := range codeFields {
		p.readCode(f[name], depth)
	}
	if depth > 0 { // at the top these are about the answer
		p.readCode(f["type"], depth)
		p.readCode(f["status"], depth)
	}
	for _, name := range []string{"fault", "errors"} {
		p.readValue(f[name], depth+1)
	}
	for _, name := range textFields {
		p.readText(f[name], depth)
	}
	p.readCode(f["code"], depth)
}

// readCode takes a field for the code, unless there is one. A sentence is none,
// nor is a URL or the status over again.
func (p *problem) readCode(value json.RawMessage, depth int) {
	s, ok := scalar(value)
	switch {
	case !ok:
		p.readValue(value, depth+1)
	case s == "" || strings.Contains(s, "://") || strings.HasPrefix(s, "about:"):
	case strings.ContainsAny(s, " \t\n") || len(s) > maxCode:
		p.say(s)
	case p.code == "":
		p.code = s
	}
}

func (p *problem) readText(value json.RawMessage, depth int) {
	if s, ok := scalar(value); ok {
		p.say(s)
		return
	}
	p.readValue(value, depth+1)
}

// readValue reads an object, the first elements of a list, or a text.
func (p *problem) readValue(value json.RawMessage, depth int) {
	if depth > maxProblemDepth {
		return
	}
	var f fields
	if json.Unmarshal(value, &f) == nil {
		p.readObject(f, max(depth, 1))
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) == nil {
		for _, element := range list[:min(len(list), maxProblems)] {
			p.readValue(element, depth+1)
		}
		return
	}
	if s, ok := scalar(value); ok {
		p.say(s)
	}
}

// say adds to the description what isn't there yet, as long as there is room.
func (p *problem) say(text string) {
	text = strings.TrimSpace(text)
	if text == "" || p.isFull() {
		return
	}
	p.texts++
	text = text[:min(len(text), maxDescription)]
	switch {
	case strings.EqualFold(text, p.code):
	case p.description == "":
		p.description = text
	case !strings.Contains(strings.ToLower(p.description), strings.ToLower(text)):
		p.description += "; " + text
		p.description = p.description[:min(len(p.description), maxDescription)]
	}
}

// scalar is the text of a string or a number. Nothing at all is the empty text.
func scalar(value json.RawMessage) (string, bool) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return "", true
	}
	switch c := value[0]; {
	case c == '"':
		var s string
		err := json.Unmarshal(value, &s)
		return strings.TrimSpace(s), err == nil
	case c >= '0' && c <= '9' || c == '-':
		return string(value), true
	case c == 't' || c == 'f' || c == 'n': // true, false and null say nothing
		return "", true
	}
	return "", false
}

// folded are the fields with their names in lower case, without underscores and
// hyphens.
func (f fields) folded() fields {
	folded := make(fields, len(f))
	for name, value := range f {
		folded[unseparated.Replace(strings.ToLower(name))] = value
	}
	return folded
}

var unseparated = strings.NewReplacer("_", "", "-", "")

// refuses reports whether the body of an answer with status 200 is a refusal.
func (f fields) refuses() bool {
	if f.has("error") {
		return true
	}
	if f.has("access_token") {
		return false
	}
	folded := f.folded()
	for _, name := range []string{"error", "errors", "fault", "errorcode", "errorsummary", "errormessage"} {
		if folded.has(name) {
			return true
		}
	}
	switch strings.ToLower(folded.text("status")) {
	case "error", "fail", "failed", "failure", "ko":
		return true
	}
	return string(folded["success"]) == "false" || folded.has("code") && (folded.has("message") || folded.has("msg"))
}

// quoted is what an answer without a token says of it, for the end of a sentence.
func (p problem) quoted(r *Request) string {
	if p.description == "" {
		return ""
	}
	return "; it says: " + r.secrets().Text(p.description, maxQuote)
}
