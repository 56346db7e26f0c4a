package certfile

import (
	"bytes"
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// Files that people take for a certificate with its key, and what to do about
// each: the texts go on after "it is". FILE stands for the name, which this
// package doesn't know.
const (
	notePublicKey = "a public key without its private key: give the private key's file"
	noteCSR       = "a certificate request (CSR), which is neither a certificate nor a private key: give the file of " +
		"the certificate, with which its authority answers, and the private key's file"
	notePFX = "a PFX (PKCS #12), which takes a password: write its certificates as PEM, " +
		"with \"openssl pkcs12 -in FILE -nokeys -out NEW.pem\""
	noteCRL     = "a revocation list (CRL)"
	noteP7B     = "a P7B (PKCS #7), which never has the private key: export a PFX, or give the file with the key too"
	notePkiPath = "a PkiPath, a chain of certificates that never has the private key: give the private key's file too"
	noteCMS     = "a CMS (PKCS #7) message without certificates"

	noteOpenSSH        = "an OpenSSH private key: convert it with \"ssh-keygen -p -m PKCS8 -f FILE\", which overwrites it"
	noteOpenSSHEd25519 = "an OpenSSH private key of the type ssh-ed25519, which ssh-keygen doesn't write " +
		"in another form: convert it with Python's package cryptography, by load_ssh_private_key and " +
		"private_bytes (PrivateFormat.PKCS8), or make a new key with " +
		"\"openssl genpkey -algorithm ed25519 -out NEW.pem\""
	noteOpenSSHToken = "an OpenSSH private key that is in a FIDO token, which signs logins only: use another key"
	noteSSHPub       = "an SSH public key: give the private key's file, and the certificate's"
	noteTPM          = "a key of a TPM (TSS2 PRIVATE KEY), which only that TPM can use: " +
		"sign with it by github.com/certtoken/certtoken/ext/tpm, or through the TPM's PKCS #11 module (ext/pkcs11)"
	notePKCS11 = "the URI of a key in a PKCS #11 token, and not the key, which the token keeps: " +
		"sign with it through the token's PKCS #11 module (ext/pkcs11)"
	notePGP   = "an OpenPGP key or message"
	notePuTTY = "a PuTTY key: export it as OpenSSH key, then convert it with \"ssh-keygen -p -m PKCS8 -f FILE\""

	noteJKS = "a Java keystore (JKS): convert it with " +
		"\"keytool -importkeystore -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12\""
	noteJCEKS = "a Java keystore (JCEKS): convert it with " +
		"\"keytool -importkeystore -srcstoretype JCEKS -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12\""
	noteBKS = "a BouncyCastle keystore (BKS): convert it with " +
		"\"keytool -importkeystore -srcstoretype BKS -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12 " +
		bcProvider
	noteUBER = "a BouncyCastle keystore (UBER): convert it with " +
		"\"keytool -importkeystore -srcstoretype UBER -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12 " +
		bcProvider
	noteBCFKS = "a BouncyCastle FIPS keystore (BCFKS): convert it with " +
		"\"keytool -importkeystore -srcstoretype BCFKS -srckeystore FILE -destkeystore NEW.pfx -deststoretype PKCS12 " +
		bcProvider

	// bcProvider: the JDK has none of BouncyCastle's stores.
	bcProvider = "-providerpath BCPROV.jar -provider org.bouncycastle.jce.provider.BouncyCastleProvider\", " +
		"where BCPROV.jar is BouncyCastle's (org.bouncycastle:bcprov-jdk18on of Maven)"
	noteNSS      = "a database, perhaps of NSS: export a PFX with \"pk12util -o NEW.pfx -n NAME -d DIRECTORY\""
	noteKeychain = "a macOS keychain: export the identity from Keychain Access as .p12"
	notePVK      = "a PVK key of Windows: convert it with \"openssl rsa -inform PVK -in FILE -out NEW.pem\""

	noteJSON      = "JSON: take the certificate out of it (Key Vault: \"az keyvault secret show … --query value -o tsv\")"
	kubectlAdvice = "take each out of it with " +
		"\"kubectl get secret NAME -o jsonpath='{.data.tls\\.crt}' | base64 -d\", and so for tls\\.key"
	noteSecret     = "a Kubernetes Secret around the files: " + kubectlAdvice
	noteKubernetes = "a Kubernetes object that is no Secret: the certificate and the key are in the Secret, " +
		"whose name stands in the object, for cert-manager in spec.secretName; " + kubectlAdvice
	noteSealed = "a SealedSecret, which only its cluster can open: take the files out of the Secret that it makes; " +
		kubectlAdvice
	noteKubeconfig = "a kubeconfig: take the certificate out of it with \"kubectl config view --raw " +
		"-o jsonpath='{.users[0].user.client-certificate-data}' | base64 -d\", and so for client-key-data"
	noteJWE     = "an encrypted key (JWE): decrypt it, with \"step crypto jwe decrypt\" for example"
	noteJWK     = "a JSON Web Key: export the certificate with its key as PFX or PEM"
	noteXMLKey  = "an RSA key in .NET's XML form: export the certificate with its key as PFX or PEM"
	noteHTML    = "a web page (HTML) or XML: a download that wanted a login, perhaps"
	noteZIP     = "a ZIP archive: unpack it"
	noteGzip    = "compressed with gzip: unpack it"
	notePacked  = "compressed, or an archive: unpack it"
	notePDF     = "a PDF document"
	noteMangled = "a binary file that something read as text and so destroyed: copy it in binary mode, or as base64"
	noteLFS     = "a pointer of Git LFS in place of the file: \"git lfs pull\" fetches it"
	noteRef     = "a Key Vault reference that nothing replaced by its secret: may the app read the vault?"
	noteAnsible = "encrypted by Ansible Vault: decrypt it with \"ansible-vault decrypt FILE\""
	noteSOPS    = "encrypted by SOPS: decrypt it with \"sops decrypt FILE\""
	noteAge     = "encrypted by age: decrypt it with \"age --decrypt --identity KEYFILE FILE\""
	noteTransit = "encrypted by Vault's transit engine: " +
		"decrypt it with \"vault write transit/decrypt/NAME ciphertext=…\""
	noteCosign = "a key of Sigstore's cosign, which only that can read: use another key"
	noteText   = "what openssl prints of a certificate or a key for people (-text -noout): give the file itself"
	noteEmpty  = "empty"
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
	if isUBER(data) {
		return noteUBER
	}
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
		{"7z\xbc\xaf\x27\x1c", notePacked},
		{"\xfd7zXZ\x00", notePacked},
		{"BZh", notePacked},
		{"\x28\xb5\x2f\xfd", notePacked}, // Zstandard
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

// isUBER recognises the keystore that starts as BKS does, with version, salt and
// count, but is encrypted behind that. In a BKS the first entry follows: its type
// and the length of its name, or a zero for the end.
func isUBER(data []byte) bool {
	const header = 4 + 4 + 20 + 4
	version1, version2 := []byte{0, 0, 0, 1, 0, 0, 0, 20}, []byte{0, 0, 0, 2, 0, 0, 0, 20}
	if len(data) < header+2 || !bytes.HasPrefix(data, version1) && !bytes.HasPrefix(data, version2) {
		return false
	}
	entry, nameLength := data[header], data[header+1]
	return entry > 4 || entry > 0 && nameLength > 0
}

// foreignText goes by the first characters, in lower case.
func foreignText(text []byte) string {
	if len(text) == 0 {
		return noteEmpty
	}
	if text[0] == '{' && bytes.Contains(text, []byte(`"kty"`)) {
		return noteJWK
	}
	if kind := foreignSecret(text); kind != "" {
		return kind
	}
	for _, f := range [...]struct{ prefix, kind string }{
		{"putty-user-key-file", notePuTTY},
		{"---- begin ssh2", noteSSHPub},
		{"ssh-rsa ", noteSSHPub},
		{"ssh-ed25519 ", noteSSHPub},
		{"ecdsa-sha2-", noteSSHPub},
		{"pkcs11:", notePKCS11},
		{"version https://git-lfs", noteLFS},
		{"@microsoft.keyvault(", noteRef},
		{"$ansible_vault;", noteAnsible},
		{"vault:v", noteTransit},
		{"age-encryption.org/", noteAge},
		{"certificate:", noteText},
		{"private-key:", noteText},
		{"rsa private-key:", noteText},
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

// foreignSecret recognises what has the files in it, in base64 or encrypted, by what
// stands anywhere in a text that is in lower case.
func foreignSecret(text []byte) string {
	has := func(part string) bool { return bytes.Contains(text, []byte(part)) }
	switch {
	case has("enc[aes256_gcm,"):
		return noteSOPS
	case has("client-key-data"):
		return noteKubeconfig
	case has("sealedsecret"):
		return noteSealed
	case has("kind") && kubernetesSecret().Match(text), has("tls.crt"), has("tls.key"):
		return noteSecret
	case bytes.HasPrefix(text, []byte("apiversion:")):
		return noteKubernetes
	case text[0] == '{' && has(`"ciphertext"`),
		bytes.HasPrefix(text, []byte("eyj")) && bytes.Count(text, []byte(".")) == 4:
		return noteJWE
	}
	return ""
}

// kubernetesSecret is a line of YAML, or a part of JSON, in lower case.
var kubernetesSecret = lazyregexp.New(
	`(?m)^[ \t-]*kind[ \t]*:[ \t]*["']?secret(?:list)?["']?[ \t\r]*$|"kind"\s*:\s*"secret(?:list)?"`)

// foreignPEM says what a PEM block is that isn't DER we read, or "".
func foreignPEM(label string, body []byte) string {
	switch {
	case label == "OPENSSH PRIVATE KEY":
		return openSSHNote(body)
	case strings.HasPrefix(label, "PGP "):
		return notePGP
	case label == "AGE ENCRYPTED FILE":
		return noteAge
	case label == "ENCRYPTED SIGSTORE PRIVATE KEY", label == "ENCRYPTED COSIGN PRIVATE KEY":
		return noteCosign
	case label == "SSH2 PUBLIC KEY":
		return noteSSHPub
	case label == "TSS2 PRIVATE KEY", label == "TSS PRIVATE KEY", label == "TSS KEY BLOB":
		return noteTPM
	case label == "PKCS#11 PROVIDER URI":
		return notePKCS11
	case strings.HasSuffix(label, "CERTIFICATE REQUEST"):
		return noteCSR
	case label == "X509 CRL":
		return noteCRL
	}
	return ""
}

// openSSHNote goes by the type of key, which stands unencrypted at the beginning:
// ssh-keygen writes PKCS #8 of some types only, and says nothing where it doesn't.
func openSSHNote(body []byte) string {
	head := body[:min(len(body), 200)]
	switch {
	case bytes.Contains(head, []byte("sk-ssh-")), bytes.Contains(head, []byte("sk-ecdsa-")):
		return noteOpenSSHToken
	case bytes.Contains(head, []byte("ssh-ed25519")):
		return noteOpenSSHEd25519
	}
	return noteOpenSSH
}

// isParameters recognises PEM blocks that stand beside keys and mean nothing
// here.
func isParameters(label string) bool {
	return strings.HasSuffix(label, " PARAMETERS") || label == "ATTRIBUTE CERTIFICATE"
}
