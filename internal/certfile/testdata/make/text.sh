# Files that went through web forms, secret stores, shells and editors: PEM and
# base64 that is still all there, and looks different.

tool="openssl $(openssl version | cut -d' ' -f2)"

class=everyday
awk '{printf "%s\\\\n", $0}' pem-chain.pem >pem-escaped-twice.pem
ok pem-escaped-twice "text" "line ends that became \\\\n: escaped twice" leaf $full
sed "s/.*/&\\\\u000a/; s/+/\\\\u002b/g; s/=/\\\\u003d/g" pem-chain.pem | tr -d '\n' >pem-escaped-unicode.pem
ok pem-escaped-unicode "text" "JSON with \\u000a, \\u002b and \\u003d" leaf $full
{ printf 'pem: "'; sed 's/$/\\n\\/; s/^/    /' pem-chain.pem; printf '"\n'; } >pem-yaml-folded.pem
ok pem-yaml-folded "text" "YAML in double quotes, lines continued by a backslash" leaf $full
sed 's/$/\xc2\xa0/' pem-chain.pem >pem-nbsp.pem
ok pem-nbsp "text" "no-break spaces, as copied from a web page" leaf $full
sed 's/$/\xe2\x80\x8b/' pem-self.pem >pem-zwsp.pem
ok pem-zwsp "text" "zero-width spaces, as copied from a chat" self -
{ crts leaf inter2 inter1 root; sed 's/$/\r/' "$(key leaf)" | iconv -t UTF-16LE; } >pem-appended-utf16.pem
ok pem-appended-utf16 "text" "PowerShell's >> onto ASCII: the key is UTF-16" leaf $full
{ printf '\xff\xfe'; crts leaf inter2 inter1 root | iconv -t UTF-16LE; cat "$(key leaf)"; } >pem-appended-ascii.pem
ok pem-appended-ascii "text" "ASCII appended to UTF-16" leaf $full
tr '\n' ' ' <pem-traditional.pem >pem-traditional-spaces.pem
ok pem-traditional-spaces "traditional, AES-256-CBC" "spaces for line ends, also around the headers" self - password=secret
printf "'%s'\n" "$(base64 -w 0 openssl-default-self.pfx)" >openssl-base64-quoted.txt
ok openssl-base64-quoted "base64" "base64 in single quotes" self - password=secret
base64 -w 64 openssl-default-self.pfx | awk '{printf "%s\\n", $0}' >openssl-base64-escaped.txt
ok openssl-base64-escaped "base64" "wrapped base64 whose line ends became \\n" self - password=secret

class=rare
sed 's/$/\f/' pem-self.pem >pem-formfeed.pem
ok pem-formfeed "text" "form feeds" self -
{ printf '\xd0\x9a:\n' | iconv -t UTF-16LE; iconv -t UTF-16LE <pem-self.pem; } >pem-utf16-cyrillic.pem
ok pem-utf16-cyrillic "text" "UTF-16 without BOM that begins with a Cyrillic letter" self -
printf 'data:application/x-pkcs12;base64,%s' "$(base64 -w 0 openssl-default-self.pfx)" >openssl-data-uri.txt
ok openssl-data-uri "base64" "a data URI" self - password=secret
{ base64 -w 0 openssl-default-self.pfx; printf '\xc2\xa0,\n'; } >openssl-base64-nbsp.txt
ok openssl-base64-nbsp "base64" "a no-break space and a comma at the end" self - password=secret
{ printf 0x; od -An -v -tx1 openssl-default-self.pfx | tr -d ' \n' | tr a-f A-F; } >openssl-hex.txt
ok openssl-hex "hex" "hex digits, as SQL Server writes it" self - password=secret
{ printf '\r\n'; cat openssl-default-self.pfx; } >openssl-leading-newline.pfx
ok openssl-leading-newline "trailing bytes" "a line end before the start" self - password=secret
{ printf '\n'; openssl x509 -in "$(crt self)" -outform DER; } >der-leading-newline.der
ok der-leading-newline "PKCS #8" "a line end before the certificate" self - keyfile=der-key.der
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 2531\n' >bad-lfs.txt
bad bad-lfs "another kind of file" "a pointer of Git LFS" ErrFormat "git lfs pull" file=bad-lfs.txt
printf '@Microsoft.KeyVault(SecretUri=https://example.vault.azure.net/secrets/app)' >bad-reference.txt
bad bad-reference "another kind of file" "a Key Vault reference that stayed one" ErrFormat "Key Vault reference" file=bad-reference.txt
printf '$ANSIBLE_VAULT;1.1;AES256\n36303132\n' >bad-ansible.txt
bad bad-ansible "another kind of file" "an Ansible Vault file" ErrFormat "Ansible" file=bad-ansible.txt
# The tag of the content's explicit wrapping is another one.
LC_ALL=C sed '0,/\xa0\x82/s//\x04\x82/' openssl1-self.pfx >bad-tag.pfx
bad bad-tag "damaged" "a PFX whose content has a wrong tag: not a key of an odd kind" ErrFormat "" password=secret
