// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bundle_internal.h"
#include "cleanup.h"
#include "ini.h"
#include "path.h"
#include "policy.h"

/* Reads a bundle file: sections into structs, the table of bundle_keys.c for what is in them.
 *
 * [bundle] is read first wherever it stands, then [budget] and [capacity], then the parameters of
 * policies, whose keys are in the policies' own tables, then the tasks in the order of the file. In each section the keys are taken in the order of the file, so the first
 * mistake is the one that is told; what is missing is found, and defaults are set, when all that is
 * there is right. Files that the bundle names are read last. Every sentence starts with file:line;
 * whatever is wrong with contents is -EBADMSG, whichever parser found it. */

#define TEXT_SHOWN 60

static const char *const section_kinds[] = {"bundle", "budget", "capacity", "policy", "task", NULL};

/* Puts file:line before a parser's sentence. */
static int at_line(const struct ini *ini, unsigned line, int error, struct fault *fault)
{
	if (error == -ENOMEM)
		return fault_errno(fault, error, "%s:%u", ini->path, line);
	return fault_wrap(fault, -EBADMSG, "%s:%u", ini->path, line);
}

static const struct bundle_key *find_key(const char *section, const char *name)
{
	for (const struct bundle_key *key = bundle_keys; key->key; key++)
		if (strcmp(key->section, section) == 0 && strcmp(key->key, name) == 0)
			return key;
	return NULL;
}

static int take_key(const struct bundle *bundle, const struct ini *ini,
	const struct ini_section *section, const struct ini_key *given, void *into,
	struct fault *fault)
{
	const struct bundle_key *key = find_key(section->kind, given->key);
	const char *names[BUNDLE_KEYS_MAX];
	int r;

	if (!key) {
		bundle_key_names(section->kind, names);
		return ini_unknown_key(ini, section, given, names, fault);
	}
	if (*given->value == '\0')
		return fault_set(fault, -EBADMSG, "%s:%u: '%s' has no value; expected %s",
			ini->path, given->line, key->key, key->expected);
	r = key->parse(bundle, given, (char *)into + key->offset, fault);
	if (r == -ENOMEM || r == 0)
		return r == 0 ? 0 : at_line(ini, given->line, r, fault);
	fault_wrap(fault, r, "%s", key->key);
	return at_line(ini, given->line, r, fault);
}

static int take_missing(const struct bundle *bundle, const struct ini *ini,
	const struct ini_section *section, const struct bundle_key *key, void *into,
	struct fault *fault)
{
	struct ini_key given = {.line = section->line};
	_cleanup_free_ char *value = NULL;
	int r;

	if (key->need == KEY_OPTIONAL)
		return 0;
	if (key->need == KEY_REQUIRED)
		return fault_set(fault, -EBADMSG,
			"%s:%u: [%s%s%s] has no '%s', which is required: %s", ini->path,
			section->line, section->kind, section->name ? " " : "",
			section->name ? section->name : "", key->key, key->expected);
	value = strdup(key->fallback);
	if (!value)
		return at_line(ini, section->line, -ENOMEM, fault);
	given.value = value;
	r = key->parse(bundle, &given, (char *)into + key->offset, fault);
	return r < 0 ? at_line(ini, section->line, r, fault) : 0;
}

static int read_keys(const struct bundle *bundle, const struct ini *ini,
	const struct ini_section *section, void *into, struct fault *fault)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < section->n_keys; i++)
		r = take_key(bundle, ini, section, &section->keys[i], into, fault);
	for (const struct bundle_key *key = bundle_keys; r == 0 && key->key; key++)
		if (strcmp(key->section, section->kind) == 0 && !ini_find(section, key->key))
			r = take_missing(bundle, ini, section, key, into, fault);
	return r;
}

/* What ties keys of [bundle] together. */
static int check_bundle(const struct bundle *bundle, const struct ini *ini,
	const struct ini_section *section, struct fault *fault)
{
	const struct policy *policy = policy_find(bundle->policy);
	const struct ini_key *schedule = ini_find(section, "schedule");

	if (schedule && !policy->needs_schedule)
		return fault_set(fault, -EBADMSG,
			"%s:%u: 'schedule' is for the policy 'script' only, and the policy is "
			"'%s'; write 'policy = script' or leave the schedule out",
			ini->path, schedule->line, bundle->policy);
	if (!schedule && policy->needs_schedule)
		return fault_set(fault, -EBADMSG,
			"%s:%u: the policy '%s' needs a schedule; add 'schedule = FILE.csv'",
			ini->path, bundle->policy_line, bundle->policy);
	return 0;
}

/* What ties keys of [task] together. */
static int check_task(const struct bundle_task *task, const struct ini *ini,
	const struct ini_section *section, struct fault *fault)
{
	if (!task->argv && !task->curve_path)
		return fault_set(fault, -EBADMSG,
			"%s:%u: [task %s] has neither 'command' nor 'curve'; add one of them",
			ini->path, section->line, task->name);
	if (task->deadline_ns <= task->begin_ns)
		return fault_set(fault, -EBADMSG,
			"%s:%u: the deadline of [task %s] is not after its begin; both count "
			"from the bundle's start",
			ini->path, ini_find(section, "deadline")->line, task->name);
	return 0;
}

static int read_task(struct bundle *bundle, const struct ini *ini,
	const struct ini_section *section, struct fault *fault)
{
	struct bundle_task *task = &bundle->tasks[bundle->n_tasks];
	int r;

	task->line = section->line;
	task->name = strdup(section->name);
	bundle->n_tasks++;
	if (!task->name)
		return at_line(ini, section->line, -ENOMEM, fault);
	r = read_keys(bundle, ini, section, task, fault);
	return r < 0 ? r : check_task(task, ini, section, fault);
}

static int check_policy_name(
	const struct ini *ini, const struct ini_section *section, struct fault *fault)
{
	const char *names[POLICY_NAMES_MAX];
	size_t chosen;
	int r;

	policy_names(names);
	if (!section->name)
		return fault_set(fault, -EBADMSG,
			"%s:%u: [policy] names no policy; expected [policy NAME]", ini->path,
			section->line);
	r = parse_word("policy", section->name, names, &chosen, fault);
	return r < 0 ? at_line(ini, section->line, r, fault) : 0;
}

static int check_name(const struct ini *ini, const struct ini_section *section, struct fault *fault)
{
	if (strcmp(section->kind, "policy") == 0)
		return check_policy_name(ini, section, fault);
	if (strcmp(section->kind, "task") != 0 && section->name)
		return fault_set(fault, -EBADMSG, "%s:%u: the section [%s] takes no name",
			ini->path, section->line, section->kind);
	if (strcmp(section->kind, "task") == 0 &&
		(!section->name || !task_name_is_valid(section->name)))
		return fault_set(fault, -EBADMSG,
			"%s:%u: '%.*s' is not a task's name; expected [task NAME] with "
			"1 to %d of A-Z a-z 0-9 . _ -",
			ini->path, section->line, TEXT_SHOWN, section->name ? section->name : "",
			TASK_NAME_MAX);
	return 0;
}

static int check_section(
	const struct ini *ini, const struct ini_section *section, struct fault *fault)
{
	const char *nearest;

	for (const char *const *kind = section_kinds; *kind; kind++)
		if (strcmp(section->kind, *kind) == 0)
			return check_name(ini, section, fault);
	nearest = nearest_word(section->kind, section_kinds);
	return fault_set(fault, -EBADMSG, "%s:%u: unknown section [%.*s]%s%s%s", ini->path,
		section->line, TEXT_SHOWN, section->kind, nearest ? "; did you mean [" : "",
		nearest ? nearest : "",
		nearest ? "]?"
			: "; expected [bundle], [budget], [capacity], [policy NAME] or [task "
			  "NAME]");
}

static const struct ini_section *find_section(const struct ini *ini, const char *kind)
{
	for (size_t i = 0; i < ini->n_sections; i++)
		if (strcmp(ini->sections[i].kind, kind) == 0)
			return &ini->sections[i];
	return NULL;
}

/* [bundle], [budget] and [capacity]. */
static int read_head(struct bundle *bundle, const struct ini *ini, struct fault *fault)
{
	const struct ini_section *section = find_section(ini, "bundle"), *over_time;
	int r;

	if (!section)
		return fault_set(fault, -EBADMSG,
			"%s:1: no section [bundle]; a bundle has at least '[bundle]' and "
			"'budget = SHARE'",
			ini->path);
	bundle->line = section->line;
	r = read_keys(bundle, ini, section, bundle, fault);
	if (r < 0)
		return r;
	r = check_bundle(bundle, ini, section, fault);
	over_time = find_section(ini, "budget");
	if (r == 0 && over_time)
		r = timeline_read(&bundle->budget, ini, over_time, fault);
	over_time = find_section(ini, "capacity");
	if (r == 0 && over_time)
		r = timeline_read(&bundle->capacity, ini, over_time, fault);
	bundle->has_capacity = bundle->capacity.n_steps > 0;
	return r < 0 ? r : timeline_check_capacity(&bundle->capacity, ini->path, fault);
}

static int take_parameter(struct bundle *bundle, const struct ini *ini,
	const struct ini_section *section, const struct ini_key *given, struct fault *fault)
{
	const struct policy *policy = policy_find(section->name);
	const struct policy_parameter *parameter = policy_parameter_find(policy, given->key);
	char expected[PARAMETER_TEXT_MAX];
	const char *names[PARAMETER_NAMES_MAX];
	double value = 0;
	int r;

	parameter_names(policy, names);
	if (!names[0])
		return fault_set(fault, -EBADMSG,
			"%s:%u: the policy '%s' has no parameters; take '%.*s' out", ini->path,
			given->line, policy->name, TEXT_SHOWN, given->key);
	if (!parameter)
		return ini_unknown_key(ini, section, given, names, fault);
	describe_parameter(parameter, expected);
	if (*given->value == '\0')
		return fault_set(fault, -EBADMSG, "%s:%u: '%s' has no value; expected %s",
			ini->path, given->line, given->key, expected);
	r = parse_parameter(parameter, given->value, &value, fault);
	if (r < 0 && r != -ENOMEM)
		fault_wrap(fault, r, "%s", given->key);
	if (r == 0)
		r = parameter_choose(&bundle->parameters, policy, parameter, value);
	return r < 0 ? at_line(ini, given->line, r, fault) : 0;
}

static int read_parameters(struct bundle *bundle, const struct ini *ini, struct fault *fault)
{
	int r = 0;

	for (size_t i = 0; i < ini->n_sections; i++) {
		const struct ini_section *section = &ini->sections[i];

		if (strcmp(section->kind, "policy") != 0)
			continue;
		for (size_t k = 0; r == 0 && k < section->n_keys; k++)
			r = take_parameter(bundle, ini, section, &section->keys[k], fault);
	}
	return r;
}

static int read_sections(struct bundle *bundle, const struct ini *ini, struct fault *fault)
{
	size_t n_tasks = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ini->n_sections; i++) {
		r = check_section(ini, &ini->sections[i], fault);
		n_tasks += strcmp(ini->sections[i].kind, "task") == 0;
		if (r == 0 && n_tasks > BUNDLE_TASKS_MAX)
			return fault_set(fault, -EBADMSG, "%s:%u: more than %d tasks", ini->path,
				ini->sections[i].line, BUNDLE_TASKS_MAX);
	}
	if (r == 0)
		r = read_head(bundle, ini, fault);
	if (r == 0)
		r = read_parameters(bundle, ini, fault);
	if (r < 0)
		return r;
	bundle->tasks = calloc(n_tasks + 1, sizeof(*bundle->tasks));
	if (!bundle->tasks)
		return at_line(ini, 1, -ENOMEM, fault);
	for (size_t i = 0; r == 0 && i < ini->n_sections; i++)
		if (strcmp(ini->sections[i].kind, "task") == 0)
			r = read_task(bundle, ini, &ini->sections[i], fault);
	return r;
}

DEFINE_CLEANUP_FUNC(struct bundle, bundle_free)
DEFINE_CLEANUP_FUNC(struct ini, ini_free)

static int from_ini(
	const char *path, const struct ini *ini, struct bundle **ret_bundle, struct fault *fault)
{
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = calloc(1, sizeof(*bundle));
	int r;

	if (bundle) {
		bundle->path = strdup(path);
		bundle->directory = path_directory(path);
	}
	if (!bundle || !bundle->path || !bundle->directory)
		return fault_errno(fault, -ENOMEM, "read '%s'", path);
	r = read_sections(bundle, ini, fault);
	if (r < 0)
		return r;
	*ret_bundle = TAKE_PTR(bundle);
	return 0;
}

int bundle_parse(const char *path, const char *text, size_t length, struct bundle **ret_bundle,
	struct fault *fault)
{
	_cleanup_(cleanup_ini_free) struct ini *ini = NULL;
	int r;

	r = ini_parse(path, text, length, &ini, fault);
	return r < 0 ? r : from_ini(path, ini, ret_bundle, fault);
}

static int read_files(struct bundle *bundle, struct fault *fault)
{
	int r;

	for (size_t i = 0; i < bundle->n_tasks; i++) {
		struct bundle_task *task = &bundle->tasks[i];

		if (!task->curve_path)
			continue;
		r = curve_read(task->curve_path, &task->curve, fault);
		if (r < 0)
			return fault_wrap(fault, r, "%s:%u: [task %s]: curve", bundle->path,
				task->line, task->name);
	}
	if (!bundle->schedule_path)
		return 0;
	r = schedule_read(bundle, fault);
	return r < 0 ? fault_wrap(fault, r, "%s: schedule", bundle->path) : 0;
}

int bundle_read(const char *path, struct bundle **ret_bundle, struct fault *fault)
{
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = NULL;
	_cleanup_(cleanup_ini_free) struct ini *ini = NULL;
	int r;

	r = ini_read(path, &ini, fault);
	if (r < 0)
		return r;
	r = from_ini(path, ini, &bundle, fault);
	if (r < 0)
		return r;
	r = read_files(bundle, fault);
	if (r < 0)
		return r;
	*ret_bundle = TAKE_PTR(bundle);
	return 0;
}

static void task_done(struct bundle_task *task)
{
	free(task->name);
	words_free(task->argv);
	free(task->curve_path);
	curve_done(&task->curve);
	free(task->directory);
	words_free(task->environment);
	free(task->feed_preset);
	free(task->feed_path);
}

struct bundle *bundle_free(struct bundle *bundle)
{
	if (!bundle)
		return NULL;
	for (size_t i = 0; i < bundle->n_tasks; i++)
		task_done(&bundle->tasks[i]);
	free(bundle->tasks);
	free(bundle->schedule);
	free(bundle->schedule_path);
	free(bundle->policy);
	parameter_choices_done(&bundle->parameters);
	timeline_done(&bundle->capacity);
	timeline_done(&bundle->budget);
	free(bundle->path);
	free(bundle->directory);
	free(bundle);
	return NULL;
}
