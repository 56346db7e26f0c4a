package certstore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/certtoken/certtoken"
	"golang.org/x/sys/windows"
)

const (
	// chainCacheOnly is CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL: no issuer is fetched
	// over the network.
	chainCacheOnly = 0x4

	// silent is NCRYPT_SILENT_FLAG: no window.
	silent = 0x40
)

var (
	ncrypt           = windows.NewLazySystemDLL("ncrypt.dll")
	ncryptSignHash   = ncrypt.NewProc("NCryptSignHash")
	ncryptFreeObject = ncrypt.NewProc("NCryptFreeObject")
)

func supported() error { return nil }

// findInStore opens the store for reading, and closes it again: what is kept is
// the key's handle.
func findInStore(cfg *config, now time.Time) (*found, error) {
	store, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	defer windows.CertCloseStore(store, 0)
	certs, contexts, err := readStore(store)
	defer func() {
		for _, c := range contexts {
			windows.CertFreeCertificateContext(c)
		}
	}()
	if err != nil {
		return nil, err
	}
	order := cfg.order(certs, now)
	if len(order) == 0 {
		return nil, fmt.Errorf("%w: none of %d in the store has %s", certtoken.ErrNoCertificate, len(certs), cfg.name())
	}
	var failures []error
	for _, i := range order {
		key, err := acquireKey(contexts[i], cfg.prompts)
		if err == nil {
			return &found{leaf: certs[i], chain: readChain(store, contexts[i], certs[i]), key: key}, nil
		}
		failures = append(
			failures,
			fmt.Errorf("%q, valid until %s: %w", certs[i].Subject, certs[i].NotAfter.UTC().Format(time.RFC3339), err),
		)
	}
	return nil, errors.Join(failures...)
}

func openStore(cfg *config) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(cfg.store)
	if err != nil {
		return 0, err
	}
	flags := uint32(windows.CERT_STORE_READONLY_FLAG | windows.CERT_STORE_OPEN_EXISTING_FLAG)
	if cfg.machine {
		flags |= windows.CERT_SYSTEM_STORE_LOCAL_MACHINE
	} else {
		flags |= windows.CERT_SYSTEM_STORE_CURRENT_USER
	}
	store, err := windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM_W, 0, 0, flags, uintptr(unsafe.Pointer(name)))
	runtime.KeepAlive(name)
	if err != nil {
		return 0, fmt.Errorf("opening the store: %w", err)
	}
	return store, nil
}

// readStore parses the certificates of a store; what can't be parsed is left
// out. The contexts are the caller's to free, also with an error.
func readStore(store windows.Handle) (certs []*x509.Certificate, contexts []*windows.CertContext, err error) {
	var each *windows.CertContext
	for {
		each, err = windows.CertEnumCertificatesInStore(store, each) // frees the one before
		if err != nil || each == nil {
			break
		}
		cert, failed := parse(each)
		if failed != nil {
			continue
		}
		certs = append(certs, cert)
		contexts = append(contexts, windows.CertDuplicateCertificateContext(each))
	}
	if err != nil && !errors.Is(err, syscall.Errno(windows.CRYPT_E_NOT_FOUND)) { // which is the end
		return nil, contexts, fmt.Errorf("reading the store: %w", err)
	}
	return certs, contexts, nil
}

// parse copies the certificate: the context's memory is the system's.
func parse(c *windows.CertContext) (*x509.Certificate, error) {
	return x509.ParseCertificate(bytes.Clone(unsafe.Slice(c.EncodedCert, c.Length)))
}

// readChain returns the issuers that the system knows, nearest first. A chain
// that can't be built is no error: most servers know the leaf.
func readChain(store windows.Handle, c *windows.CertContext, leaf *x509.Certificate) []*x509.Certificate {
	para := &windows.CertChainPara{Size: uint32(unsafe.Sizeof(windows.CertChainPara{}))}
	var chain *windows.CertChainContext
	if windows.CertGetCertificateChain(0, c, nil, store, para, chainCacheOnly, 0, &chain) != nil {
		return nil
	}
	defer windows.CertFreeCertificateChain(chain)
	if chain.ChainCount == 0 {
		return nil
	}
	simple := unsafe.Slice(chain.Chains, chain.ChainCount)[0]
	var issuers []*x509.Certificate
	for _, element := range unsafe.Slice(simple.Elements, simple.NumElements) {
		cert, err := parse(element.CertContext)
		if err != nil {
			break
		}
		if !cert.Equal(leaf) {
			issuers = append(issuers, cert)
		}
	}
	return issuers
}

// cngKey is a key of CNG. Its handle is freed when the key is garbage.
type cngKey struct {
	handle windows.Handle
	flags  uint32
}

// acquireKey opens the private key of a certificate.
func acquireKey(c *windows.CertContext, prompts bool) (*cngKey, error) {
	flags := uint32(windows.CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG | windows.CRYPT_ACQUIRE_COMPARE_KEY_FLAG)
	key := &cngKey{}
	if !prompts {
		flags |= windows.CRYPT_ACQUIRE_SILENT_FLAG
		key.flags = silent
	}
	var spec uint32
	var ours bool
	err := windows.CryptAcquireCertificatePrivateKey(c, flags, nil, &key.handle, &spec, &ours)
	switch {
	case errors.Is(err, syscall.Errno(windows.CRYPT_E_NO_KEY_PROPERTY)):
		return nil, fmt.Errorf("%w: the store holds the certificate alone", certtoken.ErrNoPrivateKey)
	case err != nil:
		return nil, fmt.Errorf(
			"%w that this account may use: opening it through CNG: %w",
			certtoken.ErrNoPrivateKey,
			err,
		)
	}
	if ours {
		runtime.AddCleanup(key, func(handle windows.Handle) { ncryptFreeObject.Call(uintptr(handle)) }, key.handle)
	}
	return key, nil
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
	if p.flag == padPSS {
		info = unsafe.Pointer(p.pss())
	} else {
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
