# Functions that the parts of make-corpus.sh share.

# The producer that the following cases name, and whether it's what people have
# every day or a rarer file.
tool=
class=everyday

# Set while cases take long: hundreds of thousands of rounds.
slow=

# ok NAME FORMAT WHAT LEAF CHAIN [field=value ...]
#
# records a file that opens: LEAF is a name in make/pki, CHAIN a list of them
# separated by commas, nearest first, "-" for none. The file is the only one
# called NAME.* unless file=… says otherwise. Fields: file, keyfile, password
# (absent: none is given), thumb (see synth), slow.
ok() {
	local name=$1 format=$2 what=$3 leaf=$4 chain=$5
	shift 5
	[[ $chain == - ]] && chain=
	record "$name" "$format" "$what" leaf="$leaf" chain="$chain" "$@"
}

# bad NAME FORMAT WHAT ERROR MESSAGE [field=value ...]
#
# records a file that is refused with the sentinel ERROR and a text that holds
# MESSAGE ("" for any, @sha1:NAME for a certificate's thumbprint).
bad() {
	local name=$1 format=$2 what=$3 err=$4 msg=$5
	shift 5
	record "$name" "$format" "$what" error="$err" message="$msg" "$@"
}

record() {
	local name=$1 format=$2 what=$3 file= keyfile= field f
	shift 3
	for field in "$@"; do
		case $field in
		file=*) file=${field#file=} ;;
		keyfile=*) keyfile=${field#keyfile=} ;;
		esac
	done
	if [[ -z $file ]]; then
		file=$(echo "$name".*)
		set -- "$@" file="$file"
	fi
	for f in "$file" ${keyfile:+"$keyfile"}; do
		[[ -f $f ]] || { echo "case $name: no file $f" >&2; exit 1; }
	done
	{
		printf '%s\x1f' name="$name" tool="$tool" class="$class" slow="$slow" format="$format" what="$what" "$@"
		printf '\n'
	} >>"$records"
}

crt() { echo "$pki/$1.crt.pem"; }
key() { echo "$pki/$1.key.pem"; }

# crts NAME… prints certificates one after the other, and nothing else.
crts() {
	local c
	for c; do openssl x509 -in "$pki/$c.crt.pem"; done
}

# quiet runs a command and shows what it said only when it failed.
quiet() {
	"$@" >"$work/log" 2>&1 || { echo "failed: $*" >&2; cat "$work/log" >&2; exit 1; }
}
