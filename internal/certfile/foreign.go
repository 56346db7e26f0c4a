package certfile

import (
	"bytes"
	"strings"
)

// Files that people take for a certificate with its key, and what to do about
// each: the texts go on after "it is". FILE stands for the name, which this
// package doesn't know.
const (
	notePublicKey = "a public key without its private key"
	noteCSR       = "a certificate request (CSR): its authority has yet to answer it with the certificate"
	notePFX       = "a PFX (PKCS #12), which takes a password: write its certificates as PEM, " +
		"with \"openssl pkcs12 -in FILE -nokeys -out NEW.pem\""
	noteCRL = "a revocation list (CRL)"
	noteP7B = "a P7B (PKCS #7), which never has the private key: export a PFX, or give the file with the key too"
	noteCMS = "a CMS (PKCS #7) message without certificates"

	noteOpenSSH = "an OpenSSH private key: convert it with \"ssh-keygen -p -m PKCS8 -f FILE\", which overwrites it"
	noteSSHPub  = "an SSH public key"
	notePGP     = "an OpenPGP key or message"
	notePuTTY   = "a PuTTY key: export it as OpenSSH key, then convert it with \"ssh-keygen -p -m PKCS8 -f FILE\""

	noteJKS = "a Java keystore (JKS): convert it with " +
		"\"keytool -importkeystore -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12\""
	noteJCEKS = "a Java keystore (JCEKS): convert it with " +
		"\"keytool -importkeystore -srcstoretype JCEKS -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12\""
	noteBKS = "a BouncyCastle keystore (BKS): convert it with " +
		"\"keytool -importkeystore -srcstoretype BKS -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12\""
	noteNSS      = "a database, perhaps of NSS: export a PFX with \"pk12util -o NEW.pfx -n NAME -d DIRECTORY\""
	noteKeychain = "a macOS keychain: export the identity from Keychain Access as .p12"
	notePVK      = "a PVK key of Windows: convert it with \"openssl rsa -inform PVK -in FILE -out NEW.pem\""

	noteJSON    = "JSON: take the certificate out of it (Key Vault: \"az keyvault secret show … --query value -o tsv\")"
	noteJWK     = "a JSON Web Key: export the certificate with its key as PFX or PEM"
	noteXMLKey  = "an RSA key in .NET's XML form: export the certificate with its key as PFX or PEM"
	noteHTML    = "a web page (HTML) or XML: a download that wanted a login, perhaps"
	noteZIP     = "a ZIP archive: unpack it"
	noteGzip    = "compressed with gzip: unpack it"
	notePDF     = "a PDF document"
	noteMangled = "a binary file that something read as text and so destroyed: copy it in binary mode, or as base64"
	noteLFS     = "a pointer of Git LFS in place of the file: \"git lfs pull\" fetches it"
	noteRef     = "a Key Vault reference that nothing replaced by its secret: may the app read the vault?"
	noteAnsible = "encrypted by Ansible Vault: decrypt it with \"ansible-vault decrypt FILE\""
	noteEmpty   = "empty"
)

// foreignKind says what a file that is neither DER nor PEM is, or "".
func foreignKind(data []byte) string {
	if kind := foreignBinary(data); kind != "" {
		return kind
	}
	return foreignText(bytes.ToLower(bytes.Trim(data, " \t\r\n\x00")))
}

// foreignBinary goes by the first bytes.
func foreignBinary(data []byte) string {
	for _, f := range [...]struct{ magic, kind string }{
		{"\xfe\xed\xfe\xed", noteJKS},
		{"\xce\xce\xce\xce", noteJCEKS},
		{"\x00\x00\x00\x01\x00\x00\x00\x14", noteBKS}, // version, salt length
		{"\x00\x00\x00\x02\x00\x00\x00\x14", noteBKS},
		{"SQLite format 3\x00", noteNSS},
		{"kych\x00", noteKeychain},
		{"\x1e\xf1\xb5\xb0", notePVK},
		{"PK\x03\x04", noteZIP},
		{"\x1f\x8b", noteGzip},
		{"%PDF-", notePDF},
		// DER starts with 30 82: the second byte isn't UTF-8, and became the
		// replacement character, or a character of its own.
		{"0\xef\xbf\xbd", noteMangled},
		{"0\xc2\x82", noteMangled},
	} {
		if bytes.HasPrefix(data, []byte(f.magic)) {
			return f.kind
		}
	}
	return ""
}

// foreignText goes by the first characters, in lower case.
func foreignText(text []byte) string {
	if len(text) == 0 {
		return noteEmpty
	}
	if text[0] == '{' && bytes.Contains(text, []byte(`"kty"`)) {
		return noteJWK
	}
	for _, f := range [...]struct{ prefix, kind string }{
		{"putty-user-key-file", notePuTTY},
		{"---- begin ssh2", noteSSHPub},
		{"ssh-rsa ", noteSSHPub},
		{"ssh-ed25519 ", noteSSHPub},
		{"ecdsa-sha2-", noteSSHPub},
		{"version https://git-lfs", noteLFS},
		{"@microsoft.keyvault(", noteRef},
		{"$ansible_vault;", noteAnsible},
		{"<rsakeyvalue", noteXMLKey},
		{"<", noteHTML},
		{"{", noteJSON},
		{"[", noteJSON},
	} {
		if bytes.HasPrefix(text, []byte(f.prefix)) {
			return f.kind
		}
	}
	return ""
}

// foreignPEM says what a PEM block is that isn't DER we read, or "".
func foreignPEM(label string) string {
	switch {
	case label == "OPENSSH PRIVATE KEY":
		return noteOpenSSH
	case strings.HasPrefix(label, "PGP "):
		return notePGP
	case label == "SSH2 PUBLIC KEY":
		return noteSSHPub
	case strings.HasSuffix(label, "CERTIFICATE REQUEST"):
		return noteCSR
	case label == "X509 CRL":
		return noteCRL
	}
	return ""
}

// isParameters recognises PEM blocks that stand beside keys and mean nothing
// here.
func isParameters(label string) bool {
	return strings.HasSuffix(label, " PARAMETERS") || label == "ATTRIBUTE CERTIFICATE"
}
