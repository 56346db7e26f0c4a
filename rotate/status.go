package rotate

import (
	"time"
)

// Status says how far a rotation is. Its JSON form, and that of its parts, only grows.
type Status struct {
	File      string    `json:"file"`              // that the client follows, links resolved
	Registrar string    `json:"registrar"`         // where keys are registered
	Step      Step      `json:"step"`              // what comes next
	Due       time.Time `json:"due"`               // when; it may be in the past
	Current   Key       `json:"current"`           // in the file
	New       *Key      `json:"new,omitempty"`     // that takes its place; nil: none was made yet
	Retired   []Key     `json:"retired,omitempty"` // that were replaced and are registered still
	Orphans   []Key     `json:"orphans,omitempty"` // that somebody must remove by hand, or has removed

	// Waiting says what the step waits for, where that isn't time alone.
	Waiting string `json:"waiting,omitempty"`

	// Failing says why the next step wasn't made yet, where it was tried. nil: it wasn't, or
	// it went well.
	Failing *Failure `json:"failing,omitempty"`

	// Held reports that another process holds the lock, so that this one made no step.
	Held bool `json:"held,omitempty"`
}

// Key is a certificate, or a key without one, without anything secret.
type Key struct {
	Subject    string    `json:"subject,omitempty"`
	Thumbprint string    `json:"thumbprint"`     // SHA-256, lower-case hex; of a key alone by RFC 7638
	SHA1       string    `json:"sha1,omitempty"` // as portals show it, upper-case hex
	NotAfter   time.Time `json:"not_after,omitzero"`

	KID string `json:"kid,omitempty"` // of a key alone, as assertions carry it

	// ID is the key's name at the registrar: Graph's keyId, a kid. "" is not known.
	ID         string    `json:"key_id,omitempty"`
	Registered time.Time `json:"registered,omitzero"` // when this rotation registered it
	RemoveAt   time.Time `json:"remove_at,omitzero"`  // from when on it may be removed

	// Registrar is where the key is registered, or may be. It says more than Status.Registrar
	// where that doesn't tell one from another: paths are absolute, and a program's arguments
	// are there as a hash.
	Registrar string `json:"registrar,omitempty"`

	// Twice reports that the key may be registered a second time, under an id that isn't known:
	// an answer was lost, and it was registered again.
	Twice bool `json:"twice,omitempty"`

	// Public is the certificate in DER, or the public key in PKIX form of a key alone.
	Public []byte `json:"public,omitempty"`

	// Note says, of an orphan, why it must be removed by hand.
	Note string `json:"note,omitempty"`
}

// Failure is why a step isn't made.
type Failure struct {
	Step   Step      `json:"step"`
	Since  time.Time `json:"since"`  // of the first failure in a row
	Count  int       `json:"count"`  // of failures in a row
	Again  time.Time `json:"again"`  // when it is tried again
	Error  string    `json:"error"`  // of the last one, without secrets
	Advice string    `json:"advice"` // what to do by hand if it goes on
}
