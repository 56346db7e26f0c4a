# Keys and certificates for the corpus. Throwaway: they are public and sign
# nothing. Made by openssl ca, valid from 2020 to 2120 unless a case wants
# otherwise; a second run finds them and makes none.

# newkey NAME ARGS… makes a key unless it's there.
newkey() {
	local name=$1
	shift
	[[ -f $(key "$name") ]] || quiet openssl genpkey "$@" -out "$(key "$name")"
}

# keyof NAME prints whose key the CA of that name has.
keyof() {
	case $1 in
	brainpoolca) echo brainpool ;;
	*) echo "${1%%-*}" ;;
	esac
}

# newcert NAME KEY ISSUER EXTENSIONS SUBJECT [SERIAL [FROM [TO [ARGS…]]]]
# makes a certificate unless it's there; ISSUER "-" signs with its own key.
newcert() {
	local name=$1 keyname=$2 issuer=$3 ext=$4 subject=$5 serial=$6 from=${7:-20200101000000Z} to=${8:-21200101000000Z}
	shift $(($# < 8 ? $# : 8))
	[[ -f $(crt "$name") ]] && return
	local signer=(-selfsign -keyfile "$(key "$keyname")")
	[[ $issuer == - ]] || signer=(-cert "$(crt "$issuer")" -keyfile "$(key "$(keyof "$issuer")")")
	local db=$work/ca
	rm -rf "$db"
	mkdir "$db"
	touch "$db/index.txt"
	echo "$serial" >"$db/serial"
	cat >"$db/conf" <<-CONF
		[ca]
		default_ca = corpus
		[corpus]
		dir = $db
		database = $db/index.txt
		serial = $db/serial
		new_certs_dir = $db
		default_md = sha256
		policy = any
		unique_subject = no
		string_mask = utf8only
		[any]
		commonName = supplied
		organizationName = optional
		[req]
		distinguished_name = dn
		string_mask = utf8only
		[dn]
		[leaf]
		basicConstraints = CA:FALSE
		keyUsage = critical, digitalSignature, keyEncipherment
		extendedKeyUsage = clientAuth
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		[ca_cert]
		basicConstraints = critical, CA:TRUE
		keyUsage = critical, keyCertSign, cRLSign
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		[bare]
		basicConstraints = CA:FALSE
	CONF
	quiet openssl req -new -utf8 -config "$db/conf" -key "$(key "$keyname")" -subj "$subject" -out "$db/csr"
	quiet openssl ca -batch -config "$db/conf" -extensions "$ext" -utf8 -notext -preserveDN \
		-startdate "$from" -enddate "$to" "${signer[@]}" "$@" -in "$db/csr" -out "$(crt "$name")"
}

mkdir -p "$pki"
rsa=(-algorithm RSA -pkeyopt)

for k in root inter1 inter2 other leaf leaf2 self self2; do newkey $k "${rsa[@]}" rsa_keygen_bits:2048; done
newkey self3072 "${rsa[@]}" rsa_keygen_bits:3072
newkey self4096 "${rsa[@]}" rsa_keygen_bits:4096
newkey small "${rsa[@]}" rsa_keygen_bits:1024
newkey exp3 "${rsa[@]}" rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3
newkey pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048
newkey ec -algorithm EC -pkeyopt ec_paramgen_curve:P-256
newkey ecca -algorithm EC -pkeyopt ec_paramgen_curve:P-256
newkey ed25519 -algorithm ED25519
for c in 384 521; do newkey ec$c -algorithm EC -pkeyopt ec_paramgen_curve:P-$c; done
newkey edca -algorithm ED25519
newkey ed448 -algorithm ED448
newkey x25519 -algorithm X25519
newkey k1 -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1
newkey p224 -algorithm EC -pkeyopt ec_paramgen_curve:P-224
newkey p192 -algorithm EC -pkeyopt ec_paramgen_curve:P-192
newkey brainpool -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1
newkey sm2 -algorithm EC -pkeyopt ec_paramgen_curve:SM2
if [[ ! -f $(key dsa) ]]; then
	quiet openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:2048 -out "$work/dsa"
	newkey dsa -paramfile "$work/dsa"
fi

# The usual chain: leaf and leaf2 under inter2 under inter1 under root.
newcert root root - ca_cert "/O=Corpus/CN=Corpus Root" 01
newcert inter1 inter1 root ca_cert "/O=Corpus/CN=Corpus Policy CA" 02
newcert inter2 inter2 inter1 ca_cert "/O=Corpus/CN=Corpus Issuing CA" 03
newcert leaf leaf inter2 leaf "/O=Corpus/CN=app.example" 1001
newcert leaf2 leaf2 inter2 leaf "/O=Corpus/CN=second.example" 1002
# The same key, certified again a year later.
newcert renewed leaf inter2 leaf "/O=Corpus/CN=app.example" 1003 20210101000000Z 21210101000000Z
# The key of self under a root directly.
newcert underroot self2 root leaf "/O=Corpus/CN=underroot.example" 1004

# Self-signed, as most certificates of app registrations are.
newcert self self - leaf "/CN=self.example" 2001
newcert self2 self2 - leaf "/CN=self2.example" 2002
newcert selfrenewed self - leaf "/CN=self.example" 2003 20210101000000Z 21210101000000Z
newcert self3072 self3072 - leaf "/CN=self3072.example" 2004
newcert self4096 self4096 - leaf "/CN=self4096.example" 2005
newcert exp3 exp3 - leaf "/CN=exponent3.example" 2006
newcert expired self2 - leaf "/CN=expired.example" 2007 20010101000000Z 20020101000000Z
newcert future self2 - leaf "/CN=future.example" 2008 21100101000000Z
newcert utf8 self2 - leaf "/O=Größenwahn 株式会社/CN=Schlüssel 🔑" 2009
newcert bare self2 - bare "/CN=bare.example" 2010
newcert sha1self self2 - leaf "/CN=sha1.example" 2011 "" "" -md sha1
newcert pssself self2 - leaf "/CN=pss-signed.example" 2012 "" "" -sigopt rsa_padding_mode:pss

# EC and Ed25519, self-signed and under CAs of every kind.
newcert ec ec - leaf "/CN=ec.example" 3002
newcert ec384 ec384 - leaf "/CN=ec384.example" 3005 "" "" -md sha384
newcert ec521 ec521 - leaf "/CN=ec521.example" 3006 "" "" -md sha512
newcert ed25519 ed25519 - leaf "/CN=ed25519.example" 3003 "" "" -md null
newcert ecleaf ec inter2 leaf "/O=Corpus/CN=ec.example" 1007
newcert ecca ecca - ca_cert "/O=Corpus/CN=Corpus EC CA" 07
newcert edca edca - ca_cert "/O=Corpus/CN=Corpus Ed25519 CA" 09 "" "" -md null
newcert ec384leaf ec384 ecca leaf "/O=Corpus/CN=ec384.example" 1008
newcert edleaf ed25519 edca leaf "/O=Corpus/CN=ed25519.example" 1009 "" "" -md null
# The same server, RSA and EC: one subject.
newcert rsatwin self2 inter2 leaf "/O=Corpus/CN=twin.example" 1010
newcert ectwin ec inter2 leaf "/O=Corpus/CN=twin.example" 1011
# A CA whose curve Go doesn't know.
newcert brainpoolca brainpool - ca_cert "/O=Corpus/CN=Corpus brainpool CA" 10
newcert underbrainpool ec brainpoolca leaf "/O=Corpus/CN=underbrainpool.example" 1012
# Written in other ways: the point compressed, the curve by its numbers.
variant() {
	[[ -f $(crt "$1") ]] && return
	quiet openssl ec -in "$(key "$2")" -out "$work/variant.key" "${@:3}"
	quiet openssl req -x509 -new -key "$work/variant.key" -subj "/CN=$1.example" -days 36500 -out "$(crt "$1")"
}
variant eccompressed ec -conv_form compressed
variant echybrid ec384 -conv_form hybrid
variant ecexplicit ec -param_enc explicit
variant ecexplicitcompressed ec521 -param_enc explicit -conv_form compressed

# Refused ones.
newcert k1 k1 - leaf "/CN=k1.example" 3011
newcert p224 p224 - leaf "/CN=p224.example" 3012
newcert p192 p192 - leaf "/CN=p192.example" 3013
newcert brainpool brainpool - leaf "/CN=brainpool.example" 3014
newcert ed448 ed448 - leaf "/CN=ed448.example" 3020 "" "" -md null
newcert dsa dsa - leaf "/CN=dsa.example" 3021
newcert small small - leaf "/CN=small.example" 3001
newcert pss pss - leaf "/CN=pss-key.example" 3004

# Odd chains.
newcert other other - ca_cert "/O=Other/CN=Other Root" 04
# inter2's name with another key: the CA was renewed.
newcert other-inter2 other inter1 ca_cert "/O=Corpus/CN=Corpus Issuing CA" 05
# inter1 certified by the other root as well.
newcert inter1-cross inter1 other ca_cert "/O=Corpus/CN=Corpus Policy CA" 06
newcert underec leaf2 ecca leaf "/O=Corpus/CN=underec.example" 1005
newcert inter1-sha1 inter1 root ca_cert "/O=Corpus/CN=Corpus Policy CA" 08 "" "" -md sha1
# No key identifiers anywhere: only names and signatures link them.
newcert undernoid leaf2 inter2 bare "/O=Corpus/CN=undernoid.example" 1006
# A serial number below zero, which Go's parser refuses.
[[ -f $(crt negative) ]] || quiet openssl req -x509 -key "$(key other)" -set_serial -1234 -days 36500 \
	-subj "/CN=negative.example" -out "$(crt negative)"
