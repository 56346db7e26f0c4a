package pkcs11

import (
	"encoding/binary"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// maxObjects bounds what is read of a token.
const maxObjects = 4096

// objects reads a token over one session.
type objects struct {
	api     cryptoki
	session p11.SessionHandle
}

// find returns the objects that have all these attributes.
func (o objects) find(template ...*p11.Attribute) (found []p11.ObjectHandle, err error) {
	if err := o.api.FindObjectsInit(o.session, template); err != nil {
		return nil, call("C_FindObjectsInit", err)
	}
	defer func() {
		if final := o.api.FindObjectsFinal(o.session); err == nil {
			err = call("C_FindObjectsFinal", final)
		}
	}()
	for len(found) < maxObjects {
		some, _, err := o.api.FindObjects(o.session, 64)
		if err != nil {
			return nil, call("C_FindObjects", err)
		}
		if len(some) == 0 {
			return found, nil
		}
		found = append(found, some...)
	}
	return nil, fmt.Errorf("the token has over %d objects of one kind", maxObjects)
}

// attribute is an object's attribute, or nil if the object has none such or
// doesn't show it. Each is asked for alone, as one that is missing would take
// the others with it.
func (o objects) attribute(object p11.ObjectHandle, kind uint) ([]byte, error) {
	got, err := o.api.GetAttributeValue(o.session, object, []*p11.Attribute{p11.NewAttribute(kind, nil)})
	switch {
	case answered(err, []p11.Error{p11.CKR_ATTRIBUTE_TYPE_INVALID, p11.CKR_ATTRIBUTE_SENSITIVE}):
		return nil, nil
	case err != nil:
		return nil, call("C_GetAttributeValue", err)
	case len(got) == 0:
		return nil, nil
	}
	return got[0].Value, nil
}

// name reads what an object is called.
func (o objects) name(object p11.ObjectHandle) (id []byte, label string, err error) {
	if id, err = o.attribute(object, p11.CKA_ID); err != nil {
		return nil, "", err
	}
	text, err := o.attribute(object, p11.CKA_LABEL)
	return id, string(text), err
}

// ulong reads a CK_ULONG, which is as long as the C compiler made it.
func ulong(value []byte) (uint64, bool) {
	switch len(value) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(value)), true
	case 8:
		return binary.NativeEndian.Uint64(value), true
	}
	return 0, false
}
