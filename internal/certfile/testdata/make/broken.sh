# What isn't a certificate with its key, or not a whole one.

tool="openssl $(openssl version | cut -d' ' -f2)"

class=everyday
cp "$(crt leaf)" bad-certonly.pem
bad bad-certonly "no key" "a certificate alone" ErrNoPrivateKey ""
cp "$(key leaf)" bad-keyonly.pem
bad bad-keyonly "no certificate" "a key alone" ErrNoCertificate ""
bad bad-keyonly-encrypted "no certificate" "an encrypted key alone" ErrNoCertificate "" file=pem-encrypted-key.pem password=secret
cat "$(crt self)" "$(key self2)" >bad-mismatch.pem
bad bad-mismatch "mismatched pair" "another certificate's key" ErrKeyMismatch "@sha1:self"
bad bad-mismatch-two "mismatched pair" "two files that don't belong together" ErrKeyMismatch "" file=pem-two-crt.pem keyfile=pem-privkey.pem
bad bad-p7b "P7B" "certificates without a key, PEM" ErrNoPrivateKey "P7B" file=pem-p7b.pem
bad bad-p7b-der "P7B" "certificates without a key, DER" ErrNoPrivateKey "P7B" file=der-p7b.der
openssl req -new -key "$(key self)" -subj /CN=self.example -out bad-csr.csr
bad bad-csr "certificate request" "PEM" ErrFormat "request"
openssl req -new -key "$(key self)" -subj /CN=self.example -outform DER -out bad-csr-der.csr
bad bad-csr-der "certificate request" "DER" ErrFormat "request"
{ cat bad-csr.csr "$(key self)"; } >bad-csr-key.csr
bad bad-csr-key "certificate request" "a request and its key: the certificate is still to come" ErrNoCertificate "request"
openssl pkey -in "$(key self)" -pubout -out bad-public.pub
bad bad-public "public key" "a public key alone" ErrNoPrivateKey "public key"
{ cat "$(crt self)"; openssl pkey -in "$(key self)" -pubout; } >bad-public-crt.pem
bad bad-public-crt "public key" "a certificate and its public key" ErrNoPrivateKey ""
bad bad-crt-twice "no key" "the certificate given as its key" ErrNoPrivateKey "" file=pem-two-crt.pem keyfile=bad-certonly.pem
bad bad-key-twice "no certificate" "the key given as its certificate" ErrNoCertificate "" file=pem-privkey.pem keyfile=pem-two-key.pem
: >bad-empty.txt
bad bad-empty "nothing" "an empty file" ErrFormat "empty"
cat >bad-html.html <<-HTML
	<!DOCTYPE html>
	<html lang="en">
	<head><title>Sign in to your account</title></head>
	<body><p>Your session has expired.</p></body>
	</html>
HTML
bad bad-html "another kind of file" "a web page, downloaded instead of the file" ErrFormat "web page"
head -c $(($(stat -c %s openssl-default.pfx) / 2)) openssl-default.pfx >bad-half.pfx
bad bad-half "truncated" "half of a PFX" ErrFormat "" password=secret
head -n 40 pem-chain.pem >bad-half.pem
bad bad-half-pem "truncated" "a PEM chain cut within its second certificate" ErrNoPrivateKey "" file=bad-half.pem
head -n -5 pem-self.pem >bad-cut-key.pem
bad bad-cut-key "truncated" "a PEM key without its end" ErrFormat ""

class=rare
bad bad-cut-key-needless "truncated" "a PEM key without its end, a password given" ErrFormat "" file=bad-cut-key.pem password=needless
bad bad-html-password "another kind of file" "a web page, a password given" ErrFormat "web page" file=bad-html.html password=secret
printf ' \r\n\t\n  \n' >bad-blank.txt
bad bad-blank "nothing" "white space" ErrFormat "empty"
printf '\xef\xbb\xbf' >bad-bom.txt
bad bad-bom "nothing" "a BOM and nothing else" ErrFormat "empty"
head -c 700 /dev/zero >bad-zeros.bin
bad bad-zeros "nothing" "zeros" ErrFormat ""
openssl enc -aes-128-ctr -nosalt -K 00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000 -in bad-zeros.bin -out bad-random.bin
bad bad-random "another kind of file" "random bytes" ErrFormat ""
base64 -w 0 bad-random.bin >bad-random-base64.b64
bad bad-random-base64 "another kind of file" "random bytes in base64" ErrFormat ""
echo 'correct horse battery staple' >bad-note.txt
bad bad-note "another kind of file" "a line of text" ErrFormat ""
echo '{"error":{"code":"Forbidden","message":"Caller is not authorized"}}' >bad-json.json
bad bad-json "another kind of file" "a vault's error instead of its value" ErrFormat ""
cat "$(crt pss)" "$(key pss)" >bad-pss.pem
bad bad-pss "not RSA" "a key bound to RSASSA-PSS, which Go can't parse" ErrUnsupported "PSS"
cat "$(crt small)" "$(key small)" >bad-small.pem
bad bad-small "RSA too short" "RSA 1024" ErrKeySize "1024"
bad bad-thumbprint "no such thumbprint" "a thumbprint that nothing has" ErrNoCertificate "" file=pem-self.pem thumb=sha256:leaf
bad bad-thumbprint-ca "no such thumbprint" "the thumbprint of an issuer, whose key isn't there" ErrNoPrivateKey "" file=pem-chain.pem thumb=sha1:root
cp "$(key self)" "$work/openssh"
chmod 600 "$work/openssh"
quiet ssh-keygen -p -f "$work/openssh" -P "" -N ""
cp "$work/openssh" bad-openssh.key
tool="ssh-keygen $(ssh -V 2>&1 | sed 's/^OpenSSH_//; s/ .*//')"
bad bad-openssh "OpenSSH key" "a key in OpenSSH's own form" ErrFormat "OpenSSH"
{ cat "$(crt self)" "$work/openssh"; } >bad-openssh-crt.pem
bad bad-openssh-crt "OpenSSH key" "a certificate, and its key in OpenSSH's own form" ErrNoPrivateKey "OpenSSH"
ssh-keygen -y -f "$work/openssh" >bad-openssh-pub.pub
bad bad-openssh-pub "OpenSSH key" "an OpenSSH public key" ErrFormat ""
tool="zip $(zip -v | sed -n 's/^This is Zip \([0-9.]*\).*/\1/p')"
quiet zip -X -j bad-zip.zip pem-self.pem
bad bad-zip "another kind of file" "the files zipped" ErrFormat ""
tool="openssl $(openssl version | cut -d' ' -f2)"
for n in 1 2 4 30 200; do
	head -c $n openssl-default.pfx >"bad-cut$n.pfx"
	bad "bad-cut$n" "truncated" "the first $n bytes of a PFX" ErrFormat "" password=secret
done
head -c -1 openssl-default.pfx >bad-cut-last.pfx
bad bad-cut-last "truncated" "a PFX without its last byte" ErrFormat "" password=secret
head -c -2000 openssl-base64.txt >bad-cut-base64.b64
bad bad-cut-base64 "truncated" "a PFX in base64, cut" ErrFormat "" password=secret
head -c -1 pk12util-default.p12 >bad-cut-ber.p12
bad bad-cut-ber "truncated" "a BER PFX without its last byte" ErrFormat "" password=secret
head -c -10 der-crt.der >bad-cut-der.der
bad bad-cut-der "truncated" "a DER certificate, cut" ErrFormat "" file=bad-cut-der.der keyfile=der-key.der
bad bad-crt-der "no key" "a DER certificate alone" ErrNoPrivateKey "" file=der-crt.der
bad bad-key-der "no certificate" "a DER key alone" ErrNoCertificate "" file=der-key.der
# One letter of the key's base64 is a percent sign.
awk '/BEGIN PRIVATE/ {n = NR} {if (n && NR == n + 3) sub(/^.../, "%%%"); print}' pem-self.pem >bad-base64.pem
bad bad-base64 "damaged" "a PEM key with characters that base64 doesn't have" ErrFormat ""
# The certificate's modulus, but other digits in the first prime.
awk '/BEGIN PRIVATE/ {n = NR} {if (n && NR == n + 14) sub(/^..../, "AAAA"); print}' pem-self.pem >bad-key.pem
bad bad-key "damaged" "a PEM key with other digits in a prime" ErrFormat ""
# flip FILE OFFSET OUT turns one byte around; a negative offset counts from the end.
flip() {
	local size offset=$2
	size=$(stat -c %s "$1")
	((offset >= 0)) || offset=$((size + offset))
	cp "$1" "$3"
	printf "\\x$(printf %02x $((0x$(od -An -tx1 -j "$offset" -N 1 "$1" | tr -d " ") ^ 0xff)))" | dd of="$3" bs=1 seek=$offset conv=notrunc status=none
}
flip openssl-default-self.pfx -20 bad-mac-salt.pfx
bad bad-mac "damaged" "a byte of the MAC turned around: like a wrong password" ErrWrongPassword "" file=bad-mac-salt.pfx password=secret
flip openssl1-self.pfx 600 bad-content.pfx
bad bad-content "damaged" "a byte of the content turned around: like a wrong password" ErrWrongPassword "" password=secret
openssl ecparam -genkey -name prime256v1 -noout -out "$work/stray" 2>/dev/null
{ cat "$work/stray" "$(crt self)" "$(key self)"; } >pem-stray-ec.pem
ok pem-stray-ec "several pairs" "an EC key without a certificate beside the RSA pair" self -
openssl crl2pkcs7 -nocrl -certfile "$(crt self)" -out "$work/p7"
{ cat "$(crt self)" "$(key self)" "$work/p7"; } >pem-p7.pem
ok pem-p7 "extra blocks" "a PKCS #7 block too" self -
