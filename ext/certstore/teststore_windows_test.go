package certstore

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// What the tests need of Windows to fill a store, beyond what the package calls.
var (
	ntdll   = windows.NewLazySystemDLL("ntdll.dll")
	crypt32 = windows.NewLazySystemDLL("crypt32.dll")

	wineVersion       = ntdll.NewProc("wine_get_version")
	unregisterStore   = crypt32.NewProc("CertUnregisterSystemStore")
	setContextProp    = crypt32.NewProc("CertSetCertificateContextProperty")
	deleteStoreFlag   = uint32(windows.CERT_STORE_DELETE_FLAG)
	createOrOpenStore = uint32(0)
)

// underWine reports whether this is wine, and not Windows.
func underWine() bool { return wineVersion.Find() == nil }

// testStore is a store of a test's own, which is deleted at its end.
type testStore struct {
	name    string
	options []Option // how a source finds the store
	flags   uint32
	machine bool
}

// newTestStore makes an empty store, in the machine's part or the user's.
func newTestStore(t *testing.T, machine bool) *testStore {
	t.Helper()
	s := &testStore{name: "certtoken-test-" + rand.Text(), machine: machine}
	s.flags = windows.CERT_SYSTEM_STORE_CURRENT_USER
	s.options = []Option{WithStore(s.name)}
	if machine {
		s.flags = windows.CERT_SYSTEM_STORE_LOCAL_MACHINE
		s.options = append(s.options, WithLocalMachine())
	}
	handle, err := s.open(createOrOpenStore)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) && !underWine() {
		t.Skip("the machine's stores are written by administrators only")
	}
	require.NoError(t, err)
	require.NoError(t, windows.CertCloseStore(handle, 0))
	t.Cleanup(s.delete)
	return s
}

func (s *testStore) open(flags uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(s.name)
	if err != nil {
		return 0, err
	}
	return windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM_W, 0, 0, s.flags|flags, uintptr(unsafe.Pointer(name)))
}

// delete removes the store with what is in it.
func (s *testStore) delete() {
	if name, err := windows.UTF16PtrFromString(s.name); err == nil {
		unregisterStore.Call(uintptr(unsafe.Pointer(name)), uintptr(s.flags|deleteStoreFlag))
	}
}

// source is a source of the store's certificates.
func (s *testStore) source(t *testing.T, opts ...Option) *Source {
	t.Helper()
	source, err := New(append(opts, s.options...)...)
	require.NoError(t, err)
	return source
}

// add puts a certificate into the store, with the place of its key if it has one.
func (s *testStore) add(t *testing.T, cert *x509.Certificate, key *container) {
	t.Helper()
	handle, err := s.open(createOrOpenStore)
	require.NoError(t, err)
	defer func() { require.NoError(t, windows.CertCloseStore(handle, 0)) }()
	c, err := windows.CertCreateCertificateContext(windows.X509_ASN_ENCODING, &cert.Raw[0], uint32(len(cert.Raw)))
	require.NoError(t, err)
	defer func() { require.NoError(t, windows.CertFreeCertificateContext(c)) }()
	if key != nil {
		const keyProviderInfo = 2 // CERT_KEY_PROV_INFO_PROP_ID
		info := key.info(t)
		done, _, err := setContextProp.Call(
			uintptr(unsafe.Pointer(c)),
			keyProviderInfo,
			0,
			uintptr(unsafe.Pointer(info)),
		)
		require.NotZero(t, done, "%v", err)
	}
	require.NoError(t, windows.CertAddCertificateContextToStore(handle, c, windows.CERT_STORE_ADD_ALWAYS, nil))
}

// denyRegistryKey takes a key of the registry away from everybody by its access list, and
// gives it back at the test's end.
func denyRegistryKey(t *testing.T, path string) {
	t.Helper()
	set := func(list string) {
		descriptor, err := windows.SecurityDescriptorFromString(list)
		require.NoError(t, err)
		dacl, _, err := descriptor.DACL()
		require.NoError(t, err)
		require.NoError(t, windows.SetNamedSecurityInfo(path, windows.SE_REGISTRY_KEY,
			windows.DACL_SECURITY_INFORMATION, nil, nil, dacl, nil))
	}
	set("D:(D;;KR;;;WD)(A;;WDRC;;;WD)") // it must still be possible to change the list
	t.Cleanup(func() { set("D:(A;;KA;;;WD)") })
}
