package pkcs11

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	p11 "github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"
)

// The PINs have letters that no number has: tests look for them in what is printed, where
// addresses in memory stand too.
const (
	userPIN  = "user-648219"
	wrongPIN = "wrong-111111"
	soPIN    = "officer-73519264"
)

// softHSM is a token of SoftHSM in a folder of its own.
type softHSM struct {
	module string
	label  string
	dir    string
}

// softHSMModule finds SoftHSM and the tools that fill it.
func softHSMModule(t *testing.T) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	for _, tool := range []string{"softhsm2-util", "pkcs11-tool"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("%s is not installed: apt-get install softhsm2 opensc", tool)
		}
	}
	for _, path := range []string{
		os.Getenv("SOFTHSM2_MODULE"),
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib64/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	} {
		if _, err := os.Stat(path); path != "" && err == nil {
			return path
		}
	}
	missing("libsofthsm2.so not found: apt-get install softhsm2, or set SOFTHSM2_MODULE to its path")
	return ""
}

func newHSM(t *testing.T) *softHSM {
	t.Helper()
	h := &softHSM{module: softHSMModule(t), label: "certtoken", dir: t.TempDir()}
	tokens := filepath.Join(h.dir, "tokens")
	require.NoError(t, os.Mkdir(tokens, 0o700))
	conf := filepath.Join(h.dir, "softhsm2.conf")
	require.NoError(t, os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nlog.level = ERROR\n"), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	h.initToken(t, h.label)
	return h
}

func (h *softHSM) initToken(t *testing.T, label string) {
	t.Helper()
	run(t, "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", userPIN, "--so-pin", soPIN)
}

// store puts key and certificate on the token.
func (h *softHSM) store(t *testing.T, cert *certtoken.Certificate, label, id string) {
	t.Helper()
	h.storeKey(t, cert, label, id)
	h.storeCert(t, cert.Leaf, label, id)
}

func (h *softHSM) storeKey(t *testing.T, cert *certtoken.Certificate, label, id string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	path := filepath.Join(h.dir, "key.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	run(t, "softhsm2-util", "--import", path, "--token", h.label, "--label", label, "--id", id, "--pin", userPIN)
}

func (h *softHSM) storeCert(t *testing.T, cert *x509.Certificate, label, id string) {
	t.Helper()
	path := filepath.Join(h.dir, "cert.der")
	require.NoError(t, os.WriteFile(path, cert.Raw, 0o600))
	run(t, "pkcs11-tool", "--module", h.module, "--token-label", h.label, "--login", "--pin", userPIN,
		"--write-object", path, "--type", "cert", "--label", label, "--id", id)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

// source opens the token by its label.
func (h *softHSM) source(t *testing.T, opts ...Option) *Source {
	t.Helper()
	s, err := New(h.module, append([]Option{WithTokenLabel(h.label), WithPIN(pinIs(userPIN))}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// admin is a session of an administrator in this process, who makes objects that
// the tools don't, and trouble.
func (h *softHSM) admin(t *testing.T) (*p11.Ctx, p11.SessionHandle, uint) {
	t.Helper()
	m := moduleOf(h.module)
	api, err := m.use()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.release()) })
	found, err := findToken(api, &config{tokenLabel: h.label})
	require.NoError(t, err)
	session, err := api.OpenSession(found.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	require.NoError(t, err)
	t.Cleanup(func() { _ = api.CloseSession(session) })
	return api, session, found.slot
}

// generate makes a key on the token and a certificate for it, which is signed by
// the token.
func (h *softHSM) generate(t *testing.T, label string, id byte, attributes ...*p11.Attribute) *certtoken.Certificate {
	t.Helper()
	api, session, _ := h.admin(t)
	err := api.Login(session, p11.CKU_USER, userPIN)
	if !answered(err, []p11.Error{p11.CKR_USER_ALREADY_LOGGED_IN}) {
		require.NoError(t, err)
	}
	_, handle, err := api.GenerateKeyPair(
		session,
		[]*p11.Mechanism{p11.NewMechanism(p11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)},
		[]*p11.Attribute{
			p11.NewAttribute(p11.CKA_MODULUS_BITS, 2048),
			p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
			p11.NewAttribute(p11.CKA_VERIFY, true),
		},
		append([]*p11.Attribute{
			p11.NewAttribute(p11.CKA_TOKEN, true),
			p11.NewAttribute(p11.CKA_PRIVATE, true),
			p11.NewAttribute(p11.CKA_SENSITIVE, true),
			p11.NewAttribute(p11.CKA_SIGN, true),
			p11.NewAttribute(p11.CKA_LABEL, label),
			p11.NewAttribute(p11.CKA_ID, []byte{id}),
		}, attributes...),
	)
	require.NoError(t, err)
	key, err := objects{api, session}.readKey(handle)
	require.NoError(t, err)
	ca := certtokentest.NewCertificate(
		t,
		certtokentest.WithSharedKey(),
		certtokentest.AsCA(),
		certtokentest.WithSubject("Test CA"),
	)
	return certtokentest.NewCertificate(t, certtokentest.SignedBy(ca),
		certtokentest.WithKey(publicHalf{key.public}))
}

// publicHalf stands for a key that a certificate is made for, and never signs.
type publicHalf struct{ public crypto.PublicKey }

func (k publicHalf) Public() crypto.PublicKey { return k.public }

func (k publicHalf) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func pinIs(pin string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return pin, nil }
}

// countedPIN counts how often it is asked for.
type countedPIN struct {
	pin   string
	asked atomic.Int32
}

func (c *countedPIN) ask(context.Context) (string, error) {
	c.asked.Add(1)
	return c.pin, nil
}

// moody is a module that answers wrongly when told to.
type moody struct {
	cryptoki
	removed  atomic.Bool                           // the token is out of its slot
	slow     atomic.Pointer[chan struct{}]         // Sign waits for it
	fail     atomic.Pointer[func(op string) error] // decides for each call
	sessions atomic.Int32                          // open now
	most     atomic.Int32                          // open at once
	limit    atomic.Int32                          // of sessions; 0: none
	signs    atomic.Int32
}

func (m *moody) err(op string) error {
	if m.removed.Load() {
		return p11.Error(p11.CKR_DEVICE_REMOVED)
	}
	if f := m.fail.Load(); f != nil {
		return (*f)(op)
	}
	return nil
}

func (m *moody) failOnce(op string, answer p11.Error) {
	var done atomic.Bool
	f := func(got string) error {
		if got == op && done.CompareAndSwap(false, true) {
			return answer
		}
		return nil
	}
	m.fail.Store(&f)
}

func (m *moody) failAlways(op string, answer p11.Error) {
	f := func(got string) error {
		if got == op {
			return answer
		}
		return nil
	}
	m.fail.Store(&f)
}

func (m *moody) GetSlotList(present bool) ([]uint, error) {
	if m.removed.Load() {
		return nil, nil
	}
	return m.cryptoki.GetSlotList(present)
}

func (m *moody) OpenSession(slot, flags uint) (p11.SessionHandle, error) {
	if err := m.err("OpenSession"); err != nil {
		return 0, err
	}
	n := m.sessions.Add(1)
	if limit := m.limit.Load(); limit > 0 && n > limit {
		m.sessions.Add(-1)
		return 0, p11.Error(p11.CKR_SESSION_COUNT)
	}
	for most := m.most.Load(); n > most && !m.most.CompareAndSwap(most, n); most = m.most.Load() {
	}
	return m.cryptoki.OpenSession(slot, flags)
}

func (m *moody) CloseSession(session p11.SessionHandle) error {
	m.sessions.Add(-1)
	return m.cryptoki.CloseSession(session)
}

func (m *moody) Login(session p11.SessionHandle, user uint, pin string) error {
	if err := m.err("Login"); err != nil {
		return err
	}
	return m.cryptoki.Login(session, user, pin)
}

func (m *moody) SignInit(session p11.SessionHandle, mech []*p11.Mechanism, key p11.ObjectHandle) error {
	if err := m.err("SignInit"); err != nil {
		return err
	}
	return m.cryptoki.SignInit(session, mech, key)
}

func (m *moody) Sign(session p11.SessionHandle, message []byte) ([]byte, error) {
	m.signs.Add(1)
	if gate := m.slow.Load(); gate != nil {
		<-*gate
	}
	if err := m.err("Sign"); err != nil {
		return nil, err
	}
	signature, err := m.cryptoki.Sign(session, message)
	if m.err("corrupt") != nil {
		return bytes.Repeat([]byte{1}, len(signature)), nil
	}
	return signature, err
}

// moodySource is a source whose module can be told to fail.
func (h *softHSM) moodySource(t *testing.T, opts ...Option) (*Source, *moody) {
	t.Helper()
	m := &moody{}
	s := h.source(t, opts...)
	s.wrap = func(api cryptoki) cryptoki {
		m.cryptoki = api
		return m
	}
	return s, m
}

// polite keeps the calls of the module apart from what happens to its token:
// SoftHSM itself doesn't survive a session being closed under a call.
type polite struct {
	cryptoki
	mu      sync.RWMutex
	signs   atomic.Int32
	trouble func() // happens before the signature of this number, while others are under way
}

const troubledSign = 40

func during[T any](p *polite, f func() (T, error)) (T, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return f()
}

func (p *polite) nothing(f func() error) error {
	_, err := during(p, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

func (p *polite) OpenSession(slot, flags uint) (p11.SessionHandle, error) {
	return during(p, func() (p11.SessionHandle, error) { return p.cryptoki.OpenSession(slot, flags) })
}

func (p *polite) CloseSession(s p11.SessionHandle) error {
	return p.nothing(func() error { return p.cryptoki.CloseSession(s) })
}

func (p *polite) GetSessionInfo(s p11.SessionHandle) (p11.SessionInfo, error) {
	return during(p, func() (p11.SessionInfo, error) { return p.cryptoki.GetSessionInfo(s) })
}

func (p *polite) Login(s p11.SessionHandle, user uint, pin string) error {
	return p.nothing(func() error { return p.cryptoki.Login(s, user, pin) })
}

func (p *polite) FindObjectsInit(s p11.SessionHandle, template []*p11.Attribute) error {
	return p.nothing(func() error { return p.cryptoki.FindObjectsInit(s, template) })
}

func (p *polite) FindObjects(s p11.SessionHandle, limit int) (found []p11.ObjectHandle, more bool, err error) {
	err = p.nothing(func() error {
		found, more, err = p.cryptoki.FindObjects(s, limit)
		return err
	})
	return found, more, err
}

func (p *polite) FindObjectsFinal(s p11.SessionHandle) error {
	return p.nothing(func() error { return p.cryptoki.FindObjectsFinal(s) })
}

func (p *polite) GetAttributeValue(
	s p11.SessionHandle,
	o p11.ObjectHandle,
	a []*p11.Attribute,
) ([]*p11.Attribute, error) {
	return during(p, func() ([]*p11.Attribute, error) { return p.cryptoki.GetAttributeValue(s, o, a) })
}

func (p *polite) SignInit(s p11.SessionHandle, mech []*p11.Mechanism, key p11.ObjectHandle) error {
	return p.nothing(func() error { return p.cryptoki.SignInit(s, mech, key) })
}

func (p *polite) Sign(s p11.SessionHandle, message []byte) ([]byte, error) {
	if p.signs.Add(1) == troubledSign {
		p.mu.Lock()
		p.trouble()
		p.mu.Unlock()
	}
	return during(p, func() ([]byte, error) { return p.cryptoki.Sign(s, message) })
}
