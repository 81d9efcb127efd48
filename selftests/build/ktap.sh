# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# KTAP for tests in sh: source it, say `check NAME COMMAND...` for each test, and end with `finish`.
#
# The runner (selftests/run) starts tests in the source tree, with FIXAR_BUILD and a TMPDIR of their own.

: "${FIXAR_BUILD:=$PWD/build}" "${TMPDIR:=$(mktemp -d)}"
count=0
failures=0
echo "KTAP version 1"

result() {
	count=$((count + 1))
	[ "$1" = ok ] || failures=$((failures + 1))
	echo "$1 $count $2"
}

# The command's output is shown if it fails. It runs in a shell of its own.
check() {
	check_name=$1
	shift
	if ("$@") >"$TMPDIR/output" 2>&1; then
		result ok "$check_name"
	else
		result "not ok" "$check_name"
		awk '{ print "# " $0 }' "$TMPDIR/output"
	fi
}

skip() {
	count=$((count + 1))
	echo "ok $count $1 # SKIP $2"
}

# Whether a command says nothing, on either stream, and succeeds.
silent() {
	silent_output=$("$@" 2>&1)
	silent_status=$?
	printf '%s' "$silent_output"
	[ $silent_status = 0 ] && [ -z "$silent_output" ]
}

fails() {
	! "$@"
}

finish() {
	echo "1..$count"
	[ "$failures" = 0 ] && [ "$count" -gt 0 ]
	exit
}
