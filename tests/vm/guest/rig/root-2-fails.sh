#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
echo "ok 1 - one"
echo "not ok 2 - two"
echo "# because"
echo "ok 3 - three # SKIP not today"
echo "1..3"
