package certfile

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestForeignFiles(t *testing.T) {
	k := testKeys(t)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.key)
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(k.key.Public())
	require.NoError(t, err)
	crl, err := x509.CreateRevocationList(rand.Reader,
		&x509.RevocationList{Number: big.NewInt(1), ThisUpdate: testStart,
			NextUpdate: testStart.AddDate(1, 0, 0)}, k.root, k.rootKey)
	require.NoError(t, err)
	p7 := seq(oid(oidSignedData), explicit0(seq(number(1), tlv(0x31), seq(oid(oidData)), tlv(0xa0, k.leaf.Raw),
		tlv(0x31))))
	pfx := pfxFile(nil, plainSafe(certBag(k.leaf.Raw), keyBag(k.pkcs8)))
	tpm := seq(oid(oidTPMKey), number(1), octets(make([]byte, 300)))
	bcfks := seq(seq(seq(oid(oidPBES2), seq()), octets(make([]byte, 300))), seq(seq(oid(oidHMACSHA256)), octets(nil)))
	bksHead := func(version byte) []byte {
		return slices.Concat([]byte{0, 0, 0, version, 0, 0, 0, 20}, make([]byte, 20), []byte{0, 0, 5, 7})
	}
	for _, tt := range []struct {
		name string
		data []byte
		want []error
		text string
	}{
		{"nil", nil, []error{ErrFormat}, "empty"},
		{"empty", []byte{}, []error{ErrFormat}, "empty"},
		{"blank", []byte("\r\n \n"), []error{ErrFormat}, "empty"},
		{"only a BOM", []byte("\xff\xfe"), []error{ErrFormat}, "empty"},
		{"JKS", []byte("\xfe\xed\xfe\xed\x00\x00\x00\x02 and so on"), []error{ErrFormat}, "keytool -importkeystore"},
		{"JCEKS", []byte("\xce\xce\xce\xce\x00\x00\x00\x02"), []error{ErrFormat}, "JCEKS"},
		{"BKS", []byte("\x00\x00\x00\x02\x00\x00\x00\x14\x01\x02"), []error{ErrFormat}, "BKS"},
		{"JKS in base64", nest64([]byte("\xfe\xed\xfe\xed\x00\x00\x00\x02 and so on"), 1), []error{ErrFormat}, "JKS"},
		{"P7B", p7, []error{ErrFormat, ErrNoPrivateKey}, "P7B"},
		{"P7B in PEM", pemOf("PKCS7", p7), []error{ErrFormat, ErrNoPrivateKey}, "P7B"},
		{"empty P7B", pemOf("PKCS7", seq(oid(oidSignedData), explicit0(seq(number(1))))), []error{ErrFormat}, "P7B"},
		{"broken P7B", pemOf("PKCS7", seq(oid(oidSignedData),
			explicit0(seq(number(1), tlv(0x31), seq(), tlv(0xa0, []byte{1, 9}))))), []error{ErrFormat}, "broken"},
		{"CMS", seq(oid(oidEnvelopedData), explicit0(octets(make([]byte, 200)))), []error{ErrFormat}, "CMS"},
		{"CSR", pemOf("CERTIFICATE REQUEST", csr), []error{ErrFormat}, "CSR"},
		{"CSR of Windows", pemOf("NEW CERTIFICATE REQUEST", csr), []error{ErrFormat}, "CSR"},
		{"CSR in DER", csr, []error{ErrFormat}, "CSR"},
		{"CSR with its key", append(pemOf("CERTIFICATE REQUEST", csr), pemOf("PRIVATE KEY", k.pkcs8)...),
			[]error{ErrFormat, ErrNoCertificate}, "CSR"},
		{"CRL", pemOf("X509 CRL", crl), []error{ErrFormat}, "CRL"},
		{"CRL in DER", crl, []error{ErrFormat}, "CRL"},
		{"public key", pemOf("PUBLIC KEY", spki), []error{ErrFormat, ErrNoPrivateKey}, "public key"},
		{"public key in DER", spki, []error{ErrFormat, ErrNoPrivateKey}, "public key"},
		{"PKCS #1 public key", pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.key.PublicKey)),
			[]error{ErrFormat, ErrNoPrivateKey}, "public key"},
		{"certificate and public key", append(pemCert(k.leaf), pemOf("PUBLIC KEY", spki)...),
			[]error{ErrFormat, ErrNoPrivateKey}, "public key"},
		{"certificate", pemCert(k.leaf), []error{ErrNoPrivateKey}, "Leaf"},
		{"certificate in DER", k.leaf.Raw, []error{ErrNoPrivateKey}, "Leaf"},
		{"certificates", pems(k.root, k.intermediate, k.leaf), []error{ErrNoPrivateKey}, "Leaf"},
		{"CA certificate", pems(k.root), []error{ErrNoPrivateKey}, "Root"},
		{"key", k.pkcs8, []error{ErrNoCertificate}, "certificate too"},
		{"OpenSSH key", pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), []error{ErrFormat}, "ssh-keygen"},
		{"certificate and OpenSSH key", append(pemCert(k.leaf),
			pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00"))...), []error{ErrFormat, ErrNoPrivateKey},
			"ssh-keygen"},
		{"SSH public key", []byte("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAB user"), []error{ErrFormat}, "SSH"},
		{"SSH2 public key", []byte("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA"), []error{ErrFormat}, "SSH"},
		{"PuTTY", []byte("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none"), []error{ErrFormat}, "PuTTY"},
		{"PGP", pemOf("PGP PRIVATE KEY BLOCK", []byte{1}), []error{ErrFormat}, "OpenPGP"},
		{"HTML", []byte("\n<!DOCTYPE html><html>"), []error{ErrFormat}, "HTML"},
		{"XML key", []byte("<RSAKeyValue><Modulus>"), []error{ErrFormat}, ".NET"},
		{"JSON", []byte(`{"id": "https://vault", "value": "MIIK"}`), []error{ErrFormat}, "az keyvault secret show"},
		{"JWK", []byte(`{"kty": "RSA", "n": "AQAB"}`), []error{ErrFormat}, "JSON Web Key"},
		{"ZIP", []byte("PK\x03\x04\x14\x00"), []error{ErrFormat}, "unpack"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), []error{ErrFormat}, "unpack"},
		{"NSS", []byte("SQLite format 3\x00\x10\x00"), []error{ErrFormat}, "pk12util"},
		{"PVK", []byte("\x1e\xf1\xb5\xb0\x00\x00\x00\x00"), []error{ErrFormat}, "PVK"},
		{"PFX read as UTF-8", bytes.ToValidUTF8(pfx, []byte("\ufffd")), []error{ErrFormat}, "binary mode"},
		{"PFX from Latin-1 to UTF-8", []byte(bytesAsRunes(string(pfx))), []error{ErrFormat}, "binary mode"},
		{"cut PFX", pfx[:len(pfx)-1], []error{ErrFormat}, "a part of it"},
		{"cut PEM", pemCert(k.leaf)[:500], []error{ErrFormat}, "no end"},
		{"cut base64", nest64(pfx, 1)[:800], []error{ErrFormat}, "a part of it"},
		{
			"PEM of nothing", []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []error{ErrFormat},
			"empty",
		},
		{"PEM of junk", pemOf("CERTIFICATE", []byte("junk")), []error{ErrFormat}, ""},
		{"BEGIN without label's end", []byte("-----BEGIN CERTIFICATE\nMIIB"), []error{ErrFormat}, "first line"},
		{"words", []byte("changeit"), []error{ErrFormat}, "neither"},
		{"a sentence", []byte("see the wiki for the certificate!"), []error{ErrFormat}, "neither"},
		{"a password in quotes", []byte(`"abc`), []error{ErrFormat}, "neither"},
		{"binary junk", []byte{1, 2, 3, 0x80, 0xff}, []error{ErrFormat}, "neither"},
		{
			"other DER", seq(number(7), number(8), number(9), tlv(0x0c, make([]byte, 200))), []error{ErrFormat},
			"neither",
		},
		{"certificate without dates", bytes.Replace(k.leaf.Raw, []byte("\x17\x0d26"), []byte("\x18\x0d26"), 1),
			[]error{ErrFormat}, "can't be read"},
		{"PkiPath", seq(k.root.Raw, k.leaf.Raw), []error{ErrFormat, ErrNoPrivateKey}, "PkiPath"},
		{"BCFKS", bcfks, []error{ErrFormat}, "BCFKS"},
		{"UBER", slices.Concat(bksHead(1), []byte{0x99, 0x41, 0x07}), []error{ErrFormat}, "UBER"},
		{"UBER of version 2", slices.Concat(bksHead(2), []byte{1, 0x41, 0x07}), []error{ErrFormat}, "UBER"},
		{"BKS with an entry", slices.Concat(bksHead(2), []byte("\x01\x00\x03key")), []error{ErrFormat}, "BKS"},
		{"empty BKS", slices.Concat(bksHead(1), []byte{0}, make([]byte, 20)), []error{ErrFormat}, "BKS"},
		{"TPM key", pemOf("TSS2 PRIVATE KEY", tpm), []error{ErrFormat}, "ext/tpm"},
		{"TPM key in DER", tpm, []error{ErrFormat}, "TPM"},
		{"certificate and TPM key", append(pemCert(k.leaf), pemOf("TSS2 PRIVATE KEY", tpm)...),
			[]error{ErrNoPrivateKey},
			"TPM"},
		{"certificate and CSR", append(pemCert(k.leaf), pemOf("CERTIFICATE REQUEST", csr)...), []error{ErrNoPrivateKey},
			"private key's file"},
		{
			"four dashes", bytes.Replace(pemCert(k.leaf), []byte("-----B"), []byte("----B"), 1), []error{ErrFormat},
			"five",
		},
		{"key with three dashes", append(pemCert(k.leaf), pemOf("PRIVATE KEY", k.pkcs8)[2:]...), []error{ErrFormat},
			`"---BEGIN PRIVATE KEY-"`},
		{"Kubernetes, YAML", []byte("apiVersion: v1\ndata:\n  tls.crt: LS0t\nkind: Secret\ntype: kubernetes.io/tls\n"),
			[]error{ErrFormat}, "kubectl get secret"},
		{"Kubernetes, JSON", []byte(`{"apiVersion": "v1",` + "\n" + ` "kind": "Secret",` + "\n" + `"data": {}}`),
			[]error{ErrFormat}, "kubectl get secret"},
		{"Kubernetes, JSON on a line", []byte(`{"apiVersion":"v1","data":{"tls.crt":"LS0t"},"kind":"Secret"}`),
			[]error{ErrFormat}, "kubectl"},
		{"Kubernetes, CRLF", []byte("kind: \"Secret\"\r\ndata:\r\n  tls.crt: LS0t\r\n"), []error{ErrFormat},
			"kubectl get secret"},
		{"Kubernetes, a list", []byte("apiVersion: v1\nitems:\n- kind: Secret\nkind: List\n"), []error{ErrFormat},
			"kubectl get secret"},
		{"Kubernetes, the data alone", []byte(`{"tls.crt":"LS0t","tls.key":"LS0t"}`), []error{ErrFormat},
			"kubectl get secret"},
		{"a SealedSecret", []byte("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n"), []error{ErrFormat},
			"only its cluster"},
		{"cert-manager's Certificate", []byte("apiVersion: cert-manager.io/v1\nkind: Certificate\n"),
			[]error{ErrFormat}, "spec.secretName"},
		{"kubeconfig", []byte("apiVersion: v1\nkind: Config\nusers:\n- user:\n    client-key-data: LS0t\n"),
			[]error{ErrFormat}, "kubectl config view --raw"},
		{"SOPS", []byte("data: ENC[AES256_GCM,data:Tr7o=,type:str]\nsops:\n"), []error{ErrFormat}, "sops decrypt"},
		{"age", []byte("age-encryption.org/v1\n-> X25519 abc\n"), []error{ErrFormat}, "age --decrypt"},
		{"age, armoured", pemOf("AGE ENCRYPTED FILE", []byte("age-encryption.org/v1\n")), []error{ErrFormat},
			"age --decrypt"},
		{"Vault's transit engine", []byte("vault:v1:8SDd3WHDOjf7mq69CyCq=="), []error{ErrFormat}, "transit/decrypt"},
		{"JWE", []byte(`{"protected":"e30","ciphertext":"eA"}`), []error{ErrFormat}, "JWE"},
		{"JWE, compact", []byte("eyJhbGciOiJkaXIifQ.a.b.c.d"), []error{ErrFormat}, "JWE"},
		{"7-Zip", []byte("7z\xbc\xaf\x27\x1c\x00\x04"), []error{ErrFormat}, "unpack"},
		{"xz", []byte("\xfd7zXZ\x00\x00"), []error{ErrFormat}, "unpack"},
		{"Zstandard", []byte("\x28\xb5\x2f\xfd\x04"), []error{ErrFormat}, "unpack"},
		{"bzip2", []byte("BZh91AY"), []error{ErrFormat}, "unpack"},
		{"openssl x509 -text -noout", []byte("Certificate:\n    Data:\n"), []error{ErrFormat}, "for people"},
		{"openssl pkey -text -noout", []byte("Private-Key: (2048 bit, 2 primes)\n"), []error{ErrFormat}, "for people"},
		{"cosign", pemOf("ENCRYPTED SIGSTORE PRIVATE KEY", []byte(`{"kdf":{}}`)), []error{ErrFormat}, "cosign"},
		{"PEM of no ASN.1", pemOf("NEBULA CERTIFICATE", []byte("\n@jane")), []error{ErrFormat}, "does not hold ASN.1"},
		{"PGP with its checksum", []byte("-----BEGIN PGP MESSAGE-----\n\nhQIMA\n=njUN\n-----END PGP MESSAGE-----\n"),
			[]error{ErrFormat}, "OpenPGP"},
		{"BKS names the provider", []byte("\x00\x00\x00\x02\x00\x00\x00\x14\x01\x02"), []error{ErrFormat},
			"-providerpath BCPROV.jar"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, opts := range []Options{{}, withPassword("sesame")} {
				_, err := Parse(tt.data, opts)
				for _, want := range tt.want {
					require.ErrorIs(t, err, want)
				}
				assert.ErrorContains(t, err, tt.text)
				assert.NotContains(t, err.Error(), "sesame")
			}
		})
	}
	// What is of no use beside a pair does no harm.
	pair := slices.Concat(pemCert(k.leaf), pemOf("PRIVATE KEY", k.pkcs8))
	for _, extra := range [][]byte{p7, csr, spki, crl} {
		requirePair(t, k, append(pemOf("X", extra), pair...), Options{})
	}
}

func TestNoKnownNameIsANumber(t *testing.T) {
	assert.Equal(t, "AES-256-GCM", algorithmName("2.16.840.1.101.3.4.1.46"))
	assert.Equal(t, "algorithm 1.2.3", algorithmName("1.2.3"))
}
