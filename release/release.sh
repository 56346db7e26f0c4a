#!/usr/bin/env bash
# Makes the tags of a version from HEAD: release/release.sh vX.Y.Z
#
# In development each module replaces the root by its folder, and a module that
# replaces can't be installed with @version. So the root is tagged as it is, and
# the other modules on a branch where they require that tag. All happens in a
# clone; when everything went well, the branch and the tags are brought here.
# The files here stay as they are, and nothing is pushed.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
unpublished='^(bench|interop|release|examples/kms)$'

fail() { echo "release: $*" >&2; exit 1; }

version=${1:-}
[[ $version =~ ^v[01]\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$ ]] ||
	fail "the version must look like v0.1.0 (from v2 on the module's path would change): release/release.sh vX.Y.Z"
branch=release/$version
root=$(GOWORK=off go list -m)
commit=$(git rev-parse HEAD)

# tag_of names the tag of a module's version, as the go command looks for it.
tag_of() {
	local folder=${1#"$root"}
	echo "${folder:+${folder#/}/}$version"
}
exists() { git rev-parse --quiet --verify "$1" >/dev/null; }

[ -z "$(git status --porcelain --untracked-files=no)" ] ||
	fail "there are changes that aren't committed: they would not be in the release"
# These aren't pipes: grep -q ends at the first match, so that git show may fail to write the
# rest, and with it the pipe, although the line is there.
changelog=$(git show "$commit:CHANGELOG.md")
client=$(git show "$commit:client.go")
grep -qE "^## \[${version#v}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" <<<"$changelog" ||
	fail "CHANGELOG.md has no heading '## [${version#v}] - YYYY-MM-DD'"
grep -qxF "const version = \"${version#v}\"" <<<"$client" ||
	fail "client.go, which names the version to token endpoints, has another one"
author=$(git config user.name) && email=$(git config user.email) || fail "git doesn't know your user.name and user.email"
! exists "refs/heads/$branch" || fail "the branch $branch is there already"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Nothing may go on in the background when the clone is removed.
git clone --quiet --no-tags --config gc.auto=0 --config maintenance.auto=false "$repository" "$work/clone"
cd "$work/clone"
git checkout --quiet -b "$branch" "$commit"
git config user.name "$author"
git config user.email "$email"

# The go command fetches the tags of this clone as if they were on the server,
# everything else from the module cache and the usual proxy. A cache of its own
# keeps what isn't published yet out of yours.
proxy=$(go env GOPROXY)
export GOPROXY="file://$(go env GOMODCACHE)/cache/download,$proxy"
export GOMODCACHE=$work/modules GOFLAGS=-modcacherw GOWORK=off
export GONOPROXY=$root GONOSUMDB=$root GOVCS='*:git'
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$PWD.insteadOf" GIT_CONFIG_VALUE_0="https://$root"

tags=()
tag() {
	local name
	name=$(tag_of "$1")
	! git -C "$repository" rev-parse --quiet --verify "refs/tags/$name" >/dev/null || fail "the tag $name is there already"
	git tag -a -m "$1 $version" "$name"
	tags+=("$name")
}

# replaced lists the modules that a folder's module takes from other folders. The
# file is read as text: the go command refuses to load a module while one of those
# that it replaces already requires the tag.
replaced() { sed -n 's/^replace \([^ ]*\) => .*/\1/p' "$1/go.mod"; }

# publishable reports whether all that a module replaces has its tag.
publishable() {
	local path
	for path in $(replaced "$1"); do
		exists "refs/tags/$(tag_of "$path")" || return 1
	done
}

# require puts the tags in the place of the folders, and checks that the sums of
# all that the module and its tests need are in go.sum.
require() {
	local path
	for path in $(replaced "$1"); do
		(cd "$1" && go mod edit -dropreplace="$path" -require="$path@$version")
	done
	(cd "$1" && go mod tidy && go list -deps -test ./... >/dev/null)
	! grep -q '^replace' "$1/go.mod" || fail "$1/go.mod replaces something else"
}

tag "$root"
waiting=$(git ls-files '*/go.mod' | sed 's,/go.mod$,,' | grep -vE "$unpublished")
while [ -n "$waiting" ]; do
	ready="" later=""
	for dir in $waiting; do
		if publishable "$dir"; then ready="$ready $dir"; else later="$later $dir"; fi
	done
	[ -n "$ready" ] || fail "these modules wait for each other:$later"
	for dir in $ready; do
		echo "$dir"
		require "$dir"
	done
	git commit --quiet --all --allow-empty -m "release $version:$ready"
	for dir in $ready; do tag "$root/$dir"; done
	waiting=$later
done

refspecs=("refs/heads/$branch:refs/heads/$branch")
for name in "${tags[@]}"; do refspecs+=("refs/tags/$name:refs/tags/$name"); done
git -C "$repository" fetch --quiet --atomic --no-tags "file://$PWD" "${refspecs[@]}"

echo
echo "$version is tagged in this repository and not pushed. To look at it, and to publish it:"
echo "  git diff $version $branch"
echo "  git push --atomic origin ${tags[*]}"
