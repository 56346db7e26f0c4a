# PFX and PKCS #8 files written by GnuTLS' certtool.

tool="certtool $(certtool --version | sed -n '1s/.* //p')"

# gnutls NAME KEY LEAF CHAIN ARGS… writes NAME.p12 (DER).
gnutls() {
	local name=$1 k=$2 leaf=$3 chain=$4
	shift 4
	local certs=("$leaf")
	# shellcheck disable=SC2206
	[[ $chain == - ]] || certs+=(${chain//,/ })
	crts "${certs[@]}" >"$work/chain.pem"
	quiet certtool --to-p12 --load-privkey "$(key "$k")" --load-certificate "$work/chain.pem" --p12-name "My app" --outder --outfile "$name.p12" "$@"
}

slow=yes # 600,000 rounds
class=everyday
gnutls certtool-default leaf leaf $full --password=secret
ok certtool-default "PBES2 AES-256" "defaults, with the chain" leaf $full password=secret
gnutls certtool-self self self - --password=secret
ok certtool-self "PBES2 AES-256" "defaults, self-signed" self - password=secret
gnutls certtool-empty self self - --empty-password
ok certtool-empty "PBES2 AES-256" "empty password" self - password=
quiet certtool --to-p12 --load-privkey "$(key self)" --load-certificate "$(crt self)" --p12-name "My app" --password=secret --outfile certtool-armoured.pem
ok certtool-armoured "PEM-armoured PFX" "what certtool writes without --outder: BEGIN PKCS12" self - password=secret
gnutls certtool-3des leaf leaf $full --password=secret --pkcs-cipher=3des-pkcs12
ok certtool-3des "PBES1 3DES" "3DES of PKCS #12" leaf $full password=secret

class=rare
ok certtool-empty-none "PBES2 AES-256" "empty password, none given" self - file=certtool-empty.p12
gnutls certtool-null self self - --null-password
ok certtool-null "PBES2 AES-256" "null password" self -
ok certtool-null-empty "PBES2 AES-256" "null password, the empty one given" self - file=certtool-null.p12 password=
gnutls certtool-null-3des self self - --null-password --pkcs-cipher=3des-pkcs12
ok certtool-null-3des "PBES1 3DES" "null password, old KDF" self -
ok certtool-null-3des-empty "PBES1 3DES" "null password, old KDF, the empty one given" self - file=certtool-null-3des.p12 password=
gnutls certtool-empty-3des self self - --empty-password --pkcs-cipher=3des-pkcs12
ok certtool-empty-3des "PBES1 3DES" "empty password, old KDF" self - password=
ok certtool-empty-3des-none "PBES1 3DES" "empty password, old KDF, none given" self - file=certtool-empty-3des.p12
for c in aes-128:"PBES2 AES-128" aes-192:"PBES2 AES-192" 3des:"PBES2 3DES" rc2-40:"PBES1 RC2-40"; do
	n=certtool-${c%%:*}
	[[ $n != certtool-3des ]] || n=certtool-3des-pbes2
	gnutls "$n" self self - --password=secret "--pkcs-cipher=${c%%:*}"
	ok "$n" "${c#*:}" "${c%%:*}" self - password=secret
done
gnutls certtool-sha512 self self - --password=secret --hash=SHA512
ok certtool-sha512 "MAC SHA-512" "SHA-512 MAC" self - password=secret
gnutls certtool-sha1 self self - --password=secret --hash=SHA1
ok certtool-sha1 "MAC SHA-1" "SHA-1 MAC" self - password=secret
gnutls certtool-umlaut self self - --password="Grüße, Zoë"
ok certtool-umlaut "PBES2 AES-256" "non-ASCII password" self - "password=Grüße, Zoë"
gnutls certtool-emoji self self - --password="$emoji" --pkcs-cipher=3des-pkcs12
ok certtool-emoji "PBES1 3DES" "emoji in the password" self - password="$emoji"
bad certtool-wrong "PBES2 AES-256" "wrong password" ErrWrongPassword "" file=certtool-default.p12 password=Secret
bad certtool-3des-wrong "PBES1 3DES" "wrong password" ErrWrongPassword "" file=certtool-3des.p12 password=Secret
bad certtool-armoured-wrong "PEM-armoured PFX" "wrong password" ErrWrongPassword "" file=certtool-armoured.pem password=Secret
gnutls certtool-arcfour self self - --password=secret --pkcs-cipher=arcfour
ok certtool-arcfour "PBES1 RC4" "arcfour" self - password=secret
slow=
