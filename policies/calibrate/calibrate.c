// SPDX-License-Identifier: GPL-2.0-or-later
/* Fits the table of the forecast to recorded learning curves.
 *
 *	calibrate [-n SAMPLES] [-e EPOCHS] [-s SEED] [-t CURVE]... CURVE... > forecast_table.c
 *
 * CURVE is a CSV file with the header `cpu_seconds,loss`, as in a bundle. Curves given by -t are not
 * learned from: how well they are forecast is told on stderr. To judge a change, learn from some
 * workloads and test on others; then learn from all.
 *
 * The table of this tree was learned from 3,968 curves of 756 workloads that others recorded, under the MIT,
 * Apache-2.0 and BSD licences and CC0; sources.tsv says which of which repository:
 *
 *	calibrate $(find CURVES -name '*.csv' | LC_ALL=C sort)
 *
 * In seven groups of workloads that share no source, each forecast by what was learned from the others, the
 * mean surprise is 1.74 (of log 20 = 3.00 without knowledge), and `core` reaches .834 of the optimum, where with
 * one layer of 20 units, learned from 11 workloads, it was .826. More samples and less surprise hardly change what
 * core reaches: 500,000 samples and 1.80 come to the same. 80 s on one core.
 *
 * The table holds for what shape.c computes: a change there asks for a new one. Same arguments,
 * same table, on machines with the same mathematical library. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fit.h"

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

/* A number without a point or an exponent cannot have the F that makes it a float. */
static void print_float(float value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.4g", (double)value);
	printf("%s%sF", text, strpbrk(text, ".e") ? "" : ".0");
}

static void print_layer(const char *name, const float weight[], size_t n_rows, size_t n_columns)
{
	printf("\t.%s = {\n", name);
	for (size_t row = 0; row < n_rows; row++) {
		printf("\t\t{");
		for (size_t i = 0; i < n_columns; i++) {
			printf("%s", i == 0 ? "" : i % 8 == 0 ? ",\n\t\t\t" : ", ");
			print_float(weight[row * n_columns + i]);
		}
		printf("},\n");
	}
	printf("\t},\n");
}

static void print_net(const struct net *net)
{
	printf("// SPDX-License-Identifier: GPL-2.0-or-later\n"
	       "#include \"net.h\"\n\n"
	       "/* Written by calibrate/calibrate.c; not to be edited. */\n\n"
	       "/* clang-format off */\n"
	       "const struct net forecast_net = {\n");
	print_layer("first", &net->first[0][0], N_FEATURES + 1, N_FIRST);
	print_layer("second", &net->second[0][0], N_FIRST + 1, N_SECOND);
	print_layer("output", &net->output[0][0], N_SECOND + 1, N_CLASSES);
	printf("};\n");
}

int main(int argc, char *argv[])
{
	static struct curves learned, tested;
	struct chance chance = {.state = 1};
	size_t n_samples = 3000000, n;
	unsigned n_epochs = 3;
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
	fit_net(&net, samples, n, n_epochs, &chance);
	if (tested.n > 0) {
		n = make_samples(&tested, samples, N_TESTS, &chance);
		fprintf(stderr, "surprise on %zu other curves: %.3f\n", tested.n,
			fit_surprise(&net, samples, n));
	}
	print_net(&net);
	free(samples);
	return EXIT_SUCCESS;
}
