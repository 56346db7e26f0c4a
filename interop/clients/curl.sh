#!/bin/sh
# A client assertion by openssl, sent by curl: what a shell script does. The
# variables come from the test; the answer goes to standard output.
set -eu

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

now=$(date +%s)
header=$(printf '{"alg":"%s","typ":"JWT","%s":"%s"}' "$ALG" "$HEADER" "$THUMBPRINT" | base64url)
claims=$(printf '{"aud":"%s","iss":"%s","sub":"%s","jti":"%s","nbf":%d,"iat":%d,"exp":%d}' \
	"$AUDIENCE" "$CLIENT_ID" "$CLIENT_ID" "$(openssl rand -hex 16)" "$now" "$now" $((now + 300)) | base64url)

case $ALG in
PS256) set -- -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest ;;
*) set -- ;;
esac
signature=$(printf %s "$header.$claims" | openssl dgst -sha256 -sign "$KEY_FILE" "$@" -binary | base64url)

printf %s "$header.$claims.$signature" | curl --silent --show-error --cacert "$CA_FILE" --connect-to "::$REACH" \
	--data-urlencode "grant_type=client_credentials" \
	--data-urlencode "client_id=$CLIENT_ID" \
	--data-urlencode "scope=$SCOPE" \
	--data-urlencode "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer" \
	--data-urlencode "client_assertion@-" \
	"$TOKEN_URL"
