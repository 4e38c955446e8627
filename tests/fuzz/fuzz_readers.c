// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "bundle_internal.h"
#include "cleanup.h"
#include "config_internal.h"
#include "curve.h"
#include "ini.h"
#include "policy.h"
#include "quantity.h"

/* One driver for everything that reads what users write.
 *
 * The same entry serves libFuzzer (fuzz-readers, built where the compiler has -fsanitize=fuzzer)
 * and the plain program of fuzz_corpus.c, which is an ordinary test. Beside crashes it looks for
 * broken promises: a failure has a sentence and leaves the output alone, a success keeps the
 * invariants that the headers state. */

DEFINE_CLEANUP_FUNC(struct ini, ini_free)
DEFINE_CLEANUP_FUNC(struct bundle, bundle_free)
DEFINE_CLEANUP_FUNC(struct config, config_free)
DEFINE_CLEANUP_FUNC(char *, words_free)

static void check_failure(int r, const struct fault *fault)
{
	CHECK(r < 0);
	CHECK(fault->text[0] != '\0');
}

#define KEYS_TRIED 64 /* looking up every key of a section is quadratic in its length */

static void fuzz_ini(const char *text, size_t length)
{
	static const char *const known[] = {"deadline", "target", NULL};
	_cleanup_(cleanup_ini_free) struct ini *ini = NULL;
	struct fault fault = FAULT_INIT;
	int r;

	r = ini_parse("x.ini", text, length, &ini, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		CHECK(!ini);
		return;
	}
	for (size_t i = 0; i < ini->n_sections; i++) {
		const struct ini_section *section = &ini->sections[i];

		for (size_t j = 0; j < section->n_keys && j < KEYS_TRIED; j++) {
			_cleanup_(cleanup_words_free) char **words = NULL;
			const struct ini_key *key = &section->keys[j];

			CHECK(ini_find(section, key->key) == key);
			CHECK(ini_unknown_key(ini, section, key, known, &fault) == -EBADMSG);
			if (words_split(key->value, &words, &fault) == 0)
				CHECK(words[0]);
		}
	}
}

static void check_timeline(const struct timeline *timeline)
{
	CHECK(timeline->n_steps > 0 && timeline->steps[0].from_ns == 0);
	for (size_t i = 0; i < timeline->n_steps; i++) {
		const struct timeline_step *step = &timeline->steps[i];

		CHECK(!step->share.is_percent);
		CHECK(step->share.number >= 0 && step->share.number <= SHARE_NUMBER_MAX);
		CHECK(i == 0 || step->from_ns > timeline->steps[i - 1].from_ns);
		CHECK(timeline_least(timeline, step->from_ns, UINT64_MAX) <= step->share.number);
	}
}

static void check_tasks(const struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->n_tasks; i++) {
		const struct bundle_task *task = &bundle->tasks[i];

		CHECK(task_name_is_valid(task->name));
		CHECK(task->argv || task->curve_path);
		CHECK(!task->argv || (task->argv[0] && task->argv[0][0] != '\0'));
		CHECK(task->deadline_ns > task->begin_ns);
		CHECK(task->threads > 0 && isfinite(task->threads));
		CHECK(isfinite(task->target.value) && task->target.in_a_row >= 1);
		CHECK(task->directory[0] != '\0');
		CHECK((task->feed == FEED_FILE) == (task->feed_path != NULL));
	}
}

static void check_parameters(const struct parameter_choices *choices)
{
	double values[POLICY_PARAMETERS_MAX];

	for (size_t i = 0; i < choices->n; i++) {
		policy_parameter_values(choices->all[i].policy, NULL, values);
		parameter_choices_apply(choices, choices->all[i].policy, values);
		policy_parameter_values(choices->all[i].policy, values, values);
	}
}

static void fuzz_bundle_use(const char *text, size_t length, enum bundle_use use)
{
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = NULL;
	struct fault fault = FAULT_INIT;
	int r;

	r = bundle_parse("x.bundle", text, length, &bundle, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		CHECK(!bundle);
		return;
	}
	CHECK(policy_find(bundle->policy));
	check_parameters(&bundle->parameters);
	check_tasks(bundle);
	r = bundle_resolve(bundle, use, 2, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		return;
	}
	check_timeline(&bundle->budget);
	check_timeline(&bundle->capacity);
	for (size_t i = 0; use == BUNDLE_REAL && i < bundle->budget.n_steps; i++)
		CHECK(bundle->budget.steps[i].share.number <= 2 + 1e-6);
}

static void fuzz_bundle(const char *text, size_t length)
{
	fuzz_bundle_use(text, length, BUNDLE_REAL);
	fuzz_bundle_use(text, length, BUNDLE_SIMULATED);
}

static void fuzz_say(const char *format, ...)
{
	CHECK(*format != '\0');
}

static void check_config(const struct config *config)
{
	CHECK(config->policy && !config->policy->needs_schedule && !config->policy->needs_future);
	CHECK(config->slot_ns > 0 && config->budget.is_set && config->floor.is_set);
	CHECK(config->budget.cpus > 0 && config->budget.cpus <= 2 + 1e-6);
	CHECK(config->floor.cpus >= 0 && config->floor.cpus <= config->budget.cpus + 1e-6);
	CHECK(!config->user_cpus.is_set || config->user_cpus.cpus > 0);
	CHECK(config->n_tasks_max > 0 && config->n_user_tasks_max > 0);
	CHECK(config->threads.is_auto || config->threads.cpus > 0);
	CHECK(config->n_users <= CONFIG_USERS_MAX);
	for (size_t i = 0; i < config->n_policies; i++) {
		double values[POLICY_PARAMETERS_MAX];

		policy_parameter_values(
			config->policies[i].policy, config->policies[i].parameters, values);
	}
	for (size_t i = 0; i < config->n_users; i++) {
		const struct config_user *user = &config->users[i];

		CHECK(config_caps(config, user->uid, user->name).cpus > 0);
	}
}

/* As a file on top of another, and what is shown of it reads back. */
static void fuzz_config(const char *text, size_t length)
{
	static const char below[] = "[governor]\nslot = 2s\npresets = /a\n[user u]\ntasks = 1\n";
	const struct config_setup setup = {.say = fuzz_say};
	_cleanup_(cleanup_config_free) struct config *config = NULL;
	_cleanup_free_ char *shown = NULL;
	struct fault fault = FAULT_INIT;
	size_t n_shown = 0;
	FILE *to;
	int r;

	CHECK(config_new(&config, &fault) == 0);
	CHECK(config_take(config, "y.conf", below, sizeof(below) - 1, &setup, &fault) == 0);
	r = config_take(config, "x.conf", text, length, &setup, &fault);
	if (r == 0)
		r = config_resolve(config, /* machine_cpus= */ 2, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		return;
	}
	check_config(config);
	to = open_memstream(&shown, &n_shown);
	CHECK(to);
	config_print(config, /* force= */ NULL, to);
	CHECK(fclose(to) == 0);
	config = config_free(config);
	CHECK(config_new(&config, &fault) == 0);
	CHECK(config_take(config, "x.conf", shown, n_shown, &setup, &fault) == 0);
}

static void fuzz_curve(const char *text, size_t length)
{
	struct fault fault = FAULT_INIT;
	struct curve curve = {0};
	int r;

	r = curve_parse("x.csv", text, length, &curve, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		CHECK(!curve.rows);
		return;
	}
	CHECK(curve.n_rows > 0);
	for (size_t i = 1; i < curve.n_rows; i++)
		CHECK(curve.rows[i].cpu_ns > curve.rows[i - 1].cpu_ns);
	curve_done(&curve);
}

static void fuzz_schedule(const char *text, size_t length)
{
	static const char head[] = "[bundle]\nbudget = 1cpu\npolicy = script\nschedule = s.csv\n"
				   "[task b]\ncurve = b\ndeadline = 9s\ntarget = 1\n"
				   "[task a]\ncurve = a\ndeadline = 9s\ntarget = 1\n";
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = NULL;
	struct fault fault = FAULT_INIT;
	int r;

	CHECK(bundle_parse("x.bundle", head, sizeof(head) - 1, &bundle, &fault) == 0);
	r = schedule_parse(bundle, "s.csv", text, length, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		CHECK(!bundle->schedule);
		return;
	}
	for (size_t i = 0; i < bundle->n_schedule; i++) {
		const struct schedule_row *row = &bundle->schedule[i], *before = row - 1;

		CHECK(row->task < bundle->n_tasks && row->cpus >= 0 && isfinite(row->cpus));
		CHECK(i == 0 || before->slot < row->slot ||
			(before->slot == row->slot && before->task < row->task));
	}
}

/* What is read can be written and read again. */
static void check_target(const char *text)
{
	struct fault fault = FAULT_INIT;
	struct target target = {.in_a_row = 77}, again;
	char written[256];
	int r;

	r = parse_target(text, &target, &fault);
	if (r < 0) {
		check_failure(r, &fault);
		CHECK(target.in_a_row == 77);
		return;
	}
	CHECK(isfinite(target.value) && target.in_a_row >= 1);
	(void)snprintf(written, sizeof(written), "%s %c= %.17g for %u", target.metric,
		target.is_raised ? '>' : '<', target.value, target.in_a_row);
	CHECK(parse_target(written, &again, &fault) == 0);
	CHECK(strcmp(again.metric, target.metric) == 0 && again.in_a_row == target.in_a_row);
	CHECK(again.is_raised == target.is_raised);
	CHECK(again.value >= target.value && again.value <= target.value);
	CHECK(target_is_met(&target, target.value));
}

static void fuzz_quantity(const char *data, size_t length)
{
	static const char *const words[] = {"deadline", "directory", NULL};
	_cleanup_free_ char *text = strndup(data, length);
	_cleanup_(cleanup_words_free) char **split = NULL;
	struct fault fault = FAULT_INIT;
	struct share share = {.number = 77};
	uint64_t ns = 77, count = 77;
	double number = 77;

	CHECK(text);
	if (parse_span(text, &ns, &fault) < 0)
		CHECK(ns == 77);
	CHECK(ns <= INT64_MAX);
	(void)parse_seconds(text, &ns, &fault);
	CHECK(ns <= INT64_MAX);
	(void)parse_share(text, &share, &fault);
	CHECK(share.number >= 0 && share.number <= SHARE_NUMBER_MAX);
	(void)parse_number(text, &number, &fault);
	CHECK(isfinite(number));
	(void)parse_measure(text, &number, &fault);
	(void)parse_count(text, 3, 1000, &count, &fault);
	CHECK(count >= 3 && count <= 1000);
	(void)task_name_is_valid(text);
	(void)nearest_word(text, words);
	(void)words_split(text, &split, &fault);
	check_target(text);
}

const struct fuzz_mode fuzz_modes[] = {
	{"bundle", fuzz_bundle},
	{"config", fuzz_config},
	{"curve", fuzz_curve},
	{"ini", fuzz_ini},
	{"quantity", fuzz_quantity},
	{"schedule", fuzz_schedule},
	{NULL, NULL},
};
