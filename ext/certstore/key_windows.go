package certstore

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/certtoken/certtoken"
	"golang.org/x/sys/windows"
)

// silent is NCRYPT_SILENT_FLAG: no window.
const silent = 0x40

var (
	ncrypt           = windows.NewLazySystemDLL("ncrypt.dll")
	ncryptSignHash   = ncrypt.NewProc("NCryptSignHash")
	ncryptFreeObject = ncrypt.NewProc("NCryptFreeObject")
)

// cngKey is a key of CNG. Its handle is freed when the key is garbage.
type cngKey struct {
	handle windows.Handle
	flags  uint32
}

// acquireKey opens the private key of a certificate: through CNG, which knows the keys of
// Windows' own older providers (CSPs) too, else through the CSP that has it.
func acquireKey(c *windows.CertContext, prompts bool) (privateKey, error) {
	key, err := openKey(c, windows.CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG, prompts)
	if err == nil {
		return key, nil
	}
	if errors.Is(err, syscall.Errno(windows.CRYPT_E_NO_KEY_PROPERTY)) {
		return nil, fmt.Errorf("%w: the store holds the certificate alone", certtoken.ErrNoPrivateKey)
	}
	key, cspErr := openKey(c, 0, prompts)
	if cspErr == nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w that this account may use: opening it through CNG: %w; through a CSP: %w",
		certtoken.ErrNoPrivateKey, err, cspErr)
}

// openKey opens the private key of a certificate through one of the two interfaces. What
// kind of handle it got is what the system says, not what was asked for: a handle of the
// other interface must not get into the calls of this one.
func openKey(c *windows.CertContext, through uint32, prompts bool) (privateKey, error) {
	flags := through | windows.CRYPT_ACQUIRE_COMPARE_KEY_FLAG
	var signFlags uint32
	if !prompts {
		flags |= windows.CRYPT_ACQUIRE_SILENT_FLAG
		signFlags = silent
	}
	var handle windows.Handle
	var spec uint32
	var ours bool
	if err := windows.CryptAcquireCertificatePrivateKey(c, flags, nil, &handle, &spec, &ours); err != nil {
		return nil, err
	}
	if spec != windows.CERT_NCRYPT_KEY_SPEC {
		return newCSPKey(handle, spec, ours), nil
	}
	return newCNGKey(handle, signFlags, ours), nil
}

func newCNGKey(handle windows.Handle, flags uint32, ours bool) *cngKey {
	key := &cngKey{handle, flags}
	if ours {
		runtime.AddCleanup(key, func(handle windows.Handle) { ncryptFreeObject.Call(uintptr(handle)) }, handle)
	}
	return key
}

// sign calls NCryptSignHash twice: for the length, and for the signature.
func (k *cngKey) sign(digest []byte, p padding) ([]byte, error) {
	if err := ncryptSignHash.Find(); err != nil {
		return nil, err
	}
	size, err := k.call(digest, p, nil)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, errors.New("NCryptSignHash: a signature of no length")
	}
	signature := make([]byte, size)
	if size, err = k.call(digest, p, signature); err != nil {
		return nil, err
	}
	return signature[:size], nil
}

func (k *cngKey) call(digest []byte, p padding, out []byte) (uint32, error) {
	var info unsafe.Pointer
	switch p.flag {
	case padPSS:
		info = unsafe.Pointer(p.pss())
	case padPKCS1:
		info = unsafe.Pointer(p.pkcs1())
	}
	var size uint32
	status, _, _ := ncryptSignHash.Call(
		uintptr(k.handle),
		uintptr(info),
		uintptr(unsafe.Pointer(unsafe.SliceData(digest))), uintptr(len(digest)),
		uintptr(unsafe.Pointer(unsafe.SliceData(out))), uintptr(len(out)),
		uintptr(unsafe.Pointer(&size)),
		uintptr(p.flag|k.flags),
	)
	runtime.KeepAlive(p.algorithm)
	runtime.KeepAlive(k)
	return size, statusError(uint32(status))
}

// statusError is the error for a SECURITY_STATUS.
func statusError(status uint32) error {
	switch windows.Handle(status) {
	case 0:
		return nil
	case windows.NTE_NOT_SUPPORTED, windows.NTE_BAD_ALGID, windows.NTE_BAD_FLAGS:
		return fmt.Errorf("%w: NCryptSignHash: %w", errors.ErrUnsupported, syscall.Errno(status))
	}
	return fmt.Errorf("NCryptSignHash: %w", syscall.Errno(status))
}
