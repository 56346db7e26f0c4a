#!/usr/bin/env bash
# Every test of every module, with the race detector. Tests that need a program
# which isn't installed say so and are skipped; with CI=true they fail instead.
# Further arguments go to go test, such as -short or -run. Without these two, the
# tests that SECURITY.md names must have run and passed.
set -euo pipefail
cd "$(dirname "$0")"

# Files with a million rounds, hundreds of runs of the command and whole releases
# take minutes: the race detector sees a part of these tests, all run without it.
root=$(GOWORK=off go list -m)
slow="$root/internal/certfile $root/cmd/certtoken $root/release"
others=$(go list -m -f '{{.Dir}}/...' | xargs go list | grep -vxF "${slow// /$'\n'}")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/ran" ./release/ran

# ran prints what go test prints, and notes which tests passed.
failed=0
check() { "$work/ran" test "$work/record" -timeout 20m "$@" || failed=1; }

echo "== all but the slow ones, with the race detector"
# shellcheck disable=SC2086
check -race "$@" $others
echo "== the slow ones, in short with the race detector"
# shellcheck disable=SC2086
check -race -short "$@" $slow
echo "== the slow ones, whole and without"
# shellcheck disable=SC2086
check "$@" $slow

echo "== the claims of SECURITY.md"
"$work/ran" claims "$work/record" SECURITY.md "$@" || failed=1

if [ "$failed" -ne 0 ]; then
	echo "some tests failed" >&2
	exit 1
fi
echo "all modules passed"
