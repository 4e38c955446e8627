/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

#include "finding.h"

struct scene;

/* All checks, in the order in which they are shown: what a line depends on stands above it. */
#define DOCTOR_CHECKS 21

void doctor_examine(const struct scene *scene, struct finding ret_findings[static DOCTOR_CHECKS]);
