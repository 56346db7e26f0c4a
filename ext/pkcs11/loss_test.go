package pkcs11

import (
	"context"
	"crypto"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	p11 "github.com/miekg/pkcs11"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What SoftHSM itself does to sessions: each costs one login at most, and no
// caller sees it.
func TestLoss(t *testing.T) {
	for name, trouble := range map[string]func(*testing.T, *softHSM, *Source){
		"sessions closed": func(t *testing.T, h *softHSM, _ *Source) {
			api, _, slot := h.admin(t)
			require.NoError(t, api.CloseAllSessions(slot))
		},
		"logged out": func(t *testing.T, h *softHSM, _ *Source) {
			api, session, _ := h.admin(t)
			require.NoError(t, api.Logout(session))
		},
		"module finalised": func(t *testing.T, _ *softHSM, s *Source) {
			require.NoError(t, s.library.ctx.Finalize())
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHSM(t)
			h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
			pin := &countedPIN{pin: userPIN}
			s := h.source(t, WithPIN(pin.ask))
			signMany(t, s, 8, 2)
			cert, err := s.Certificate(t.Context())
			require.NoError(t, err)
			for n := range int32(3) {
				require.EqualValues(t, 1+n, pin.asked.Load())
				trouble(t, h, s)
				_, err := cert.Signer.Sign(nil, digest[:], pss256)
				require.NoError(t, err)
				signMany(t, s, 8, 2)
			}
		})
	}
}

// The same while 50 goroutines sign. A signature is tried twice, so each call sees
// one loss at most.
func TestLossUnderLoad(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	pin := &countedPIN{pin: userPIN}
	s, p := h.source(t, WithPIN(pin.ask)), &polite{}
	s.wrap = func(api cryptoki) cryptoki {
		p.cryptoki = api
		return p
	}
	require.NoError(t, s.Login(t.Context()))
	api, _, slot := h.admin(t)
	p.trouble = func() { assert.NoError(t, api.CloseAllSessions(slot)) }
	for range 3 {
		p.signs.Store(0)
		signMany(t, s, 50, 4)
	}
	assert.EqualValues(t, 4, pin.asked.Load())
}

// Answers of other modules, once and for good.
func TestAnswers(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	s, m := h.moodySource(t)
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	sign := func() error {
		_, err := cert.Signer.Sign(nil, digest[:], crypto.SHA256)
		return err
	}
	for _, answer := range append(append([]p11.Error{}, sessionGone...), connectionLost...) {
		m.failOnce("SignInit", answer)
		assert.NoError(t, sign(), "%v, once", answer)
		m.failOnce("Sign", answer)
		assert.NoError(t, sign(), "%v, once", answer)
		before := m.signs.Load()
		m.failAlways("Sign", answer)
		assert.ErrorIs(t, sign(), answer)
		assert.Equal(t, before+2, m.signs.Load(), "%v is tried twice", answer)
	}
	before := m.signs.Load()
	m.failAlways("Sign", p11.CKR_KEY_FUNCTION_NOT_PERMITTED)
	assert.ErrorIs(t, sign(), p11.Error(p11.CKR_KEY_FUNCTION_NOT_PERMITTED))
	assert.Equal(t, before+1, m.signs.Load(), "what a login doesn't cure is tried once")
	m.failAlways("SignInit", p11.CKR_FUNCTION_NOT_SUPPORTED)
	assert.ErrorIs(t, sign(), errors.ErrUnsupported)
	m.failOnce("corrupt", p11.CKR_GENERAL_ERROR)
	assert.ErrorIs(t, sign(), certtoken.ErrKeyMismatch, "a signature of another key")
	m.fail.Store(nil)
	assert.NoError(t, sign())
}

// panicky panics in one of a module's functions, as code does that reads what nobody expected.
type panicky struct {
	cryptoki
	in atomic.Pointer[string]
}

func (p *panicky) at(name string) {
	if in := p.in.Load(); in != nil && *in == name {
		panic(userPIN)
	}
}

func (p *panicky) GetTokenInfo(slot uint) (p11.TokenInfo, error) {
	p.at("GetTokenInfo")
	return p.cryptoki.GetTokenInfo(slot)
}

func (p *panicky) OpenSession(slot, flags uint) (p11.SessionHandle, error) {
	p.at("OpenSession")
	return p.cryptoki.OpenSession(slot, flags)
}

func (p *panicky) GetAttributeValue(
	session p11.SessionHandle, object p11.ObjectHandle, attributes []*p11.Attribute,
) ([]*p11.Attribute, error) {
	p.at("GetAttributeValue")
	return p.cryptoki.GetAttributeValue(session, object, attributes)
}

func (p *panicky) Sign(session p11.SessionHandle, message []byte) ([]byte, error) {
	p.at("Sign")
	return p.cryptoki.Sign(session, message)
}

// A panic over what a module answers is an error of its caller, and holds no place.
func TestPanics(t *testing.T) {
	for _, in := range []string{"GetTokenInfo", "OpenSession", "GetAttributeValue", "Sign"} {
		t.Run(in, func(t *testing.T) {
			h := newHSM(t)
			h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
			s, p := h.source(t), &panicky{}
			s.wrap = func(api cryptoki) cryptoki {
				p.cryptoki = api
				return p
			}
			sign := func() error {
				cert, err := s.Certificate(t.Context())
				if err == nil {
					_, err = cert.Signer.Sign(nil, digest[:], pss256)
				}
				return err
			}
			p.in.Store(&in)
			for range 2 * cap(s.places) {
				err := sign()
				require.ErrorContains(t, err, "a panic with a string")
				assert.NotContains(t, err.Error(), userPIN)
			}
			p.in.Store(nil)
			require.NoError(t, sign())
		})
	}
}

// A card is taken out and put back into another reader.
func TestRemoved(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	pin := &countedPIN{pin: userPIN}
	s, m := h.moodySource(t, WithPIN(pin.ask))
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)

	m.removed.Store(true)
	for range 3 {
		_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
		assert.ErrorIs(t, err, ErrTokenNotFound)
		_, err = s.Certificate(t.Context())
		assert.ErrorIs(t, err, ErrTokenNotFound)
	}
	assert.EqualValues(t, 1, pin.asked.Load(), "no PIN is asked for while there is no token")

	api, _, slot := h.admin(t)
	require.NoError(t, api.CloseAllSessions(slot))
	m.removed.Store(false)
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.NoError(t, err)
	assert.EqualValues(t, 2, pin.asked.Load())
}

// Another card in the reader doesn't sign for the certificate of the first one.
func TestReplaced(t *testing.T) {
	h := newHSM(t)
	one, two := certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), certtokentest.NewCertificate(t)
	h.store(t, one, "my-app", "01")
	s := h.source(t, WithKeyLabel("my-app"))
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	for _, kind := range []string{"privkey", "cert"} {
		run(t, "pkcs11-tool", "--module", h.module, "--token-label", h.label, "--login", "--pin", userPIN,
			"--delete-object", "--type", kind, "--id", "01")
	}
	h.store(t, two, "my-app", "02")
	require.NoError(t, s.Reload(t.Context(), cert))
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	cert, err = s.Certificate(t.Context())
	require.NoError(t, err)
	assert.True(t, two.Leaf.Equal(cert.Leaf))
	_, err = cert.Signer.Sign(nil, digest[:], crypto.SHA256)
	assert.NoError(t, err)
}

// A token that hangs holds a place, not its callers.
func TestHangingToken(t *testing.T) {
	h := newHSM(t)
	h.store(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()), "my-app", "01")
	s, m := h.moodySource(t, WithSessions(1))
	cert, err := s.Certificate(t.Context())
	require.NoError(t, err)
	gate := make(chan struct{})
	m.slow.Store(&gate)
	for _, waits := range []string{"for the token", "for a session"} {
		// On a busy machine the time may be over before the call has come as far as that.
		for limit := 50 * time.Millisecond; ; limit *= 2 {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			_, err = cert.Signer.(certtoken.ContextSigner).SignContext(ctx, digest[:], crypto.SHA256)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			if strings.Contains(err.Error(), waits) {
				break
			}
			require.Less(t, limit, time.Minute, "%v", err)
		}
	}
	m.slow.Store(nil)
	close(gate)
	signMany(t, s, 2, 2)
}
