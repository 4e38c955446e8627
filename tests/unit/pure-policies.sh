#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# usage: pure-policies.sh POLICIES_DIR
#
# policies/ is pure: no clock and no I/O (check-includes keeps the other rooms out). What is not
# included cannot be called, an implicit declaration being an error; so the system headers that a
# policy may include are listed here. Of those, only stdlib.h has calls that must not occur. The
# programs in the folders below policies/ are not looked at. Prints TAP.
set -eu

room=$1
allowed='assert errno float math stdbool stddef stdint stdlib string'
status=0

report() { # number, name, offending lines
	if [ -n "$3" ]; then
		printf '%s\n' "$3" | sed 's/^/# /'
		echo "not ok $1 - $2"
		status=1
	else
		echo "ok $1 - $2"
	fi
}

echo 1..2

pattern=$(printf '%s' "$allowed" | sed 's/ /|/g')
report 1 'only harmless system headers' \
	"$(grep -Hn '#include *<' "$room"/*.[ch] | grep -Ev "<($pattern)\.h>" || :)"

report 2 'no environment, processes or chance' "$(
	grep -HnEw '(secure_)?getenv|setenv|system|s?rand(om|_r|om_r)?|[dlm]rand48|mkstemp|exit|environ' \
		"$room"/*.[ch] | grep -E '\(' | grep -Ev ':[0-9]+:[[:space:]]*(/?\*|//)' || :
)"

exit "$status"
