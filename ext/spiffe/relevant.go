package spiffe

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
)

// go-spiffe refuses an answer as a whole when one part of it is bad, and of two SVIDs with
// the same hint it drops the second. A source needs one SVID and no trust bundle. So the
// rest is taken out of an answer before go-spiffe reads it. What the agent says of an SVID
// beside it is only how it is found: choose looks into the SVID itself.

// relevantOnly are the dial options that take out of each answer what c doesn't want.
func relevantOnly(c *config) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
			invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
		) error {
			err := invoke(ctx, method, request, reply, conn, opts...)
			if answer, ok := reply.(*workload.JWTSVIDResponse); ok && err == nil {
				answer.Svids = relevant(c, answer.GetSvids())
			}
			return err
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, of *grpc.StreamDesc, conn *grpc.ClientConn, method string,
			open grpc.Streamer, opts ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			stream, err := open(ctx, of, conn, method, opts...)
			if err != nil {
				return nil, err
			}
			return relevantStream{stream, c}, nil
		}),
	}
}

// relevantStream is a stream of X.509-SVIDs.
type relevantStream struct {
	grpc.ClientStream
	cfg *config
}

func (s relevantStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if answer, ok := message.(*workload.X509SVIDResponse); ok && err == nil {
		answer.FederatedBundles = nil
		answer.Svids = relevant(s.cfg, answer.GetSvids())
		for _, svid := range answer.Svids {
			svid.Bundle = nil
		}
	}
	return err
}

// relevant returns the first SVID that was asked for alone, or all for the error that
// lists them.
func relevant[S interface {
	GetSpiffeId() string
	GetHint() string
}](c *config, listed []S) []S {
	for i, svid := range listed {
		if c.fits(svid.GetSpiffeId(), svid.GetHint()) {
			return listed[i : i+1]
		}
	}
	return listed
}
