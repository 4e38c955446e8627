#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# deadline: 2 s
trap '' TERM
echo "about to hang"
sleep 1000
