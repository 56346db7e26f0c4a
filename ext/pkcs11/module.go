package pkcs11

import (
	"errors"
	"fmt"
	"sync"

	p11 "github.com/miekg/pkcs11"
)

// cryptoki is what is used of a PKCS #11 module.
type cryptoki interface {
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetTokenInfo(slot uint) (p11.TokenInfo, error)
	OpenSession(slot uint, flags uint) (p11.SessionHandle, error)
	CloseSession(session p11.SessionHandle) error
	GetSessionInfo(session p11.SessionHandle) (p11.SessionInfo, error)
	Login(session p11.SessionHandle, userType uint, pin string) error
	FindObjectsInit(session p11.SessionHandle, template []*p11.Attribute) error
	FindObjects(session p11.SessionHandle, limit int) ([]p11.ObjectHandle, bool, error)
	FindObjectsFinal(session p11.SessionHandle) error
	GetAttributeValue(
		session p11.SessionHandle,
		object p11.ObjectHandle,
		attributes []*p11.Attribute,
	) ([]*p11.Attribute, error)
	SignInit(session p11.SessionHandle, mechanism []*p11.Mechanism, key p11.ObjectHandle) error
	Sign(session p11.SessionHandle, message []byte) ([]byte, error)
}

var _ cryptoki = (*p11.Ctx)(nil)

// module is a loaded library. A process has one of each, as initialising and
// finalising one concerns the whole process.
type module struct {
	path string

	// PKCS #11 wants one thread at a time in C_Initialize and C_Finalize, so this
	// lock is held over them, and over nothing else of the library.
	mu    sync.Mutex
	ctx   *p11.Ctx
	users int
	ours  bool // initialised here, not by another part of the program
}

var modules = struct {
	sync.Mutex
	byPath map[string]*module
}{byPath: map[string]*module{}}

func moduleOf(path string) *module {
	modules.Lock()
	defer modules.Unlock()
	m := modules.byPath[path]
	if m == nil {
		m = &module{path: path}
		modules.byPath[path] = m
	}
	return m
}

// use loads and initialises the module and counts one more user.
func (m *module) use() (*p11.Ctx, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil {
		if m.ctx = p11.New(m.path); m.ctx == nil {
			return nil, fmt.Errorf(
				"%s can't be loaded: is it there, a PKCS #11 library, and built for this architecture?",
				m.path,
			)
		}
	}
	if err := m.initialize(); err != nil {
		return nil, err
	}
	m.users++
	return m.ctx, nil
}

// revive initialises the module again if another part of the program, or the
// library itself, finalised it.
func (m *module) revive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.ctx.GetInfo(); !errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_NOT_INITIALIZED)) {
		return nil
	}
	return m.initialize()
}

func (m *module) initialize() error {
	switch err := m.ctx.Initialize(); {
	case err == nil:
		m.ours = true
	case !errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)):
		return fmt.Errorf("%s: %w", m.path, call("C_Initialize", err))
	}
	return nil
}

// release finalises the module after its last user. The library stays loaded:
// some leave threads or handlers behind that would run into unmapped memory.
func (m *module) release() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users--; m.users > 0 || !m.ours {
		return nil
	}
	m.ours = false
	err := m.ctx.Finalize()
	if errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_NOT_INITIALIZED)) {
		return nil
	}
	return call("C_Finalize", err)
}

// guarded makes an error of a panic. What a module answers goes through code that isn't ours, in
// goroutines whose panic would end the program.
func guarded[T any](f func() (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the answer of the module can't be read: a panic with a %T", p)
		}
	}()
	return f()
}
