# Keys and certificates for the corpus. Throwaway: they are public and sign
# nothing. Made by openssl ca, valid from 2020 to 2120 unless a case wants
# otherwise; a second run finds them and makes none.

# newkey NAME ARGS… makes a key unless it's there.
newkey() {
	local name=$1
	shift
	[[ -f $(key "$name") ]] || quiet openssl genpkey "$@" -out "$(key "$name")"
}

# newcert NAME KEY ISSUER EXTENSIONS SUBJECT [SERIAL [FROM [TO [ARGS…]]]]
# makes a certificate unless it's there; ISSUER "-" signs with its own key.
newcert() {
	local name=$1 keyname=$2 issuer=$3 ext=$4 subject=$5 serial=$6 from=${7:-20200101000000Z} to=${8:-21200101000000Z}
	shift $(($# < 8 ? $# : 8))
	[[ -f $(crt "$name") ]] && return
	local signer=(-selfsign -keyfile "$(key "$keyname")")
	[[ $issuer == - ]] || signer=(-cert "$(crt "$issuer")" -keyfile "$(key "${issuer%%-*}")")
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

# Refused ones.
newcert small small - leaf "/CN=small.example" 3001
newcert ec ec - leaf "/CN=ec.example" 3002
newcert ed25519 ed25519 - leaf "/CN=ed25519.example" 3003 "" "" -md null
newcert pss pss - leaf "/CN=pss-key.example" 3004

# Odd chains.
newcert other other - ca_cert "/O=Other/CN=Other Root" 04
# inter2's name with another key: the CA was renewed.
newcert other-inter2 other inter1 ca_cert "/O=Corpus/CN=Corpus Issuing CA" 05
# inter1 certified by the other root as well.
newcert inter1-cross inter1 other ca_cert "/O=Corpus/CN=Corpus Policy CA" 06
newcert ecca ecca - ca_cert "/O=Corpus/CN=Corpus EC CA" 07
newcert underec leaf2 ecca leaf "/O=Corpus/CN=underec.example" 1005
newcert inter1-sha1 inter1 root ca_cert "/O=Corpus/CN=Corpus Policy CA" 08 "" "" -md sha1
# No key identifiers anywhere: only names and signatures link them.
newcert undernoid leaf2 inter2 bare "/O=Corpus/CN=undernoid.example" 1006
# A serial number below zero, which Go's parser refuses.
[[ -f $(crt negative) ]] || quiet openssl req -x509 -key "$(key other)" -set_serial -1234 -days 36500 \
	-subj "/CN=negative.example" -out "$(crt negative)"
