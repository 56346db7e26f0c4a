// Package certsource is for programs that have a source of certificates of their own: what
// every such source needs beside the two or three lines that read a certificate or ask for
// a signature.
//
// [New] makes a source of a function that loads the certificate. It keeps the last good
// one, looks for a renewed one behind its callers, and survives an outage of the place
// where the certificate is kept:
//
//	source, err := certsource.New("my vault", func(
//		ctx context.Context, _ *certtoken.Certificate,
//	) (*certtoken.Certificate, error) {
//		pem, err := vault.Read(ctx, "my-service")
//		if err != nil {
//			return nil, err
//		}
//		return certtoken.ParseCertificate(pem)
//	})
//
// [NewSigner] makes a signer of a function that has a key sign which this program can't
// read: in an HSM, a vault, a TPM, another process. It says by which algorithm of RFC 7518
// the key is to sign, and checks each signature before it is used:
//
//	signer, err := certsource.NewSigner("my HSM", leaf.PublicKey, func(
//		ctx context.Context, r certsource.SignRequest,
//	) ([]byte, error) {
//		return hsm.Sign(ctx, r.Algorithm, r.Digest)
//	})
//
// Use either without the other, or both. The extensions for HSMs, vaults, TPMs and Windows are
// made of them, and certtokentest.TestCertSource tests a source as a whole.
package certsource
