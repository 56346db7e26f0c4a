#!/usr/bin/env bash
# Every test of every module, with the race detector. Tests that need a program
# which isn't installed say so and are skipped; with CI=true they fail instead.
# Further arguments go to go test, such as -short or -run.
set -euo pipefail
cd "$(dirname "$0")"

# Files with a million rounds, hundreds of runs of the command and whole releases
# take minutes: the race detector sees a part of these tests, all run without it.
root=$(GOWORK=off go list -m)
slow="$root/internal/certfile $root/cmd/certtoken $root/release"

failed=0
check() { go test -timeout 20m "$@" || failed=1; }

for dir in $(go list -m -f '{{.Dir}}'); do
	echo "== ${dir#"$PWD"/}"
	cd "$dir"
	packages=$(go list ./... | grep -vxF "${slow// /$'\n'}" || true)
	# shellcheck disable=SC2086
	[ -z "$packages" ] || check -race "$@" $packages
	cd "$OLDPWD"
done
for package in $slow; do
	echo "== ${package#"$root"/}, in short with the race detector, then whole without"
	check -race -short "$@" "$package"
	check "$@" "$package"
done

if [ "$failed" -ne 0 ]; then
	echo "some tests failed" >&2
	exit 1
fi
echo "all modules passed"
