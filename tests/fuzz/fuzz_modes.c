// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"

#include <errno.h>
#include <string.h>

/* Chooses between a driver's modes. */

static const struct fuzz_mode *chosen;

int fuzz_choose(const char *mode)
{
	for (const struct fuzz_mode *candidate = fuzz_modes; candidate->name; candidate++) {
		if (strcmp(mode, candidate->name) != 0)
			continue;
		chosen = candidate;
		return 0;
	}
	return -EINVAL;
}

int LLVMFuzzerInitialize(int *argc __attribute__((unused)), char ***argv __attribute__((unused)))
{
	const char *mode = getenv("FUZZ_MODE");

	if (!fuzz_modes[1].name)
		mode = fuzz_modes[0].name;
	if (mode && fuzz_choose(mode) == 0)
		return 0;
	(void)fputs("set FUZZ_MODE to one of:", stderr);
	for (const struct fuzz_mode *candidate = fuzz_modes; candidate->name; candidate++)
		(void)fprintf(stderr, " %s", candidate->name);
	(void)fputc('\n', stderr);
	exit(64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	chosen->run(length > 0 ? (const char *)data : "", length);
	return 0;
}
