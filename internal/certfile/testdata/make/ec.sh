# EC and Ed25519 pairs in every form, and keys of the kinds that aren't accepted.

tool="openssl $(openssl version | cut -d' ' -f2)"
legacy=(-provider legacy -provider default)
named="EC, PKCS #8"
sec1="EC, SEC 1"
edwards="Ed25519, PKCS #8"

# pairof NAME CERT KEYFILE writes NAME.pem: the certificate, then a file with its key.
pairof() { cat "$(crt "$2")" "$3" >"$1.pem"; }
# sec1 NAME KEY ARGS… writes a key as "openssl ec" does.
sec1() { quiet openssl ec -in "$(key "$2")" -out "$1" "${@:3}"; }
# ecpfx NAME KEY LEAF CHAIN ARGS… writes NAME.pfx with the password secret.
ecpfx() {
	local name=$1 k=$2 leaf=$3 chain=$4 more=()
	shift 4
	if [[ $chain != - ]]; then
		# shellcheck disable=SC2086
		crts ${chain//,/ } >"$work/chain.pem"
		more=(-certfile "$work/chain.pem")
	fi
	quiet openssl pkcs12 -export -inkey "$(key "$k")" -in "$(crt "$leaf")" "${more[@]}" -passout pass:secret -out "$name.pfx" "$@"
}

class=everyday
for c in ec ec384 ec521; do
	pairof "$c-p8" $c "$(key $c)"
	ok "$c-p8" "$named" "certificate, then key" $c -
	sec1 "$work/sec1" $c
	pairof "$c-sec1" $c "$work/sec1"
	ok "$c-sec1" "$sec1" "BEGIN EC PRIVATE KEY" $c -
	quiet openssl pkcs8 -topk8 -in "$(key $c)" -passout pass:secret -out "$work/p8"
	pairof "$c-encrypted" $c "$work/p8"
	ok "$c-encrypted" "$named, encrypted" "openssl pkcs8's default" $c - password=secret
	ecpfx "openssl-$c" $c $c -
	ok "openssl-$c" "EC" "an EC pair" $c - password=secret
done
{ openssl ecparam -name prime256v1; openssl ec -in "$(key ec)" 2>/dev/null; cat "$(crt ec)"; } >ec-parameters.pem
ok ec-parameters "$sec1" "EC PARAMETERS before the key, as ecparam -genkey writes" ec -
{ cat "$(crt ec)"; openssl ec -in "$(key ec)" -aes256 -passout pass:secret 2>/dev/null; } >ec-traditional.pem
ok ec-traditional "$sec1, encrypted" "openssl ec -aes256: Proc-Type and DEK-Info" ec - password=secret
bad ec-traditional-missing "$sec1, encrypted" "password missing" ErrPasswordRequired "" file=ec-traditional.pem
bad ec-traditional-wrong "$sec1, encrypted" "wrong password" ErrWrongPassword "" file=ec-traditional.pem password=Secret
bad ec-encrypted-missing "$named, encrypted" "password missing" ErrPasswordRequired "" file=ec-encrypted.pem
bad ec-encrypted-wrong "$named, encrypted" "wrong password" ErrWrongPassword "" file=ec-encrypted.pem password=Secret
{ cat "$(key ec)"; crts root inter1 inter2 ecleaf; } >ec-chain.pem
ok ec-chain "$named" "an EC certificate under RSA CAs" ecleaf inter2,inter1,root
{ crts ec384leaf ecca; cat "$(key ec384)"; } >ec384-chain.pem
ok ec384-chain "$named" "P-384 under a CA of P-256" ec384leaf ecca
crts ecleaf inter2 inter1 >ec-fullchain.pem
cp "$(key ec)" ec-privkey.pem
ok ec-two "$named" "fullchain.pem and privkey.pem, as ACME clients keep them" ecleaf inter2,inter1 file=ec-fullchain.pem keyfile=ec-privkey.pem
ecpfx ec-chain ec ecleaf inter2,inter1,root
ok ec-chain-pfx "EC" "with the chain" ecleaf inter2,inter1,root file=ec-chain.pfx password=secret
ecpfx ec-3des ec384 ec384leaf ecca -legacy
ok ec-3des "EC" "what openssl 1.x writes" ec384leaf ecca password=secret
base64 -w 0 openssl-ec.pfx >ec-base64.txt
ok ec-base64 "EC" "base64 of a PFX" ec - password=secret
pairof ed25519-p8 ed25519 "$(key ed25519)"
ok ed25519-p8 "$edwards" "certificate, then key" ed25519 -
quiet openssl pkcs8 -topk8 -in "$(key ed25519)" -passout pass:secret -out "$work/p8"
pairof ed25519-encrypted ed25519 "$work/p8"
ok ed25519-encrypted "$edwards, encrypted" "openssl pkcs8's default" ed25519 - password=secret
{ cat "$(key ed25519)"; crts edca edleaf; } >ed25519-chain.pem
ok ed25519-chain "$edwards" "under a CA of its kind" edleaf edca
ecpfx openssl-ed25519 ed25519 ed25519 -
ok openssl-ed25519 "Ed25519" "an Ed25519 pair" ed25519 - password=secret
ecpfx ed25519-chain ed25519 edleaf edca
ok ed25519-chain-pfx "Ed25519" "with its CA" edleaf edca file=ed25519-chain.pfx password=secret
ecpfx ed25519-3des ed25519 ed25519 - -legacy
ok ed25519-3des "Ed25519" "what openssl 1.x writes" ed25519 - password=secret
{ cat "$(key ed25519)" "$(crt ec)" "$(key self)" "$(crt ed25519)" "$(crt self)" "$(key ec)"; } >ec-ed-rsa.pem
bad ec-ed-rsa "several pairs" "pairs of RSA, EC and Ed25519, none selected" ErrSeveralKeys "(Ed25519, thumbprint"
for c in ec ed25519 self; do
	ok "ec-ed-rsa-$c" "several pairs" "pairs of RSA, EC and Ed25519, one selected" $c - file=ec-ed-rsa.pem thumb=sha256:$c
done
{ cat "$(key self2)" "$(key ec)"; crts rsatwin ectwin inter2; } >ec-twins.pem
bad ec-twins "several pairs" "RSA and EC for one subject, none selected" ErrSeveralKeys "(RSA, thumbprint"
ok ec-twins-ec "several pairs" "RSA and EC for one subject, one selected" ectwin inter2 file=ec-twins.pem thumb=sha1:ectwin
{ cat "$(key ec384)" "$(key ed25519)" "$(crt ec)" "$(key self)" "$(key ec)"; } >ec-spare.pem
ok ec-spare "several pairs" "keys of other kinds without certificates beside it" ec -
cat "$(crt ec)" "$(key ec384)" >ec-mismatch.pem
bad ec-mismatch "mismatched pair" "a key of another curve" ErrKeyMismatch "EC P-384 key whose"
cat "$(crt ec)" "$(key ecca)" >ec-mismatch-same.pem
bad ec-mismatch-same "mismatched pair" "another key of the same curve" ErrKeyMismatch "@sha1:ec"
cat "$(crt self)" "$(key ed25519)" >ed25519-mismatch.pem
bad ed25519-mismatch "mismatched pair" "an Ed25519 key for an RSA certificate" ErrKeyMismatch "Ed25519 key whose"
bad ec-keyonly "no certificate" "an EC key alone" ErrNoCertificate "" file=ec-privkey.pem
bad ec-certonly "no key" "an EC certificate alone" ErrNoPrivateKey "" file=ec-fullchain.pem
openssl pkey -in "$(key ec)" -pubout -out ec-public.pub
bad ec-public "public key" "an EC public key alone" ErrNoPrivateKey "public key"

class=rare
sec1 "$work/sec1" ec -no_public
pairof ec-nopublic ec "$work/sec1"
ok ec-nopublic "$sec1" "without the public key" ec -
for c in compressed hybrid; do
	sec1 "$work/sec1" ec384 -conv_form $c
	pairof "ec384-$c" ec384 "$work/sec1"
	ok "ec384-$c" "$sec1" "the public key $c" ec384 -
done
for c in ec ec384 ec521; do
	sec1 "$work/sec1" $c -param_enc explicit
	pairof "$c-explicit" $c "$work/sec1"
	ok "$c-explicit" "$sec1" "the curve given by its numbers" $c -
done
sec1 "$work/sec1" ec521 -param_enc explicit -conv_form compressed -no_public
pairof ec521-explicit-compressed ec521 "$work/sec1"
ok ec521-explicit-compressed "$sec1" "the curve given by its numbers, its generator compressed" ec521 -
quiet openssl pkey -in "$(key ec384)" -ec_param_enc explicit -out "$work/p8"
pairof ec384-p8-explicit ec384 "$work/p8"
ok ec384-p8-explicit "$named" "the curve given by its numbers" ec384 -
{ openssl ecparam -name prime256v1 -param_enc explicit; openssl ec -in "$(key ec)" -param_enc explicit 2>/dev/null; cat "$(crt ec)"; } >ec-parameters-explicit.pem
ok ec-parameters-explicit "$sec1" "EC PARAMETERS of numbers before the key" ec -
{ openssl ec -in "$(key ec521)" -des3 -no_public -passout pass:secret 2>/dev/null; cat "$(crt ec521)"; } >ec521-traditional-3des.pem
ok ec521-traditional-3des "$sec1, encrypted" "3DES, without the public key" ec521 - password=secret
{ openssl ec -in "$(key ec384)" -aes128 -passout pass:secret 2>/dev/null; cat "$(crt ec384)"; } >ec384-traditional-aes128.pem
ok ec384-traditional-aes128 "$sec1, encrypted" "AES-128" ec384 - password=secret
{ openssl ec -in "$(key ec)" -camellia256 -passout pass:secret 2>/dev/null; cat "$(crt ec)"; } >ec-traditional-camellia.pem
bad ec-traditional-camellia "unsupported cipher" "CAMELLIA-256-CBC" ErrUnsupported "openssl pkey" password=secret
quiet openssl pkcs8 -topk8 -scrypt -in "$(key ec384)" -passout pass:secret -out "$work/p8"
pairof ec384-scrypt ec384 "$work/p8"
ok ec384-scrypt "$named, encrypted" "openssl pkcs8 -scrypt" ec384 - password=secret
quiet openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -in "$(key ec521)" -passout pass:secret -out "$work/p8"
pairof ec521-pbe ec521 "$work/p8"
ok ec521-pbe "$named, encrypted" "PBE-SHA1-3DES" ec521 - password=secret
for a in -v1:PBE-MD5-DES:md5des -v1:PBE-SHA1-RC2-40:rc2 -v2:des3:des3; do
	IFS=: read -r v cipher n <<<"$a"
	quiet openssl pkcs8 -topk8 "$v" "$cipher" -in "$(key ed25519)" -passout pass:secret -out "$work/p8" "${legacy[@]}"
	pairof "ed25519-$n" ed25519 "$work/p8"
	ok "ed25519-$n" "$edwards, encrypted" "$cipher" ed25519 - password=secret
done
quiet openssl pkcs8 -topk8 -scrypt -in "$(key ed25519)" -passout pass:secret -out "$work/p8"
pairof ed25519-scrypt ed25519 "$work/p8"
ok ed25519-scrypt "$edwards, encrypted" "openssl pkcs8 -scrypt" ed25519 - password=secret
for c in ec ed25519; do
	openssl x509 -in "$(crt $c)" -outform DER -out $c-crt.der
	openssl pkey -in "$(key $c)" -outform DER -out $c-key.der
	quiet openssl pkcs8 -topk8 -in "$(key $c)" -passout pass:secret -outform DER -out $c-key-encrypted.der
	ok "$c-der" "DER" "certificate and PKCS #8" $c - file=$c-crt.der keyfile=$c-key.der
	ok "$c-der-encrypted" "DER" "certificate and encrypted PKCS #8" $c - file=$c-crt.der keyfile=$c-key-encrypted.der password=secret
	cat $c-crt.der $c-key.der >$c-both.der
	ok "$c-both" "DER" "certificate and key one after the other" $c -
done
openssl ec -in "$(key ec)" -outform DER -out ec-sec1.der 2>/dev/null
ok ec-sec1-der "DER" "certificate and SEC 1" ec - file=ec-crt.der keyfile=ec-sec1.der
sed 's/ EC PRIVATE KEY-/ PRIVATE KEY-/' ec-sec1.pem >ec-label.pem
ok ec-label "labels" "SEC 1 labelled PRIVATE KEY" ec -
sed 's/ PRIVATE KEY-/ EC PRIVATE KEY-/' ec-p8.pem >ec-label-p8.pem
ok ec-label-p8 "labels" "PKCS #8 labelled EC PRIVATE KEY" ec -
for c in eccompressed:ec echybrid:ec384 ecexplicit:ec ecexplicitcompressed:ec521; do
	pairof "${c%:*}" "${c%:*}" "$(key "${c#*:}")"
	ok "${c%:*}" "certificates that deviate" "an EC certificate, ${c%:*}" "${c%:*}" -
done
ecpfx eccompressed ec eccompressed -
ok eccompressed-pfx "certificates that deviate" "an EC certificate whose point is compressed" eccompressed - file=eccompressed.pfx password=secret
{ crts brainpoolca underbrainpool; cat "$(key ec)"; } >ec-underbrainpool.pem
ok ec-underbrainpool "certificates that deviate" "an issuer of a curve that crypto/x509 doesn't know" underbrainpool brainpoolca
ecpfx ec-plain ec ec - -keypbe NONE -certpbe NONE -nomac
ok ec-plain "EC" "nothing encrypted, no MAC" ec - password=secret
ecpfx ec384-mac512 ec384 ec384 - -macalg sha512 -keypbe AES-128-CBC -certpbe AES-192-CBC
ok ec384-mac512 "EC" "SHA-512 MAC, two ciphers" ec384 - password=secret
ecpfx ed25519-plain ed25519 ed25519 - -keypbe NONE
ok ed25519-plain "Ed25519" "the key not encrypted" ed25519 - password=secret

# Keys that aren't accepted.
class=everyday
for c in k1:secp256k1 p224:P-224 brainpool:brainpoolP256r1 ed448:Ed448 dsa:DSA; do
	n=${c%:*}
	pairof "bad-$n" "$n" "$(key "$n")"
	bad "bad-$n" "kind of key" "a pair of ${c#*:}" ErrUnsupported "${c#*:}"
	ecpfx "bad-$n" "$n" "$n" -
	bad "bad-$n-pfx" "kind of key" "a PFX of ${c#*:}" ErrUnsupported "${c#*:}" file="bad-$n.pfx" password=secret
done
class=rare
cat "$(crt p192)" "$(key p192)" >bad-p192.pem
bad bad-p192 "kind of key" "a pair of P-192" ErrUnsupported "P-192"
for c in x25519:X25519 sm2:SM2; do
	pairof "bad-${c%:*}" self "$(key "${c%:*}")"
	bad "bad-${c%:*}" "kind of key" "a key of ${c#*:}" ErrUnsupported "${c#*:}"
done
sec1 "$work/sec1" k1
pairof bad-k1-sec1 k1 "$work/sec1"
bad bad-k1-sec1 "kind of key" "secp256k1 in SEC 1" ErrUnsupported "secp256k1"
sec1 "$work/sec1" k1 -param_enc explicit
pairof bad-k1-explicit k1 "$work/sec1"
bad bad-k1-explicit "kind of key" "secp256k1 by its numbers" ErrUnsupported "numbers"
cat "$(crt k1)" "$(key ec)" >bad-k1-crt.pem
bad bad-k1-crt "kind of key" "a certificate of secp256k1 and a key of P-256" ErrUnsupported "secp256k1"
bad bad-k1-selected "kind of key" "a certificate of secp256k1, selected" ErrUnsupported "secp256k1" file=bad-k1.pem thumb=sha1:k1
for c in dh dsa; do
	[[ $c == dsa ]] || openssl genpkey -algorithm DH -pkeyopt group:ffdhe2048 -out "$work/$c" 2>/dev/null
	[[ $c == dh ]] || openssl dsa -in "$(key dsa)" -out "$work/$c" 2>/dev/null
	pairof "bad-$c-key" self "$work/$c"
done
bad bad-dh-key "kind of key" "a Diffie-Hellman key" ErrUnsupported "Diffie-Hellman"
bad bad-dsa-key "kind of key" "a DSA key, traditional" ErrUnsupported "DSA"

# Other tools.
class=everyday
tool="keytool $(java -version 2>&1 | sed -n 's/.*version "\([^"]*\)".*/\1/p')"
for c in ec384leaf:ec384:ecca edleaf:ed25519:edca; do
	IFS=: read -r leaf k ca <<<"$c"
	ecpfx source "$k" "$leaf" "$ca" -name app
	quiet keytool -importkeystore -noprompt -srckeystore source.pfx -srcstoretype PKCS12 -srcstorepass secret \
		-destkeystore "keytool-$k.p12" -deststoretype PKCS12 -deststorepass changeit
	ok "keytool-$k" "$(sed 's/ec.*/EC/; s/ed25519/Ed25519/' <<<"$k")" "defaults of JDK 17, with the chain" "$leaf" "$ca" password=changeit
	quiet keytool -importkeystore -noprompt -srckeystore source.pfx -srcstoretype PKCS12 -srcstorepass secret \
		-destkeystore "keytool-legacy-$k.p12" -deststoretype PKCS12 -deststorepass changeit -J-Dkeystore.pkcs12.legacy
	ok "keytool-legacy-$k" "$(sed 's/ec.*/EC/; s/ed25519/Ed25519/' <<<"$k")" "what JDK 8 writes, with the chain" "$leaf" "$ca" password=changeit
done
rm source.pfx
tool="certtool $(certtool --version | sed -n '1s/.* //p')"
slow=yes # 600,000 rounds
for c in ec384:EC ed25519:Ed25519; do
	n=${c%:*}
	quiet certtool --to-p12 --load-privkey "$(key "$n")" --load-certificate "$(crt "$n")" --p12-name app --password=secret --outder --outfile "certtool-$n.p12"
	ok "certtool-$n" "${c#*:}" "defaults" "$n" - password=secret
	certtool --to-p8 --load-privkey "$(key "$n")" --password secret 2>/dev/null >"$work/p8" || true
	pairof "certtool-$n-p8" "$n" "$work/p8"
	ok "certtool-$n-p8" "${c#*:}, PKCS #8, encrypted" "certtool's default" "$n" - password=secret
done
tool="pk12util $(dpkg-query -W -f '${Version}' libnss3-tools | sed 's/.*://; s/-.*//')"
nssdb=$work/nss-ec
mkdir "$nssdb"
quiet certutil -N -d "$nssdb" --empty-password
ecpfx "$work/nss" ec384 ec384leaf ecca -name app
quiet pk12util -i "$work/nss.pfx" -d "$nssdb" -W secret
quiet pk12util -o pk12util-ec384.p12 -n app -d "$nssdb" -W secret
ok pk12util-ec384 "EC" "defaults, with the chain" ec384leaf ecca password=secret
slow=
tool="python3-cryptography $(python3 -c 'import cryptography; print(cryptography.__version__)')"
python3 "$make/ec.py" "$pki" .
ok python-ec521 "EC" "best available encryption" ec521 - password=secret
ok python-ed25519 "Ed25519" "best available encryption, with its CA" edleaf edca password=secret
ok python-ec-traditional "$sec1" "TraditionalOpenSSL" ec -
ok python-ec-traditional-encrypted "$sec1, encrypted" "TraditionalOpenSSL, encrypted" ec - password=secret
ok python-ed25519-p8 "$edwards, encrypted" "PKCS8" ed25519 - password=secret
tool="ssh-keygen $(ssh -V 2>&1 | sed 's/^OpenSSH_//; s/ .*//')"
for c in ec ed25519; do
	cp "python-$c-openssh" "$work/openssh"
	rm "python-$c-openssh"
	chmod 600 "$work/openssh"
	quiet ssh-keygen -p -f "$work/openssh" -P "" -N secret
	cat "$(crt $c)" "$work/openssh" >"bad-openssh-$c.pem"
done
bad bad-openssh-ec "OpenSSH key" "an EC key in OpenSSH's own form" ErrFormat "ssh-keygen -p -m PKCS8" password=secret
bad bad-openssh-ed25519 "OpenSSH key" "an Ed25519 key in OpenSSH's own form" ErrFormat "load_ssh_private_key" password=secret
tool="pkcs11-provider 0.3"
class=rare
echo 'pkcs11:token=app;object=key;type=private' >bad-pkcs11.txt
bad bad-pkcs11 "another kind of file" "a PKCS #11 URI" ErrFormat "ext/pkcs11"
{ cat "$(crt ec)"; printf -- '-----BEGIN PKCS#11 PROVIDER URI-----\nMCoaGVBLQ1MjMTEgUHJvdmlkZXIgVVJJIHYxLjAMDXBrY3MxMTpvYmplY3Q=\n-----END PKCS#11 PROVIDER URI-----\n'; } >bad-pkcs11-provider.pem
bad bad-pkcs11-provider "another kind of file" "a certificate and the PKCS #11 URI of its key" ErrNoPrivateKey "ext/pkcs11"
