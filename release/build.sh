#!/usr/bin/env bash
# Builds the command into a folder, the same bytes wherever it is done with the
# same Go release: release/build.sh FOLDER [vX.Y.Z]
#
# With a version it builds what is published, which is how a release is checked;
# without one, this checkout, which calls itself what CHECKOUT_VERSION says. GOOS and
# GOARCH choose another system. Nothing of the machine goes in: no C compiler, no
# path, no state of git (a clone without tags would differ), no settings.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: release/build.sh FOLDER [vX.Y.Z]" >&2; exit 2; }
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../cmd/certtoken"
unset GOEXPERIMENT GODEBUG
export CGO_ENABLED=0 GOWORK=off GOFLAGS="-trimpath -buildvcs=false"
export GOAMD64=v1 GOARM64=v8.0 GOFIPS140=off

if [ -n "${2:-}" ]; then
	# The go command refuses GOBIN for another system, but puts that system's command
	# into a folder of GOPATH.
	GOMODCACHE=$(go env GOMODCACHE)
	export GOMODCACHE
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	env -u GOBIN GOPATH="$work" go install "github.com/certtoken/certtoken/cmd/certtoken@$2"
	find "$work/bin" -type f -exec mv {} "$folder/" \;
else
	go build -ldflags="${CHECKOUT_VERSION:+-X main.checkout=$CHECKOUT_VERSION}" -o "$folder/" .
fi
