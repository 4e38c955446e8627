// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "model.h"
#include "options.h"
#include "train.h"

/* The main of every learner: one program per model (the build names it by MODEL), so that a task's
 * command says what it trains: `mlp --hidden 64`. */

int main(int argc, char *argv[])
{
	struct fault fault = FAULT_INIT;
	struct options options;
	int r;

	r = options_parse(&MODEL, argc, argv, &options, &fault);
	if (r == OPTIONS_E_HELP) {
		options_help(&MODEL, stdout);
		return EXIT_SUCCESS;
	}
	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", MODEL.name, fault.text);
		return EX_USAGE;
	}
	r = train(&MODEL, &options, &fault);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", fault.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
