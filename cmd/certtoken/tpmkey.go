package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/ext/tpm"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/selfsigned"
)

const (
	envTPM  = "CERTTOKEN_TPM"
	fileTPM = "private.tpm"

	formatTPM = "PEM, with a key of the TPM"
)

// tpmOptions name the TPM.
func tpmOptions(opts ...tpm.Option) []tpm.Option {
	if device := os.Getenv(envTPM); device != "" {
		opts = append(opts, tpm.WithDevice(device))
	}
	return opts
}

// The lines around a key of a TPM.
var (
	beginTPMKey = []byte("-----BEGIN TSS2 PRIVATE KEY-----")
	endTPMKey   = []byte("-----END TSS2 PRIVATE KEY-----")
)

// isTPMKey reports whether a file holds a key of a TPM, in PEM.
func isTPMKey(data []byte) bool { return bytes.Contains(data, beginTPMKey) }

// withoutTPMKey is the rest of a file that holds a key of a TPM.
func withoutTPMKey(data []byte) []byte {
	before, after, found := bytes.Cut(data, beginTPMKey)
	_, after, ended := bytes.Cut(after, endTPMKey)
	if !found || !ended {
		return before
	}
	return slices.Concat(before, after)
}

// newTPMKey has the TPM make a key, and returns its file and its signer.
func newTPMKey(
	ctx context.Context,
	c *console.Console,
	opts selfsigned.Options,
	pass password,
) ([]byte, crypto.Signer, error) {
	var key []tpm.Option
	if pass.given() && pass.reveal() != "" {
		key = append(key, tpm.WithPassword(func(context.Context) (string, error) { return pass.reveal(), nil }))
	}
	made := tpm.NewKey{Key: opts.Key, KeyBits: opts.KeyBits, Curve: opts.Curve}
	done := c.Waiting("the TPM makes the key")
	file, err := tpm.Create(ctx, made, tpmOptions(key...)...)
	done()
	if err != nil {
		return nil, nil, explainTPM(err)
	}
	source, err := tpm.FromData(file, tpmOptions(append(key, tpm.WithoutCertificate())...)...)
	if err != nil {
		return nil, nil, explainTPM(err)
	}
	alone, err := source.Certificate(ctx)
	if err != nil {
		return nil, nil, explainTPM(err)
	}
	return file, alone.Signer, nil
}

// trialOfTPM has a key of the TPM sign something of no meaning: what is wrong with its
// password, its policy or the TPM shows only then. A key that is for another algorithm
// than the usual one shows that much as well.
func trialOfTPM(ctx context.Context, key crypto.Signer) error {
	alg, err := jws.Default(key.Public())
	if err == nil {
		_, err = jws.Sign(ctx, alg, key, []byte("a trial"))
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return failure.Clean(err)
}

// explainTPM says what to do where the TPM didn't make a key.
func explainTPM(err error) error {
	named := failure.Errorf("%w", failure.Clean(err))
	switch device := os.Getenv(envTPM); {
	case errors.Is(err, errors.ErrUnsupported):
		named.Advise("Most TPMs make RSA keys of 2048 bits, and EC keys on P-256.")
	case device != "" && failure.IsAny(err, []error{io.EOF, io.ErrUnexpectedEOF}):
		named.Advise("Is "+device+" a TPM's device, or the socket on which a TPM in software takes commands?",
			"The environment variable "+envTPM+" names it.")
	}
	return named
}

// tpmPEM is the file of a key of the TPM, with its certificate before it.
func tpmPEM(cert *certtoken.Certificate, key []byte) []byte {
	return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}), key)
}
