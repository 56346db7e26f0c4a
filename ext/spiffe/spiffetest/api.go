package spiffetest

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// api answers for an agent. What a caller of these two methods doesn't need is
// unimplemented.
type api struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	authority *authority
	plan      *plan
}

// FetchX509SVID sends all X.509-SVIDs, and again whenever they change.
func (s *api) FetchX509SVID(
	_ *workload.X509SVIDRequest, stream workload.SpiffeWorkloadAPI_FetchX509SVIDServer,
) error {
	ctx := stream.Context()
	if err := checkHeader(ctx); err != nil {
		return err
	}
	s.plan.streams.Add(1)
	for {
		now := s.plan.state()
		if !now.hung {
			answer, err := s.x509Answer(now)
			if err != nil {
				return err
			}
			if err := stream.Send(answer); err != nil {
				return err
			}
		}
		select {
		case <-now.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *api) x509Answer(now state) (*workload.X509SVIDResponse, error) {
	if err := refusal(now); err != nil {
		return nil, err
	}
	answer := &workload.X509SVIDResponse{}
	for _, identity := range now.identities {
		issued, err := s.authority.x509SVID(identity, now.generation)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		answer.Svids = append(answer.Svids, &workload.X509SVID{
			SpiffeId: identity.ID, X509Svid: issued.leaf, X509SvidKey: issued.key,
			Bundle: s.authority.cert.Raw, Hint: identity.Hint,
		})
	}
	return answer, nil
}

// FetchJWTSVID signs an SVID for each identity, or for the one that was asked for.
func (s *api) FetchJWTSVID(ctx context.Context, asked *workload.JWTSVIDRequest) (*workload.JWTSVIDResponse, error) {
	if err := checkHeader(ctx); err != nil {
		return nil, err
	}
	if len(asked.GetAudience()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "audience must be specified")
	}
	s.plan.jwts.Add(1)
	now := s.plan.state()
	for now.hung {
		select {
		case <-now.changed:
			now = s.plan.state()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := refusal(now); err != nil {
		return nil, err
	}
	answer := &workload.JWTSVIDResponse{}
	for _, identity := range now.identities {
		if asked.GetSpiffeId() != "" && asked.GetSpiffeId() != identity.ID {
			continue
		}
		token, err := s.authority.jwtSVID(identity, asked.GetAudience())
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		answer.Svids = append(answer.Svids, &workload.JWTSVID{
			SpiffeId: identity.ID, Svid: token, Hint: identity.Hint,
		})
	}
	if len(answer.Svids) == 0 {
		return nil, errNoIdentity
	}
	return answer, nil
}

var errNoIdentity = status.Error(codes.PermissionDenied, "no identity issued") // SPIRE's words

func refusal(now state) error {
	switch {
	case now.failure != nil:
		return now.failure
	case len(now.identities) == 0:
		return errNoIdentity
	}
	return nil
}

// checkHeader wants what every client sends, so that no web page can be one (SPIFFE
// Workload Endpoint, section 4).
func checkHeader(ctx context.Context) error {
	sent, _ := metadata.FromIncomingContext(ctx)
	if values := sent.Get("workload.spiffe.io"); len(values) != 1 || values[0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	return nil
}
