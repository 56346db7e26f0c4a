package interop

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// pemFiles are the parts of a certificate as enrolment tools write them.
type pemFiles struct{ leaf, chain, key []byte }

func filesOf(t *testing.T, c *certtoken.Certificate) (f pemFiles) {
	t.Helper()
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	f.leaf = block("CERTIFICATE", c.Leaf.Raw)
	for _, ca := range c.Chain {
		f.chain = append(f.chain, block("CERTIFICATE", ca.Raw)...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.Signer)
	require.NoError(t, err)
	f.key = block("PRIVATE KEY", key)
	return f
}

// replaceFile replaces a file by rename.
func replaceFile(t *testing.T, name string, data []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(name+".new", data, 0o600))
	require.NoError(t, os.Rename(name+".new", name))
}

// otherTools are enrolment tools that aren't tried themselves, and the files that their
// documentation says they write.
var otherTools = map[string]struct {
	kind    certtokentest.KeyKind
	sameKey bool // a renewal keeps the key
	write   func(t *testing.T, folder string, f pemFiles)
	source  func(folder string) certtoken.CertSource
}{
	// step ca renew writes the certificate and its chain anew, and keeps the key.
	"step ca renew": {
		kind: certtokentest.P256, sameKey: true,
		write: func(t *testing.T, folder string, f pemFiles) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "app.crt"), slices.Concat(f.leaf, f.chain), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(folder, "app.key"), f.key, 0o600))
		},
		source: func(folder string) certtoken.CertSource {
			return certtoken.CertFile(filepath.Join(folder, "app.crt"),
				certtoken.WithKeyFile(filepath.Join(folder, "app.key")))
		},
	},
	// step ca rekey writes both files anew, one after the other.
	"step ca rekey": {
		kind: certtokentest.RSA,
		write: func(t *testing.T, folder string, f pemFiles) {
			replaceFile(t, filepath.Join(folder, "app.crt"), slices.Concat(f.leaf, f.chain))
			replaceFile(t, filepath.Join(folder, "app.key"), f.key)
		},
		source: func(folder string) certtoken.CertSource {
			return certtoken.CertFile(filepath.Join(folder, "app.crt"),
				certtoken.WithKeyFile(filepath.Join(folder, "app.key")))
		},
	},
	// Vault Agent's template of pkiCert, as docs/rotation.md has it, makes one file.
	"vault agent": {
		kind: certtokentest.RSA,
		write: func(t *testing.T, folder string, f pemFiles) {
			replaceFile(t, filepath.Join(folder, "app.pem"), slices.Concat(f.key, f.leaf, f.chain))
		},
		source: func(folder string) certtoken.CertSource {
			return certtoken.CertFile(filepath.Join(folder, "app.pem"))
		},
	},
	// cert-manager's secret is mounted by the kubelet, which swaps a link to a folder.
	"cert-manager": {
		kind: certtokentest.RSA,
		write: func(t *testing.T, folder string, f pemFiles) {
			version, err := os.MkdirTemp(folder, "..2026_")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(version, "tls.crt"), slices.Concat(f.leaf, f.chain), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(version, "tls.key"), f.key, 0o600))
			data := filepath.Join(folder, "..data")
			require.NoError(t, os.Symlink(filepath.Base(version), data+"_tmp"))
			require.NoError(t, os.Rename(data+"_tmp", data))
			for _, name := range []string{"tls.crt", "tls.key"} {
				_ = os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)) // once
			}
		},
		source: func(folder string) certtoken.CertSource {
			return certtoken.CertFile(filepath.Join(folder, "tls.crt"),
				certtoken.WithKeyFile(filepath.Join(folder, "tls.key")))
		},
	},
}

// What the documentation of other enrolment tools says that they write is followed too.
func TestFilesAsOtherEnrolmentToolsWriteThem(t *testing.T) {
	t.Parallel()
	ca := newCertificate(t, "enrolment root", certtokentest.AsCA())
	for name, tool := range otherTools {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			opts := []certtokentest.CertOption{
				certtokentest.WithSubject(enrolled), certtokentest.SignedBy(ca), certtokentest.WithKeyKind(tool.kind),
			}
			first := certtokentest.NewCertificate(t, opts...)
			if tool.sameKey {
				opts = append(opts, certtokentest.WithKey(first.Signer))
			}
			second := certtokentest.NewCertificate(t, opts...)

			srv := certtokentest.New(certtokentest.WithIssuer("https://idp.example"))
			srv.TrustSubject("billing", enrolled, ca.Leaf)
			tool.write(t, folder, filesOf(t, first))
			client, err := certtoken.NewClient(srv.Authority(certtoken.WithX5C()), "billing", tool.source(folder),
				certtoken.WithHTTPClient(srv.Client()), patient)
			require.NoError(t, err)
			defer client.Close()
			for _, cert := range []*certtoken.Certificate{first, second} {
				tool.write(t, folder, filesOf(t, cert))
				_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
				require.NoError(t, err)
				assert.Equal(t, cert.Leaf.Raw, srv.LastRequest().Certificate.Raw)
			}
		})
	}
}
