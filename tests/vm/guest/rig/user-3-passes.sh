#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
test "$(id -un)" = tester && test -n "$XDG_RUNTIME_DIR" && ! pgrep sleep
