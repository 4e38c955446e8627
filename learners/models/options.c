// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "model.h"

/* Options are `--name VALUE` or `--name=VALUE`.  Four are common to all models; the others come
 * from the model's own table, which has the range and the default of each, so that --help, the check
 * and the error sentence cannot disagree.  Numbers are read in the C locale (no setlocale() is ever
 * called here). */

#define STEPS_MOST 1e12

enum common { COMMON_DATA, COMMON_SEED, COMMON_STEPS, COMMON_REPORT_EVERY };

static const struct setting common_settings[] = {
	[COMMON_DATA] = {.name = "data", .about = "folder of the data sets"},
	[COMMON_SEED] = {.name = "seed",
		.about = "of the starting weights and the order of the samples",
		.least = 0,
		.most = 1e9,
		.is_whole = true},
	[COMMON_STEPS] = {.name = "steps",
		.about = "to make",
		.least = 1,
		.most = STEPS_MOST,
		.is_whole = true},
	[COMMON_REPORT_EVERY] = {.name = "report-every",
		.about = "so many steps",
		.least = 1,
		.most = STEPS_MOST,
		.is_whole = true},
};

static int parse_choice(
	const struct setting *setting, const char *text, double *ret_value, struct fault *fault)
{
	char names[256] = "";

	for (size_t i = 0; setting->choices[i]; i++) {
		if (strcmp(setting->choices[i], text) == 0) {
			*ret_value = (double)i;
			return 0;
		}
		(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			i ? ", " : "", setting->choices[i]);
	}
	return fault_set(fault, -EINVAL, "--%s: '%s' is none of: %s", setting->name, text, names);
}

static int parse_number(
	const struct setting *setting, const char *text, double *ret_value, struct fault *fault)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(value))
		return fault_set(fault, -EINVAL, "--%s: '%s' is not a number", setting->name, text);
	if (setting->is_whole && value > floor(value))
		return fault_set(
			fault, -EINVAL, "--%s: '%s' is not a whole number", setting->name, text);
	if (value < setting->least || value > setting->most)
		return fault_set(fault, -EINVAL, "--%s: '%s' is not in %.12g to %.12g",
			setting->name, text, setting->least, setting->most);
	*ret_value = value;
	return 0;
}

static int parse_value(
	const struct setting *setting, const char *text, double *ret_value, struct fault *fault)
{
	return setting->choices ? parse_choice(setting, text, ret_value, fault)
				: parse_number(setting, text, ret_value, fault);
}

static int set_common(
	enum common which, const char *text, struct options *options, struct fault *fault)
{
	double value;
	int r;

	if (which == COMMON_DATA) {
		options->data = text;
		return 0;
	}
	r = parse_number(&common_settings[which], text, &value, fault);
	if (r < 0)
		return r;
	if (which == COMMON_SEED)
		options->seed = (uint64_t)value;
	else if (which == COMMON_STEPS)
		options->steps = (uint64_t)value;
	else
		options->report_every = (uint64_t)value;
	return 0;
}

static bool names(const struct setting *setting, const char *name, size_t length)
{
	return strlen(setting->name) == length && memcmp(setting->name, name, length) == 0;
}

static int set_one(const struct model *model, const char *name, size_t length, const char *text,
	struct options *options, struct fault *fault)
{
	for (size_t i = 0; i < ARRAY_LENGTH(common_settings); i++)
		if (names(&common_settings[i], name, length))
			return text ? set_common((enum common)i, text, options, fault)
				    : fault_set(fault, -EINVAL, "--%s needs a value",
					      common_settings[i].name);
	for (size_t i = 0; i < model->n_settings; i++)
		if (names(&model->settings[i], name, length))
			return text
				? parse_value(&model->settings[i], text, &options->values[i], fault)
				: fault_set(fault, -EINVAL, "--%s needs a value",
					  model->settings[i].name);
	return fault_set(fault, -EINVAL, "%s has no option '--%.*s' (see %s --help)", model->name,
		(int)length, name, model->name);
}

void options_init(const struct model *model, const char *data, struct options *ret_options)
{
	assert(model->n_settings <= SETTINGS_MAX);
	*ret_options = (struct options){
		.data = data,
		.steps = model->steps,
		.report_every = model->report_every,
	};
	for (size_t i = 0; i < model->n_settings; i++)
		ret_options->values[i] = model->settings[i].standard;
}

static const char *data_folder(void)
{
	const char *folder = getenv("COREGOV_DATA");

	return folder ? folder : LEARNER_DATA_DIR;
}

int options_parse(const struct model *model, int argc, char *const argv[],
	struct options *ret_options, struct fault *fault)
{
	struct options options;
	int r;

	options_init(model, data_folder(), &options);
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2, *equals;
		const char *text;

		if (strcmp(argv[i], "--help") == 0)
			return OPTIONS_E_HELP;
		if (strncmp(argv[i], "--", 2) != 0)
			return fault_set(fault, -EINVAL, "'%s' is not an option (see %s --help)",
				argv[i], model->name);
		equals = strchr(name, '=');
		text = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		r = set_one(model, name, equals ? (size_t)(equals - name) : strlen(name), text,
			&options, fault);
		if (r < 0)
			return r;
	}
	*ret_options = options;
	return 0;
}

static void help_setting(const struct setting *setting, FILE *out)
{
	(void)fprintf(out, "  --%-15s %s", setting->name, setting->about);
	if (!setting->choices) {
		(void)fprintf(out, " (%g to %g, default %g)\n", setting->least, setting->most,
			setting->standard);
		return;
	}
	for (size_t i = 0; setting->choices[i]; i++)
		(void)fprintf(out, "%s%s", i ? ", " : ": ", setting->choices[i]);
	(void)fprintf(out, " (default %s)\n", setting->choices[(size_t)setting->standard]);
}

void options_help(const struct model *model, FILE *out)
{
	(void)fprintf(out, "%s: %s\n\n", model->name, model->about);
	(void)fprintf(out, "  --data DIR        %s (default $COREGOV_DATA, else %s)\n",
		common_settings[COMMON_DATA].about, LEARNER_DATA_DIR);
	(void)fprintf(
		out, "  --seed N          %s (default 0)\n", common_settings[COMMON_SEED].about);
	(void)fprintf(out, "  --steps N         %s (default %ju)\n",
		common_settings[COMMON_STEPS].about, (uintmax_t)model->steps);
	(void)fprintf(out, "  --report-every N  %s (default %ju)\n",
		common_settings[COMMON_REPORT_EVERY].about, (uintmax_t)model->report_every);
	for (size_t i = 0; i < model->n_settings; i++)
		help_setting(&model->settings[i], out);
}
