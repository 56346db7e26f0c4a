package certstore

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func powershell(t *testing.T, command string) {
	t.Helper()
	out, err := exec.Command("powershell", "-NoProfile", "-Command", command).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Keys of CNG that can't be exported, in the current user's store.
func TestWindows(t *testing.T) {
	if underWine() {
		t.Skip("wine has no PowerShell, and no keys of CNG that stay")
	}
	for name, algorithm := range map[string]string{
		"RSA":   "-KeyAlgorithm RSA -KeyLength 2048",
		"P-256": "-KeyAlgorithm ECDSA_nistP256 -CurveExport CurveName",
	} {
		t.Run(name, func(t *testing.T) {
			subject := "certtoken-certstore-test-" + name
			t.Cleanup(func() {
				powershell(t, `Get-ChildItem Cert:\CurrentUser\My | Where-Object Subject -eq 'CN=`+subject+
					`' | Remove-Item -DeleteKey`)
			})
			powershell(t,
				`New-SelfSignedCertificate -Subject 'CN=`+subject+`' -CertStoreLocation Cert:\CurrentUser\My `+
					algorithm+` -KeyExportPolicy NonExportable -Provider 'Microsoft Software Key Storage Provider'`)
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
				s, err := New(WithSubject(subject))
				require.NoError(t, err)
				return s
			})
			s, err := New(WithSubject(subject + "-absent"))
			require.NoError(t, err)
			_, err = s.Certificate(t.Context())
			assert.ErrorIs(t, err, certtoken.ErrNoCertificate)
		})
	}
}
