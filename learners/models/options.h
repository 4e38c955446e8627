/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fault.h"

struct model;

#define SETTINGS_MAX 8

/* One option of a model, `--name VALUE`. */
struct setting {
	const char *name;
	const char *about;
	double least;
	double most;
	double standard;
	bool is_whole;
	const char *const *choices; /* NULL-ended names; the value is the index. NULL for numbers */
};

struct options {
	const char *data; /* folder of the data sets; the caller's argv, environment or constant */
	uint64_t seed;
	uint64_t steps;
	uint64_t report_every;
	double values[SETTINGS_MAX]; /* in the order of the model's settings */
};

#define OPTIONS_E_HELP 1 /* --help was given: nothing else was looked at */

/* Starts from the model's defaults and takes the command line. 0, OPTIONS_E_HELP, or -EINVAL with
 * one sentence on what was wrong. */
int options_parse(const struct model *model, int argc, char *const argv[],
	struct options *ret_options, struct fault *fault);

/* The model's defaults with data sets from `data`. */
void options_init(const struct model *model, const char *data, struct options *ret_options);

void options_help(const struct model *model, FILE *out);
