#!/usr/bin/env bash
# Every test of every module, with the race detector. Tests that need a program
# which isn't installed say so and are skipped; with CI=true they fail instead.
# Further arguments go to go test, such as -short or -run. Without these two, the
# tests that SECURITY.md names must have run and passed.
set -euo pipefail
cd "$(dirname "$0")"

# Files with a million rounds, hundreds of runs of the command, hundreds of rotations
# and whole releases take minutes: the race detector sees a part of these tests, all run without it.
# The long ones come first, so that no processor is idle while the last one runs.
root=$(GOWORK=off go list -m)
files=$root/internal/certfile
slow="$root/cmd/certtoken $root/release $root/release/packages $root/rotate"
long="$root/interop $root $root/certtokentest $root/selfsigned"
# Compiling the clouds' libraries once more, for the race detector, would take longer than
# all that it could find in two functions of ten lines.
plain="$root/examples/kms"
# shellcheck disable=SC2086
others=$(go list -m -f '{{.Dir}}/...' | xargs go list | grep -vxF "$(printf '%s\n' $slow $files $long $plain)")

work=$(mktemp -d)
# With no job left kill fails, and its failure must not become the script's.
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
go build -o "$work/ran" ./release/ran

# ran prints what go test prints, and notes which tests passed.
check() { "$work/ran" test "$work/record" -timeout 60m "$@"; }

# Many tests wait for other programs, so that two runs side by side end earlier.
slow_ones() {
	local failed=0
	# shellcheck disable=SC2086
	check "$@" $slow "$files" $plain || failed=1
	# shellcheck disable=SC2086
	check -race -short "$@" $slow || failed=1
	# The reader of files starts no goroutine and keeps nothing: the detector sees it in the tests
	# that read files side by side.
	check -race -short -run '^Test(Corpus|Mutat|Prefixes)' "$@" "$files" || failed=1
	return "$failed"
}
echo "== all but the slow ones with the race detector; the slow ones whole, and in short with it"
failed=0
slow_ones "$@" &
# shellcheck disable=SC2086
check -race "$@" $long $others || failed=1
wait "$!" || failed=1

echo "== the claims of SECURITY.md"
"$work/ran" claims "$work/record" SECURITY.md "$@" || failed=1

if [ "$failed" -ne 0 ]; then
	echo "some tests failed" >&2
	exit 1
fi
echo "all modules passed"
