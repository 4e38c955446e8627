// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle_internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "nsec.h"
#include "path.h"
#include "policy.h"

/* The keys of a bundle file, in one table: section, key, whether it must be there, default, what is
 * expected, parser, destination. To add a key is to add a line here, a member in bundle.h, and an
 * entry in coregov.bundle(5); a test compares the last two.
 *
 * A default is text that goes through the parser, so it cannot say what a user could not. Parsers
 * see one key at a time; what ties two keys together (deadline and begin, policy and schedule) is
 * checked in bundle.c when all are there. */

#define SLOT_NS_MIN (50 * NSEC_PER_MSEC)
#define SLOT_NS_MAX (60 * NSEC_PER_SEC)

#define PARSER(name)                                                         \
	static int name(const struct bundle *bundle __attribute__((unused)), \
		const struct ini_key *key, void *destination, struct fault *fault)

PARSER(parse_time)
{
	return parse_span(key->value, destination, fault);
}

PARSER(parse_slot)
{
	struct bundle *into = destination;
	uint64_t ns;
	int r;

	r = parse_span(key->value, &ns, fault);
	if (r < 0)
		return r;
	if (ns < SLOT_NS_MIN || ns > SLOT_NS_MAX)
		return fault_set(fault, -ERANGE, "'%s' is outside the range; expected 50ms to 60s",
			key->value);
	into->slot_ns = ns;
	into->slot_line = key->line;
	return 0;
}

/* The value that holds from the start on. */
PARSER(parse_budget)
{
	struct share share;
	int r;

	r = parse_share(key->value, &share, fault);
	return r < 0 ? r : timeline_set_start(destination, &share, key->line);
}

PARSER(parse_policy)
{
	struct bundle *into = destination;

	if (!policy_find(key->value)) {
		const char *names[POLICY_NAMES_MAX], *nearest;

		policy_names(names);
		nearest = nearest_word(key->value, names);
		return fault_set(fault, -EINVAL, "unknown policy '%s'%s%s%s", key->value,
			nearest ? "; did you mean '" : "", nearest ? nearest : "",
			nearest ? "'?" : "; 'coregov bundle --help' lists them");
	}
	into->policy = strdup(key->value);
	into->policy_line = key->line;
	return into->policy ? 0 : -ENOMEM;
}

/* A path may be quoted, for one that starts with a blank or has ` #` in it. */
static int unquote(const char *value, char **ret_text, struct fault *fault)
{
	char **words;
	int r;

	if (*value != '"' && *value != '\'') {
		*ret_text = strdup(value);
		return *ret_text ? 0 : -ENOMEM;
	}
	r = words_split(value, &words, fault);
	if (r < 0)
		return r;
	if (words[1] || *words[0] == '\0') {
		words_free(words);
		return fault_set(fault, -EINVAL, "%s is not one path; quote it as a whole", value);
	}
	*ret_text = words[0];
	free(words);
	return 0;
}

static int resolve_path(
	const struct bundle *bundle, const char *value, char **destination, struct fault *fault)
{
	_cleanup_free_ char *path = NULL;
	int r;

	r = unquote(value, &path, fault);
	if (r < 0)
		return r;
	if (strlen(path) >= PATH_MAX)
		return fault_set(
			fault, -ENAMETOOLONG, "the path has more than %d bytes", PATH_MAX - 1);
	*destination = path_join(bundle->directory, path);
	return *destination ? 0 : -ENOMEM;
}

PARSER(parse_path)
{
	return resolve_path(bundle, key->value, destination, fault);
}

PARSER(parse_command)
{
	char **argv, *resolved, *absolute;
	int r;

	r = words_split(key->value, &argv, fault);
	if (r < 0)
		return r;
	*(char ***)destination = argv;
	if (*argv[0] == '\0')
		return fault_set(fault, -EINVAL, "the command's first word is empty");
	if (!strchr(argv[0], '/'))
		return 0;
	/* The task starts in its own directory: only an absolute path means the same there. */
	resolved = path_join(bundle->directory, argv[0]);
	if (!resolved)
		return -ENOMEM;
	r = path_absolute(resolved, &absolute);
	free(resolved);
	if (r < 0)
		return fault_errno(fault, r, "find the working directory");
	free(argv[0]);
	argv[0] = absolute;
	return 0;
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Of the NAME in NAME=value; 0 where it is none. */
static size_t variable_length(const char *assignment)
{
	size_t length = strcspn(assignment, "=");

	for (size_t i = 0; i < length; i++)
		if (assignment[i] != '_' && !is_letter(assignment[i]) &&
			(i == 0 || !is_digit(assignment[i])))
			return 0;
	return assignment[length] == '=' ? length : 0;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In a sorted list all that starts with "A=" stands together, so a name that is set twice is next to
 * itself. */
static int check_environment(char **sorted, size_t n, struct fault *fault)
{
	for (size_t i = 0; i < n; i++) {
		size_t length = variable_length(sorted[i]);

		if (length == 0)
			return fault_set(fault, -EINVAL,
				"'%.60s' is not of the form NAME=value; NAME is letters, "
				"digits and _",
				sorted[i]);
		if (i > 0 && strncmp(sorted[i - 1], sorted[i], length + 1) == 0)
			return fault_set(fault, -EINVAL, "'%.*s' is set twice; keep one of them",
				(int)length, sorted[i]);
	}
	return 0;
}

PARSER(parse_environment)
{
	_cleanup_free_ char **sorted = NULL;
	char **words;
	size_t n = 0;
	int r;

	r = words_split(key->value, &words, fault);
	if (r < 0)
		return r;
	*(char ***)destination = words;
	while (words[n])
		n++;
	sorted = reallocarray(NULL, n, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, words, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_words);
	return check_environment(sorted, n, fault);
}

PARSER(parse_goal)
{
	return parse_target(key->value, destination, fault);
}

PARSER(parse_threads)
{
	double threads;
	int r;

	r = parse_number(key->value, &threads, fault);
	if (r < 0)
		return r;
	if (threads <= 0 || threads > SHARE_NUMBER_MAX)
		return fault_set(fault, -ERANGE,
			"'%s' is outside the range; expected more than 0, at most %g", key->value,
			SHARE_NUMBER_MAX);
	*(double *)destination = threads;
	return 0;
}

PARSER(parse_feed_key)
{
	struct bundle_task *task = destination;
	const char *more;
	int r = parse_feed(key->value, &task->feed, &more, fault);

	if (r < 0 || !more)
		return r;
	if (task->feed == FEED_FILE)
		return resolve_path(bundle, more, &task->feed_path, fault);
	task->feed_preset = strdup(more);
	return task->feed_preset ? 0 : -ENOMEM;
}

PARSER(parse_at_end_key)
{
	return parse_at_end(key->value, destination, fault);
}

#define IN_BUNDLE(member) offsetof(struct bundle, member)
#define IN_TASK(member) offsetof(struct bundle_task, member)

/* clang-format off */
const struct bundle_key bundle_keys[] = {
	{ "bundle", "capacity", KEY_OPTIONAL, NULL, "CPUs such as 2cpu", parse_budget, IN_BUNDLE(capacity) },
	{ "bundle", "budget", KEY_REQUIRED, NULL, "CPUs such as 1.5cpu, or 75% of the capacity", parse_budget, IN_BUNDLE(budget) },
	{ "bundle", "slot", KEY_DEFAULT, "1s", "a time from 50ms to 60s", parse_slot, 0 },
	{ "bundle", "policy", KEY_DEFAULT, "core", "the name of a policy", parse_policy, 0 },
	{ "bundle", "schedule", KEY_OPTIONAL, NULL, "the path of a CSV file", parse_path, IN_BUNDLE(schedule_path) },

	{ "task", "command", KEY_OPTIONAL, NULL, "a command line", parse_command, IN_TASK(argv) },
	{ "task", "curve", KEY_OPTIONAL, NULL, "the path of a CSV file", parse_path, IN_TASK(curve_path) },
	{ "task", "directory", KEY_DEFAULT, ".", "the path of a directory", parse_path, IN_TASK(directory) },
	{ "task", "environment", KEY_OPTIONAL, NULL, "NAME=value words", parse_environment, IN_TASK(environment) },
	{ "task", "begin", KEY_DEFAULT, "0s", "a time such as 30s", parse_time, IN_TASK(begin_ns) },
	{ "task", "deadline", KEY_REQUIRED, NULL, "a time from the bundle's start such as 90s", parse_time, IN_TASK(deadline_ns) },
	{ "task", "target", KEY_REQUIRED, NULL, "such as loss <= 0.35", parse_goal, IN_TASK(target) },
	{ "task", "threads", KEY_DEFAULT, "1", "a number of CPUs above 0", parse_threads, IN_TASK(threads) },
	{ "task", "feed", KEY_DEFAULT, "auto", "auto, shm, output[:PRESET], file:PATH or none", parse_feed_key, 0 },
	{ "task", "on-target", KEY_OPTIONAL, NULL, "stop or yield", parse_at_end_key, IN_TASK(on_target) },
	{ "task", "on-deadline", KEY_OPTIONAL, NULL, "stop or yield", parse_at_end_key, IN_TASK(on_deadline) },
	{ "task", "grace", KEY_DEFAULT, "10s", "a time such as 10s", parse_time, IN_TASK(grace_ns) },
	{ .key = NULL },
};
/* clang-format on */

void bundle_key_names(const char *section, const char *ret_names[static BUNDLE_KEYS_MAX])
{
	size_t n = 0;

	for (const struct bundle_key *key = bundle_keys; key->key; key++)
		if (strcmp(key->section, section) == 0)
			ret_names[n++] = key->key;
	ret_names[n] = NULL;
}
static_assert(ARRAY_LENGTH(bundle_keys) <= BUNDLE_KEYS_MAX, "room for all names and the NULL");
