// SPDX-License-Identifier: GPL-2.0-or-later
#include <coregov/progress.h>

#include <cstdlib>

/* Compiles, links and runs every call from C++, outside coregov. */

int main()
{
	const coregov_metric metrics[] = {{"loss", 0.5}, {"accuracy", 0.8}};
	coregov_target_info target;

	(void)unsetenv("COREGOV_PROGRESS");
	if (coregov_open() != 0 || coregov_report(1, "loss", 0.5) != 0)
		return EXIT_FAILURE;
	if (coregov_report_metrics(1, metrics, 2) != 0 || coregov_target(&target) != 0)
		return EXIT_FAILURE;
	if (coregov_total_steps(1) != 0 || coregov_samples(1) != 0 || coregov_epoch(1) != 0)
		return EXIT_FAILURE;
	if (coregov_should_stop() || coregov_share() >= 0 || coregov_threads() != 0)
		return EXIT_FAILURE;
	return coregov_deadline() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
