// SPDX-License-Identifier: GPL-2.0-or-later
/* Fits the table of the forecast to recorded learning curves.
 *
 *	calibrate [-n SAMPLES] [-e EPOCHS] [-s SEED] [-t CURVE]... CURVE... > forecast_table.c
 *
 * CURVE is a CSV file with the header `cpu_seconds,loss`, as in a bundle. Curves given by -t are not
 * learned from: how well they are forecast is told on stderr. To judge a change, learn from some
 * workloads and test on others; then learn from all.
 *
 * The table of this tree was learned from 723 curves of 11 workloads that others recorded: 507 of
 * mlcommons/submissions_algorithms (Apache-2.0; previous_leaderboards/, eval_measurements.csv: CPU
 * time from the accumulated submission time, train loss), 204 of releaunifreiburg/DyHPO (Apache-2.0;
 * data/taskset/, train loss of small recurrent nets) and 12 of KellerJordan/modded-nanogpt (MIT;
 * records/track_1_short, loss by step). Learning from the first set and forecasting the second, and
 * the other way round, the mean surprise is 1.86 and 1.96 (of log 20 = 3.00 without knowledge); from
 * all, on all, 1.85. 16 s on one core.
 *
 * The table holds for what shape.c computes: a change there asks for a new one. Same arguments,
 * same table, on machines with the same mathematical library. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

#define N_TESTS 50000

struct curves {
	size_t n;
	struct recorded *all;
};

static void *grown(void *pointer, size_t size)
{
	pointer = realloc(pointer, size);
	if (!pointer) {
		fprintf(stderr, "calibrate: out of memory\n");
		exit(EXIT_FAILURE);
	}
	return pointer;
}

/* Rows that are not finite are left out: nothing is to be learned from them here. */
static void read_curve(struct curves *curves, const char *path)
{
	struct recorded curve = {0};
	char line[256];
	FILE *file = fopen(path, "re");

	if (!file) {
		fprintf(stderr, "calibrate: '%s': %s\n", path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	while (fgets(line, sizeof(line), file)) {
		char *end;
		double cpu_s = strtod(line, &end), loss;

		if (end == line || *end != ',')
			continue;
		loss = strtod(end + 1, NULL);
		if (!isfinite(cpu_s) || !isfinite(loss))
			continue;
		if (curve.n_rows > 0 && cpu_s <= curve.cpu_s[curve.n_rows - 1])
			continue;
		curve.cpu_s = grown(curve.cpu_s, (curve.n_rows + 1) * sizeof(double));
		curve.loss = grown(curve.loss, (curve.n_rows + 1) * sizeof(double));
		curve.cpu_s[curve.n_rows] = cpu_s;
		curve.loss[curve.n_rows++] = loss;
	}
	(void)fclose(file);
	if (curve.n_rows < 2) {
		fprintf(stderr, "calibrate: '%s': less than two rows\n", path);
		exit(EXIT_FAILURE);
	}
	curves->all = grown(curves->all, (curves->n + 1) * sizeof(curve));
	curves->all[curves->n++] = curve;
}

static size_t make_samples(
	const struct curves *curves, struct sample *samples, size_t n_most, struct chance *chance)
{
	size_t n = 0;

	while (n + SAMPLES_A_TASK <= n_most) {
		size_t i = (size_t)chance_uniform(chance, 0, (double)curves->n);

		n += samples_of_task(&curves->all[i], chance, samples + n);
	}
	return n;
}

static void print_table(
	const char *name, const char *sizes, const float *table, size_t n_rows, size_t n_columns)
{
	printf("\nconst float %s%s = {\n", name, sizes);
	for (size_t row = 0; row < n_rows; row++) {
		printf("\t{");
		for (size_t i = 0; i < n_columns; i++)
			printf("%s%.5gF",
				i == 0               ? ""
					: i % 8 == 0 ? ",\n\t\t"
						     : ", ",
				(double)table[row * n_columns + i]);
		printf("},\n");
	}
	printf("};\n");
}

static void print_net(const struct net *net)
{
	printf("// SPDX-License-Identifier: GPL-2.0-or-later\n"
	       "#include \"forecast_internal.h\"\n\n"
	       "/* Written by calibrate/calibrate.c; not to be edited. */\n\n"
	       "/* clang-format off */\n");
	print_table("forecast_hidden", "[N_HIDDEN][N_FEATURES + 1]", &net->hidden[0][0], N_HIDDEN,
		N_FEATURES + 1);
	print_table("forecast_output", "[N_CLASSES][N_HIDDEN + 1]", &net->output[0][0], N_CLASSES,
		N_HIDDEN + 1);
}

int main(int argc, char *argv[])
{
	static struct curves learned, tested;
	struct chance chance = {.state = 1};
	size_t n_samples = 1600000, n;
	unsigned n_epochs = 8;
	struct sample *samples;
	static struct net net;
	int option;

	while ((option = getopt(argc, argv, "n:e:s:t:")) >= 0) {
		if (option == 'n')
			n_samples = strtoul(optarg, NULL, 10);
		else if (option == 'e')
			n_epochs = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 's')
			chance.state = strtoull(optarg, NULL, 10);
		else if (option == 't')
			read_curve(&tested, optarg);
		else
			return 64;
	}
	for (int i = optind; i < argc; i++)
		read_curve(&learned, argv[i]);
	if (learned.n == 0 || n_samples < N_TESTS) {
		fprintf(stderr, "calibrate: no curve, or less than %d samples\n", N_TESTS);
		return 64;
	}
	samples = grown(NULL, n_samples * sizeof(samples[0]));
	n = make_samples(&learned, samples, n_samples, &chance);
	fprintf(stderr, "%zu curves, %zu samples\n", learned.n, n);
	net_fit(&net, samples, n, n_epochs, &chance);
	if (tested.n > 0) {
		n = make_samples(&tested, samples, N_TESTS, &chance);
		fprintf(stderr, "surprise on %zu other curves: %.3f\n", tested.n,
			net_surprise(&net, samples, n));
	}
	print_net(&net);
	free(samples);
	return EXIT_SUCCESS;
}
