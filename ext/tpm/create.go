package tpm

import (
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/certtoken/certtoken/selfsigned"
	"github.com/google/go-tpm/tpm2"
)

// NewKey says which key [Create] makes. The zero value is an RSA key of 2048 bits, which is
// what Entra ID takes and what every TPM has.
type NewKey struct {
	Key         selfsigned.KeyType // RSA or EC; no TPM has Ed25519
	KeyBits     int                // of an RSA key, 2048 to 16384; default 2048. Many TPMs have no other
	Curve       elliptic.Curve     // of an EC key: P-256, P-384 or P-521; default P-256
	Description string             // for people, in the file; up to 256 bytes
}

const maxDescription = 256

// curves are a TPM's names of curves.
var curves = map[elliptic.Curve]tpm2.TPMECCCurve{
	elliptic.P256(): tpm2.TPMECCNistP256,
	elliptic.P384(): tpm2.TPMECCNistP384,
	elliptic.P521(): tpm2.TPMECCNistP521,
}

// Create has the TPM make a key, and returns its TSS2 PRIVATE KEY file as PEM, which that TPM
// alone can use. Of the options it takes those that name the TPM, the parent ([WithParent])
// and its password, the key's password, and the PCRs that the key is bound to. The key signs,
// and does nothing else. Errors wrap those of this package, and [errors.ErrUnsupported] for a
// key that the TPM can't make.
//
// [FromData] makes a source of it, whose signer (by [WithoutCertificate]) selfsigned.For and
// selfsigned.Request take.
func Create(ctx context.Context, k NewKey, opts ...Option) ([]byte, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	file, err := create(ctx, k, &cfg)
	if err != nil {
		return nil, fmt.Errorf("tpm: making a key: %w", err)
	}
	return file, nil
}

func create(ctx context.Context, k NewKey, cfg *config) ([]byte, error) {
	template, err := k.template()
	if err != nil {
		return nil, err
	}
	password, err := ask(ctx, "the new key's password", cfg.password)
	if err != nil {
		return nil, err
	}
	parentPassword, err := ask(ctx, "the parent's password", cfg.parentPassword)
	if err != nil {
		return nil, err
	}
	if hash, err := template.NameAlg.Hash(); err == nil && len(password) > hash.Size() {
		return nil, fmt.Errorf("the new key's password is longer than %d bytes, which the TPM doesn't take", hash.Size())
	}
	type outcome struct {
		file *keyFile
		err  error
	}
	done := make(chan outcome, 1)
	go func() { // it ends when the TPM has made the key, or the caller's turn didn't come
		file, err := do(ctx, deviceOf(cfg.device), func(c *connection) (*keyFile, error) {
			return c.create(cfg, *template, password, parentPassword)
		})
		done <- outcome{file, err}
	}()
	select {
	case out := <-done:
		if out.err != nil {
			return nil, out.err
		}
		out.file.description = k.Description
		return out.file.pem()
	case <-ctx.Done():
		return nil, fmt.Errorf("gave up while the TPM works: %w", context.Cause(ctx))
	}
}

// template is the public area of the key that is to be made.
func (k NewKey) template() (*tpm2.TPMTPublic, error) {
	template := &tpm2.TPMTPublic{
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true,
		},
	}
	switch {
	case len(k.Description) > maxDescription || !utf8.ValidString(k.Description):
		return nil, fmt.Errorf("the description is not text of up to %d bytes", maxDescription)
	case k.Key == selfsigned.RSA && k.Curve != nil, k.Key == selfsigned.EC && k.KeyBits != 0:
		return nil, errors.New("KeyBits goes with an RSA key, and Curve with an EC key")
	case k.Key == selfsigned.RSA:
		bits := k.KeyBits
		if bits == 0 {
			bits = 2048
		}
		if bits < 2048 || bits > 16384 || bits%8 != 0 {
			return nil, fmt.Errorf("an RSA key of %d bits is not within 2048 and 16384", bits)
		}
		template.Type = tpm2.TPMAlgRSA
		template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: tpm2.TPMKeyBits(bits)})
	case k.Key == selfsigned.EC:
		curve := k.Curve
		if curve == nil {
			curve = elliptic.P256()
		}
		id, ok := curves[curve]
		if !ok {
			return nil, errors.New("an EC key is of P-256, P-384 or P-521")
		}
		template.Type = tpm2.TPMAlgECC
		template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: id})
	default:
		return nil, unsupported("a TPM makes RSA and EC keys only")
	}
	return template, nil
}

// create makes the key under its parent.
func (c *connection) create(
	cfg *config,
	template tpm2.TPMTPublic,
	password, parentPassword []byte,
) (*keyFile, error) {
	c.unload()
	file := &keyFile{parent: cfg.parent, emptyAuth: len(password) == 0}
	parent, err := c.parent(cfg.parent, false, parentPassword)
	if err != nil {
		return nil, err
	}
	defer c.drop(parent)
	if cfg.pcrs != nil {
		if err := c.bind(&template, file, cfg, len(password) > 0); err != nil {
			return nil, err
		}
	}
	// The password is encrypted on its way, for the parent.
	answer, err := tpm2.Create{
		ParentHandle: parent.authorized(tpm2.AESEncryption(128, tpm2.EncryptIn)),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: password},
		}},
		InPublic: tpm2.New2B(template),
	}.Execute(c.tpm)
	switch {
	case answered(err, lacking...):
		return nil, fmt.Errorf("%w: the TPM makes no keys of this kind or length: TPM2_Create: %w",
			errors.ErrUnsupported, err)
	case err != nil:
		return nil, loadError("TPM2_Create", file, err)
	}
	file.public, file.private = answer.OutPublic.Bytes(), answer.OutPrivate.Buffer
	return file, nil
}

// bind gives a new key a policy: the PCRs as they are now, and its password if it has one.
func (c *connection) bind(template *tpm2.TPMTPublic, file *keyFile, cfg *config, password bool) error {
	trial, end, err := tpm2.PolicySession(c.tpm, template.NameAlg, nonceSize, tpm2.Trial())
	if err != nil {
		return call("TPM2_StartAuthSession", err)
	}
	defer func() { _ = end() }() // a session that is gone already is closed
	file.policy = []policyStep{pcrStep(*cfg.pcrs, nil)}
	if password {
		file.policy = append(file.policy, policyStep{command: uint32(tpm2.TPMCCPolicyAuthValue)})
	}
	if err := runPolicy(c.tpm, trial.Handle(), file.policy); err != nil {
		return err
	}
	digest, err := tpm2.PolicyGetDigest{PolicySession: trial.Handle()}.Execute(c.tpm)
	if err != nil {
		return call("TPM2_PolicyGetDigest", err)
	}
	template.AuthPolicy = digest.PolicyDigest
	template.ObjectAttributes.UserWithAuth = false
	return nil
}
