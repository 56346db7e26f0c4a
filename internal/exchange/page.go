package exchange

import (
	"bytes"
	"html"
	"regexp"
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

const (
	maxQuote = 256       // of a text that isn't OAuth's
	maxPage  = 256 << 10 // of a page that is looked at
)

// pageText is a body that is neither JSON nor a form: a page that a web filter, a
// proxy or a server's framework made, or plain text.
type pageText struct {
	isHTML    bool
	title     string
	supportID string // by which those who run the filter find the request
	text      string // without tags; "" for HTML
}

var (
	htmlPattern  = lazyregexp.New(`(?i)<(!doctype html|html|head|body|title|h1|script|meta|center)\b`)
	titlePattern = lazyregexp.New(`(?is)<title[^>]*>(.*?)</title>`)
	h1Pattern    = lazyregexp.New(`(?is)<h1[^>]*>(.*?)</h1>`)
	codePattern  = lazyregexp.New(`(?is)<(script|style)\b.*?</(script|style)>|<!--.*?-->`)
	tagPattern   = lazyregexp.New(`<[^>]*>`)

	// An id has a digit, and is named as web filters name it.
	idPattern = lazyregexp.New(
		`(?i)\b(?:support|incident|reference|request|ray|event|transaction|case|block|attack|session|trace|correlation)` +
			`\s*(?:id|number|code|no\.?|#)\s*(?:is)?\s*[:#=]?\s*([0-9a-z.:_-]*[0-9][0-9a-z.:_-]*[0-9a-z])`,
	)
)

func page(body []byte) pageText {
	body = body[:min(len(body), maxPage)]
	p := pageText{isHTML: htmlPattern().Match(body[:min(len(body), 2<<10)])}
	if !p.isHTML {
		p.text = plainText(body)
		return p
	}
	for _, pattern := range []*regexp.Regexp{titlePattern(), h1Pattern()} {
		if m := pattern.FindSubmatch(body); m != nil && p.title == "" {
			p.title = plainText(m[1])
		}
	}
	if m := idPattern().FindStringSubmatch(plainText(codePattern().ReplaceAll(body, nil))); m != nil {
		p.supportID = m[1]
	}
	return p
}

// plainText is a text without tags and entities, on one line.
func plainText(body []byte) string {
	text := tagPattern().ReplaceAll(bytes.ToValidUTF8(body, []byte("?")), []byte(" "))
	return strings.Join(strings.Fields(html.UnescapeString(string(text))), " ")
}

// quoted is what a page that came in the place of a token says of itself. Plain
// text isn't shown: it may be a token.
func (p pageText) quoted(r *Request) string {
	switch {
	case p.title != "" && p.supportID != "":
		return "; it is a page with the title " + quote(r, p.title) + " and the id " + quote(r, p.supportID)
	case p.title != "":
		return "; it is a page with the title " + quote(r, p.title)
	case p.supportID != "":
		return "; it is a page with the id " + quote(r, p.supportID)
	}
	return ""
}

func quote(r *Request, text string) string { return `"` + r.secrets().Text(text, maxQuote) + `"` }
