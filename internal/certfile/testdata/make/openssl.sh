# PFX files written by openssl 3. The 1.x defaults are its -legacy: RC2-40 and
# 3DES with a SHA-1 MAC and 2048 rounds.

tool="openssl $(openssl version | cut -d' ' -f2)"
legacy=(-provider legacy -provider default)

# pfx NAME KEY LEAF CHAIN PASSWORD ARGS… writes NAME.pfx with the certificates
# of CHAIN (commas, or "-") beside LEAF.
pfx() {
	local name=$1 k=$2 leaf=$3 chain=$4 pass=$5
	shift 5
	local more=()
	if [[ $chain != - ]]; then
		# shellcheck disable=SC2086
		crts ${chain//,/ } >"$work/chain.pem"
		more=(-certfile "$work/chain.pem")
	fi
	quiet openssl pkcs12 -export -inkey "$(key "$k")" -in "$(crt "$leaf")" "${more[@]}" \
		-passout "pass:$pass" -out "$name.pfx" "$@"
}

full=inter2,inter1,root

class=everyday
pfx openssl-default leaf leaf $full secret
ok openssl-default "PBES2 AES-256" "defaults, with the chain" leaf $full password=secret
pfx openssl-default-self self self - secret
ok openssl-default-self "PBES2 AES-256" "defaults, self-signed, no chain" self - password=secret
pfx openssl-empty self self - ""
ok openssl-empty "PBES2 AES-256" "empty password, given as such" self - password=
ok openssl-empty-none "PBES2 AES-256" "empty password, none given" self - file=openssl-empty.pfx
pfx openssl-nomac self self - secret -nomac
ok openssl-nomac "no MAC" "encrypted, without a MAC" self - password=secret
pfx openssl-name self self - secret -name "My app, production"
ok openssl-name "PBES2 AES-256" "friendly name" self - password=secret
pfx openssl-names leaf leaf $full secret -name app -caname issuing -caname policy -caname root
ok openssl-names "PBES2 AES-256" "friendly names, also on the chain" leaf $full password=secret
pfx openssl1-default leaf leaf $full secret -legacy
ok openssl1-default "PBES1 3DES + RC2-40" "what openssl 1.x writes, with the chain" leaf $full password=secret
pfx openssl1-self self self - secret -legacy
ok openssl1-self "PBES1 3DES + RC2-40" "what openssl 1.x writes, self-signed" self - password=secret
pfx openssl1-empty self self - "" -legacy
ok openssl1-empty "PBES1 3DES + RC2-40" "what openssl 1.x writes, empty password" self - password=
ok openssl1-empty-none "PBES1 3DES + RC2-40" "what openssl 1.x writes, empty password, none given" self - file=openssl1-empty.pfx
pfx openssl-3des leaf leaf $full secret -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1
ok openssl-3des "PBES1 3DES" "key and certificates in 3DES (-descert)" leaf $full password=secret
pfx openssl-3des-mac256 self self - secret -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES
ok openssl-3des-mac256 "PBES1 3DES" "3DES with a SHA-256 MAC" self - password=secret
pfx openssl-aes128 self self - secret -keypbe AES-128-CBC -certpbe AES-128-CBC
ok openssl-aes128 "PBES2 AES-128" "AES-128" self - password=secret
pfx openssl-aes192 self self - secret -keypbe AES-192-CBC -certpbe AES-192-CBC
ok openssl-aes192 "PBES2 AES-192" "AES-192" self - password=secret
pfx openssl-umlaut self self - "Grüße, Zoë"
ok openssl-umlaut "PBES2 AES-256" "non-ASCII password" self - "password=Grüße, Zoë"
pfx openssl1-umlaut self self - "Grüße, Zoë" -legacy
ok openssl1-umlaut "PBES1 3DES + RC2-40" "non-ASCII password, old KDF" self - "password=Grüße, Zoë"
pfx openssl-partial leaf leaf inter2 secret
ok openssl-partial "PBES2 AES-256" "the issuing CA only" leaf inter2 password=secret
pfx openssl-reversed leaf leaf root,inter1,inter2 secret
ok openssl-reversed "PBES2 AES-256" "chain from the root down" leaf $full password=secret
pfx openssl-4096 self4096 self4096 - secret
ok openssl-4096 "PBES2 AES-256" "RSA 4096" self4096 - password=secret
pfx openssl-3072 self3072 self3072 - secret -legacy
ok openssl-3072 "PBES1 3DES + RC2-40" "RSA 3072" self3072 - password=secret
base64 -w 0 openssl-default-self.pfx >openssl-base64.txt
ok openssl-base64 "base64" "one line of base64, as secret stores of CI hold it" self - password=secret
base64 openssl-default.pfx >openssl-base64-wrapped.txt
ok openssl-base64-wrapped "base64" "base64 in lines of 76" leaf $full password=secret
ok openssl-needless-thumbprint "PBES2 AES-256" "a thumbprint given for the only pair" self - file=openssl-default-self.pfx password=secret thumb=sha1:self

class=rare
for a in RC2-128:"RC2-128" RC2-40:"RC2-40" 2DES:"two-key 3DES"; do
	n=openssl-$(tr '[:upper:]' '[:lower:]' <<<"${a%%:*}")
	pfx "$n" self self - secret -keypbe "PBE-SHA1-${a%%:*}" -certpbe "PBE-SHA1-${a%%:*}" -macalg sha1 "${legacy[@]}"
	ok "$n" "PBES1 ${a#*:}" "key and certificates in ${a#*:}" self - password=secret
done
pfx openssl-rc2-128-umlaut self self - "Грибоєдов" -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-40 -macalg sha1 "${legacy[@]}"
ok openssl-rc2-128-umlaut "PBES1 RC2-128" "Cyrillic password, old KDF" self - password="Грибоєдов"
pfx openssl-3des-pbes2 self self - secret -keypbe DES-EDE3-CBC -certpbe DES-EDE3-CBC
ok openssl-3des-pbes2 "PBES2 3DES" "3DES within PBES2" self - password=secret
pfx openssl-mixed leaf leaf $full secret -keypbe AES-256-CBC -certpbe PBE-SHA1-3DES -macalg sha512
ok openssl-mixed "PBES2 AES-256" "AES key, 3DES certificates, SHA-512 MAC" leaf $full password=secret
for m in 1 224 384 512; do
	pfx "openssl-mac$m" self self - secret -macalg "sha$m"
	ok "openssl-mac$m" "MAC SHA-$m" "AES-256 with a SHA-$m MAC" self - password=secret
done
for m in md5:MD5 sha512-224:SHA-512/224 sha512-256:SHA-512/256; do
	pfx "openssl-mac-${m%:*}" self self - secret -macalg "${m%:*}"
	ok "openssl-mac-${m%:*}" "MAC ${m#*:}" "AES-256 with a ${m#*:} MAC" self - password=secret
done
pfx openssl-mac512-umlaut self self - "pässwörd" -macalg sha512
ok openssl-mac512-umlaut "MAC SHA-512" "SHA-512 MAC, non-ASCII password" self - "password=pässwörd"
pfx openssl-iter1 self self - secret -noiter -nomaciter
ok openssl-iter1 "PBES2 AES-256" "one round, the MAC's count left out" self - password=secret
pfx openssl1-iter1 self self - secret -noiter -nomaciter -legacy
ok openssl1-iter1 "PBES1 3DES + RC2-40" "one round, old KDF" self - password=secret
pfx openssl-iter1m self self - secret -iter 1000000
ok openssl-iter1m "PBES2 AES-256" "a million rounds" self - password=secret slow=yes
pfx openssl1-iter1m self self - secret -iter 1000000 -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1
ok openssl1-iter1m "PBES1 3DES" "a million rounds of the old KDF" self - password=secret slow=yes
emoji="🔑 clef 🗝 𝄞"
pfx openssl-emoji self self - "$emoji"
ok openssl-emoji "PBES2 AES-256" "emoji in the password (surrogate pairs in the MAC)" self - password="$emoji"
pfx openssl1-emoji self self - "$emoji" -legacy
ok openssl1-emoji "PBES1 3DES + RC2-40" "emoji in the password, old KDF" self - password="$emoji"
long="correct horse battery staple, correct horse battery staple, and then some more: 0123456789"
pfx openssl-long self self - "$long"
ok openssl-long "PBES2 AES-256" "a password of ${#long} characters" self - password="$long"
pfx openssl1-long self self - "$long" -legacy
ok openssl1-long "PBES1 3DES + RC2-40" "a password of ${#long} characters, longer than the KDF's block" self - password="$long"
pfx openssl-spaces self self - "  secret  "
ok openssl-spaces "PBES2 AES-256" "a password that begins and ends with spaces" self - password="  secret  "
pfx openssl-plainkey self self - secret -keypbe NONE
ok openssl-plainkey "no encryption" "key bag not encrypted, certificates are" self - password=secret
pfx openssl-plaincert leaf leaf $full secret -certpbe NONE
ok openssl-plaincert "no encryption" "certificates not encrypted, the key is" leaf $full password=secret
pfx openssl-plain self self - secret -keypbe NONE -certpbe NONE
ok openssl-plain "no encryption" "nothing encrypted, with a MAC" self - password=secret
pfx openssl-plain-nomac leaf leaf $full "" -keypbe NONE -certpbe NONE -nomac
ok openssl-plain-nomac "no encryption" "nothing encrypted, no MAC" leaf $full
ok openssl-plain-nomac-password "no encryption" "a password given for a file without any" leaf $full file=openssl-plain-nomac.pfx password=needless
pfx openssl1-nomac self self - secret -legacy -nomac
ok openssl1-nomac "no MAC" "3DES and RC2-40 without a MAC" self - password=secret
pfx openssl-nomac-empty self self - "" -nomac
ok openssl-nomac-empty "no MAC" "empty password, no MAC" self -
pfx openssl-csp self self - secret -legacy -name "te-0f8fad5b" -CSP "Microsoft RSA SChannel Cryptographic Provider" -LMK -keyex
ok openssl-csp "PBES1 3DES + RC2-40" "Microsoft's CSP name, local machine keyset, key usage attribute" self - password=secret
pfx openssl-unicode-name self self - secret -name "Schlüssel für Zoë"
ok openssl-unicode-name "PBES2 AES-256" "non-ASCII friendly name" self - password=secret
pfx openssl-strangers leaf leaf other,root,self2,inter1,ec,inter2,leaf2 secret
ok openssl-strangers "PBES2 AES-256" "chain mixed with certificates of others" leaf $full password=secret
pfx openssl-twice leaf leaf inter2,inter1,root,inter1,inter2,root,leaf secret
ok openssl-twice "PBES2 AES-256" "every certificate twice" leaf $full password=secret
pfx openssl-hole leaf leaf inter2,root secret
ok openssl-hole "PBES2 AES-256" "the chain has a hole" leaf inter2 password=secret
pfx openssl-renewed-ca leaf leaf other-inter2,inter2,inter1,root secret
ok openssl-renewed-ca "PBES2 AES-256" "two issuing CAs of one name: the signature decides" leaf $full password=secret
pfx openssl-cross leaf leaf other,inter1-cross,inter2 secret
ok openssl-cross "PBES2 AES-256" "a cross-signed CA" leaf inter2,inter1-cross,other password=secret
pfx openssl-underec leaf2 underec ecca secret
ok openssl-underec "PBES2 AES-256" "an RSA certificate under an EC CA" underec ecca password=secret
pfx openssl-sha1ca leaf leaf root,inter1-sha1,inter2 secret
ok openssl-sha1ca "PBES2 AES-256" "a CA certificate signed with SHA-1" leaf inter2,inter1-sha1,root password=secret
pfx openssl-noid leaf2 undernoid root,inter1,inter2 secret
ok openssl-noid "PBES2 AES-256" "a leaf without key identifiers" undernoid $full password=secret
pfx openssl-underroot self2 underroot root secret
ok openssl-underroot "PBES2 AES-256" "directly under the root" underroot root password=secret
pfx openssl-expired self2 expired - secret
ok openssl-expired "PBES2 AES-256" "expired: reading isn't signing" expired - password=secret
pfx openssl-future self2 future - secret
ok openssl-future "PBES2 AES-256" "not yet valid: reading isn't signing" future - password=secret
pfx openssl-exp3 exp3 exp3 - secret
ok openssl-exp3 "PBES2 AES-256" "public exponent 3" exp3 - password=secret
pfx openssl-subject self2 utf8 - secret
ok openssl-subject "PBES2 AES-256" "non-ASCII subject" utf8 - password=secret
pfx openssl-pss-signed self2 pssself - secret
ok openssl-pss-signed "PBES2 AES-256" "ordinary RSA key, certificate signed with PSS" pssself - password=secret
pfx openssl-sha1-signed self2 sha1self - secret
ok openssl-sha1-signed "PBES2 AES-256" "certificate signed with SHA-1" sha1self - password=secret
crts renewed leaf >"$work/both.pem"
quiet openssl pkcs12 -export -inkey "$(key leaf)" -in "$work/both.pem" -passout pass:secret -out openssl-renewal.pfx
ok openssl-renewal "several pairs" "a certificate and its renewal, same key: the newer" renewed - password=secret
ok openssl-renewal-old "several pairs" "a certificate and its renewal, the older by thumbprint" leaf - file=openssl-renewal.pfx password=secret thumb=sha1:leaf
ok openssl-renewal-new "several pairs" "a certificate and its renewal, the newer by thumbprint" renewed - file=openssl-renewal.pfx password=secret thumb=sha256:renewed
base64 -w 0 openssl-default.pfx | tr '+/' '-_' | tr -d = >openssl-base64url.txt
ok openssl-base64url "base64" "base64url without padding" leaf $full password=secret
base64 -w 64 openssl1-self.pfx | sed 's/$/\r/' >openssl-base64-crlf.txt
ok openssl-base64-crlf "base64" "base64 with CRLF" self - password=secret
{ printf '\xef\xbb\xbf'; base64 -w 0 openssl1-self.pfx; echo; } >openssl-base64-bom.txt
ok openssl-base64-bom "base64" "base64 after a BOM" self - password=secret
base64 -w 0 openssl-default-self.pfx | iconv -t UTF-16 >openssl-base64-utf16.txt
ok openssl-base64-utf16 "base64" "base64 in UTF-16, as PowerShell's redirection writes it" self - password=secret
{ cat openssl-default-self.pfx; echo; } >openssl-newline.pfx
ok openssl-newline "trailing bytes" "a newline after the end" self - password=secret
{ cat openssl1-self.pfx; printf '\r\n'; } >openssl-crlf.pfx
ok openssl-crlf "trailing bytes" "CRLF after the end" self - password=secret
{ cat openssl-default-self.pfx; head -c 512 /dev/zero; } >openssl-zeros.pfx
ok openssl-zeros "trailing bytes" "512 zeros after the end" self - password=secret

# Refused.
class=everyday
bad openssl-wrong "PBES2 AES-256" "wrong password" ErrWrongPassword "" file=openssl-default-self.pfx password=Secret
bad openssl-wrong-empty "PBES2 AES-256" "an empty password for an encrypted file" ErrWrongPassword "" file=openssl-default-self.pfx password=
bad openssl1-wrong "PBES1 3DES + RC2-40" "wrong password" ErrWrongPassword "" file=openssl1-self.pfx password=Secret
bad openssl-missing "PBES2 AES-256" "password missing" ErrPasswordRequired "" file=openssl-default.pfx
bad openssl1-missing "PBES1 3DES + RC2-40" "password missing" ErrPasswordRequired "" file=openssl1-default.pfx
quiet openssl pkcs12 -export -nokeys -in "$(crt self)" -passout pass:secret -out openssl-certonly.pfx
bad openssl-certonly "no key" "a certificate without its key" ErrNoPrivateKey "" password=secret
class=rare
bad openssl-mac512-wrong "MAC SHA-512" "wrong password" ErrWrongPassword "" file=openssl-mac512.pfx password=Secret
bad openssl-nomac-wrong "no MAC" "wrong password, no MAC to tell" ErrWrongPassword "" file=openssl-nomac.pfx password=Secret
bad openssl1-nomac-wrong "no MAC" "wrong password, old KDF, no MAC to tell" ErrWrongPassword "" file=openssl1-nomac.pfx password=Secret
bad openssl-nomac-missing "no MAC" "password missing, no MAC" ErrPasswordRequired "" file=openssl-nomac.pfx
bad openssl-rc2-128-wrong "PBES1 RC2-128" "wrong password" ErrWrongPassword "" file=openssl-rc2-128.pfx password=Secret
bad openssl-plaincert-wrong "no encryption" "wrong password, certificates not encrypted" ErrWrongPassword "" file=openssl-plaincert.pfx password=Secret
bad openssl-plaincert-missing "no encryption" "password missing, certificates not encrypted" ErrPasswordRequired "" file=openssl-plaincert.pfx
bad openssl-emoji-wrong "PBES2 AES-256" "another emoji" ErrWrongPassword "" file=openssl-emoji.pfx password="🔐 clef 🗝 𝄞"
bad openssl-base64-wrong "base64" "wrong password" ErrWrongPassword "" file=openssl-base64.txt password=Secret
bad openssl-thumbprint "PBES2 AES-256" "a thumbprint that nothing has" ErrNoCertificate "" file=openssl-default-self.pfx password=secret thumb=sha1:leaf2
pfx openssl-pss-key pss pss - secret
bad openssl-pss-key "not RSA" "a key bound to RSASSA-PSS, which Go can't parse" ErrUnsupported "PSS" password=secret
pfx openssl-small small small - secret
bad openssl-small "RSA too short" "RSA 1024" ErrKeySize "1024" password=secret
for a in RC4-128 RC4-40; do
	n=openssl-$(tr '[:upper:]' '[:lower:]' <<<"$a")
	pfx "$n" self self - secret -keypbe "PBE-SHA1-$a" -certpbe "PBE-SHA1-$a" -macalg sha1 "${legacy[@]}"
	ok "$n" "PBES1 RC4" "key and certificates in $a" self - password=secret
done
pfx openssl-camellia self self - secret -keypbe camellia-256-cbc -certpbe camellia-256-cbc
bad openssl-camellia "unsupported cipher" "Camellia" ErrUnsupported "" password=secret
pfx openssl-sha3 self self - secret -macalg sha3-256
bad openssl-sha3 "unsupported MAC" "SHA3-256 MAC" ErrUnsupported "" password=secret
openssl pkcs12 -export -nokeys -in "$(crt self)" -certpbe NONE -nomac -passout pass: -out openssl-certonly-plain.pfx
bad openssl-certonly-plain "no key" "a certificate without its key, not encrypted" ErrNoPrivateKey ""
