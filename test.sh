#!/usr/bin/env bash
# Every test of every module, with the race detector. Tests that need a program
# which isn't installed say so and are skipped; with CI=true they fail instead.
# Further arguments go to go test, such as -short or -run.
set -euo pipefail
cd "$(dirname "$0")"

# Files with a million rounds take minutes under the race detector, which has
# nothing to find in a pure function: those are read without it.
slow=github.com/certtoken/certtoken/internal/certfile

failed=0
check() { go test -timeout 20m "$@" || failed=1; }

for dir in $(go list -m -f '{{.Dir}}'); do
	echo "== ${dir#"$PWD"/}"
	cd "$dir"
	packages=$(go list ./... | grep -vx "$slow" || true)
	# shellcheck disable=SC2086
	check -race "$@" $packages
	cd "$OLDPWD"
done
echo "== internal/certfile"
CI="" check -race -short "$@" ./internal/certfile # CI=true would add the slow ones
check "$@" ./internal/certfile

if [ "$failed" -ne 0 ]; then
	echo "some tests failed" >&2
	exit 1
fi
echo "all modules passed"
