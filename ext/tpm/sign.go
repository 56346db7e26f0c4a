package tpm

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/google/go-tpm/tpm2"
)

// schemes are a TPM's names of algorithms.
var schemes = map[certtoken.Algorithm]struct{ scheme, hash tpm2.TPMAlgID }{
	certtoken.RS256: {tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA256},
	certtoken.RS384: {tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA384},
	certtoken.RS512: {tpm2.TPMAlgRSASSA, tpm2.TPMAlgSHA512},
	certtoken.PS256: {tpm2.TPMAlgRSAPSS, tpm2.TPMAlgSHA256},
	certtoken.PS384: {tpm2.TPMAlgRSAPSS, tpm2.TPMAlgSHA384},
	certtoken.PS512: {tpm2.TPMAlgRSAPSS, tpm2.TPMAlgSHA512},
	certtoken.ES256: {tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256},
	certtoken.ES384: {tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA384},
	certtoken.ES512: {tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA512},
}

// sign has a loaded key sign. The error of a wrong password is not explained yet.
func (c *connection) sign(l *loadedKey, password []byte, r certsource.SignRequest) ([]byte, error) {
	by, ok := schemes[r.Algorithm]
	if !ok {
		return nil, unsupported("%s", r.Algorithm)
	}
	auth, end, err := c.authorize(l, password)
	if err != nil {
		return nil, err
	}
	defer end()
	answer, err := tpm2.Sign{
		KeyHandle: tpm2.AuthHandle{Handle: l.object.Handle, Name: l.object.Name, Auth: auth},
		Digest:    tpm2.TPM2BDigest{Buffer: r.Digest},
		InScheme: tpm2.TPMTSigScheme{
			Scheme:  by.scheme,
			Details: tpm2.NewTPMUSigScheme(by.scheme, &tpm2.TPMSSchemeHash{HashAlg: by.hash}),
		},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck},
	}.Execute(c.tpm)
	switch {
	case answered(err, lacking...):
		return nil, fmt.Errorf("%w: the TPM or the key lacks %s: TPM2_Sign: %w", errors.ErrUnsupported, r.Algorithm, err)
	case err != nil:
		return nil, call("TPM2_Sign", err)
	}
	return signatureOf(&answer.Signature)
}

// authorize opens the session by which a key is used once. end closes it.
func (c *connection) authorize(l *loadedKey, password []byte) (session tpm2.Session, end func(), err error) {
	if len(l.of.policy) == 0 && len(password) == 0 {
		return tpm2.PasswordAuth(nil), func() {}, nil
	}
	salt, drop := l.parent, func() {}
	if salt == nil && len(password) > 0 { // a persistent key's parent isn't known
		if salt, err = c.anySalt(); err != nil {
			return nil, nil, err
		}
		drop = func() { c.drop(salt) }
	}
	if len(l.of.policy) == 0 {
		return passwordSession(password, salt), drop, nil
	}
	session, closeSession, err := c.policySession(l.of, password, salt)
	if err != nil {
		drop()
		return nil, nil, err
	}
	return session, func() { closeSession(); drop() }, nil
}

// policySession opens a session and fulfils the key's policy in it.
func (c *connection) policySession(k *key, password []byte, salt *object) (tpm2.Session, func(), error) {
	var opts []tpm2.AuthOption
	if salt != nil {
		opts = append(opts, tpm2.Salted(salt.Handle, salt.public))
	}
	if wantsPassword(k.policy) {
		opts = append(opts, tpm2.Auth(password))
	}
	session, flush, err := tpm2.PolicySession(c.tpm, k.area.NameAlg, nonceSize, opts...)
	if err != nil {
		return nil, nil, call("TPM2_StartAuthSession", err)
	}
	end := func() { _ = flush() } // a session that is gone already is closed
	if err := runPolicy(c.tpm, session.Handle(), k.policy); err != nil {
		end()
		return nil, nil, err
	}
	return session, end, nil
}

// signatureOf is a TPM's signature in Go's form: of an EC key in ASN.1.
func signatureOf(s *tpm2.TPMTSignature) ([]byte, error) {
	switch s.SigAlg {
	case tpm2.TPMAlgRSASSA:
		sig, err := s.Signature.RSASSA()
		if err != nil {
			return nil, err
		}
		return sig.Sig.Buffer, nil
	case tpm2.TPMAlgRSAPSS:
		sig, err := s.Signature.RSAPSS()
		if err != nil {
			return nil, err
		}
		return sig.Sig.Buffer, nil
	case tpm2.TPMAlgECDSA:
		sig, err := s.Signature.ECDSA()
		if err != nil {
			return nil, err
		}
		return asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes(sig.SignatureR.Buffer),
			new(big.Int).SetBytes(sig.SignatureS.Buffer),
		})
	}
	return nil, fmt.Errorf("a signature of the kind %#x", uint16(s.SigAlg))
}
