// Writes PFX files with BouncyCastle: as its keystore does, and through its
// PfxPdu builder what other programs ask of it.
//
//	java -cp bcprov.jar:bcpkix.jar:bcutil.jar Bc.java PKI OUT

import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.StringReader;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;

import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERBMPString;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v2CRLBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.crypto.ExtendedDigest;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.bc.BcDefaultDigestProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.pkcs.PKCS12MacCalculatorBuilder;
import org.bouncycastle.pkcs.PKCS12PfxPduBuilder;
import org.bouncycastle.pkcs.PKCS12SafeBag;
import org.bouncycastle.pkcs.PKCS12SafeBagBuilder;
import org.bouncycastle.pkcs.bc.BcPKCS12MacCalculatorBuilder;
import org.bouncycastle.pkcs.jcajce.JcePKCSPBEOutputEncryptorBuilder;

public class Bc {
	static Path pki, out;

	static final ASN1ObjectIdentifier DES3 = PKCSObjectIdentifiers.pbeWithSHAAnd3_KeyTripleDES_CBC;
	static final ASN1ObjectIdentifier RC2_40 = PKCSObjectIdentifiers.pbeWithSHAAnd40BitRC2_CBC;
	static final ASN1ObjectIdentifier RC2_128 = PKCSObjectIdentifiers.pbeWithSHAAnd128BitRC2_CBC;
	static final ASN1ObjectIdentifier AES128 = NISTObjectIdentifiers.id_aes128_CBC;
	static final ASN1ObjectIdentifier AES192 = NISTObjectIdentifiers.id_aes192_CBC;
	static final ASN1ObjectIdentifier AES256 = NISTObjectIdentifiers.id_aes256_CBC;
	static final ASN1ObjectIdentifier SHA1 = new ASN1ObjectIdentifier("1.3.14.3.2.26");
	static final ASN1ObjectIdentifier SHA256 = NISTObjectIdentifiers.id_sha256;

	static Object read(String file) throws Exception {
		String text = new String(Files.readAllBytes(pki.resolve(file)), StandardCharsets.UTF_8);
		try (PEMParser parser = new PEMParser(new StringReader(text))) {
			return parser.readObject();
		}
	}

	static X509CertificateHolder crt(String name) throws Exception {
		return (X509CertificateHolder) read(name + ".crt.pem");
	}

	static X509Certificate jca(String name) throws Exception {
		return new JcaX509CertificateConverter().setProvider("BC").getCertificate(crt(name));
	}

	static PrivateKeyInfo key(String name) throws Exception {
		return (PrivateKeyInfo) read(name + ".key.pem");
	}

	static PrivateKey jcaKey(String name) throws Exception {
		return new JcaPEMKeyConverter().setProvider("BC").getPrivateKey(key(name));
	}

	static void write(String name, byte[] data) throws Exception {
		Files.write(out.resolve(name), data);
	}

	// store writes a pair with the keystore of the given type.
	static void store(String name, String type, String key, char[] password, String... chain) throws Exception {
		KeyStore store = KeyStore.getInstance(type, "BC");
		store.load(null, null);
		List<Certificate> certs = new ArrayList<>();
		for (String c : chain) {
			certs.add(jca(c));
		}
		store.setKeyEntry("my app", jcaKey(key), null, certs.toArray(new Certificate[0]));
		try (OutputStream file = new FileOutputStream(out.resolve(name + ".p12").toFile())) {
			store.store(file, password);
		}
	}

	static OutputEncryptor enc(ASN1ObjectIdentifier cipher, ASN1ObjectIdentifier prf, int rounds, char[] password) throws Exception {
		JcePKCSPBEOutputEncryptorBuilder b = new JcePKCSPBEOutputEncryptorBuilder(cipher).setProvider("BC").setIterationCount(rounds);
		if (prf != null) {
			b.setPRF(new AlgorithmIdentifier(prf, DERNull.INSTANCE));
		}
		return b.build(password);
	}

	static PKCS12SafeBag keyBag(String name, OutputEncryptor enc, String id) throws Exception {
		PKCS12SafeBagBuilder b = enc == null ? new PKCS12SafeBagBuilder(key(name)) : new PKCS12SafeBagBuilder(key(name), enc);
		if (id != null) {
			b.addBagAttribute(PKCS12SafeBag.localKeyIdAttribute, new DEROctetString(id.getBytes()));
		}
		b.addBagAttribute(PKCS12SafeBag.friendlyNameAttribute, new DERBMPString(name));
		return b.build();
	}

	static PKCS12SafeBag certBag(String name, String id) throws Exception {
		PKCS12SafeBagBuilder b = new PKCS12SafeBagBuilder(crt(name));
		if (id != null) {
			b.addBagAttribute(PKCS12SafeBag.localKeyIdAttribute, new DEROctetString(id.getBytes()));
		}
		return b.build();
	}

	static PKCS12SafeBag[] certBags(String... names) throws Exception {
		PKCS12SafeBag[] bags = new PKCS12SafeBag[names.length];
		for (int i = 0; i < names.length; i++) {
			bags[i] = certBag(names[i], null);
		}
		return bags;
	}

	static void finish(String name, PKCS12PfxPduBuilder b, ASN1ObjectIdentifier mac, int rounds, char[] password, String encoding) throws Exception {
		PKCS12MacCalculatorBuilder m = null;
		if (mac != null) {
			m = new BcPKCS12MacCalculatorBuilder((ExtendedDigest) BcDefaultDigestProvider.INSTANCE.get(
				new AlgorithmIdentifier(mac)), new AlgorithmIdentifier(mac, DERNull.INSTANCE)).setIterationCount(rounds);
		}
		write(name + ".p12", b.build(m, password).getEncoded(encoding));
	}

	// pair writes certificates encrypted with one cipher, then the key with another.
	static void pair(String name, String key, ASN1ObjectIdentifier keyCipher, ASN1ObjectIdentifier certCipher, ASN1ObjectIdentifier prf,
			ASN1ObjectIdentifier mac, int rounds, String password, String... certs) throws Exception {
		char[] p = password.toCharArray();
		PKCS12PfxPduBuilder b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(certCipher, prf, rounds, p), certBags(certs));
		b.addData(keyBag(key, enc(keyCipher, prf, rounds, p), null));
		finish(name, b, mac, rounds, p, ASN1Encoding.DER);
	}

	public static void main(String[] args) throws Exception {
		pki = Path.of(args[0]);
		out = Path.of(args[1]);
		Security.addProvider(new BouncyCastleProvider());
		char[] secret = "secret".toCharArray();
		String[] chain = {"leaf", "inter2", "inter1", "root"};

		store("bc-default", "PKCS12", "leaf", secret, chain);
		store("bc-self", "PKCS12", "self", secret, "self");
		store("bc-def", "PKCS12-DEF", "leaf", secret, chain);
		store("bc-3des", "PKCS12-3DES-3DES", "leaf", secret, chain);
		store("bc-umlaut", "PKCS12", "self", "Grüße, Zoë".toCharArray(), "self");
		store("bc-emoji", "PKCS12", "self", "🔑 clef 🗝 𝄞".toCharArray(), "self");
		store("bc-empty", "PKCS12", "self", new char[0], "self");

		KeyStore two = KeyStore.getInstance("PKCS12", "BC");
		two.load(null, null);
		two.setKeyEntry("first", jcaKey("self"), null, new Certificate[] {jca("self")});
		two.setKeyEntry("second", jcaKey("leaf2"), null, new Certificate[] {jca("leaf2"), jca("inter2"), jca("inter1")});
		two.setCertificateEntry("root", jca("root"));
		try (OutputStream file = new FileOutputStream(out.resolve("bc-two.p12").toFile())) {
			two.store(file, secret);
		}

		ASN1ObjectIdentifier h1 = PKCSObjectIdentifiers.id_hmacWithSHA1, h224 = PKCSObjectIdentifiers.id_hmacWithSHA224,
			h256 = PKCSObjectIdentifiers.id_hmacWithSHA256, h384 = PKCSObjectIdentifiers.id_hmacWithSHA384,
			h512 = PKCSObjectIdentifiers.id_hmacWithSHA512;
		pair("bc-aes256", "self", AES256, AES256, h256, SHA256, 2048, "secret", "self");
		pair("bc-aes128-prf1", "self", AES128, AES128, h1, SHA1, 1024, "secret", "self");
		pair("bc-aes192-prf224", "self", AES192, AES192, h224, SHA256, 1024, "secret", "self");
		pair("bc-prf384", "leaf", AES256, AES256, h384, NISTObjectIdentifiers.id_sha384, 1024, "secret", "root", "inter1", "inter2", "leaf");
		pair("bc-prf512", "self", AES256, AES256, h512, NISTObjectIdentifiers.id_sha512, 1024, "secret", "self");
		pair("bc-prf512-umlaut", "self", AES256, AES256, h512, NISTObjectIdentifiers.id_sha512, 1024, "Грибоєдов 🔑", "self");
		pair("bc-mac224", "self", DES3, RC2_128, null, NISTObjectIdentifiers.id_sha224, 1024, "secret", "self");
		pair("bc-rc2-128", "self", RC2_128, RC2_128, null, SHA1, 1024, "secret", "self");
		pair("bc-mismatch", "self", DES3, RC2_40, null, SHA1, 1024, "secret", "self2", "leaf", "inter2");

		// The whole in BER, constructed octet strings included.
		PKCS12PfxPduBuilder b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES256, h256, 2048, secret), certBags(chain));
		b.addData(keyBag("leaf", enc(AES256, h256, 2048, secret), null));
		finish("bc-ber-aes256", b, SHA256, 2048, secret, ASN1Encoding.BER);

		// Three safes: key, leaf, and the rest.
		b = new PKCS12PfxPduBuilder();
		b.addData(keyBag("leaf", enc(DES3, null, 1024, secret), "1"));
		b.addEncryptedData(enc(RC2_40, null, 1024, secret), certBags("inter1", "root"));
		b.addEncryptedData(enc(AES128, h256, 1024, secret), new PKCS12SafeBag[] {certBag("inter2", null), certBag("leaf", "1")});
		finish("bc-three-safes", b, SHA256, 1024, secret, ASN1Encoding.DER);

		// Everything in one encrypted safe, the key bag itself encrypted too.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES256, h256, 1024, secret), new PKCS12SafeBag[] {
			certBag("self", null), keyBag("self", enc(AES256, h256, 1024, secret), null)});
		finish("bc-one-safe", b, SHA256, 1024, secret, ASN1Encoding.DER);

		// The key bag plain inside an encrypted safe.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES256, h256, 1024, secret), new PKCS12SafeBag[] {keyBag("self", null, null), certBag("self", null)});
		finish("bc-keybag-in-safe", b, SHA256, 1024, secret, ASN1Encoding.DER);

		// localKeyID of another certificate; of none.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(RC2_40, null, 1024, secret), new PKCS12SafeBag[] {
			certBag("inter2", "leaf"), certBag("self2", "leaf"), certBag("leaf", "other"), certBag("root", null), certBag("inter1", null)});
		b.addData(keyBag("leaf", enc(DES3, null, 1024, secret), "leaf"));
		finish("bc-wrong-localkeyid", b, SHA1, 1024, secret, ASN1Encoding.DER);

		// A revocation list among the certificates.
		X509v2CRLBuilder crl = new X509v2CRLBuilder(crt("root").getSubject(), new Date(1577836800000L));
		crl.setNextUpdate(new Date(4733510400000L));
		crl.addCRLEntry(BigInteger.valueOf(99), new Date(1577836800000L), 1);
		X509CRLHolder list = crl.build(new JcaContentSignerBuilder("SHA256withRSA").setProvider("BC").build(jcaKey("root")));
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(RC2_40, null, 1024, secret), new PKCS12SafeBag[] {
			new PKCS12SafeBagBuilder(list).build(), certBag("leaf", null), certBag("inter2", null), certBag("inter1", null), certBag("root", null)});
		b.addData(keyBag("leaf", enc(DES3, null, 1024, secret), null));
		finish("bc-crl", b, SHA1, 1024, secret, ASN1Encoding.DER);

		// Three pairs of three keys, without localKeyID.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES128, h256, 1024, secret), certBags("self", "self2", "self3072"));
		b.addData(keyBag("self3072", enc(AES128, h256, 1024, secret), null));
		b.addData(keyBag("self2", enc(AES128, h256, 1024, secret), null));
		b.addData(keyBag("self", enc(AES128, h256, 1024, secret), null));
		finish("bc-three-pairs", b, SHA256, 1024, secret, ASN1Encoding.DER);

		// Two keys, a certificate for one of them only.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES128, h256, 1024, secret), certBags("self"));
		b.addData(keyBag("self2", enc(AES128, h256, 1024, secret), null));
		b.addData(keyBag("self", enc(AES128, h256, 1024, secret), null));
		finish("bc-spare-key", b, SHA256, 1024, secret, ASN1Encoding.DER);

		// The same key twice.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES128, h256, 1024, secret), certBags("self"));
		b.addData(keyBag("self", enc(AES128, h256, 1024, secret), null));
		b.addData(keyBag("self", enc(DES3, null, 1024, secret), null));
		finish("bc-key-twice", b, SHA256, 1024, secret, ASN1Encoding.DER);

		// Nothing in it.
		finish("bc-empty-safe", new PKCS12PfxPduBuilder(), SHA256, 1024, secret, ASN1Encoding.DER);
		// Only a CA's certificates.
		b = new PKCS12PfxPduBuilder();
		b.addEncryptedData(enc(AES256, h256, 1024, secret), certBags("inter1", "root"));
		b.addData(keyBag("leaf", enc(AES256, h256, 1024, secret), null));
		finish("bc-chainonly", b, SHA256, 1024, secret, ASN1Encoding.DER);
	}
}
