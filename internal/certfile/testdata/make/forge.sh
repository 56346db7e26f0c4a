# Files written by node-forge.

tool="node-forge $(node -p "require('$FORGE/node-forge/package.json').version")"
NODE_PATH=$FORGE quiet node "$make/forge.js" "$pki" .

class=everyday
ok forge-default "PBES2 AES-128" "defaults, with the chain: PRF and MAC SHA-1" leaf $full password=secret
ok forge-self "PBES2 AES-128" "defaults, self-signed" self - password=secret
ok forge-3des "PBES1 3DES" "3DES, with the chain" leaf $full password=secret
ok forge-3des-self "PBES1 3DES" "3DES, self-signed, friendly name" self - password=secret
ok forge-aes256 "PBES2 AES-256" "AES-256" self - password=secret
ok forge-empty "PBES1 3DES" "empty password" self - password=
ok forge-cafirst "PBES1 3DES" "from the root down, the leaf last" leaf $full password=secret
ok forge-p8-aes256 "PKCS #8, PBES2 AES-256" "encrypted key and certificate" self - password=secret
ok forge-p8-3des "PKCS #8, PBES1" "3DES of PKCS #12" self - password=secret
class=rare
ok forge-aes192 "PBES2 AES-192" "AES-192" self - password=secret
ok forge-prf512 "PBES2 AES-256" "PRF SHA-512, MAC SHA-1" self - password=secret
ok forge-prf384 "PBES2 AES-256" "PRF SHA-384, MAC SHA-1" self - password=secret
ok forge-p8-des "PKCS #8, PBES2 DES" "DES" self - password=secret
ok forge-nomac "no MAC" "AES-128 without a MAC" self - password=secret
ok forge-nolocalkeyid "PBES2 AES-128" "no localKeyID, certificates in any order" leaf $full password=secret
ok forge-nopassword "no encryption" "no password at all: key not encrypted, MAC of the null password" self -
ok forge-nopassword-nomac "no encryption" "no password, no MAC" leaf $full
ok forge-localkeyid "PBES2 AES-128" "localKeyID as Windows counts them" leaf $full password=secret
ok forge-umlaut "PBES1 3DES" "non-ASCII password" self - "password=Grüße, Zoë"
ok forge-umlaut-aes "PBES2 AES-256" "non-ASCII password, which forge encodes as Latin-1 for PBKDF2" self - "password=Grüße, Zoë"
for a in aes128:AES-128-CBC aes256:AES-256-CBC 3des:DES-EDE3-CBC des:DES-CBC; do
	ok "forge-dek-${a%:*}" "traditional, ${a#*:}" "Proc-Type and DEK-Info" self - password=secret
done
bad forge-wrong "PBES2 AES-128" "wrong password" ErrWrongPassword "" file=forge-default.p12 password=Secret
bad forge-nomac-wrong "no MAC" "wrong password, certificates not encrypted" ErrWrongPassword "" file=forge-nomac.p12 password=Secret
bad forge-certonly "no key" "a certificate without its key" ErrNoPrivateKey "" password=secret
bad forge-keyonly "no certificate" "a key without its certificate" ErrNoCertificate "" password=secret
bad forge-mismatch "mismatched pair" "another certificate's key" ErrKeyMismatch "@sha1:self2" password=secret
bad forge-dek-wrong "traditional, AES-256-CBC" "wrong password" ErrWrongPassword "" file=forge-dek-aes256.pem password=Secret
