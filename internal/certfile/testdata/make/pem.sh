# PEM and DER files: those of openssl, ssh-keygen, certtool, botan and keytool,
# and what editors, mailers and PowerShell make of them.

tool="openssl $(openssl version | cut -d' ' -f2)"

class=everyday
cat "$(crt self)" "$(key self)" >pem-self.pem
ok pem-self "PKCS #8" "certificate, then key" self -
cat "$(key self)" "$(crt self)" >pem-key-first.pem
ok pem-key-first "PKCS #8" "key, then certificate" self -
{ crts leaf inter2 inter1 root; cat "$(key leaf)"; } >pem-chain.pem
ok pem-chain "PKCS #8" "chain, then key" leaf $full
{ cat "$(key leaf)"; crts root inter1 inter2 leaf; } >pem-chain-reversed.pem
ok pem-chain-reversed "PKCS #8" "key, then the chain from the root down" leaf $full
ok pem-needless-password "PKCS #8" "a password given for a file without any" self - file=pem-self.pem password=needless
openssl rsa -in "$(key self)" -traditional 2>/dev/null >"$work/self.pkcs1"
cat "$(crt self)" "$work/self.pkcs1" >pem-pkcs1.pem
ok pem-pkcs1 "PKCS #1" "certificate, then key" self -
cp "$(crt self)" pem-two-crt.pem
cp "$(key self)" pem-two-key.pem
ok pem-two "PKCS #8" "two files" self - file=pem-two-crt.pem keyfile=pem-two-key.pem
crts leaf inter2 inter1 >pem-fullchain.pem
cp "$(key leaf)" pem-privkey.pem
ok pem-fullchain "PKCS #8" "fullchain.pem and privkey.pem, as ACME clients keep them" leaf inter2,inter1 file=pem-fullchain.pem keyfile=pem-privkey.pem
cp "$work/self.pkcs1" pem-two-pkcs1-key.pem
ok pem-two-pkcs1 "PKCS #1" "two files" self - file=pem-two-crt.pem keyfile=pem-two-pkcs1-key.pem

# p8 NAME KEY ARGS… writes an encrypted key to a file of its own.
p8() {
	local name=$1 k=$2
	shift 2
	quiet openssl pkcs8 -topk8 -in "$(key "$k")" -passout pass:secret -out "$work/$name" "$@"
}
# p8pair NAME ARGS… writes self's certificate and its encrypted key.
p8pair() {
	local name=$1
	shift
	p8 "$name" self "$@"
	cat "$(crt self)" "$work/$name" >"$name.pem"
}
p8pair pem-encrypted
ok pem-encrypted "PKCS #8, PBES2 AES-256" "openssl pkcs8's default" self - password=secret
p8 pem-encrypted-key.pem leaf
cp "$work/pem-encrypted-key.pem" .
ok pem-encrypted-two "PKCS #8, PBES2 AES-256" "two files, the key encrypted" leaf inter2,inter1 file=pem-fullchain.pem keyfile=pem-encrypted-key.pem password=secret
bad pem-encrypted-missing "PKCS #8, PBES2 AES-256" "password missing" ErrPasswordRequired "" file=pem-encrypted.pem
bad pem-encrypted-wrong "PKCS #8, PBES2 AES-256" "wrong password" ErrWrongPassword "" file=pem-encrypted.pem password=Secret
quiet openssl pkcs12 -in openssl-names.pfx -passin pass:secret -nodes -out pem-bag.pem
ok pem-bag "Bag Attributes" "openssl pkcs12 -nodes: chain, then key, with their attributes" leaf $full
quiet openssl pkcs12 -in openssl-names.pfx -passin pass:secret -passout pass:secret -out pem-bag-encrypted.pem
ok pem-bag-encrypted "Bag Attributes" "openssl pkcs12: the key encrypted" leaf $full password=secret
quiet openssl pkcs12 -in openssl-csp.pfx -legacy -passin pass:secret -nodes -out pem-bag-csp.pem
ok pem-bag-csp "Bag Attributes" "openssl pkcs12 -nodes of Microsoft's attributes, Key Attributes too" self -
quiet openssl rsa -in "$(key self)" -aes256 -traditional -passout pass:secret -out "$work/trad"
cat "$(crt self)" "$work/trad" >pem-traditional.pem
ok pem-traditional "traditional, AES-256-CBC" "Proc-Type and DEK-Info" self - password=secret
quiet openssl rsa -in "$(key self)" -des3 -traditional -passout pass:secret -out "$work/trad"
cat "$work/trad" "$(crt self)" >pem-traditional-3des.pem
ok pem-traditional-3des "traditional, DES-EDE3-CBC" "as openssl genrsa -des3 wrote it for decades" self - password=secret
bad pem-traditional-missing "traditional, AES-256-CBC" "password missing" ErrPasswordRequired "" file=pem-traditional.pem
bad pem-traditional-wrong "traditional, DES-EDE3-CBC" "wrong password" ErrWrongPassword "" file=pem-traditional-3des.pem password=Secret
sed 's/$/\r/' pem-chain.pem >pem-crlf.pem
ok pem-crlf "text" "CRLF" leaf $full
{ printf '\xef\xbb\xbf'; cat pem-chain.pem; } >pem-bom.pem
ok pem-bom "text" "UTF-8 BOM, the leaf right behind it" leaf $full
{ printf '\xef\xbb\xbf'; sed 's/$/\r/' pem-key-first.pem; } >pem-bom-crlf.pem
ok pem-bom-crlf "text" "UTF-8 BOM and CRLF, the key right behind" self -
{ printf '\xff\xfe'; sed 's/$/\r/' pem-chain.pem | iconv -t UTF-16LE; } >pem-utf16le.pem
ok pem-utf16le "text" "UTF-16 LE with BOM, as PowerShell's Out-File writes it" leaf $full
{ printf '\xfe\xff'; iconv -t UTF-16BE <pem-self.pem; } >pem-utf16be.pem
ok pem-utf16be "text" "UTF-16 BE with BOM" self -
printf '%s' "$(cat pem-self.pem)" >pem-nonewline.pem
ok pem-nonewline "text" "no newline at the end" self -
{ openssl x509 -in "$(crt self)" -text; openssl pkey -in "$(key self)" -text; } >pem-text.pem
ok pem-text "text" "openssl's -text before each block" self -
base64 -w 0 pem-chain.pem >pem-base64.pem
ok pem-base64 "base64" "the PEM file in base64, as CI's secret stores want it" leaf $full
tool="certtool $(certtool --version | sed -n '1s/.* //p')"
certtool --to-p8 --load-privkey "$(key self)" --password secret 2>/dev/null >"$work/p8" || true
cat "$(crt self)" "$work/p8" >pem-certtool.pem
ok pem-certtool "PKCS #8, PBES2 AES-256" "certtool's default" self - password=secret slow=yes
tool="ssh-keygen $(ssh -V 2>&1 | sed 's/^OpenSSH_//; s/ .*//')"
cp "$(key self)" "$work/ssh"
chmod 600 "$work/ssh"
quiet ssh-keygen -p -f "$work/ssh" -m PKCS8 -P "" -N secret
cat "$(crt self)" "$work/ssh" >pem-ssh-pkcs8.pem
ok pem-ssh-pkcs8 "PKCS #8, PBES2 AES-256" "ssh-keygen -m PKCS8" self - password=secret
quiet ssh-keygen -p -f "$work/ssh" -m PEM -P secret -N secret
cat "$(crt self)" "$work/ssh" >pem-ssh-pem.pem
ok pem-ssh-pem "traditional, AES-128-CBC" "ssh-keygen -m PEM" self - password=secret

class=rare
tool="botan $(botan version)"
quiet botan pkcs8 --pbe-millis=20 --pass-out=secret --pbe= --output="$work/botan" "$(key self)"
cat "$(crt self)" "$work/botan" >pem-botan.pem
ok pem-botan "PKCS #8, PBES2 AES-256" "botan's default" self - password=secret
quiet botan pkcs8 --pbe-millis=20 --pass-out=secret --pbe="PBE-PKCS5v20(AES-256/CBC,SHA-512)" --output="$work/botan" "$(key self)"
cat "$(crt self)" "$work/botan" >pem-botan-512.pem
ok pem-botan-512 "PKCS #8, PBES2 AES-256" "PRF SHA-512" self - password=secret
quiet botan pkcs8 --pbe-millis=20 --pass-out=secret --pbe="PBES2(AES-256/CBC,Scrypt)" --output="$work/botan" "$(key self)"
cat "$(crt self)" "$work/botan" >pem-botan-scrypt.pem
ok pem-botan-scrypt "PKCS #8, scrypt" "botan's scrypt" self - password=secret
quiet botan pkcs8 --pbe-millis=20 --pass-out=secret --pbe="PBES2(AES-256/GCM,SHA-256)" --output="$work/botan" "$(key self)"
cat "$(crt self)" "$work/botan" >pem-botan-gcm.pem
bad pem-botan-gcm "unsupported cipher" "AES-256-GCM" ErrUnsupported "GCM" password=secret
tool="certtool $(certtool --version | sed -n '1s/.* //p')"
for c in aes-128:"PBES2 AES-128" aes-192:"PBES2 AES-192" 3des:"PBES2 3DES" 3des-pkcs12:"PBES1" rc2-40:"PBES1"; do
	certtool --to-p8 --load-privkey "$(key self)" --password secret --pkcs-cipher "${c%%:*}" 2>/dev/null >"$work/p8" || true
	cat "$(crt self)" "$work/p8" >"pem-certtool-${c%%:*}.pem"
	ok "pem-certtool-${c%%:*}" "PKCS #8, ${c#*:}" "certtool's ${c%%:*}" self - password=secret slow=yes
done
certtool --to-p8 --load-privkey "$(key self)" --password secret --pkcs-cipher arcfour 2>/dev/null >"$work/p8" || true
cat "$(crt self)" "$work/p8" >pem-certtool-arcfour.pem
ok pem-certtool-arcfour "PKCS #8, PBES1" "certtool's arcfour" self - password=secret

tool="openssl $(openssl version | cut -d' ' -f2)"
p8pair pem-scrypt -scrypt
ok pem-scrypt "PKCS #8, scrypt" "openssl pkcs8 -scrypt" self - password=secret
p8pair pem-scrypt-small -scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 16
ok pem-scrypt-small "PKCS #8, scrypt" "N 1024, r 8, p 16" self - password=secret
bad pem-scrypt-wrong "PKCS #8, scrypt" "wrong password" ErrWrongPassword "" file=pem-scrypt.pem password=Secret
for prf in SHA1 SHA224 SHA384 SHA512; do
	n=pem-prf${prf#SHA}
	p8pair "$n" -v2 aes-256-cbc -v2prf "hmacWith$prf"
	ok "$n" "PKCS #8, PBES2 AES-256" "PRF SHA-${prf#SHA}" self - password=secret
done
p8pair pem-aes128 -v2 aes-128-cbc
ok pem-aes128 "PKCS #8, PBES2 AES-128" "AES-128" self - password=secret
p8pair pem-aes192 -v2 aes-192-cbc
ok pem-aes192 "PKCS #8, PBES2 AES-192" "AES-192" self - password=secret
p8pair pem-des3 -v2 des3 -v2prf hmacWithSHA1
ok pem-des3 "PKCS #8, PBES2 3DES" "3DES, PRF SHA-1: openssl 1.0's -v2 des3" self - password=secret
p8pair pem-des -v2 des-cbc "${legacy[@]}"
ok pem-des "PKCS #8, PBES2 DES" "DES" self - password=secret
p8pair pem-rc2 -v2 rc2-cbc "${legacy[@]}"
ok pem-rc2 "PKCS #8, PBES2 RC2" "RC2-128" self - password=secret
p8pair pem-rc2-40 -v2 rc2-40-cbc "${legacy[@]}"
ok pem-rc2-40 "PKCS #8, PBES2 RC2" "RC2-40" self - password=secret
p8pair pem-prf512-256 -v2 aes-256-cbc -v2prf hmacWithSHA512-256
ok pem-prf512-256 "PKCS #8, PBES2 AES-256" "PRF SHA-512/256" self - password=secret
p8pair pem-iter1 -iter 1
ok pem-iter1 "PKCS #8, PBES2 AES-256" "one round" self - password=secret
p8pair pem-iter1m -iter 1000000
ok pem-iter1m "PKCS #8, PBES2 AES-256" "a million rounds" self - password=secret slow=yes
for a in PBE-MD5-DES PBE-SHA1-DES PBE-MD5-RC2-64 PBE-SHA1-RC2-64 PBE-SHA1-3DES PBE-SHA1-2DES PBE-SHA1-RC2-128 PBE-SHA1-RC2-40; do
	n=pem-$(tr '[:upper:]' '[:lower:]' <<<"$a")
	p8pair "$n" -v1 "$a" "${legacy[@]}"
	ok "$n" "PKCS #8, PBES1" "$a" self - password=secret
done
bad pem-pbe-md5-des-wrong "PKCS #8, PBES1" "wrong password" ErrWrongPassword "" file=pem-pbe-md5-des.pem password=Secret
p8pair pem-pbe-sha1-rc4 -v1 PBE-SHA1-RC4-128 "${legacy[@]}"
ok pem-pbe-sha1-rc4 "PKCS #8, PBES1" "PBE-SHA1-RC4-128" self - password=secret
quiet openssl pkcs8 -topk8 -in "$(key self)" -passout "pass:Grüße, Zoë 🔑" -out "$work/p8"
cat "$(crt self)" "$work/p8" >pem-umlaut.pem
ok pem-umlaut "PKCS #8, PBES2 AES-256" "non-ASCII password" self - "password=Grüße, Zoë 🔑"
quiet openssl pkcs8 -topk8 -in "$(key self)" -passout "pass:Grüße, Zoë" -v1 PBE-SHA1-3DES -out "$work/p8"
cat "$(crt self)" "$work/p8" >pem-umlaut-3des.pem
ok pem-umlaut-3des "PKCS #8, PBES1" "non-ASCII password, KDF of PKCS #12" self - "password=Grüße, Zoë"
for a in aes128:AES-128-CBC aes192:AES-192-CBC; do
	quiet openssl rsa -in "$(key self)" "-${a%:*}" -traditional -passout pass:secret -out "$work/trad"
	cat "$(crt self)" "$work/trad" >"pem-traditional-${a%:*}.pem"
	ok "pem-traditional-${a%:*}" "traditional, ${a#*:}" "Proc-Type and DEK-Info" self - password=secret
done
quiet openssl rsa -in "$(key self)" -des -traditional -passout pass:secret -out "$work/trad" "${legacy[@]}"
cat "$(crt self)" "$work/trad" >pem-traditional-des.pem
ok pem-traditional-des "traditional, DES-CBC" "Proc-Type and DEK-Info" self - password=secret
sed 's/$/\r/' pem-traditional.pem >pem-traditional-crlf.pem
ok pem-traditional-crlf "traditional, AES-256-CBC" "CRLF" self - password=secret
quiet openssl rsa -in "$(key self)" -camellia256 -traditional -passout pass:secret -out "$work/trad"
cat "$(crt self)" "$work/trad" >pem-traditional-camellia.pem
bad pem-traditional-camellia "unsupported cipher" "CAMELLIA-256-CBC" ErrUnsupported "CAMELLIA" password=secret
quiet openssl x509 -in "$(crt self)" -trustout -addtrust clientAuth -setalias "My app" -out "$work/trusted"
cat "$work/trusted" "$(key self)" >pem-trusted.pem
ok pem-trusted "labels" "TRUSTED CERTIFICATE with its trailing trust settings" self -
sed 's/ CERTIFICATE-/ X509 CERTIFICATE-/' pem-self.pem >pem-x509-label.pem
ok pem-x509-label "labels" "X509 CERTIFICATE" self -
sed 's/ PRIVATE KEY-/ RSA PRIVATE KEY-/' pem-self.pem >pem-label-rsa.pem
ok pem-label-rsa "labels" "PKCS #8 labelled RSA PRIVATE KEY" self -
sed 's/ RSA PRIVATE KEY-/ PRIVATE KEY-/' pem-pkcs1.pem >pem-label-pkcs8.pem
ok pem-label-pkcs8 "labels" "PKCS #1 labelled PRIVATE KEY" self -
sed 's/ ENCRYPTED PRIVATE KEY-/ PRIVATE KEY-/' pem-encrypted.pem >pem-label-encrypted.pem
ok pem-label-encrypted "labels" "encrypted PKCS #8 labelled PRIVATE KEY" self - password=secret
sed 's/^/    /' pem-chain.pem >pem-indented.pem
ok pem-indented "text" "indented, as cut out of YAML" leaf $full
sed 's/^/\t/; s/$/  /' pem-key-first.pem >pem-tabs.pem
ok pem-tabs "text" "tabs before and spaces after each line" self -
{ printf '\n\n\n'; sed 's/^-----END.*/&\n\n/' pem-chain.pem; printf '\n\n'; } >pem-blank.pem
ok pem-blank "text" "blank lines around blocks" leaf $full
{ printf 'Dear Zoë,\n\nhere are our certificate and key -- keep them safe.\n\n'; cat pem-self.pem; printf '\nRegards\n-----\nOperations\n'; } >pem-mail.pem
ok pem-mail "text" "a letter around it" self -
iconv -t UTF-16LE <pem-self.pem >pem-utf16le-nobom.pem
ok pem-utf16le-nobom "text" "UTF-16 LE without BOM" self -
iconv -t UTF-16BE <pem-self.pem >pem-utf16be-nobom.pem
ok pem-utf16be-nobom "text" "UTF-16 BE without BOM" self -
tr '\n' '\r' <pem-self.pem >pem-cr.pem
ok pem-cr "text" "CR alone, as old editors save" self -
{ cat pem-self.pem; head -c 64 /dev/zero; } >pem-zeros.pem
ok pem-zeros "text" "zeros after the end" self -
for n in self; do
	{ echo "-----BEGIN CERTIFICATE-----"; openssl x509 -in "$(crt $n)" -outform DER | base64 -w 0; echo; echo "-----END CERTIFICATE-----"
	echo "-----BEGIN PRIVATE KEY-----"; openssl pkey -in "$(key $n)" -outform DER | base64 -w 76; echo "-----END PRIVATE KEY-----"; } >pem-unwrapped.pem
done
ok pem-unwrapped "text" "the certificate on one line, the key in lines of 76" self -
base64 -w 76 pem-self.pem | sed 's/$/\r/' >pem-base64-wrapped.pem
ok pem-base64-wrapped "base64" "the PEM file in base64, wrapped, CRLF" self -
{ crts other root self2 inter1 leaf2 inter2 leaf ec; cat "$(key leaf)"; } >pem-strangers.pem
ok pem-strangers "chains" "chain mixed with certificates of others, the leaf second to last" leaf $full
{ crts leaf other-inter2 inter2 inter1 root; cat "$(key leaf)"; } >pem-renewed-ca.pem
ok pem-renewed-ca "chains" "two issuing CAs of one name: the signature decides" leaf $full
{ crts leaf inter2 inter1-cross other; cat "$(key leaf)"; } >pem-cross.pem
ok pem-cross "chains" "a cross-signed CA" leaf inter2,inter1-cross,other
{ crts underec ecca; cat "$(key leaf2)"; } >pem-underec.pem
ok pem-underec "chains" "an RSA certificate under an EC CA" underec ecca
{ crts leaf inter2 inter1-sha1 root; cat "$(key leaf)"; } >pem-sha1ca.pem
ok pem-sha1ca "chains" "a CA certificate signed with SHA-1" leaf inter2,inter1-sha1,root
{ crts leaf leaf inter2 inter2 inter1 root leaf; cat "$(key leaf)" "$(key leaf)"; } >pem-twice.pem
ok pem-twice "chains" "certificates and key more than once" leaf $full
{ cat "$(crt self)" "$(crt negative)" "$(key self)"; } >pem-negative.pem
ok pem-negative "chains" "a stranger that Go can't parse (negative serial number)" self -
{ crts self selfrenewed; cat "$(key self)"; } >pem-renewal.pem
ok pem-renewal "several pairs" "a certificate and its renewal, same key: the one that ends later" selfrenewed -
ok pem-renewal-old "several pairs" "a certificate and its renewal, the older by thumbprint" self - file=pem-renewal.pem thumb=sha1colons:self
{ crts self self2; cat "$(key self)" "$(key self2)"; } >pem-two-pairs.pem
bad pem-two-pairs-none "several pairs" "two pairs, none selected" ErrSeveralKeys "@sha1:self2" file=pem-two-pairs.pem
ok pem-two-pairs "several pairs" "two pairs, one by thumbprint" self2 - file=pem-two-pairs.pem thumb=sha256colons:self2
{ cat "$(key self2)"; cat "$(crt self)" "$(key self)"; } >pem-spare-key.pem
ok pem-spare-key "several pairs" "a second key without a certificate" self -
openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 2>/dev/null >"$work/dh"
{ cat "$(crt self)" "$(key self)"; openssl dhparam -in "$work/dh" 2>/dev/null || cat "$work/dh"; } >pem-dh.pem
ok pem-dh "extra blocks" "DH parameters too, as web servers have it" self -
{ openssl pkey -in "$(key self)" -pubout; cat "$(key self)" "$(crt self)"; } >pem-public.pem
ok pem-public "extra blocks" "the public key too" self -
openssl req -new -key "$(key self)" -subj /CN=self.example >"$work/csr"
{ cat "$work/csr" "$(key self)" "$(crt self)"; } >pem-csr.pem
ok pem-csr "extra blocks" "the certificate request too" self -
tool="keytool $(java -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p')"
{ keytool -list -rfc -keystore keytool-default.p12 -storepass changeit; cat "$(key leaf)"; } >pem-keytool.pem 2>/dev/null
ok pem-keytool "text" "keytool -list -rfc, and the key" leaf $full
tool="openssl $(openssl version | cut -d' ' -f2)"
crts expired >pem-expired-crt.pem
openssl rsa -in "$(key self2)" -traditional -out pem-expired-key.pem 2>/dev/null
ok pem-expired "PKCS #1" "an expired pair: reading isn't signing" expired - file=pem-expired-crt.pem keyfile=pem-expired-key.pem
ok pem-same-file "PKCS #8" "the same file given as certificate and as key" self - file=pem-self.pem keyfile=pem-self.pem
cat "$(crt pssself)" "$(key self2)" >pem-pss-signed.pem
ok pem-pss-signed "PKCS #8" "certificate signed with PSS" pssself -

class=everyday
openssl crl2pkcs7 -nocrl -certfile pem-fullchain.pem -out pem-p7b.pem
ok pem-p7b "P7B" "a P7B as authorities send it, with its key beside it" leaf inter2,inter1 file=pem-p7b.pem keyfile=pem-privkey.pem
openssl crl2pkcs7 -nocrl -certfile pem-fullchain.pem -outform DER -out der-p7b.der
ok der-p7b "P7B" "a P7B in DER, with its key beside it" leaf inter2,inter1 file=der-p7b.der keyfile=pem-privkey.pem

# DER.
class=rare
openssl x509 -in "$(crt self)" -outform DER -out der-crt.der
openssl pkey -in "$(key self)" -outform DER -out der-key.der
openssl rsa -in "$(key self)" -traditional -outform DER -out der-pkcs1.der 2>/dev/null
quiet openssl pkcs8 -topk8 -in "$(key self)" -passout pass:secret -outform DER -out der-encrypted.der
ok der-pair "PKCS #8" "certificate and key" self - file=der-crt.der keyfile=der-key.der
ok der-pkcs1 "PKCS #1" "certificate and key" self - file=der-crt.der keyfile=der-pkcs1.der
ok der-encrypted "PKCS #8, PBES2 AES-256" "certificate and encrypted key" self - file=der-crt.der keyfile=der-encrypted.der password=secret
ok der-pem "PKCS #8" "DER certificate, PEM key" self - file=der-crt.der keyfile=pem-two-key.pem
ok pem-der "PKCS #8" "PEM certificate, DER key" self - file=pem-two-crt.pem keyfile=der-key.der
bad der-encrypted-missing "PKCS #8, PBES2 AES-256" "password missing" ErrPasswordRequired "" file=der-crt.der keyfile=der-encrypted.der
bad der-encrypted-wrong "PKCS #8, PBES2 AES-256" "wrong password" ErrWrongPassword "" file=der-crt.der keyfile=der-encrypted.der password=Secret
ok pfx-key "PBES2 AES-256" "a PFX with the pair, and its PEM certificate as second file" self - file=openssl-default-self.pfx keyfile=pem-two-crt.pem password=secret
