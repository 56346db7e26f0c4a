# PFX files written by BouncyCastle; its keystore writes BER.

tool="BouncyCastle $(dpkg-query -W -f '${Version}' libbcprov-java | sed 's/-.*//')"
jars=/usr/share/java
quiet java -Dfile.encoding=UTF-8 -cp "$jars/bcprov.jar:$jars/bcpkix.jar:$jars/bcutil.jar" "$make/Bc.java" "$pki" .

class=everyday
ok bc-default "BER" "its keystore: BER, 3DES and RC2-40, with the chain" leaf $full password=secret
ok bc-self "BER" "its keystore: BER, self-signed" self - password=secret
ok bc-3des "BER" "its keystore PKCS12-3DES-3DES" leaf $full password=secret
ok bc-aes256 "PBES2 AES-256" "AES-256, SHA-256" self - password=secret
class=rare
ok bc-def "BER" "its keystore PKCS12-DEF" leaf $full password=secret
ok bc-ber-aes256 "BER" "BER, AES-256" leaf $full password=secret
ok bc-umlaut "BER" "non-ASCII password" self - "password=Grüße, Zoë"
ok bc-emoji "BER" "emoji in the password" self - password="$emoji"
ok bc-empty "BER" "empty password, which it takes for the null one" self - password=
ok bc-empty-none "BER" "empty password, none given" self - file=bc-empty.p12
ok bc-aes128-prf1 "PBES2 AES-128" "PRF SHA-1" self - password=secret
ok bc-aes192-prf224 "PBES2 AES-192" "PRF SHA-224" self - password=secret
ok bc-prf384 "PBES2 AES-256" "PRF and MAC SHA-384, from the root down" leaf $full password=secret
ok bc-prf512 "PBES2 AES-256" "PRF and MAC SHA-512" self - password=secret
ok bc-prf512-umlaut "PBES2 AES-256" "PRF and MAC SHA-512, Cyrillic and an emoji" self - password="Грибоєдов 🔑"
ok bc-mac224 "MAC SHA-224" "3DES key, RC2-128 certificates, SHA-224 MAC" self - password=secret
ok bc-rc2-128 "PBES1 RC2-128" "RC2-128" self - password=secret
ok bc-three-safes "several safes" "key, leaf and CAs in three safes of three ciphers" leaf $full password=secret
ok bc-one-safe "several safes" "everything in one encrypted safe" self - password=secret
ok bc-keybag-in-safe "several safes" "a plain key bag within an encrypted safe" self - password=secret
ok bc-wrong-localkeyid "localKeyID" "localKeyIDs that lead to others' certificates" leaf $full password=secret
ok bc-crl "extra bags" "a revocation list among the certificates" leaf $full password=secret
ok bc-three-pairs "several pairs" "three pairs without localKeyID, one by thumbprint" self2 - password=secret thumb=sha1spaces:self2
ok bc-three-pairs-3072 "several pairs" "three pairs without localKeyID, another by x5t" self3072 - file=bc-three-pairs.p12 password=secret thumb=sha1b64:self3072
ok bc-two "several pairs" "two pairs and a trusted root" leaf2 inter2,inter1,root password=secret thumb=sha1lower:leaf2
ok bc-spare-key "several pairs" "a second key without a certificate" self - password=secret
ok bc-key-twice "several pairs" "one key in two bags" self - password=secret
bad bc-three-pairs-none "several pairs" "three pairs, none selected" ErrSeveralKeys "@sha1:self3072" file=bc-three-pairs.p12 password=secret
bad bc-mismatch "mismatched pair" "certificates of other keys only" ErrKeyMismatch "" password=secret
bad bc-chainonly "mismatched pair" "a key with its issuers, but without its certificate" ErrKeyMismatch "" password=secret
bad bc-empty-safe "empty PFX" "a PFX that holds nothing" ErrNoPrivateKey "" password=secret
bad bc-wrong "BER" "wrong password" ErrWrongPassword "" file=bc-default.p12 password=Secret
bad bc-missing "BER" "password missing" ErrPasswordRequired "" file=bc-default.p12
bad bc-one-safe-wrong "several safes" "wrong password" ErrWrongPassword "" file=bc-one-safe.p12 password=Secret
