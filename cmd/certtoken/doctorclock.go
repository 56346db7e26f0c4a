package main

import (
	"fmt"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
)

// clockLimit is how far this machine's clock may differ from the server's. An
// assertion for a server other than Entra ID is valid for a minute.
const clockLimit = time.Minute

// checkClock compares this machine's clock with the server's.
func (l *checklist) checkClock(p *probe) {
	ahead, known := p.ahead()
	switch {
	case !known:
		l.skip(checkClock, "the server doesn't say what time it is")
	case ahead.Abs() <= clockLimit:
		l.ok(checkClock, "%s off the server's", ahead.Abs())
	default:
		l.add(check{
			Name:   checkClock,
			Status: outcomeFailed,
			Detail: "this machine's clock is " + offText(ahead),
			Advice: "Set the clock, for example by NTP: assertions and certificates are valid for a certain time only.",
		})
	}
}

// clockFirst is what to do about the clock before anything is done about a certificate that
// isn't valid by it.
func clockFirst(p *probe, shown *shownCert, now time.Time) string {
	ahead, known := p.ahead()
	at := now.Add(-ahead)
	switch {
	case !known:
		return fmt.Sprintf("Is this machine's clock right? It says %s. If it is: ",
			now.Local().Format("2006-01-02 15:04 MST"))
	case ahead.Abs() <= clockLimit:
		return "" // the two clocks agree
	case at.After(shown.leaf.NotBefore) && at.Before(shown.leaf.NotAfter):
		return fmt.Sprintf("Set this machine's clock, which is %s: by that, the certificate is valid. "+
			"If the server's clock is the wrong one: ", offText(ahead))
	}
	return fmt.Sprintf("Set this machine's clock, which is %s. Then: ", offText(ahead))
}

// offText says for people how far a clock is off.
func offText(ahead time.Duration) string {
	where := "ahead of"
	if ahead < 0 {
		where = "behind"
	}
	return fmt.Sprintf("%s %s the server's", times.Span(ahead.Abs()), where)
}
