package agent

import "time"

// Health is the state of all identities.
type Health struct {
	Ready      bool             `json:"ready"`
	Identities []IdentityHealth `json:"identities"`
}

// IdentityHealth is the state of one identity's certificate.
type IdentityHealth struct {
	Name string `json:"name"`

	// Problem says why no new token can be had, or is empty.
	Problem string `json:"problem,omitempty"`

	// Warning says what will become a problem: the certificate ends within 14 days, or its
	// newest file can't be used and the one before still is.
	Warning string `json:"warning,omitempty"`

	// NotAfter is the end of the certificate. It is nil if that isn't known.
	NotAfter *time.Time `json:"not_after,omitempty"`
}
