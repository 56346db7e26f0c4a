#!/usr/bin/env bash
#
# Makes the corpus of certificate files that corpus_test.go reads: the files in
# corpus/, their manifest corpus.json, and the keys and certificates that they
# hold (make/pki/, made once and then reused).
#
# It is run by hand, never by CI: the results are committed. On a bare
# Debian 12 it needs, besides Go:
#
#	apt-get install openssl openjdk-17-jdk-headless gnutls-bin libnss3-tools \
#	    libbcprov-java libbcpkix-java gpgsm gpg-agent botan openssh-client nodejs npm zip \
#	    python3-cryptography
#	npm install --prefix DIR node-forge    # then FORGE=DIR/node_modules
#
# Usage:
#
#	FORGE=DIR/node_modules ./make-corpus.sh           # refuses to overwrite
#	FORGE=DIR/node_modules ./make-corpus.sh --force   # replaces corpus/ and corpus.json
#
# One part alone, or one group of the synthesiser, with the files of the others as they
# are. A part must not need files of another one for that:
#
#	./make-corpus.sh --add ec
#	cd make/synth && go run . -add odd -pki ../pki -corpus ../../corpus -manifest ../../corpus.json
#
# Salts are random, so every run gives other bytes. What a case expects comes
# from what was put in, which is noted beside each command; no reader is asked.
# In the end openssl opens what it can of the files that should open, as an oracle
# for the manifest: the key must be the one expected, and the certificates there.

set -euo pipefail
export LC_ALL=C.UTF-8

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
make=$here/make
pki=$make/pki

add=
if [[ ${1-} == --add ]]; then
	add=${2:?--add takes the name of a part}
elif [[ ${1-} != --force && ( -e $here/corpus || -e $here/corpus.json ) ]]; then
	echo "make-corpus.sh: corpus/ exists; say --force to replace it" >&2
	exit 1
fi
tools=(openssl keytool certtool pk12util certutil ssh-keygen python3 go)
if [[ -z $add ]]; then
	: "${FORGE:?set FORGE to the node_modules folder that holds node-forge}"
	tools+=(java gpgsm gpgconf botan node zip)
fi
for tool in "${tools[@]}"; do
	command -v "$tool" >/dev/null || { echo "make-corpus.sh: $tool is missing" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
records=$work/records
cd "$work/corpus"

# shellcheck source=make/lib.sh
source "$make/lib.sh"
parts=(openssl keytool certtool nss forge bouncycastle gpgsm pem broken text ec)
[[ -z $add ]] || parts=("$add")
for part in pki "${parts[@]}"; do
	echo "== $part"
	# shellcheck disable=SC1090
	source "$make/$part.sh"
done

if [[ -n $add ]]; then
	cp "$here/corpus.json" "$work/corpus.json"
	(cd "$make/synth" && go run . -merge -pki "$pki" -records "$records" -manifest "$work/corpus.json")
	cp -r "$work/corpus/." "$here/corpus/"
	cp "$work/corpus.json" "$here/corpus.json"
	(cd "$make/synth" && go run . -verify "$here/corpus.json" -corpus "$work/corpus")
	exit
fi

echo "== synth"
(cd "$make/synth" && go run . -pki "$pki" -records "$records" -corpus "$work/corpus" -manifest "$work/corpus.json")

echo "== check"
(cd "$make/synth" && go run . -verify "$work/corpus.json" -corpus "$work/corpus")

rm -rf "$here/corpus"
cp -r "$work/corpus" "$here/corpus"
cp "$work/corpus.json" "$here/corpus.json"
echo "$(ls "$here/corpus" | wc -l) files; now: go test ./internal/certfile/ -run TestFormatsTable -update"
