package certsource

import (
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

// Text makes a text from elsewhere fit for an error: at most limit bytes of it, plus an
// ellipsis, on one line, with control characters escaped, and without what is shaped like a
// token and white space at the ends. It is for what a server said, where advice follows: the
// errors of a [Source] and a [Signer] are bounded as a whole, so an endless answer would push
// the advice out.
func Text(text string, limit int) string { return redact.Text(strings.TrimSpace(text), max(limit, 0)) }
