# PFX files written by NSS' pk12util, as Firefox and Thunderbird write them.

tool="pk12util $(dpkg-query -W -f '${Version}' libnss3-tools | sed 's/.*://; s/-.*//')"
db=$work/nss
mkdir "$db"
quiet certutil -N -d "$db" --empty-password
quiet pk12util -i openssl-names.pfx -d "$db" -W secret
quiet pk12util -i openssl-name.pfx -d "$db" -W secret

# nss NAME NICKNAME PASSWORD ARGS…
nss() {
	local name=$1 nick=$2 pass=$3
	shift 3
	quiet pk12util -o "$name.p12" -n "$nick" -d "$db" -W "$pass" "$@"
}
mine="My app, production"

slow=yes # 600,000 rounds
class=everyday
nss pk12util-default app secret
ok pk12util-default "PBES2 AES-256" "defaults, with the chain" leaf $full password=secret
nss pk12util-self "$mine" secret
ok pk12util-self "PBES2 AES-256" "defaults, self-signed" self - password=secret
nss pk12util-3des app secret -c "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC" -C "PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC" -M SHA-1
ok pk12util-3des "PBES1 3DES + RC2-40" "what older versions write" leaf $full password=secret

class=rare
nss pk12util-aes128 "$mine" secret -c AES-128-CBC -C AES-128-CBC
ok pk12util-aes128 "PBES2 AES-128" "AES-128" self - password=secret
nss pk12util-aes192 "$mine" secret -c AES-192-CBC -C AES-192-CBC
ok pk12util-aes192 "PBES2 AES-192" "AES-192" self - password=secret
for m in 1 384 512; do
	nss "pk12util-mac$m" "$mine" secret -M "SHA-$m"
	ok "pk12util-mac$m" "MAC SHA-$m" "SHA-$m for MAC and PRF" self - password=secret
done
nss pk12util-rc2-128 "$mine" secret -c "PKCS #12 V2 PBE With SHA-1 And 128 Bit RC2 CBC" -C "PKCS #12 V2 PBE With SHA-1 And 128 Bit RC2 CBC"
ok pk12util-rc2-128 "PBES1 RC2-128" "RC2-128" self - password=secret
nss pk12util-umlaut "$mine" "Grüße, Zoë"
ok pk12util-umlaut "PBES2 AES-256" "non-ASCII password" self - "password=Grüße, Zoë"
nss pk12util-3des-umlaut "$mine" "Grüße, Zoë" -c "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC" -C "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC" -M SHA-1
ok pk12util-3des-umlaut "PBES1 3DES" "non-ASCII password, old KDF" self - "password=Grüße, Zoë"
bad pk12util-wrong "PBES2 AES-256" "wrong password" ErrWrongPassword "" file=pk12util-default.p12 password=Secret
bad pk12util-missing "PBES2 AES-256" "password missing" ErrPasswordRequired "" file=pk12util-default.p12
slow=
