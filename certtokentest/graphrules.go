package certtokentest

import (
	"cmp"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest/internal/proof"
)

// GraphRules are how a server of [WithGraph] rolls keys. The zero value is what is
// documented of Microsoft Graph, where the new certificate can be used at once.
type GraphRules struct {
	// Audience is that of the access tokens, by default https://graph.microsoft.com.
	// Microsoft Graph has another one in each national cloud.
	Audience string

	// ProofAudience is the aud of proofs, by default
	// 00000002-0000-0000-c000-000000000000. Copies of Microsoft's page contradict each
	// other: some of them say 00000003-0000-0000-c000-000000000000.
	ProofAudience string

	// ProofAlgorithms are accepted of a proof, by default RS256 alone. Whether Microsoft
	// Graph takes others isn't known.
	ProofAlgorithms []certtoken.Algorithm

	// Propagation is how long the token endpoint refuses a new certificate after addKey,
	// with AADSTS700027. The token endpoint has several Servers, which answer in turn: each
	// of them knows the certificate a part of the time after the one before, so that tokens
	// are granted, refused and granted again. By default there is one.
	Propagation time.Duration
	Servers     int

	// KeepLast refuses to remove the last certificate of an application or a service
	// principal. By default it is removed, and nobody can prove anything any more.
	KeepLast bool

	// MaxLife refuses a certificate that is valid for longer, as a tenant's policy for
	// applications does; 0 takes any.
	MaxLife time.Duration

	// Permitted are the clients that have the permission Application.ReadWrite.All: they
	// read and change every application. Without it a client rolls its own keys, and reads
	// nothing.
	Permitted []string
}

// Defaults of [GraphRules].
const (
	DefaultGraphAudience = "https://graph.microsoft.com"
	DefaultProofAudience = "00000002-0000-0000-c000-000000000000"
)

// The limits of a proof, as they are documented.
const (
	proofLife   = 10 * time.Minute
	proofLeeway = 5 * time.Minute // isn't documented; Entra ID allows so much elsewhere
)

func (r *GraphRules) audience() string { return cmp.Or(r.Audience, DefaultGraphAudience) }

func (r *GraphRules) proof() proof.Rollover {
	p := proof.Rollover{
		Audience:   cmp.Or(r.ProofAudience, DefaultProofAudience),
		Algorithms: []string{string(certtoken.RS256)},
		MaxLife:    proofLife,
		Leeway:     proofLeeway,
	}
	if len(r.ProofAlgorithms) > 0 {
		p.Algorithms = nil
	}
	for _, alg := range r.ProofAlgorithms {
		p.Algorithms = append(p.Algorithms, string(alg))
	}
	return p
}
