#!/usr/bin/env bash
# Every test of every module, with the race detector. Tests that need a program
# which isn't installed say so and are skipped; with CI=true they fail instead.
# Further arguments go to go test, such as -short or -run.
set -euo pipefail
cd "$(dirname "$0")"

modules=$(go list -m -f '{{.Dir}}')
failed=0
for dir in $modules; do
	echo "== ${dir#"$PWD"/}"
	(cd "$dir" && go test -race -timeout 20m "$@" ./...) || failed=1
done
if [ "$failed" -ne 0 ]; then
	echo "some tests failed" >&2
	exit 1
fi
echo "all modules passed"
