package certstore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

var (
	cryptImportKey            = advapi32.NewProc("CryptImportKey")
	cryptDestroyKey           = advapi32.NewProc("CryptDestroyKey")
	ncryptOpenStorageProvider = ncrypt.NewProc("NCryptOpenStorageProvider")
	ncryptImportKey           = ncrypt.NewProc("NCryptImportKey")
)

// The providers of CryptoAPI that tests put keys into.
const (
	rsaAndAES = 24 // PROV_RSA_AES, which knows SHA-2
	rsaFull   = 1  // PROV_RSA_FULL, which ends at SHA-1
)

var providerNames = map[uint32]string{
	rsaAndAES: "Microsoft Enhanced RSA and AES Cryptographic Provider",
	rsaFull:   "Microsoft Enhanced Cryptographic Provider v1.0",
}

const (
	keyExchange = 1 // AT_KEYEXCHANGE
	signature   = 2 // AT_SIGNATURE
)

// container is a key of the older kind, in its provider's container.
type container struct {
	name     string
	provider uint32
	spec     uint32
	machine  bool
}

// newContainer puts a key into a container of its own, which is deleted at the test's end.
func newContainer(t *testing.T, key *rsa.PrivateKey, provider, spec uint32, machine bool) *container {
	t.Helper()
	c := &container{"certtoken-test-" + rand.Text(), provider, spec, machine}
	handle, err := c.open(windows.CRYPT_NEWKEYSET)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = c.open(windows.CRYPT_DELETEKEYSET) })
	defer func() { require.NoError(t, windows.CryptReleaseContext(handle, 0)) }()
	blob := privateKeyBlob(key, spec)
	var imported uintptr
	done, _, err := cryptImportKey.Call(uintptr(handle), uintptr(unsafe.Pointer(&blob[0])), uintptr(len(blob)), 0, 0,
		uintptr(unsafe.Pointer(&imported)))
	require.NotZero(t, done, "CryptImportKey: %v", err)
	cryptDestroyKey.Call(imported)
	return c
}

func (c *container) open(flags uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(c.name)
	if err != nil {
		return 0, err
	}
	provider, err := windows.UTF16PtrFromString(providerNames[c.provider])
	if err != nil {
		return 0, err
	}
	if c.machine {
		flags |= windows.CRYPT_MACHINE_KEYSET
	}
	var handle windows.Handle
	err = windows.CryptAcquireContext(&handle, name, provider, c.provider, flags|windows.CRYPT_SILENT)
	return handle, err
}

// keyProviderInfo is CRYPT_KEY_PROV_INFO.
type keyProviderInfo struct {
	container, provider *uint16
	kind                uint32
	flags               uint32
	parameters          uint32
	parameter           unsafe.Pointer
	spec                uint32
}

// info is where a certificate says that its key is.
func (c *container) info(t *testing.T) *keyProviderInfo {
	t.Helper()
	name, err := windows.UTF16PtrFromString(c.name)
	require.NoError(t, err)
	provider, err := windows.UTF16PtrFromString(providerNames[c.provider])
	require.NoError(t, err)
	info := &keyProviderInfo{container: name, provider: provider, kind: c.provider, spec: c.spec}
	if c.machine {
		info.flags = windows.CRYPT_MACHINE_KEYSET
	}
	return info
}

// privateKeyBlob is PRIVATEKEYBLOB: CryptoAPI's numbers begin at the other end.
func privateKeyBlob(key *rsa.PrivateKey, spec uint32) []byte {
	algorithm := uint32(0x2400) // CALG_RSA_SIGN
	if spec == keyExchange {
		algorithm = 0xa400 // CALG_RSA_KEYX
	}
	blob := binary.LittleEndian.AppendUint32([]byte{7, 2, 0, 0}, algorithm)
	blob = append(blob, "RSA2"...)
	blob = binary.LittleEndian.AppendUint32(blob, uint32(key.N.BitLen()))
	blob = binary.LittleEndian.AppendUint32(blob, uint32(key.E))
	for i, number := range rsaNumbers(key) {
		if i > 0 { // the exponent came in front
			slices.Reverse(number)
			blob = append(blob, number...)
		}
	}
	return blob
}

// rsaFullBlob is BCRYPT_RSAFULLPRIVATE_BLOB.
func rsaFullBlob(key *rsa.PrivateKey) []byte {
	numbers := rsaNumbers(key)
	blob := []byte("RSA3")
	for _, n := range []int{key.N.BitLen(), len(numbers[0]), len(numbers[1]), len(numbers[2]), len(numbers[3])} {
		blob = binary.LittleEndian.AppendUint32(blob, uint32(n))
	}
	return append(blob, bytes.Join(numbers, nil)...)
}

// rsaNumbers are a key's numbers in the order that both forms have: e, n, p, q, dp, dq, 1/q
// and d.
func rsaNumbers(key *rsa.PrivateKey) [][]byte {
	size := (key.N.BitLen() + 7) / 8
	fixed := func(n *big.Int, size int) []byte { return n.FillBytes(make([]byte, size)) }
	p, q, half := key.Primes[0], key.Primes[1], size/2
	return [][]byte{
		big.NewInt(int64(key.E)).Bytes(), fixed(key.N, size), fixed(p, half), fixed(q, half),
		fixed(key.Precomputed.Dp, half), fixed(key.Precomputed.Dq, half), fixed(key.Precomputed.Qinv, half),
		fixed(key.D, size),
	}
}

// ecBlob is BCRYPT_ECCPRIVATE_BLOB of a key for ECDSA.
func ecBlob(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	magic := map[elliptic.Curve]string{elliptic.P256(): "ECS2", elliptic.P384(): "ECS4", elliptic.P521(): "ECS6"}
	public, err := key.PublicKey.Bytes() // 4, x and y
	require.NoError(t, err)
	private, err := key.Bytes()
	require.NoError(t, err)
	blob := binary.LittleEndian.AppendUint32([]byte(magic[key.Curve]), uint32(len(private)))
	return slices.Concat(blob, public[1:], private)
}

// importCNG is a key of CNG that lives in this process alone, which is the one kind of key
// of CNG that wine has.
func importCNG(t *testing.T, kind string, blob []byte) (*cngKey, error) {
	t.Helper()
	provider, err := windows.UTF16PtrFromString("Microsoft Software Key Storage Provider")
	require.NoError(t, err)
	form, err := windows.UTF16PtrFromString(kind)
	require.NoError(t, err)
	var storage, key windows.Handle
	status, _, _ := ncryptOpenStorageProvider.Call(
		uintptr(unsafe.Pointer(&storage)),
		uintptr(unsafe.Pointer(provider)),
		0,
	)
	require.NoError(t, statusError(uint32(status)))
	t.Cleanup(func() { ncryptFreeObject.Call(uintptr(storage)) })
	status, _, _ = ncryptImportKey.Call(uintptr(storage), 0, uintptr(unsafe.Pointer(form)), 0,
		uintptr(unsafe.Pointer(&key)), uintptr(unsafe.Pointer(&blob[0])), uintptr(len(blob)), 0)
	if status != 0 {
		return nil, fmt.Errorf("NCryptImportKey: status %#x", uint32(status))
	}
	return newCNGKey(key, silent, true), nil
}
