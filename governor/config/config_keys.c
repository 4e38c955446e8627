// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_internal.h"
#include "ini.h"
#include "policy.h"

/* The keys of coregov.conf, in one table: section, key, default, range, what is expected, what it is
 * for, parser, destination. To add a key is to add a line here, a member in config.h, and an entry
 * in coregov.conf(5) and in the example file; tests compare them. The keys of [policy NAME] are made of
 * the tables of the policies: there is nothing to be done here for one more.
 *
 * Defaults and ranges are text that goes through the parser, so they cannot say what a user could
 * not. Parsers see one key at a time; what ties two keys together is checked in config.c when all
 * files are read.
 *
 * Enforcers and meters are words here, since those who fill these seams are in rooms above; a test
 * holds that the words are theirs. */

#define TEXT_SHOWN 60

#define PARSER(name)                                                                            \
	static int name(const struct config_key *key __attribute__((unused)), const char *text, \
		void *destination, struct fault *fault)

PARSER(parse_time)
{
	uint64_t ns = 0, least_ns = 0, most_ns = 0;
	int r;

	r = parse_span(text, &ns, fault);
	if (r == 0)
		r = parse_span(key->least, &least_ns, fault);
	if (r == 0)
		r = parse_span(key->most, &most_ns, fault);
	if (r < 0)
		return r;
	if (ns < least_ns || ns > most_ns)
		return fault_set(fault, -ERANGE, "'%.*s' is outside the range; expected %s to %s",
			TEXT_SHOWN, text, key->least, key->most);
	*(uint64_t *)destination = ns;
	return 0;
}

PARSER(parse_tasks)
{
	uint64_t least = 0, most = 0, count;
	int r;

	r = parse_count(key->least, 0, UINT32_MAX, &least, fault);
	if (r == 0)
		r = parse_count(key->most, least, UINT32_MAX, &most, fault);
	if (r == 0)
		r = parse_count(text, least, most, &count, fault);
	if (r == 0)
		*(uint32_t *)destination = (uint32_t)count;
	return r;
}

PARSER(parse_user_tasks)
{
	struct config_user *user = destination;
	int r = text ? parse_tasks(key, text, &user->tasks.most, fault) : 0;

	if (r == 0)
		user->tasks.is_set = text != NULL;
	return r;
}

/* CPUs, or a part of the capacity; 0 is one. */
PARSER(parse_part)
{
	struct config_share share = {.is_set = text != NULL};
	int r = text ? parse_share(text, &share.written, fault) : 0;

	if (r == 0)
		*(struct config_share *)destination = share;
	return r;
}

static int parse_positive(
	const struct config_key *key, const char *text, void *destination, struct fault *fault)
{
	struct config_share share;
	int r = parse_part(key, text, &share, fault);

	if (r < 0)
		return r;
	if (share.is_set && share.written.number <= 0)
		return fault_set(fault, -ERANGE, "'%.*s' is nothing; expected %s", TEXT_SHOWN, text,
			key->expected);
	if (share.written.is_percent && share.written.number > 100)
		return fault_set(fault, -ERANGE, "'%.*s' is more than the capacity; expected %s",
			TEXT_SHOWN, text, key->expected);
	*(struct config_share *)destination = share;
	return 0;
}

/* What a part of the capacity cannot say. */
static int parse_cpus(const struct config_key *key, const char *text, bool is_positive,
	struct config_share *destination, struct fault *fault)
{
	struct config_share share;
	int r = is_positive ? parse_positive(key, text, &share, fault)
			    : parse_part(key, text, &share, fault);

	if (r < 0)
		return r;
	if (share.is_set && share.written.is_percent)
		return fault_set(fault, -EINVAL, "'%.*s' is a part of the capacity; expected %s",
			TEXT_SHOWN, text, key->expected);
	*destination = share;
	return 0;
}

PARSER(parse_capacity)
{
	return parse_cpus(key, text, /* is_positive= */ true, destination, fault);
}

PARSER(parse_floor)
{
	return parse_cpus(key, text, /* is_positive= */ false, destination, fault);
}

PARSER(parse_policy)
{
	const char *names[POLICY_NAMES_MAX];
	size_t chosen;
	int r;

	policy_names(names);
	r = parse_word("policy", text, names, &chosen, fault);
	if (r < 0)
		return r;
	/* As the daemon does when it starts; told here, --check-config tells it, too. */
	if (policies[chosen]->needs_schedule || policies[chosen]->has_reserve)
		return fault_set(fault, -EINVAL,
			"the policy '%s' has to know all tasks before they come, as only a bundle "
			"does; see coregov-policies(7)",
			names[chosen]);
	if (policies[chosen]->needs_future)
		return fault_set(fault, -EINVAL,
			"the policy '%s' has to know what each task needs, as only a simulation "
			"does; see coregov-policies(7)",
			names[chosen]);
	*(const struct policy **)destination = policies[chosen];
	return 0;
}

/* One of the words but the first, which is `auto`. */
static int parse_choice(const char *what, const char *text, const char *const words[],
	const char **destination, struct fault *fault)
{
	size_t chosen;
	int r = parse_word(what, text, words, &chosen, fault);

	if (r == 0)
		*destination = chosen == 0 ? NULL : words[chosen];
	return r;
}

PARSER(parse_enforcer)
{
	static const char *const words[] = {"auto", "cgroup2", "cgroup1", "signal", NULL};

	return parse_choice("enforcer", text, words, destination, fault);
}

PARSER(parse_meter)
{
	static const char *const words[] = {"auto", "bpf", "cgroup", "proc", NULL};

	return parse_choice("meter", text, words, destination, fault);
}

PARSER(parse_what_follows)
{
	static const char *const words[] = {"stop", "yield", NULL};
	size_t chosen;
	int r = parse_word("choice", text, words, &chosen, fault);

	if (r == 0)
		*(enum at_end *)destination = chosen == 0 ? AT_END_STOP : AT_END_YIELD;
	return r;
}

PARSER(parse_threads)
{
	struct config *config = destination;
	double cpus = 0;
	int r;

	if (strcmp(text, "auto") != 0) {
		r = parse_number(text, &cpus, fault);
		if (r < 0)
			return fault_wrap(fault, r, "expected %s", key->expected);
		if (cpus <= 0 || cpus > SHARE_NUMBER_MAX)
			return fault_set(fault, -ERANGE, "'%.*s' is outside the range; expected %s",
				TEXT_SHOWN, text, key->expected);
	}
	config->threads.is_auto = strcmp(text, "auto") == 0;
	config->threads.cpus = cpus;
	return 0;
}

PARSER(parse_paths)
{
	char ***paths = destination, **words = NULL;
	int r = text ? words_split(text, &words, fault) : 0;

	if (r < 0)
		return r;
	for (char **word = words; word && *word; word++)
		if (**word != '/' || strlen(*word) >= PATH_MAX) {
			r = fault_set(fault, -EINVAL, "'%.*s' is not an absolute path; expected %s",
				TEXT_SHOWN, *word, key->expected);
			words_free(words);
			return r;
		}
	words_free(*paths);
	*paths = words;
	return 0;
}

/* Of the policy that the whole is of. */
PARSER(parse_policy_parameter)
{
	struct config_policy *into = destination;
	const struct policy_parameter *parameter = policy_parameter_find(into->policy, key->key);

	return parse_parameter(
		parameter, text, &into->parameters[parameter - into->policy->parameters], fault);
}

#define IN_CONFIG(member) offsetof(struct config, member)
#define IN_USER(member) offsetof(struct config_user, member)

/* clang-format off */
const struct config_key config_keys[] = {
	{ "governor", "capacity", NULL, "what the machine gives", NULL, NULL, "CPUs above 0 such as 4cpu",
	  "What there is to share.", parse_capacity, IN_CONFIG(capacity) },
	{ "governor", "budget", "100%", NULL, NULL, NULL, "CPUs above 0 such as 1.5cpu, or 75% of the capacity",
	  "The most that all tasks together are granted.", parse_positive, IN_CONFIG(budget) },
	{ "governor", "slot", "1s", NULL, "50ms", "60s", "a time from 50ms to 60s",
	  "How often the shares are decided.", parse_time, IN_CONFIG(slot_ns) },
	{ "governor", "policy", "core", NULL, NULL, NULL, "the name of a policy",
	  "Who gets how much.", parse_policy, IN_CONFIG(policy) },
	{ "governor", "enforcer", "auto", NULL, NULL, NULL, "auto, cgroup2, cgroup1 or signal",
	  "How a share becomes real; auto takes the best that works.", parse_enforcer, IN_CONFIG(enforcer) },
	{ "governor", "meter", "auto", NULL, NULL, NULL, "auto, bpf, cgroup or proc",
	  "How CPU time is measured; auto takes the best that works.", parse_meter, IN_CONFIG(meter) },
	{ "governor", "floor", "0cpu", NULL, NULL, NULL, "CPUs such as 0.05cpu",
	  "The least that a task has while it is alive.", parse_floor, IN_CONFIG(floor) },
	{ "governor", "tasks-max", "1000", NULL, "1", "1000", "a whole number from 1 to 1000",
	  "How many tasks there are at once; more are refused.", parse_tasks, IN_CONFIG(n_tasks_max) },
	{ "governor", "per-user-tasks", "500", NULL, "1", "1000", "a whole number from 1 to 1000",
	  "How many tasks one user has at once; more are refused.", parse_tasks, IN_CONFIG(n_user_tasks_max) },
	{ "governor", "per-user-cpus", NULL, "no cap", NULL, NULL, "CPUs above 0 such as 1.5cpu, or 75% of the capacity",
	  "The most that the tasks of one user together are granted.", parse_positive, IN_CONFIG(user_cpus) },
	{ "governor", "presets", NULL, "none", NULL, NULL, "absolute paths, with blanks between them",
	  "More directories with presets of output formats.", parse_paths, IN_CONFIG(presets) },

	{ "defaults", "on-target", "yield", NULL, NULL, NULL, "stop or yield",
	  "What happens to a task that has reached its target.", parse_what_follows, IN_CONFIG(on_target) },
	{ "defaults", "on-deadline", "yield", NULL, NULL, NULL, "stop or yield",
	  "What happens to a task whose deadline has passed.", parse_what_follows, IN_CONFIG(on_deadline) },
	{ "defaults", "grace", "10s", NULL, "0s", "24h", "a time from 0s to 24h",
	  "How long a task that is to stop is waited for.", parse_time, IN_CONFIG(grace_ns) },
	{ "defaults", "threads", "auto", NULL, NULL, NULL, "auto, or a number of CPUs above 0",
	  "The most CPUs that a task can use at once.", parse_threads, 0 },

	{ "user", "cpus", NULL, "per-user-cpus", NULL, NULL, "CPUs above 0 such as 1.5cpu, or 75% of the capacity",
	  "The most that the tasks of this user together are granted.", parse_positive, IN_USER(cpus) },
	{ "user", "tasks", NULL, "per-user-tasks", "0", "1000", "a whole number from 0 to 1000",
	  "How many tasks this user has at once; more are refused.", parse_user_tasks, 0 },
	{ .key = NULL },
};
/* clang-format on */
static_assert(ARRAY_LENGTH(config_keys) <= CONFIG_KEYS_MAX + 1, "a setting for each key");

void config_policy_keys_make(struct config_policy_keys *ret_keys, const struct policy *policy)
{
	uint32_t n = policy_n_parameters(policy);

	for (uint32_t i = 0; i < n; i++) {
		const struct policy_parameter *parameter = &policy->parameters[i];

		format_parameter(parameter, parameter->usual, ret_keys->fallbacks[i]);
		describe_parameter(parameter, ret_keys->expected[i]);
		ret_keys->keys[i] = (struct config_key){
			.section = "policy",
			.key = parameter->name,
			.fallback = ret_keys->fallbacks[i],
			.expected = ret_keys->expected[i],
			.summary = parameter->summary,
			.parse = parse_policy_parameter,
		};
	}
	ret_keys->keys[n] = (struct config_key){.key = NULL};
}
