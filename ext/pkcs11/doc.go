// Package pkcs11 signs with a key in an HSM or on a smart card, over the PKCS #11
// module of its maker. The key never leaves the token.
//
//	source, err := pkcs11.New("/usr/lib/softhsm/libsofthsm2.so",
//		pkcs11.WithTokenLabel("certtoken"),
//		pkcs11.WithKeyLabel("my-app"),
//		pkcs11.WithPIN(pin),
//	)
//	…
//	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, source)
//
// A [Source] finds token, key and certificate when it is first asked, and again
// when the token was away: removed and put back, restarted, logged out by
// somebody else. The PIN comes from a function that is called at each login and
// at no other time; a PIN that the token refuses is not tried a second time, as
// a few wrong ones lock a card.
//
// The package needs cgo, because PKCS #11 modules are C libraries.
package pkcs11
