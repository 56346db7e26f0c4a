package tpm

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
)

// A key that is bound to PCRs signs until one of them changes.
func TestPCRs(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	for _, password := range []string{"", "secret"} {
		file := s.make(t, NewKey{Key: selfsigned.EC}, WithPCRs("sha256:0,16"), WithPassword(passwordIs(password)))
		key := s.alone(t, file, WithPassword(passwordIs(password)))
		require.NoError(t, sign(t, key))
		if password != "" {
			assert.ErrorIs(t, sign(t, s.alone(t, file, WithPassword(passwordIs("wrong")))), ErrPasswordRefused)
		}
		s.run(t, "tpm2_pcrextend", "16:sha256=0123456789012345678901234567890123456789012345678901234567890123")
		err := sign(t, key)
		require.ErrorIs(t, err, ErrPolicy)
		s.run(t, "tpm2_pcrreset", "16")
		require.NoError(t, sign(t, key))
	}
}

// A TPM leaves PCRs that it doesn't have out of a policy. No key is bound so, and none signs
// whose file names such PCRs.
func TestMissingPCRs(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	s.run(t, "tpm2_pcrallocate", "-Q", "sha1:none+sha256:all+sha384:none+sha512:none")
	s.stop()
	s.start(t)
	for _, pcrs := range []string{"sha384:7", "sha1:0,7", "sha256:7+sha384:7"} {
		_, err := Create(t.Context(), NewKey{Key: selfsigned.EC}, s.options(WithPCRs(pcrs))...)
		assert.ErrorIs(t, err, errors.ErrUnsupported, pcrs)
		assert.ErrorContains(t, err, "no PCRs sha", pcrs)

		selection, err := parsePCRs(pcrs)
		require.NoError(t, err)
		foreign := s.withPolicy(t, func(c *connection, trial tpm2.TPMHandle) []policyStep {
			step := pcrStep(selection, nil)
			require.NoError(t, step.run(c.tpm, trial), "the TPM takes it")
			return []policyStep{step}
		})
		assert.ErrorIs(t, sign(t, s.alone(t, foreign)), errors.ErrUnsupported, pcrs)
	}
	require.NoError(t, sign(t, s.alone(t, s.make(t, NewKey{Key: selfsigned.EC}, WithPCRs("sha256:7")))))

	for name, body := range map[string][]byte{
		"none":          nil,
		"no list":       {0, 0},
		"a long digest": {0xff, 0xff},
		"a long list":   {0, 0, 0xff, 0xff, 0xff, 0xff},
		"a long bank":   {0, 0, 0, 0, 0, 1, 0, 11, 9, 1},
		"bytes behind":  {0, 0, 0, 0, 0, 0, 1},
	} {
		err := checkPCRs(nil, body)
		assert.ErrorIs(t, err, certtoken.ErrFormat, name)
	}
}

// A key that tpm2-tools bound to PCRs, whose file doesn't tell.
func TestPCRsOfTools(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	need(t, "tpm2_encodeobject")
	s.run(t, "tpm2_createpolicy", "-Q", "--policy-pcr", "-l", "sha256:0,16", "-L", "policy")
	s.run(t, "tpm2_createprimary", "-Q", "-G", "ecc", "-c", "primary.ctx",
		"-a", "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda")
	s.run(t, "tpm2_create", "-Q", "-C", "primary.ctx", "-G", "ecc:ecdsa", "-u", "k.pub", "-r", "k.priv", "-L", "policy",
		"-a", "fixedtpm|fixedparent|sensitivedataorigin|sign")
	s.run(t, "tpm2_flushcontext", "-t")
	s.run(t, "tpm2_encodeobject", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-o", "k.pem")
	s.run(t, "tpm2_flushcontext", "-t")
	file, err := os.ReadFile(filepath.Join(s.dir, "k.pem"))
	require.NoError(t, err)
	require.NoError(t, sign(t, s.alone(t, file, WithPCRs("sha256:0,16"))))
	assert.ErrorIs(t, sign(t, s.alone(t, file, WithPCRs("sha256:0"))), ErrPolicy)
	err = sign(t, s.alone(t, file))
	assert.ErrorIs(t, err, ErrPolicy)
	assert.ErrorContains(t, err, "WithPCRs")
}
