package tpm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// Each kind of key keeps the promises of a source, and gets a token where it may.
func TestKinds(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]NewKey{
		"RSA 2048": {},
		"P-256":    {Key: selfsigned.EC},
		"P-384":    {Key: selfsigned.EC, Curve: elliptic.P384()},
		"P-521":    {Key: selfsigned.EC, Curve: elliptic.P521()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startTPM(t)
			file, leaf := s.certify(t, s.make(t, k))
			path := s.write(t, "private.tpm", file)
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
				source, err := FromFile(path, s.options()...)
				require.NoError(t, err)
				return source
			})
			source, err := FromFile(path, s.options()...)
			require.NoError(t, err)
			srv := certtokentest.NewServer(t)
			if k.Key != selfsigned.RSA {
				srv = certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
			}
			srv.Register("client-id", leaf)
			client, err := certtoken.NewClient(srv.Authority(), "client-id", source,
				certtoken.WithHTTPClient(srv.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "https://graph.microsoft.com/.default")
			require.NoError(t, err)
		})
	}
}

// Keys that OpenSSL's tpm2 provider made, with and without a password.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	for name, args := range map[string][]string{
		"rsa.pem":      {"-algorithm", "RSA", "-pkeyopt", "bits:2048"},
		"ec.pem":       {"-algorithm", "EC", "-pkeyopt", "group:P-256"},
		"p384.pem":     {"-algorithm", "EC", "-pkeyopt", "group:P-384"},
		"password.pem": {"-algorithm", "EC", "-pkeyopt", "group:P-256", "-pkeyopt", "user-auth:secret"},
	} {
		path := s.openssl(t, name, args...)
		source, err := FromFile(path, s.options(WithoutCertificate(), WithPassword(passwordIs("secret")))...)
		require.NoError(t, err)
		key, err := source.Certificate(t.Context())
		require.NoError(t, err, name)
		request, err := selfsigned.Request(t.Context(), key.Signer, selfsigned.Options{Subject: "my-app"})
		require.NoError(t, err, name)
		require.NoError(t, request.CheckSignature(), name)
	}
}

// OpenSSL's tpm2 provider signs with a key that was made here.
func TestOpenSSLReadsOurs(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	for name, k := range map[string]NewKey{"rsa": {}, "ec": {Key: selfsigned.EC}} {
		for _, password := range []string{"", "secret"} {
			path := s.write(t, name+".pem", s.make(t, k, WithPassword(passwordIs(password))))
			s.run(t, "openssl", "req", "-new", "-provider", "tpm2", "-provider", "default", "-propquery",
				"?provider=tpm2",
				"-key", path, "-passin", "pass:"+password, "-subj", "/CN=my-app", "-out", filepath.Join(s.dir,
					"request.pem"))
		}
	}
}

// A key that the TPM keeps, which tpm2-tools made.
func TestPersistent(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{"no password": "", "password": "secret"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startTPM(t)
			s.run(t, "tpm2_createprimary", "-Q", "-c", "primary.ctx")
			s.run(t, "tpm2_create", "-Q", "-C", "primary.ctx", "-G", "rsa2048", "-u", "k.pub", "-r", "k.priv", "-p",
				password)
			s.run(t, "tpm2_flushcontext", "-t")
			s.run(t, "tpm2_load", "-Q", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx")
			s.run(t, "tpm2_evictcontrol", "-Q", "-c", "k.ctx", "0x81010001")
			s.run(t, "tpm2_flushcontext", "-t")
			var opts []Option
			if password != "" {
				opts = append(opts, WithPassword(passwordIs(password)))
			}
			alone, err := FromHandle(0x81010001, s.options(append(opts, WithoutCertificate())...)...)
			require.NoError(t, err)
			key, err := alone.Certificate(t.Context())
			require.NoError(t, err)
			cert, err := selfsigned.For(t.Context(), key.Signer, selfsigned.Options{Subject: "my-app"})
			require.NoError(t, err)
			path := s.write(t, "public.cer", cert.Leaf.Raw)
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
				source, err := FromHandle(0x81010001, s.options(append(opts, WithCertificateFile(path))...)...)
				require.NoError(t, err)
				return source
			})
			none, err := FromHandle(0x81010002, s.options(WithoutCertificate())...)
			require.NoError(t, err)
			_, err = none.Certificate(t.Context())
			assert.ErrorIs(t, err, certtoken.ErrNoPrivateKey)
			assert.ErrorContains(t, err, "tpm2_getcap")

			s.run(t, "tpm2_evictcontrol", "-Q", "-c", "0x81010001")
			assert.ErrorIs(t, sign(t, key.Signer), certtoken.ErrNoPrivateKey, "it was removed")
			s.run(t, "tpm2_evictcontrol", "-Q", "-c", "primary.ctx", "0x81010001")
			s.run(t, "tpm2_flushcontext", "-t")
			assert.ErrorIs(t, sign(t, key.Signer), certtoken.ErrKeyMismatch, "it was replaced")
		})
	}
}

// sign signs something by RS256, or ES256.
func sign(t *testing.T, key crypto.Signer) error {
	t.Helper()
	digest := sha256.Sum256([]byte("message"))
	_, err := key.(certtoken.ContextSigner).SignContext(t.Context(), digest[:], crypto.SHA256)
	return err
}

// A persistent parent, with a password of its own.
func TestPersistentParent(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	s.run(t, "tpm2_createprimary", "-Q", "-c", "primary.ctx", "-p", "parent")
	s.run(t, "tpm2_evictcontrol", "-Q", "-c", "primary.ctx", "0x81000001")
	s.run(t, "tpm2_flushcontext", "-t")
	parent := WithParentPassword(passwordIs("parent"))
	file := s.make(t, NewKey{Key: selfsigned.EC}, WithParent(0x81000001), parent, WithPassword(passwordIs("secret")))
	require.NoError(t, sign(t, s.alone(t, file, parent, WithPassword(passwordIs("secret")))))
	err := sign(t, s.alone(t, file, WithParentPassword(passwordIs("wrong")), WithPassword(passwordIs("secret"))))
	assert.ErrorIs(t, err, ErrPasswordRefused)
	assert.ErrorContains(t, err, "WithParentPassword")
}

// The owner hierarchy has a password.
func TestOwnerPassword(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	s.run(t, "tpm2_changeauth", "-c", "owner", "owner")
	owner := WithParentPassword(passwordIs("owner"))
	file := s.make(t, NewKey{Key: selfsigned.EC}, owner)
	require.NoError(t, sign(t, s.alone(t, file, owner)))
	err := sign(t, s.alone(t, file))
	assert.ErrorIs(t, err, ErrPasswordRefused)
	assert.ErrorContains(t, err, "WithParentPassword")
	_, err = Create(t.Context(), NewKey{}, s.options()...)
	assert.ErrorIs(t, err, ErrPasswordRefused)
}

// A wrong password is sent once, and another one after it.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	file := s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(passwordIs("correct horse")))
	password := "battery staple"
	key := s.alone(t, file, WithPassword(func() Password {
		return func(context.Context) (string, error) { return password, nil }
	}()))
	for range 10 {
		err := sign(t, key)
		require.ErrorIs(t, err, ErrPasswordRefused)
		require.NotErrorIs(t, err, ErrLockedOut)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q", err, err, err, key, key), password)
	}
	password = "correct horse"
	require.NoError(t, sign(t, key))
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", key, key, key), password)

}

// Without the password that a key's file says there is, nothing is tried: each start of a
// program that was forgotten to be given it would count towards the TPM's lock.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	s.run(t, "tpm2_dictionarylockout", "-s", "-n", "2", "-t", "100", "-l", "100")
	file := s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(passwordIs("secret")))
	for range 4 {
		err := sign(t, s.alone(t, file))
		require.ErrorIs(t, err, certtoken.ErrPasswordRequired)
		assert.ErrorContains(t, err, "give it by WithPassword")
	}
	assert.NoError(t, sign(t, s.alone(t, file, WithPassword(passwordIs("secret")))))
}

// After too many wrong passwords the TPM takes none, and the error says so.
func TestLockedOut(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	// It forgives one each day, so that it has forgiven none when the last is tried.
	s.run(t, "tpm2_dictionarylockout", "-s", "-n", "2", "-t", "86400", "-l", "86400")
	file := s.make(t, NewKey{Key: selfsigned.EC}, WithPassword(passwordIs("secret")))
	var err error
	for i := range 4 {
		err = sign(t, s.alone(t, file, WithPassword(passwordIs(fmt.Sprint("wrong", i)))))
		require.Error(t, err)
	}
	assert.ErrorIs(t, err, ErrLockedOut)
	assert.ErrorIs(t, err, tpm2.TPMRCLockout)
	assert.ErrorContains(t, err, "tpm2_dictionarylockout")
}

// The key of another TPM, or of this one before it was cleared.
func TestOtherTPM(t *testing.T) {
	t.Parallel()
	s, other := startTPM(t), startTPM(t)
	file := s.make(t, NewKey{Key: selfsigned.EC})
	err := sign(t, other.alone(t, file))
	assert.ErrorIs(t, err, ErrOtherTPM)
	s.run(t, "tpm2_clear")
	assert.ErrorIs(t, sign(t, s.alone(t, file)), ErrOtherTPM)
}

// A TPM that isn't there.
func TestNoTPM(t *testing.T) {
	t.Parallel()
	file, err := FromHandle(0x81010001, WithDevice(filepath.Join(t.TempDir(), "none")), WithoutCertificate())
	require.NoError(t, err)
	_, err = file.Certificate(t.Context())
	assert.ErrorIs(t, err, ErrNoTPM)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// What chip or key can't do.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	for name, k := range map[string]NewKey{
		"Ed25519":  {Key: selfsigned.Ed25519},
		"too long": {KeyBits: 8192},
	} {
		_, err := Create(t.Context(), k, s.options()...)
		assert.ErrorIs(t, err, errors.ErrUnsupported, name)
	}
	s.run(t, "tpm2_createprimary", "-Q", "-c", "primary.ctx")
	s.run(t, "tpm2_create", "-Q", "-C", "primary.ctx", "-G", "rsa2048:rsassa-sha256", "-u", "k.pub", "-r", "k.priv",
		"-a", "fixedtpm|fixedparent|sensitivedataorigin|sign|userwithauth")
	s.run(t, "tpm2_flushcontext", "-t")
	s.run(t, "tpm2_load", "-Q", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx")
	s.run(t, "tpm2_evictcontrol", "-Q", "-c", "k.ctx", "0x81010001")
	s.run(t, "tpm2_flushcontext", "-t")
	source, err := FromHandle(0x81010001, s.options(WithoutCertificate())...)
	require.NoError(t, err)
	key, err := source.Certificate(t.Context())
	require.NoError(t, err)
	require.NoError(t, sign(t, key.Signer))
	digest := sha256.Sum256(nil)
	for name, opts := range map[string]crypto.SignerOpts{
		"PSS":      &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
		"odd salt": &rsa.PSSOptions{SaltLength: 11, Hash: crypto.SHA256},
		"SHA-1":    crypto.SHA1,
	} {
		_, err := key.Signer.Sign(nil, digest[:opts.HashFunc().Size()], opts)
		assert.ErrorIs(t, err, errors.ErrUnsupported, name)
	}
}

// Whatever needs a password, nobody who listens to the TPM reads it, or can try passwords: no
// session that proves one is without a secret that the TPM alone can decrypt.
func TestPasswordsOnTheWire(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	const owner, secret = "the owner's", "the key's"
	s.run(t, "tpm2_changeauth", "-c", "owner", owner)
	wire := s.tap()
	opts := []Option{WithParentPassword(passwordIs(owner)), WithPassword(passwordIs(secret))}
	file := s.make(t, NewKey{Key: selfsigned.EC}, opts...)
	require.NoError(t, sign(t, s.alone(t, file, opts...)))
	bound := s.make(t, NewKey{Key: selfsigned.EC}, append(opts, WithPCRs("sha256:7"))...)
	require.NoError(t, sign(t, s.alone(t, bound, opts...)))

	s.run(t, "tpm2_changeauth", "-c", "owner", "-p", owner)
	plain := s.withPolicy(t, func(c *connection, trial tpm2.TPMHandle) []policyStep {
		command := []byte{0x80, 1, 0, 0, 0, 14}
		command = binary.BigEndian.AppendUint32(command, uint32(tpm2.TPMCCPolicyPassword))
		answer, err := c.tpm.Send(binary.BigEndian.AppendUint32(command, uint32(trial)))
		require.NoError(t, err)
		require.Equal(t, []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0}, answer)
		return []policyStep{{command: uint32(tpm2.TPMCCPolicyPassword)}}
	})
	require.NoError(t, sign(t, s.alone(t, plain, WithPassword(passwordIs("secret")))))

	sessions := 0
	for _, command := range *wire {
		for _, password := range []string{owner, secret, "secret"} {
			assert.NotContains(t, string(command), password)
		}
		if tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])) != tpm2.TPMCCStartAuthSession {
			continue
		}
		sessions++
		salt, trial := tpm2.TPMHandle(binary.BigEndian.Uint32(command[10:])), bytes.Contains(command, trialSession)
		assert.True(t, trial || salt != tpm2.TPMRHNull, "%x", command)
	}
	assert.Greater(t, sessions, 5)
}

// trialSession is what follows the nonce and the missing secret in the command that starts a
// session for a digest only: its type, no cipher, SHA-256.
var trialSession = []byte{0, 0, byte(tpm2.TPMSETrial), 0, 0x10, 0, 11}

// Policies of several commands, as a key's file may list them.
func TestPolicies(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	command := func(code tpm2.TPMCC, body ...byte) policyStep { return policyStep{uint32(code), body} }
	signOnly := command(tpm2.TPMCCPolicyCommandCode, 0, 0, 1, 0x5d) // TPM2_Sign
	for name, c := range map[string]struct {
		policy []policyStep
		want   error
	}{
		"for signing":          {[]policyStep{signOnly}, nil},
		"for TPM2_Quote":       {[]policyStep{command(tpm2.TPMCCPolicyCommandCode, 0, 0, 1, 0x58)}, ErrPolicy},
		"HMAC of a password":   {[]policyStep{signOnly, command(tpm2.TPMCCPolicyAuthValue)}, nil},
		"a plain password":     {[]policyStep{signOnly, command(tpm2.TPMCCPolicyPassword)}, nil},
		"locality":             {[]policyStep{command(tpm2.TPMCCPolicyLocality, 1)}, nil},
		"another locality":     {[]policyStep{command(tpm2.TPMCCPolicyLocality, 2)}, ErrPolicy},
		"parameters too short": {[]policyStep{signOnly, command(tpm2.TPMCCPolicyLocality)}, errAny},
	} {
		file := s.withPolicy(t, func(c2 *connection, trial tpm2.TPMHandle) []policyStep {
			if c.want != errAny {
				require.NoError(t, runPolicy(c2.tpm, trial, c.policy), name)
			}
			return c.policy
		})
		err := sign(t, s.alone(t, file, WithPassword(passwordIs("secret"))))
		switch c.want {
		case nil:
			require.NoError(t, err, name)
			if wantsPassword(c.policy) {
				wrong := sign(t, s.alone(t, file, WithPassword(passwordIs("wrong"))))
				assert.ErrorIs(t, wrong, ErrPasswordRefused, name)
			}
		case errAny:
			assert.Error(t, err, name)
		default:
			assert.ErrorIs(t, err, c.want, name)
		}
	}
}

// Whoever waits for a key to be made leaves when the context ends.
func TestCreateIsLeft(t *testing.T) {
	t.Parallel()
	s := startTPM(t)
	d := deviceOf(s.socket)
	d.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := Create(ctx, NewKey{Key: selfsigned.EC}, s.options()...)
		done <- err
	}()
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
	<-d.turn
	s.make(t, NewKey{Key: selfsigned.EC})
}
