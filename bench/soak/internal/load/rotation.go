package load

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// overlap is how long the old certificate stays registered beside the new one.
const overlap = time.Second

// Rotation renews a client's certificate on disk again and again.
type Rotation struct {
	server   *certtokentest.Server
	clientID string
	path     string
	count    atomic.Int64
}

// NewRotation registers a first certificate and writes it to path, in PEM.
func NewRotation(server *certtokentest.Server, clientID, path string) (*Rotation, error) {
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		return nil, err
	}
	server.Register(clientID, cert.Leaf)
	return &Rotation{server: server, clientID: clientID, path: path}, replaceFile(path, cert)
}

// Count is how often the certificate was renewed.
func (r *Rotation) Count() int64 { return r.count.Load() }

// Run registers a new certificate, writes it and removes the old one, until ctx
// ends. Every third time somebody writes it before it is registered.
func (r *Rotation) Run(ctx context.Context, every time.Duration) error {
	for n := 1; Sleep(ctx, every); n++ {
		next, err := certtokentest.MakeCertificate()
		if err != nil {
			return err
		}
		hasty := n%3 == 0
		if !hasty {
			r.server.Register(r.clientID, next.Leaf)
		}
		if err := replaceFile(r.path, next); err != nil {
			return err
		}
		if hasty {
			Sleep(ctx, overlap)
			r.server.Register(r.clientID, next.Leaf)
		}
		Sleep(ctx, overlap)
		r.server.Replace(r.clientID, next.Leaf)
		r.count.Add(1)
	}
	return nil
}

func replaceFile(path string, cert *certtoken.Certificate) error {
	data, err := selfsigned.EncodePEM(cert)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
