package tpm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/google/go-tpm/tpm2"
)

// maxCertificates bounds those of a file.
const maxCertificates = 100

// reading is what was read: the bytes, by which a change is seen, and how they give a key
// and certificates.
type reading struct {
	raw   []byte
	parse func(*config) (*key, []*x509.Certificate, error)
}

// fileReading is for the bytes of a key file.
func fileReading(data []byte) *reading {
	return &reading{data, func(cfg *config) (*key, []*x509.Certificate, error) {
		file, certs, err := parseFile(data)
		if err != nil {
			return nil, nil, err
		}
		k, err := newFileKey(file, cfg)
		return k, certs, err
	}}
}

// readHandle reads the public half of a key that the TPM keeps.
func (u *user) readHandle(ctx context.Context, handle tpm2.TPMHandle) (*reading, error) {
	area, err := do(ctx, u.device(), func(c *connection) (*tpm2.TPMTPublic, error) {
		o, err := c.readKept(handle)
		if err != nil {
			return nil, err
		}
		return &o.public, nil
	})
	if err != nil {
		return nil, err
	}
	return handleReading(*area, handle), nil
}

// handleReading is for the public half of a key that the TPM keeps.
func handleReading(area tpm2.TPMTPublic, handle tpm2.TPMHandle) *reading {
	return &reading{tpm2.Marshal(area), func(cfg *config) (*key, []*x509.Certificate, error) {
		k, err := newKey(&key{area: area, handle: handle, password: cfg.password != nil}, cfg)
		return k, nil, err
	}}
}

// loader reads key and certificate of a source. One call runs at a time.
type loader struct {
	user *user
	read func(context.Context) (*reading, error)
	keep time.Duration // how long what was read isn't read again; 0: it always is
	anew atomic.Bool   // it is read again all the same

	last   *reading
	readAt time.Time

	raw   [2][]byte // of key and certificates, as they were last
	key   *key      // what they hold
	certs []*x509.Certificate
	pair  *certtoken.Certificate // that was made of them last
}

// load is the source's [certsource.Load].
func (l *loader) load(ctx context.Context, _ *certtoken.Certificate) (*certtoken.Certificate, error) {
	anew := l.anew.Swap(false)
	if !anew && l.last != nil && time.Since(l.readAt) < l.keep {
		pair, err := l.with(l.last)
		if !errors.Is(err, certtoken.ErrKeyMismatch) {
			return pair, err
		}
		// The key may have been replaced together with its certificate.
	}
	now, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	l.last, l.readAt = now, time.Now()
	return l.with(now)
}

// with reads the certificates for a key that was read. What hasn't changed isn't parsed again.
// Which of several certificates is in use depends on the time too.
func (l *loader) with(now *reading) (*certtoken.Certificate, error) {
	var certs []byte
	if path := l.user.cfg.certFile; path != "" {
		var err error
		if certs, err = readFile(path); err != nil {
			return nil, err
		}
	}
	if l.key == nil || !bytes.Equal(l.raw[0], now.raw) || !bytes.Equal(l.raw[1], certs) {
		if err := l.parse(now, certs); err != nil {
			return nil, err
		}
	}
	return l.join()
}

// parse takes over what was read, if it can be used.
func (l *loader) parse(now *reading, certs []byte) error {
	cfg := &l.user.cfg
	k, known, err := now.parse(cfg)
	if err != nil {
		return err
	}
	if cfg.certFile != "" {
		if known, err = parseCertificates(certs); err != nil {
			return fmt.Errorf("%s: %w", cfg.certFile, err)
		}
	}
	k.inherit(l.key)
	l.raw, l.key, l.certs, l.pair = [2][]byte{now.raw, certs}, k, known, nil
	return nil
}

// join makes a pair of what is known, or returns the last one while it would be the same.
func (l *loader) join() (*certtoken.Certificate, error) {
	cfg, leaf := &l.user.cfg, l.user.cfg.leaf
	if leaf == nil && !cfg.keyAlone {
		var err error
		if leaf, err = leafOf(l.key.public, l.certs, time.Now()); err != nil {
			return nil, err
		}
	}
	if l.pair != nil && l.pair.Leaf.Equal(leaf) {
		return l.pair, nil
	}
	sig, err := l.user.signer(l.key)
	if err != nil {
		return nil, err
	}
	var pair *certtoken.Certificate
	if cfg.keyAlone {
		pair, err = certtoken.NewKey(sig, "")
	} else {
		pair, err = certtoken.NewCertificate(sig, leaf, slices.Concat(cfg.issuers, l.certs))
	}
	if err != nil {
		return nil, err
	}
	l.pair = pair
	return pair, nil
}

// leafOf is the certificate of a key: of several the newest valid one.
func leafOf(pub publicKey, known []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	var fit []*x509.Certificate
	for _, c := range known {
		if pub.Equal(c.PublicKey) {
			fit = append(fit, c)
		}
	}
	switch {
	case len(known) == 0:
		return nil, fmt.Errorf("%w beside the key: give it by WithCertificateFile, or use the key alone by "+
			"WithoutCertificate", certtoken.ErrNoCertificate)
	case len(fit) == 0:
		return nil, fmt.Errorf("%w: none of the %d certificates is the key's", certtoken.ErrKeyMismatch, len(known))
	}
	valid := func(c *x509.Certificate) int {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return 0
		}
		return 1
	}
	return slices.MaxFunc(fit, func(a, b *x509.Certificate) int {
		return cmp.Or(valid(a)-valid(b), a.NotBefore.Compare(b.NotBefore))
	}), nil
}

// parseFile finds the key and the certificates in a file.
func parseFile(data []byte) (*keyFile, []*x509.Certificate, error) {
	var file *keyFile
	var certs []*x509.Certificate
	err := eachBlock(data, func(block *pem.Block) (err error) {
		switch {
		case block.Type == "CERTIFICATE":
			certs, err = appendCertificate(certs, block.Bytes)
		case block.Type == pemType && file != nil:
			err = fmt.Errorf("%w: the file holds several TPM keys", certtoken.ErrFormat)
		case block.Type == pemType:
			file, err = parseKeyFile(block.Bytes)
		}
		return err
	})
	if err == nil && file == nil {
		err = fmt.Errorf("%w: the file holds no TSS2 PRIVATE KEY; one of another kind is read by certtoken.CertFile",
			certtoken.ErrNoPrivateKey)
	}
	return file, certs, err
}

// parseCertificates reads PEM, or the DER of one certificate.
func parseCertificates(data []byte) (certs []*x509.Certificate, err error) {
	err = eachBlock(data, func(block *pem.Block) error {
		if block.Type != "CERTIFICATE" {
			return nil
		}
		certs, err = appendCertificate(certs, block.Bytes)
		return err
	})
	if err != nil || len(certs) > 0 {
		return certs, err
	}
	if !bytes.HasPrefix(data, []byte{0x30}) {
		return nil, fmt.Errorf("%w: it is neither PEM nor DER", certtoken.ErrNoCertificate)
	}
	return appendCertificate(nil, data)
}

func appendCertificate(certs []*x509.Certificate, der []byte) ([]*x509.Certificate, error) {
	if len(certs) == maxCertificates {
		return nil, fmt.Errorf("%w: over %d certificates", certtoken.ErrFormat, maxCertificates)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate %d can't be read: %w", certtoken.ErrFormat, len(certs)+1, err)
	}
	return append(certs, cert), nil
}

// eachBlock calls f for each block of PEM.
func eachBlock(data []byte, f func(*pem.Block) error) error {
	if len(data) > maxFile {
		return errTooLarge
	}
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil
		}
		if err := f(block); err != nil {
			return err
		}
		data = rest
	}
}

var errTooLarge = fmt.Errorf("%w: it is larger than %d bytes", certtoken.ErrFormat, maxFile)

// readFile reads a file of bounded size. One that isn't regular could make it wait.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New(path + " is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, errTooLarge
	}
	return data, nil
}
