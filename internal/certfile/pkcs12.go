package certfile

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PKCS #12 (RFC 7292): a MAC over a list of safes, each of which is plain or
// encrypted and holds bags with a key or a certificate each. Attributes such as
// localKeyID aren't looked at: they are missing or wrong too often, and the
// keys themselves say what belongs together.

// pfx is the outer structure, and what became known of it while it was read.
type pfx struct {
	content []byte // what the MAC protects: the safes
	mac     *macData

	verified bool // the MAC is right, and with it the password
	toGroup  bool // protected to accounts of Active Directory
}

// encryptedSafe is a safe that needs the password.
type encryptedSafe struct {
	scheme     scheme
	ciphertext []byte
}

// readPFX adds what is in a PFX. Its errors are final: nothing is used of a
// file whose MAC is wrong.
func readPFX(r *reader, der []byte) error {
	p, err := parsePFX(der)
	if err != nil {
		return err
	}
	locked, err := readSafes(r, p)
	if err != nil {
		return err
	}
	if err := planPFX(r, p.mac, locked); err != nil {
		return err
	}
	if p.mac != nil {
		if err := r.verifyMAC(p.mac, p.content); err != nil {
			return p.explain(err)
		}
		p.verified = true
	}
	for _, safe := range locked {
		if err := openSafe(r, p, safe); err != nil {
			return err
		}
	}
	return nil
}

// explain says of a password that didn't open a part of the PFX what is known
// about it.
func (p *pfx) explain(err error) error {
	refused := errors.Is(err, ErrWrongPassword)
	switch {
	case refused && p.verified:
		return errOtherPassword
	case p.toGroup && (refused || errors.Is(err, ErrPasswordRequired)):
		return fmt.Errorf("%w; %s", err, toGroupAdvice)
	}
	return err
}

// toGroupAdvice: Windows encrypts a random password for the accounts and puts it
// into the file.
const toGroupAdvice = "the file is protected to users or groups of Active Directory " +
	"(Export-PfxCertificate -ProtectTo), which only they can open, on Windows: " +
	"import it there and export it again with -Password"

// errOtherPassword: Java lets a key have a password of its own.
var errOtherPassword = formatError("the password is that of the PFX, as its integrity check shows, " +
	"but this part of it does not open with it: it has another password, or is written in a form that is not known here")

// planPFX adds up the work that is in sight before any of it is done.
func planPFX(r *reader, mac *macData, locked []encryptedSafe) error {
	sum := r.lockedRounds()
	if mac != nil {
		sum += mac.rounds
	}
	for _, safe := range locked {
		sum += safe.scheme.rounds
	}
	return r.budget.plan(sum)
}

func parsePFX(der []byte) (*pfx, error) {
	s := cryptobyte.String(der)
	var seq, macSeq cryptobyte.String
	var version int64
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Integer(&version) {
		return nil, errPFX
	}
	if version != 3 {
		return nil, fmt.Errorf("%w: PKCS #12 version %d", ErrUnsupported, version)
	}
	info, err := readContentInfo(&seq)
	if err != nil {
		return nil, err
	}
	if info.oid == oidSignedData {
		return nil, fmt.Errorf("%w: a PFX that is signed with a certificate instead of protected by a password",
			ErrUnsupported)
	}
	if info.oid != oidData {
		return nil, errPFX
	}
	p := &pfx{}
	if p.content, err = info.octets(); err != nil {
		return nil, err
	}
	if seq.Empty() {
		return p, nil
	}
	if !seq.ReadASN1(&macSeq, cbasn1.SEQUENCE) {
		return nil, errPFX
	}
	p.mac, err = newMAC(macSeq)
	return p, err
}

// contentInfo is what PKCS #7 wraps everything in (RFC 2315 §7).
type contentInfo struct {
	oid     string
	content cryptobyte.String
}

func readContentInfo(s *cryptobyte.String) (contentInfo, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return contentInfo{}, errPFX
	}
	oid, ok := readOID(&seq)
	if !ok {
		return contentInfo{}, errPFX
	}
	info := contentInfo{oid: oid}
	if !seq.Empty() && !seq.ReadASN1(&info.content, context0Constructed) {
		return contentInfo{}, errPFX
	}
	return info, nil
}

// octets is the content of type data.
func (c contentInfo) octets() ([]byte, error) {
	var octets cryptobyte.String
	if !c.content.ReadASN1(&octets, cbasn1.OCTET_STRING) {
		return nil, errPFX
	}
	return octets, nil
}

// readSafes reads the plain safes and returns the encrypted ones. It is done
// before the MAC is verified, so that the work for the file is known.
func readSafes(r *reader, p *pfx) ([]encryptedSafe, error) {
	seq, err := readSequence(p.content)
	if err != nil {
		return nil, err
	}
	var locked []encryptedSafe
	for n := 0; !seq.Empty(); n++ {
		if n == maxSafes {
			return nil, fmt.Errorf("%w: more than %d safes", ErrTooLarge, maxSafes)
		}
		info, err := readContentInfo(&seq)
		if err != nil {
			return nil, err
		}
		switch info.oid {
		case oidData:
			plain, err := info.octets()
			if err != nil {
				return nil, err
			}
			if err := readBags(r, p, plain, maxSafeDepth); err != nil {
				return nil, err
			}
		case oidEncryptedData:
			safe, err := readEncryptedData(info.content)
			if err != nil {
				if err := r.problem(err); err != nil {
					return nil, err
				}
				continue
			}
			locked = append(locked, safe)
		case oidEnvelopedData:
			if err := r.problem(errForCertificate); err != nil {
				return nil, err
			}
		}
	}
	return locked, nil
}

// readEncryptedData reads EncryptedData (RFC 5652 §8).
func readEncryptedData(content cryptobyte.String) (encryptedSafe, error) {
	var seq, info cryptobyte.String
	if !content.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.INTEGER) ||
		!seq.ReadASN1(&info, cbasn1.SEQUENCE) || !info.SkipASN1(cbasn1.OBJECT_IDENTIFIER) {
		return encryptedSafe{}, errPFX
	}
	alg, ok := readAlgorithm(&info)
	if !ok {
		return encryptedSafe{}, errPFX
	}
	ciphertext, ok := readOctets(&info, context0)
	if !ok {
		return encryptedSafe{}, errPFX
	}
	s, err := newScheme(alg)
	return encryptedSafe{s, ciphertext}, err
}

// openSafe decrypts a safe and reads its bags.
func openSafe(r *reader, p *pfx, safe encryptedSafe) error {
	plain, err := r.decrypt(safe.scheme, safe.ciphertext, true, isSafeContents)
	if err != nil {
		return r.problem(p.explain(err))
	}
	return readBags(r, p, plain, maxSafeDepth)
}

// isSafeContents recognises a decrypted safe: a sequence of bags. Some writers
// leave bytes behind it; an empty sequence with bytes behind it could come of a
// wrong password.
func isSafeContents(plain []byte) bool {
	_, rest, err := derOf(plain)
	if err != nil {
		return false
	}
	seq, err := readSequence(plain)
	if err == nil && seq.Empty() && len(rest) > 0 {
		return false
	}
	for err == nil && !seq.Empty() {
		_, _, err = nextBag(&seq)
	}
	return err == nil
}

// nextBag reads the identifier and value of a SafeBag.
func nextBag(seq *cryptobyte.String) (oid string, value cryptobyte.String, err error) {
	var bag cryptobyte.String
	if !seq.ReadASN1(&bag, cbasn1.SEQUENCE) {
		return "", nil, errPFX
	}
	oid, ok := readOID(&bag)
	if !ok || !bag.ReadASN1(&value, context0Constructed) {
		return "", nil, errPFX
	}
	return oid, value, nil
}

// readBags reads SafeContents.
func readBags(r *reader, p *pfx, content []byte, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: more than %d safes in each other", ErrTooLarge, maxSafeDepth)
	}
	seq, err := readSequence(content)
	if err != nil {
		return err
	}
	for !seq.Empty() {
		if err := r.count(); err != nil {
			return err
		}
		oid, value, err := nextBag(&seq)
		if err != nil {
			return err
		}
		if err := readBag(r, p, oid, value, depth); err != nil {
			return err
		}
	}
	return nil
}

// readBag reads one bag; those with revocation lists, secrets or what nobody
// knows are passed over.
func readBag(r *reader, p *pfx, oid string, value cryptobyte.String, depth int) error {
	switch oid {
	case oidKeyBag:
		return r.addKey(value)
	case oidShroudedKeyBag:
		return addShroudedKey(r, p, value)
	case oidCertBag:
		return readCertBag(r, value)
	case oidSecretBag:
		p.toGroup = p.toGroup || isGroupSecret(value)
	case oidSafeContentsBag:
		return readBags(r, p, value, depth-1)
	}
	return nil
}

// addShroudedKey adds an encrypted key of the PFX.
func addShroudedKey(r *reader, p *pfx, der []byte) error {
	key, err := newLockedKey(&r.unlocker, der, true)
	open := key.open
	key.open = func() ([]byte, error) {
		plain, err := open()
		return plain, p.explain(err)
	}
	return r.addLocked(key, err)
}

// isGroupSecret recognises the bag with the password of a PFX that is protected
// to accounts.
func isGroupSecret(value cryptobyte.String) bool {
	var bag cryptobyte.String
	if !value.ReadASN1(&bag, cbasn1.SEQUENCE) {
		return false
	}
	oid, _ := readOID(&bag)
	return oid == oidGroupSecret
}

func readCertBag(r *reader, value cryptobyte.String) error {
	var bag, wrapped, cert cryptobyte.String
	if !value.ReadASN1(&bag, cbasn1.SEQUENCE) {
		return errPFX
	}
	oid, ok := readOID(&bag)
	if !ok {
		return errPFX
	}
	if oid != oidX509Certificate {
		return nil
	}
	if !bag.ReadASN1(&wrapped, context0Constructed) || !wrapped.ReadASN1(&cert, cbasn1.OCTET_STRING) {
		return errPFX
	}
	if _, rest, err := derOf(cert); err == nil {
		cert = cert[:len(cert)-len(rest)] // some writers leave bytes behind it, a line end perhaps
	}
	return r.addCertificate(cert)
}

// readSequence reads a SEQUENCE that may be BER: PKCS #12 encodes its layers
// one by one.
func readSequence(content []byte) (cryptobyte.String, error) {
	der, _, err := derOf(content)
	if err != nil {
		return nil, errPFX
	}
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, errPFX
	}
	return seq, nil
}

var errForCertificate = fmt.Errorf(
	"%w: a part of the PFX is encrypted for a certificate instead of with a password", ErrUnsupported)

var errPFX = formatError("the PFX is broken: it was damaged, or only a part of it was copied")
