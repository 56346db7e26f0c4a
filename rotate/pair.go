package rotate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/inside"
	"github.com/certtoken/certtoken/internal/single"
	"github.com/certtoken/certtoken/rotate/internal/disk"
	"github.com/certtoken/certtoken/rotate/internal/keyform"
	"github.com/certtoken/certtoken/selfsigned"
)

// errNoNext says that there is no new pair beside the present one.
var errNoNext = errors.New("the file of the new pair isn't there")

// errForeignNext is a new file that the state doesn't know.
var errForeignNext = errors.New("it may hold the only copy of a key that is registered")

// pair is what a client follows: a file with a certificate and its key, or two, or a file
// with a certificate whose key is in a KeyStore. The methods name its files by places.
type pair struct {
	file  inside.File
	store KeyStore // nil: the key is in a file
	disk  disk.Disk

	// calls are those of the user's parts, which may hang: a step goes on without them before
	// its lock runs out.
	calls single.Caller[*certtoken.Certificate]
}

// places are the files of a pair, links resolved. key is "" where there is one file.
type places struct{ main, key string }

func (p places) next() places {
	n := places{main: p.main + nextSuffix}
	if p.key != "" {
		n.key = p.key + nextSuffix
	}
	return n
}

// places finds the files. They are looked up at each step: somebody may change a link.
func (p *pair) places() (places, error) {
	main, err := filepath.EvalSymlinks(p.file.Path)
	if err != nil {
		return places{}, err
	}
	at := places{main: main}
	if p.file.KeyFile != "" {
		if at.key, err = filepath.EvalSymlinks(p.file.KeyFile); err != nil {
			return places{}, err
		}
	}
	if at.key == at.main {
		at.key = ""
	}
	return at, nil
}

// read returns the pair in files.
func (p *pair) read(ctx context.Context, at places) (*certtoken.Certificate, error) {
	return p.call(ctx, func(ctx context.Context) (*certtoken.Certificate, error) { return p.load(ctx, at) })
}

// call calls what may run code of the user's, for a limited time.
func (p *pair) call(
	ctx context.Context, f func(context.Context) (*certtoken.Certificate, error),
) (*certtoken.Certificate, error) {
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return p.calls.Do(ctx, askLimit, func() (*certtoken.Certificate, error) { return f(limited) })
}

func (p *pair) load(ctx context.Context, at places) (*certtoken.Certificate, error) {
	if p.store != nil {
		data, err := p.disk.Read(at.main)
		if err != nil {
			return nil, err
		}
		return heldPair(ctx, data, p.store)
	}
	var opts []certtoken.CertOption
	if password, given := p.file.Password(); given {
		opts = append(opts, certtoken.WithPassword(password))
	}
	if at.key != "" {
		opts = append(opts, certtoken.WithKeyFile(at.key))
	}
	if p.file.BareKey {
		return certtoken.KeyFile(at.main, opts...).Certificate(ctx)
	}
	return certtoken.CertFile(at.main, opts...).Certificate(ctx)
}

// readNext returns the new pair.
func (p *pair) readNext(ctx context.Context, at places) (*certtoken.Certificate, error) {
	next := at.next()
	if disk.Missing(next.main) || next.key != "" && disk.Missing(next.key) {
		return nil, errNoNext
	}
	return p.read(ctx, next)
}

// make makes a new pair like the old one.
func (p *pair) make(
	ctx context.Context, old *certtoken.Certificate, keyName string, o Options,
) (*certtoken.Certificate, error) {
	return p.call(ctx, func(ctx context.Context) (*certtoken.Certificate, error) {
		signer, err := p.newKey(ctx, keyName, old, o)
		if err != nil {
			return nil, fmt.Errorf("the new key: %w", err)
		}
		return p.issue(ctx, signer, old, o)
	})
}

// writeNext writes a new pair beside the old one, in the form of that. What an earlier try left
// is overwritten: it was never registered.
func (p *pair) writeNext(ctx context.Context, at places, form keyform.Form, made *certtoken.Certificate) error {
	files := keyform.Files{}
	var err error
	if p.store != nil {
		files.Main, err = form.EncodeCertificate(made)
	} else {
		password, _ := p.file.Password()
		files, err = form.Encode(made, password)
	}
	if err != nil {
		return fmt.Errorf("the new pair can't be written in the form of %s: %w", at.main, err)
	}
	next := at.next()
	if next.key != "" {
		if err := p.disk.Write(next.key, files.Key); err != nil {
			return err
		}
	}
	if err := p.disk.Write(next.main, files.Main); err != nil {
		return err
	}
	written, err := p.readNext(ctx, at)
	if err != nil {
		return fmt.Errorf("the new file can't be read again: %w", err)
	}
	if a, b := publicDER(written), publicDER(made); !bytes.Equal(a, b) {
		return errors.New("the new file holds another key than was written")
	}
	return nil
}

// form is that of the present files.
func (p *pair) form(at places) (keyform.Form, error) {
	var files keyform.Files
	var err error
	if files.Main, err = p.disk.Read(at.main); err != nil {
		return keyform.Form{}, err
	}
	if at.key != "" {
		if files.Key, err = p.disk.Read(at.key); err != nil {
			return keyform.Form{}, err
		}
	}
	form, err := keyform.Of(files, p.file.BareKey)
	if err != nil {
		return form, fmt.Errorf("%s: %w", at.main, err)
	}
	return form, nil
}

func (p *pair) newKey(
	ctx context.Context, name string, old *certtoken.Certificate, o Options,
) (crypto.Signer, error) {
	if p.store != nil {
		return guarded("the key store", func() (crypto.Signer, error) { return p.store.NewKey(ctx, name) })
	}
	return o.newKey(keyLike(old.Signer.Public(), o.Certificate))
}

// keyLike fills in the kind of key that an old one has.
func keyLike(old crypto.PublicKey, want selfsigned.Options) selfsigned.Options {
	if want.Key != selfsigned.RSA || want.KeyBits != 0 || want.Curve != nil {
		return want
	}
	switch key := old.(type) {
	case *rsa.PublicKey:
		want.KeyBits = min(max(key.N.BitLen()/1024*1024, 2048), 8192) // usual sizes, that servers take
	case *ecdsa.PublicKey:
		want.Key, want.Curve = selfsigned.EC, key.Curve
	case ed25519.PublicKey:
		want.Key = selfsigned.Ed25519
	}
	return want
}

// issue makes the certificate of a new key.
func (p *pair) issue(
	ctx context.Context, signer crypto.Signer, old *certtoken.Certificate, o Options,
) (*certtoken.Certificate, error) {
	switch {
	case p.file.BareKey:
		return certtoken.NewKey(signer, "")
	case o.Issue != nil:
		made, err := guarded("Options.Issue", func() (*certtoken.Certificate, error) {
			return o.Issue(ctx, signer, old.Leaf)
		})
		switch {
		case err != nil:
			return nil, err
		case made == nil:
			return nil, errors.New("Options.Issue returned no certificate")
		}
		return certtoken.NewCertificate(signer, made.Leaf, made.Chain)
	case !isSelfIssued(old.Leaf):
		return nil, fmt.Errorf("the old certificate was issued by %q, and the new one would be self-signed: "+
			"let the tool renew it that fetched it, and follow its file, or give Options.Issue", old.Leaf.Issuer)
	}
	opts := likeLeaf(old.Leaf, o.Certificate)
	opts.Key, opts.KeyBits, opts.Curve = selfsigned.RSA, 0, nil // the key is there already
	return selfsigned.For(ctx, signer, opts)
}

// isSelfIssued reports whether a certificate's own key has signed it. A CA may have its names equal.
func isSelfIssued(leaf *x509.Certificate) bool {
	if !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return false
	}
	err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature)
	var old x509.InsecureAlgorithmError // SHA-1, which isn't checked any more
	return err == nil || errors.As(err, &old) || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// likeLeaf fills in what a certificate has that is to be replaced.
func likeLeaf(old *x509.Certificate, want selfsigned.Options) selfsigned.Options {
	if want.Subject == "" && want.RawSubject == nil && len(old.Subject.Names) > 0 {
		want.RawSubject = old.RawSubject
	}
	if want.Validity == 0 {
		const (
			limit  = 100 * 365 * 24 * time.Hour
			before = 10 * time.Minute // that package selfsigned sets a certificate's beginning back
		)
		want.Validity = min(max(old.NotAfter.Sub(old.NotBefore)-before, time.Hour), limit)
	}
	if want.DNSNames == nil {
		want.DNSNames = old.DNSNames
	}
	if want.URIs == nil {
		for _, uri := range old.URIs {
			want.URIs = append(want.URIs, uri.String())
		}
	}
	return want
}

// switchFiles puts the new files in the place of the old ones. It goes on where an earlier
// try stopped: a file that isn't there any more has been moved.
//
// With two files there are two renames. Before the first one, the certificate file is made
// to hold both certificates, so that whichever key is in the key file finds its own. That
// can't be done in DER, where the pair doesn't match for a moment. A client that runs goes
// on with the last pair then.
func (p *pair) switchFiles(at places) error {
	next := at.next()
	if next.key != "" && !disk.Missing(next.key) {
		if err := p.putBeside(at, next); err != nil {
			return err
		}
		if err := p.place(next.key, at.key); err != nil {
			return err
		}
	}
	if disk.Missing(next.main) {
		return nil
	}
	return p.place(next.main, at.main)
}

// checkHalfway reports that the new files don't hold the new key, where the present ones can't
// be read, as between two renames. Then the new key is in its place already.
func (p *pair) checkHalfway(ctx context.Context, at places, want Key) error {
	next := at.next()
	if next.key != "" && disk.Missing(next.key) {
		next.key = at.key
	}
	if disk.Missing(next.main) {
		return nil // nothing is left to be switched
	}
	found, err := p.read(ctx, next)
	if err != nil {
		return fmt.Errorf("neither the present file nor the new one can be used: %w", err)
	}
	if key, err := keyOf(found); err != nil || key.Thumbprint != want.Thumbprint {
		return errors.Join(fmt.Errorf("%s isn't the file that was made", next.main), err)
	}
	return nil
}

func (p *pair) place(from, to string) error {
	if err := p.disk.Imitate(from, to); err != nil {
		return err
	}
	return p.disk.Rename(from, to)
}

// putBeside makes the certificate file hold both certificates, where its form can.
func (p *pair) putBeside(at, next places) error {
	old, err := p.disk.Read(at.main)
	if err != nil {
		return err
	}
	new, err := p.disk.Read(next.main)
	if err != nil {
		return err
	}
	both := keyform.Beside(old, new)
	if both == nil || bytes.HasSuffix(old, new) { // an earlier try has done it
		return nil
	}
	temp := at.main + ".both"
	if err := p.disk.Write(temp, both); err != nil {
		return err
	}
	return p.place(temp, at.main)
}

// hasNext reports whether one of the new files is there.
func (p *pair) hasNext(at places) bool {
	next := at.next()
	return !disk.Missing(next.main) || next.key != "" && !disk.Missing(next.key)
}

// forgetNext removes the new files.
func (p *pair) forgetNext(at places) error {
	next := at.next()
	return p.disk.Remove(next.main, next.key)
}

// publicDER is what tells pairs apart.
func publicDER(cert *certtoken.Certificate) []byte {
	if cert.Leaf != nil {
		return cert.Leaf.Raw
	}
	der, _ := x509.MarshalPKIXPublicKey(cert.Signer.Public()) // such keys were read before
	return der
}
