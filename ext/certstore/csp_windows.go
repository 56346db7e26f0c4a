package certstore

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// hashValue is HP_HASHVAL: the digest, which was computed elsewhere.
const hashValue = 0x2

var (
	advapi32          = windows.NewLazySystemDLL("advapi32.dll")
	cryptCreateHash   = advapi32.NewProc("CryptCreateHash")
	cryptSetHashParam = advapi32.NewProc("CryptSetHashParam")
	cryptSignHash     = advapi32.NewProc("CryptSignHashW")
	cryptDestroyHash  = advapi32.NewProc("CryptDestroyHash")
)

// cspHashes are CryptoAPI's numbers of the hashes (ALG_ID), by the length of their digests.
var cspHashes = map[int]uintptr{
	32: 0x800c, // CALG_SHA_256
	48: 0x800d, // CALG_SHA_384
	64: 0x800e, // CALG_SHA_512
}

// cspKey is a key of a cryptographic service provider, which is what Windows had before
// CNG: an RSA key that makes PKCS #1 v1.5 signatures. Its handle is freed when the key is
// garbage.
type cspKey struct {
	provider windows.Handle
	spec     uint32 // which of the container's two keys it is
}

func newCSPKey(provider windows.Handle, spec uint32, ours bool) *cspKey {
	key := &cspKey{provider, spec}
	if ours {
		runtime.AddCleanup(key, func(handle windows.Handle) { _ = windows.CryptReleaseContext(handle, 0) }, provider)
	}
	return key
}

// sign has the provider sign a digest. The handle of a hash is for one goroutine, the
// provider's handle for many.
func (k *cspKey) sign(digest []byte, p padding) ([]byte, error) {
	defer runtime.KeepAlive(k)
	algorithm, ok := cspHashes[len(digest)]
	if p.flag != padPKCS1 || !ok {
		return nil, fmt.Errorf("%w: the key is of the older CSP kind, which signs by PKCS #1 v1.5 only (RS256)",
			errors.ErrUnsupported)
	}
	hash, err := k.hash(algorithm, digest)
	if err != nil {
		return nil, err
	}
	defer cryptDestroyHash.Call(hash)
	size, err := k.call(hash, nil)
	if err != nil {
		return nil, err
	}
	signature := make([]byte, size)
	if size, err = k.call(hash, signature); err != nil {
		return nil, err
	}
	signature = signature[:size]
	slices.Reverse(signature) // CryptoAPI's numbers begin at the other end
	return signature, nil
}

// hash makes a hash object that holds the digest.
func (k *cspKey) hash(algorithm uintptr, digest []byte) (uintptr, error) {
	var hash uintptr
	done, _, err := cryptCreateHash.Call(uintptr(k.provider), algorithm, 0, 0, uintptr(unsafe.Pointer(&hash)))
	if done == 0 {
		return 0, cspError("CryptCreateHash", err)
	}
	done, _, err = cryptSetHashParam.Call(hash, hashValue, uintptr(unsafe.Pointer(unsafe.SliceData(digest))), 0)
	if done == 0 {
		cryptDestroyHash.Call(hash)
		return 0, cspError("CryptSetHashParam", err)
	}
	return hash, nil
}

func (k *cspKey) call(hash uintptr, out []byte) (uint32, error) {
	size := uint32(len(out))
	done, _, err := cryptSignHash.Call(hash, uintptr(k.spec), 0, 0,
		uintptr(unsafe.Pointer(unsafe.SliceData(out))), uintptr(unsafe.Pointer(&size)))
	if done == 0 {
		return 0, cspError("CryptSignHash", err)
	}
	return size, nil
}

// cspError is the error of a call of CryptoAPI. The oldest providers end at SHA-1.
func cspError(call string, err error) error {
	if errors.Is(err, syscall.Errno(windows.NTE_BAD_ALGID)) {
		return fmt.Errorf("%w: %s: the key's provider is too old for SHA-2: import the certificate anew into "+
			"\"Microsoft Software Key Storage Provider\": %w", errors.ErrUnsupported, call, err)
	}
	return fmt.Errorf("%s: %w", call, err)
}
