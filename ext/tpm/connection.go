package tpm

import (
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// connection is an open TPM, and the key that is loaded in it.
type connection struct {
	tpm    transport.TPMCloser
	loaded *loadedKey
}

// loadedKey is a key that is ready to sign.
type loadedKey struct {
	of     *key
	object tpm2.NamedHandle
	parent *object // of a key from a file; nil: persistent
}

// object is a key in the TPM that other keys hang on, with its public half, which encrypts
// what is sent to it.
type object struct {
	tpm2.NamedHandle
	public    tpm2.TPMTPublic
	password  []byte // of a persistent key; a derived one has none
	transient bool
}

// nonceSize is the length of the random numbers of a session: half of SHA-256's, at least.
const nonceSize = 16

// load makes a key ready. It stays so for the next one in the queue.
func (c *connection) load(k *key, parentPassword []byte) (*loadedKey, error) {
	if c.loaded != nil && c.loaded.of == k {
		return c.loaded, nil
	}
	c.unload()
	if k.file == nil {
		public, err := c.readKept(k.handle)
		if err != nil {
			return nil, err
		}
		if !samePublic(public.public, k.area) {
			return nil, fmt.Errorf("%w: under the handle %#x is another key by now",
				certtoken.ErrKeyMismatch, uint32(k.handle))
		}
		c.loaded = &loadedKey{of: k, object: public.NamedHandle}
		return c.loaded, nil
	}
	parent, err := c.parent(k.file.parent, k.file.rsaParent, parentPassword)
	if err != nil {
		return nil, err
	}
	c.loaded = &loadedKey{of: k, parent: parent} // from now on unload flushes the parent
	loaded, err := c.loadFile(k.file, parent)
	if err != nil {
		return nil, err
	}
	c.loaded.object = *loaded
	return c.loaded, nil
}

// unload takes the key and its parent out of the TPM.
func (c *connection) unload() {
	if c.loaded == nil {
		return
	}
	if c.loaded.parent != nil {
		c.flush(c.loaded.object.Handle)
		c.drop(c.loaded.parent)
	}
	c.loaded = nil
}

// drop takes an object out of the TPM, unless it is one that the TPM keeps.
func (c *connection) drop(o *object) {
	if o.transient {
		c.flush(o.Handle)
	}
}

// flush takes what is under a handle out of the TPM. That it fails changes nothing: a
// resource manager does the same when the connection closes.
func (c *connection) flush(handle tpm2.TPMHandle) {
	if handle != 0 {
		_, _ = tpm2.FlushContext{FlushHandle: handle}.Execute(c.tpm)
	}
}

// readPublic reads the public half of a persistent key.
func (c *connection) readPublic(handle tpm2.TPMHandle) (*object, error) {
	answer, err := tpm2.ReadPublic{ObjectHandle: handle}.Execute(c.tpm)
	if err != nil {
		return nil, call("TPM2_ReadPublic", err)
	}
	public, err := unmarshalPublic(answer.OutPublic.Bytes())
	if err != nil {
		return nil, fmt.Errorf("TPM2_ReadPublic: %w", err)
	}
	return &object{NamedHandle: tpm2.NamedHandle{Handle: handle, Name: answer.Name}, public: *public}, nil
}

// readKept is readPublic for a key that is to sign.
func (c *connection) readKept(handle tpm2.TPMHandle) (*object, error) {
	o, err := c.readPublic(handle)
	if answered(err, tpm2.TPMRCHandle) {
		return nil, fmt.Errorf("%w: the TPM keeps none under %#x; \"tpm2_getcap handles-persistent\" lists them: %w",
			certtoken.ErrNoPrivateKey, uint32(handle), err)
	}
	return o, err
}

// parent is the storage key under which a key was made: one that the TPM keeps, or one that
// it derives of a hierarchy's seed, always the same for the same template.
func (c *connection) parent(handle tpm2.TPMHandle, rsa bool, password []byte) (*object, error) {
	if isPersistent(handle) {
		parent, err := c.readPublic(handle)
		if answered(err, tpm2.TPMRCHandle) {
			return nil, fmt.Errorf("%w: the TPM has no parent under %#x: %w", ErrOtherTPM, uint32(handle), err)
		}
		if err != nil {
			return nil, err
		}
		parent.password = password
		return parent, nil
	}
	var salt *object
	if len(password) > 0 { // a hierarchy is no key that something can be encrypted for
		var err error
		if salt, err = c.anySalt(); err != nil {
			return nil, err
		}
		defer c.drop(salt)
	}
	template := storageKey(rsa)
	answer, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: handle, Auth: passwordSession(password, salt)},
		InPublic:      tpm2.New2B(template),
	}.Execute(c.tpm)
	switch {
	case isPasswordRefused(err):
		return nil, fmt.Errorf("%w of the hierarchy %#x; give it by WithParentPassword: %w",
			ErrPasswordRefused, uint32(handle), err)
	case answered(err, tpm2.TPMRCHierarchy):
		return nil, fmt.Errorf("the hierarchy %#x is switched off: %w", uint32(handle), err)
	case err != nil:
		return nil, call("TPM2_CreatePrimary", err)
	}
	public, err := unmarshalPublic(answer.OutPublic.Bytes())
	if err != nil {
		c.flush(answer.ObjectHandle)
		return nil, fmt.Errorf("TPM2_CreatePrimary: %w", err)
	}
	return &object{
		NamedHandle: tpm2.NamedHandle{Handle: answer.ObjectHandle, Name: answer.Name},
		public:      *public,
		transient:   true,
	}, nil
}

// anySalt is a key of the TPM for what has none of its own to encrypt a session's secret for.
// It is of the null hierarchy, which has no password. The caller drops it.
func (c *connection) anySalt() (*object, error) { return c.parent(tpm2.TPMRHNull, false, nil) }

// storageKey is the template of a hierarchy's storage key: the one with an empty unique field
// (TCG EK Credential Profile, template H), as TPM 2.0 key files have it.
func storageKey(rsa bool) tpm2.TPMTPublic {
	if rsa {
		template := tpm2.RSASRKTemplate
		template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
		return template
	}
	template := tpm2.ECCSRKTemplate
	template.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	return template
}

// loadFile loads a file's key, and imports it first if its file is for that.
func (c *connection) loadFile(f *keyFile, parent *object) (*tpm2.NamedHandle, error) {
	public := tpm2.BytesAs2B[tpm2.TPMTPublic](f.public)
	private := tpm2.TPM2BPrivate{Buffer: f.private}
	if f.importable {
		answer, err := tpm2.Import{
			ParentHandle: parent.authorized(),
			ObjectPublic: public,
			Duplicate:    private,
			InSymSeed:    tpm2.TPM2BEncryptedSecret{Buffer: f.secret},
			Symmetric:    tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
		}.Execute(c.tpm)
		if err != nil {
			return nil, loadError("TPM2_Import", f, err)
		}
		private = answer.OutPrivate
	}
	answer, err := tpm2.Load{ParentHandle: parent.authorized(), InPrivate: private, InPublic: public}.Execute(c.tpm)
	if err != nil {
		return nil, loadError("TPM2_Load", f, err)
	}
	return &tpm2.NamedHandle{Handle: answer.ObjectHandle, Name: answer.Name}, nil
}

// authorized is the object for one command, with a session that proves its password.
func (o *object) authorized(opts ...tpm2.AuthOption) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: o.Handle, Name: o.Name, Auth: passwordSession(o.password, o, opts...)}
}

// loadError says why a key doesn't load. A TPM can't tell a key of another TPM from a
// damaged one: its integrity check fails.
func loadError(command string, f *keyFile, err error) error {
	parent := fmt.Sprintf("%#x", uint32(f.parent))
	switch {
	case isPasswordRefused(err):
		return fmt.Errorf("%w of the parent %s; give it by WithParentPassword: %w", ErrPasswordRefused, parent, err)
	case answered(err, tpm2.TPMRCIntegrity, tpm2.TPMRCBinding, tpm2.TPMRCSize, tpm2.TPMRCInsufficient):
		return fmt.Errorf("%w (or its file is damaged, or the TPM was cleared); its file names the parent %s: %s: %w",
			ErrOtherTPM, parent, command, err)
	case answered(err, tpm2.TPMRCType, tpm2.TPMRCHandle, tpm2.TPMRCAttributes) && isPersistent(f.parent):
		return fmt.Errorf("%w: %s is no key that others hang on: %s: %w", ErrOtherTPM, parent, command, err)
	case answered(err, lacking...):
		return fmt.Errorf("%w: the TPM has no keys of this kind or length: %s: %w", errors.ErrUnsupported, command, err)
	}
	return call(command, err)
}

// passwordSession proves that a password is known, for one command, without showing it. Its
// key depends on a secret that only the TPM can read, encrypted for the object salt: nobody
// who listens can then try passwords. Without a password nothing is hidden, and salt may be
// nil.
func passwordSession(password []byte, salt *object, opts ...tpm2.AuthOption) tpm2.Session {
	if len(password) == 0 && len(opts) == 0 {
		return tpm2.PasswordAuth(nil)
	}
	opts = append(opts, tpm2.Auth(password), tpm2.Salted(salt.Handle, salt.public))
	return tpm2.HMAC(tpm2.TPMAlgSHA256, nonceSize, opts...)
}
