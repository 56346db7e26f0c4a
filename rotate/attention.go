package rotate

import "time"

// Attention is a reason why somebody should do something about a rotation.
type Attention string

// The reasons, in the order in which [Status.Attention] lists them.
const (
	// The next step fails: Status.Failing says why, and what to do if it goes on.
	AttentionFailing Attention = "failing"

	// The next step, or its next try after a failure, is late by 26 hours or more. What makes the
	// steps, a timer or Rotation.Run, doesn't run.
	AttentionLate Attention = "late"

	// The certificate in the file has ended, so that no rotation can prove anything by it.
	AttentionEnded Attention = "ended"

	// Keys must be removed from the registration by hand: Status.Orphans.
	AttentionOrphans Attention = "orphans"
)

// overdue is how late a step may be: what makes it runs at least once a day.
const overdue = 26 * time.Hour

// Attention lists why somebody should do something now. It is empty while all is well.
func (s Status) Attention() (reasons []Attention) {
	now := time.Now()
	due := s.Due
	if s.Failing != nil {
		reasons = append(reasons, AttentionFailing)
		if s.Failing.Again.After(due) {
			due = s.Failing.Again
		}
	}
	if !s.Due.IsZero() && now.Sub(due) >= overdue {
		reasons = append(reasons, AttentionLate)
	}
	if end := s.Current.NotAfter; !end.IsZero() && now.After(end) {
		reasons = append(reasons, AttentionEnded)
	}
	if len(s.Orphans) > 0 {
		reasons = append(reasons, AttentionOrphans)
	}
	return reasons
}

// NeedsAttention reports whether somebody should do something, which [Status.Attention] lists.
func (s Status) NeedsAttention() bool { return len(s.Attention()) > 0 }
