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

// chainCacheOnly is CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL: no issuer is fetched over
// the network.
const chainCacheOnly = 0x4

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
	if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return 0, fmt.Errorf("%w: there is no such store", certtoken.ErrNoCertificate)
	}
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
