package certfile

import (
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// addValidity replaces times that are written otherwise than RFC 5280 §4.1.2.5 asks, and
// that openssl reads: with fractions of a second, without seconds, or in another time zone.
// What is no time stays, for crypto/x509 to refuse.
func (l *lenient) addValidity() {
	err := l.tryValidity(l.parts.validity)
	if err == nil {
		return
	}
	readable, text, ok := readableValidity(l.parts.validity)
	if !ok || l.tryValidity(readable) != nil {
		return
	}
	l.copy.validity = readable
	l.deviate("validity: %s; it is read as %s", reason(err), text)
}

// tryValidity reports why crypto/x509 refuses a validity, whatever the key is.
func (l *lenient) tryValidity(validity []byte) error {
	short := certParts{
		version:        explicitVersion3,
		serial:         []byte{byte(cbasn1.INTEGER), 1, 1},
		algorithm:      unknownAlgorithm,
		issuer:         emptySequence,
		validity:       validity,
		subject:        emptySequence,
		key:            keyInfo(unknownAlgorithm, nil),
		outerAlgorithm: unknownAlgorithm,
		signature:      emptyBits,
	}
	_, err := short.parse()
	return err
}

// readableValidity writes both times anew.
func readableValidity(validity []byte) (out []byte, text string, ok bool) {
	s := cryptobyte.String(validity)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, "", false
	}
	from, ok := readTime(&seq)
	if !ok {
		return nil, "", false
	}
	until, ok := readTime(&seq)
	if !ok || !seq.Empty() {
		return nil, "", false
	}
	body := slices.Concat(generalizedTime(from), generalizedTime(until))
	text = from.Format(time.RFC3339) + " to " + until.Format(time.RFC3339)
	return appendDER(nil, emptySequence[:1], body), text, true
}

func generalizedTime(t time.Time) []byte {
	return appendDER(nil, []byte{byte(cbasn1.GeneralizedTime)}, []byte(t.Format("20060102150405Z")))
}

// readTime reads a UTCTime or GeneralizedTime as X.680 §46 and §47 allow it, save local
// time, which means nothing elsewhere. [time.Parse] takes a fraction of a second by itself.
func readTime(s *cryptobyte.String) (time.Time, bool) {
	var text cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&text, &tag) {
		return time.Time{}, false
	}
	var layouts []string
	switch tag {
	case cbasn1.UTCTime:
		layouts = []string{"060102150405Z0700", "0601021504Z0700"}
	case cbasn1.GeneralizedTime:
		layouts = []string{"20060102150405Z0700", "200601021504Z0700", "2006010215Z0700"}
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, string(text))
		if err != nil {
			continue
		}
		if t = t.UTC(); tag == cbasn1.UTCTime && t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0) // RFC 5280 §4.1.2.5.1
		}
		return t, t.Year() >= 0 && t.Year() <= 9999
	}
	return time.Time{}, false
}
