package rotate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/rotate"
)

func TestAttention(t *testing.T) {
	failure := &rotate.Failure{Step: rotate.StepRegister}
	for name, tt := range map[string]struct {
		change func(s *rotate.Status, now time.Time)
		want   []rotate.Attention
	}{
		"all is well":     {func(*rotate.Status, time.Time) {}, nil},
		"nothing is due":  {func(s *rotate.Status, _ time.Time) { s.Due = time.Time{} }, nil},
		"a step is due":   {func(s *rotate.Status, now time.Time) { s.Due = now.Add(-time.Hour) }, nil},
		"nearly late":     {func(s *rotate.Status, now time.Time) { s.Due = now.Add(-26*time.Hour + 1) }, nil},
		"an old key":      {func(s *rotate.Status, _ time.Time) { s.Retired = make([]rotate.Key, 1) }, nil},
		"another has it":  {func(s *rotate.Status, _ time.Time) { s.Held = true }, nil},
		"a key alone":     {func(s *rotate.Status, _ time.Time) { s.Current.NotAfter = time.Time{} }, nil},
		"the last moment": {func(s *rotate.Status, now time.Time) { s.Current.NotAfter = now }, nil},
		"late": {func(s *rotate.Status, now time.Time) { s.Due = now.Add(-26 * time.Hour) },
			[]rotate.Attention{rotate.AttentionLate}},
		"failing": {func(s *rotate.Status, now time.Time) { s.Failing, s.Due = failure, now },
			[]rotate.Attention{rotate.AttentionFailing}},
		"failing and late": {func(s *rotate.Status, now time.Time) {
			s.Due = now.Add(-26 * time.Hour)
			s.Failing = &rotate.Failure{Step: rotate.StepRegister, Again: s.Due}
		}, []rotate.Attention{rotate.AttentionFailing, rotate.AttentionLate}},
		"failing and tried since": {func(s *rotate.Status, now time.Time) {
			s.Due = now.Add(-3 * day)
			s.Failing = &rotate.Failure{Step: rotate.StepRegister, Again: now.Add(-26*time.Hour + 1)}
		}, []rotate.Attention{rotate.AttentionFailing}},
		"failing where nothing is due": {func(s *rotate.Status, now time.Time) {
			s.Due = time.Time{}
			s.Failing = &rotate.Failure{Step: rotate.StepRemove, Again: now.Add(-3 * day)}
		}, []rotate.Attention{rotate.AttentionFailing}},
		"a removal that is behind another step": {func(s *rotate.Status, now time.Time) {
			s.Due = now.Add(time.Minute)
			s.Failing = &rotate.Failure{Step: rotate.StepRemove, Again: now.Add(-3 * day)}
		}, []rotate.Attention{rotate.AttentionFailing}},
		"ended": {func(s *rotate.Status, now time.Time) { s.Current.NotAfter = now.Add(-time.Second) },
			[]rotate.Attention{rotate.AttentionEnded}},
		"an orphan": {func(s *rotate.Status, _ time.Time) { s.Orphans = make([]rotate.Key, 1) },
			[]rotate.Attention{rotate.AttentionOrphans}},
		"all at once": {func(s *rotate.Status, now time.Time) {
			s.Failing, s.Current.NotAfter, s.Orphans = failure, now.Add(-day), make([]rotate.Key, 2)
		}, []rotate.Attention{rotate.AttentionFailing, rotate.AttentionEnded, rotate.AttentionOrphans}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				s := rotate.Status{Due: now.Add(300 * day), Current: rotate.Key{NotAfter: now.Add(330 * day)}}
				tt.change(&s, now)
				assert.Equal(t, tt.want, s.Attention())
				assert.Equal(t, len(tt.want) > 0, s.NeedsAttention())
			})
		})
	}
}
