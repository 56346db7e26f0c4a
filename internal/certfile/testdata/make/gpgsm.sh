# PFX files written by GnuPG's gpgsm.

tool="gpgsm $(gpgsm --version | sed -n '1s/.* //p')"
export GNUPGHOME=$work/gnupg
mkdir -m 700 "$GNUPGHOME"
echo allow-loopback-pinentry >"$GNUPGHOME/gpg-agent.conf"
# gpgsm asks for the passphrase of the file and of its own copy of the key; all
# of them are the same here.
gpgsm_() { quiet gpgsm --batch --yes --disable-crl-checks --pinentry-mode loopback --passphrase-fd 3 "$@" 3<<<secret; }
gpgsm_ --import openssl1-self.pfx
gpgsm_ --import openssl1-default.pfx
id() { openssl x509 -in "$(crt "$1")" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g'; }

class=rare
gpgsm_ --output gpgsm-self.p12 --export-secret-key-p12 "0x$(id self)"
ok gpgsm-self "PBES1 3DES + RC2-40" "gpgsm's default" self - password=secret
gpgsm_ --armor --output gpgsm-armoured.pem --export-secret-key-p12 "0x$(id self)"
ok gpgsm-armoured "PEM-armoured PFX" "gpgsm --armor: BEGIN PKCS12, and lines of text before" self - password=secret
gpgconf --kill gpg-agent
