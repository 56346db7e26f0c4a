# Keystores written by the JDK's keytool. The pair comes in through
# -importkeystore from a file of openssl's; what goes out is keytool's own.

tool="keytool $(java -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p')"

# store NAME SOURCE PASSWORD ARGS… copies the only entry of a PFX file (alias 1
# or its name) to NAME.p12.
store() {
	local name=$1 source=$2 pass=$3
	shift 3
	quiet keytool -importkeystore -noprompt -srckeystore "$source" -srcstoretype PKCS12 -srcstorepass secret \
		-destkeystore "$name.p12" -deststoretype PKCS12 -deststorepass "$pass" -J-Dfile.encoding=UTF-8 -J-Dsun.jnu.encoding=UTF-8 "$@"
}
jdk() { echo "-J-Dkeystore.pkcs12.$1=$2"; }

class=everyday
store keytool-default openssl-names.pfx changeit
ok keytool-default "PBES2 AES-256" "defaults of JDK 17, with the chain" leaf $full password=changeit
store keytool-self openssl-name.pfx changeit
ok keytool-self "PBES2 AES-256" "defaults of JDK 17, self-signed" self - password=changeit
store keytool-legacy openssl-names.pfx changeit -J-Dkeystore.pkcs12.legacy
ok keytool-legacy "PBES1 3DES + RC2-40" "what JDK 8 writes, with the chain" leaf $full password=changeit
store keytool-legacy-self openssl-name.pfx changeit -J-Dkeystore.pkcs12.legacy
ok keytool-legacy-self "PBES1 3DES + RC2-40" "what JDK 8 writes, self-signed" self - password=changeit
store keytool-ca openssl-names.pfx changeit
quiet keytool -importcert -noprompt -alias extra -file "$(crt other)" -keystore keytool-ca.p12 -storepass changeit
ok keytool-ca "PBES2 AES-256" "a trusted certificate beside the pair" leaf $full password=changeit
base64 -w 0 keytool-self.p12 >keytool-base64.txt
ok keytool-base64 "base64" "a Java keystore in one line of base64" self - password=changeit

class=rare
for v in SHA1AndAES_128:"PBES2 AES-128":"PRF SHA-1" SHA224AndAES_256:"PBES2 AES-256":"PRF SHA-224" \
	SHA384AndAES_256:"PBES2 AES-256":"PRF SHA-384" SHA512AndAES_128:"PBES2 AES-128":"PRF SHA-512"; do
	IFS=: read -r a format what <<<"$v"
	n=keytool-$(tr '[:upper:]_' '[:lower:]-' <<<"${a/And/-}")
	store "$n" openssl-name.pfx changeit "$(jdk keyProtectionAlgorithm "PBEWithHmac$a")" "$(jdk certProtectionAlgorithm "PBEWithHmac$a")"
	ok "$n" "$format" "$what" self - password=changeit
done
for m in 224 384 512; do
	store "keytool-mac$m" openssl-name.pfx changeit "$(jdk macAlgorithm "HmacPBESHA$m")"
	ok "keytool-mac$m" "MAC SHA-$m" "SHA-$m MAC" self - password=changeit
done
store keytool-nomac openssl-names.pfx changeit "$(jdk macAlgorithm NONE)" "$(jdk certProtectionAlgorithm NONE)"
# Without a MAC keytool leaves the key under the password that it had.
ok keytool-nomac "no MAC" "no MAC, certificates not encrypted" leaf $full password=secret
store keytool-rc2-128 openssl-name.pfx changeit "$(jdk keyProtectionAlgorithm PBEWithSHA1AndRC2_128)" "$(jdk certProtectionAlgorithm PBEWithSHA1AndRC2_128)" "$(jdk macAlgorithm HmacPBESHA1)"
ok keytool-rc2-128 "PBES1 RC2-128" "RC2-128" self - password=changeit
store keytool-iterations openssl-name.pfx changeit "$(jdk keyPbeIterationCount 123457)" "$(jdk certPbeIterationCount 1)" "$(jdk macIterationCount 99999)"
ok keytool-iterations "PBES2 AES-256" "three different counts of rounds" self - password=changeit
cp keytool-self.p12 keytool-secret.p12
quiet keytool -genseckey -alias secretkey -keyalg AES -keysize 256 -keystore keytool-secret.p12 -storepass changeit
ok keytool-secret "extra bags" "a secret key beside the pair" self - password=changeit
cp keytool-default.p12 keytool-two.p12
quiet keytool -importkeystore -noprompt -srckeystore openssl-name.pfx -srcstoretype PKCS12 -srcstorepass secret -destkeystore keytool-two.p12 -deststorepass changeit
bad keytool-two "several pairs" "two pairs, none selected" ErrSeveralKeys "@sha1:self" password=changeit
ok keytool-two-first "several pairs" "two pairs, one by SHA-1 thumbprint as Windows shows it" leaf $full file=keytool-two.p12 password=changeit thumb=sha1:leaf
ok keytool-two-second "several pairs" "two pairs, the other by thumbprint with colons" self - file=keytool-two.p12 password=changeit thumb=sha1colons:self
ok keytool-two-256 "several pairs" "two pairs, one by SHA-256 thumbprint" leaf $full file=keytool-two.p12 password=changeit thumb=sha256lower:leaf
ok keytool-two-x5t "several pairs" "two pairs, one by x5t#S256" self - file=keytool-two.p12 password=changeit thumb=sha256b64:self
bad keytool-two-neither "several pairs" "two pairs, a thumbprint of neither" ErrNoCertificate "" file=keytool-two.p12 password=changeit thumb=sha1:leaf2
bad keytool-two-ca "several pairs" "the thumbprint of a CA, whose key isn't there" ErrNoPrivateKey "" file=keytool-two.p12 password=changeit thumb=sha1:root
cp keytool-self.p12 keytool-rsa-ec.p12
quiet openssl pkcs12 -export -inkey "$(key ec)" -in "$(crt ec)" -passout pass:secret -out "$work/ec.pfx"
quiet keytool -importkeystore -noprompt -srckeystore "$work/ec.pfx" -srcstoretype PKCS12 -srcstorepass secret -srcalias 1 -destalias ec -destkeystore keytool-rsa-ec.p12 -deststorepass changeit
ok keytool-rsa-ec "several pairs" "an EC pair beside the RSA pair, which is selected" self - password=changeit thumb=sha1:self
ok keytool-rsa-ec-ec "several pairs" "an EC pair beside the RSA pair, and selected" ec - file=keytool-rsa-ec.p12 password=changeit thumb=sha1:ec
bad keytool-rsa-ec-none "several pairs" "an EC pair beside the RSA pair, none selected" ErrSeveralKeys "(EC P-256, thumbprint" file=keytool-rsa-ec.p12 password=changeit

class=everyday
bad keytool-wrong "PBES2 AES-256" "wrong password" ErrWrongPassword "" file=keytool-default.p12 password=changeme
bad keytool-missing "PBES2 AES-256" "password missing" ErrPasswordRequired "" file=keytool-default.p12
quiet keytool -importkeystore -noprompt -srckeystore openssl-name.pfx -srcstoretype PKCS12 -srcstorepass secret \
	-destkeystore keytool-jks.jks -deststoretype JKS -deststorepass changeit
bad keytool-jks "Java keystore" "a JKS keystore" ErrFormat "JKS" password=changeit
bad keytool-jks-none "Java keystore" "a JKS keystore, no password" ErrFormat "JKS" file=keytool-jks.jks
quiet keytool -importcert -noprompt -alias root -file "$(crt root)" -keystore keytool-trust.p12 -storetype PKCS12 -storepass changeit
bad keytool-trust "no key" "a truststore" ErrNoPrivateKey "" password=changeit
class=rare
quiet keytool -importkeystore -noprompt -srckeystore openssl-name.pfx -srcstoretype PKCS12 -srcstorepass secret \
	-destkeystore keytool-jceks.jceks -deststoretype JCEKS -deststorepass changeit
bad keytool-jceks "Java keystore" "a JCEKS keystore" ErrFormat "JCEKS" password=changeit
base64 -w 0 keytool-jks.jks >keytool-jks-base64.b64
bad keytool-jks-base64 "Java keystore" "a JKS keystore in base64" ErrFormat "JKS" password=changeit
quiet keytool -certreq -alias "my app, production" -file keytool-csr.csr -keystore keytool-self.p12 -storepass changeit
bad keytool-csr "certificate request" "a request with keytool's NEW CERTIFICATE REQUEST label" ErrFormat "request"
bad keytool-nomac-wrong "no MAC" "wrong password, no MAC, certificates not encrypted" ErrWrongPassword "" file=keytool-nomac.p12 password=changeme
bad keytool-legacy-wrong "PBES1 3DES + RC2-40" "wrong password" ErrWrongPassword "" file=keytool-legacy.p12 password=changeme
