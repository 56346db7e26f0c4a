package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certtoken/certtoken"
)

// Subjects of signing.
const (
	subjectAssertion = "certtoken assertion, free signer"
	subjectHS256     = "golang-jwt SignedString, HS256"
	subjectRS256     = "crypto/rsa, PKCS #1 v1.5"
	subjectPS256     = "crypto/rsa, PSS"
	subjectSigned    = "certtoken assertion, PS256"
)

// measureSigning compares an assertion with what golang-jwt takes for the same
// claims, and with the RSA signature alone.
func measureSigning(cfg settings, id identity) map[string]samples {
	ctx := context.Background()
	assertion := certtoken.Assertion{ClientID: clientID, Audience: tokenURL}
	sign := func(cert *certtoken.Certificate) func(int) {
		return func(int) {
			if _, err := assertion.Sign(ctx, cert); err != nil {
				panic(err)
			}
		}
	}
	secret, x5t := make([]byte, 32), thumbprint(id.cert.Leaf)
	digest := sha256.Sum256([]byte("digest"))
	bare := func(opts crypto.SignerOpts) func(int) {
		return func(int) {
			if _, err := id.key().Sign(rand.Reader, digest[:], opts); err != nil {
				panic(err)
			}
		}
	}
	return compare(cfg, 1,
		subject{subjectAssertion, sign(id.free)},
		subject{subjectHS256, func(int) {
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, handClaims())
			token.Header["x5t#S256"] = x5t
			if _, err := token.SignedString(secret); err != nil {
				panic(err)
			}
		}},
		subject{subjectSigned, sign(id.cert)},
		subject{subjectRS256, bare(crypto.SHA256)},
		subject{subjectPS256, bare(&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})},
	)
}

func signingChecks(signing map[string]samples) []check {
	return []check{atMost(
		"assertion without its signature : golang-jwt's `SignedString` with HS256",
		signing[subjectAssertion].over(signing[subjectHS256]),
		1,
		" ×",
	)}
}
