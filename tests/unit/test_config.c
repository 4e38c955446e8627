// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config_internal.h"
#include "enforcer.h"
#include "meter.h"
#include "nsec.h"
#include "policy.h"
#include "suite.h"

DEFINE_CLEANUP_FUNC(struct config, config_free)
#define _cleanup_config_ _cleanup_(cleanup_config_free)

#define MACHINE_CPUS 8

/* What was told of what is passed over, a line each. */
static char said[4096];

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	size_t length = strlen(said);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(said + length, sizeof(said) - length, format, args);
	va_end(args);
	(void)strncat(said, "\n", sizeof(said) - strlen(said) - 1);
}

static const struct config_setup setup = {.machine_cpus = MACHINE_CPUS, .say = say};

static int try(
	struct config **ret_config, const char *first, const char *second, struct fault *fault)
{
	_cleanup_config_ struct config *config = NULL;
	int r = config_new(&config, fault);

	said[0] = '\0';
	if (r == 0)
		r = config_take(config, "a.conf", first, strlen(first), &setup, fault);
	if (r == 0 && second)
		r = config_take(config, "b.conf", second, strlen(second), &setup, fault);
	if (r == 0)
		r = config_resolve(config, MACHINE_CPUS, fault);
	if (r == 0)
		*ret_config = TAKE_PTR(config);
	return r;
}

/* One file, then another on top of it. */
static struct config *take(const char *first, const char *second)
{
	struct fault fault = FAULT_INIT;
	struct config *config = NULL;

	ck_assert_msg(try(&config, first, second, &fault) == 0, "%s", fault.text);
	return config;
}

static const struct config_setting *setting(const struct config *config, const char *key)
{
	for (size_t i = 0; config_keys[i].key; i++)
		if (strcmp(config_keys[i].key, key) == 0)
			return &config->settings[i];
	ck_abort_msg("no key %s", key);
	return NULL;
}

/* Of `core`, whoever decides. */
static const struct config_policy *core_of(const struct config *config)
{
	for (size_t i = 0; i < config->n_policies; i++)
		if (strcmp(config->policies[i].policy->name, "core") == 0)
			return &config->policies[i];
	ck_abort_msg("no policy core");
	return NULL;
}

static ptrdiff_t place_of(const char *name)
{
	const struct policy *core = policy_find("core");
	const struct policy_parameter *found = policy_parameter_find(core, name);

	ck_assert_ptr_nonnull(found);
	return found - core->parameters;
}

static double parameter(const struct config *config, const char *name)
{
	return core_of(config)->parameters[place_of(name)];
}

static const struct config_setting *parameter_setting(const struct config *config, const char *name)
{
	return &core_of(config)->settings[place_of(name)];
}

START_TEST(fills_defaults)
{
	_cleanup_config_ struct config *config = take("", NULL);

	ck_assert(!config->capacity.is_set);
	ck_assert_double_eq(config->capacity_cpus, MACHINE_CPUS);
	ck_assert_double_eq(config->budget.cpus, MACHINE_CPUS);
	ck_assert_uint_eq(config->slot_ns, NSEC_PER_SEC);
	ck_assert_str_eq(config->policy->name, "core");
	ck_assert_ptr_null(config->enforcer);
	ck_assert_ptr_null(config->meter);
	ck_assert_double_eq(config->floor.cpus, 0);
	ck_assert_uint_eq(config->n_tasks_max, 1000);
	ck_assert_uint_eq(config->n_user_tasks_max, 500);
	ck_assert(!config->user_cpus.is_set);
	ck_assert_ptr_null(config->presets);
	ck_assert_int_eq(config->on_target, AT_END_YIELD);
	ck_assert_int_eq(config->on_deadline, AT_END_YIELD);
	ck_assert_uint_eq(config->grace_ns, 10 * NSEC_PER_SEC);
	ck_assert(config->threads.is_auto);
	ck_assert_uint_eq(config->n_users, 0);
	for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
		ck_assert(!config->settings[i].text && !config->settings[i].path);
	for (size_t i = 0; i < config->n_policies; i++)
		ck_assert(!config_policy_is_said(&config->policies[i]));
	ck_assert(policy_parameters_are_same(config->policy, config_parameters(config), NULL));
	ck_assert_str_eq(said, "");
}
END_TEST

static const char every_key[] = "[governor]\n"
				"capacity = 4cpu\n"
				"budget = 75%  ; three of them\n"
				"slot = 50ms\n"
				"policy = edf\n"
				"enforcer = signal\n"
				"meter = proc\n"
				"floor = 0.25cpu\n"
				"tasks-max = 1000\n"
				"per-user-tasks = 1\n"
				"per-user-cpus = 50%\n"
				"presets = /a '/b c'\n"
				"[defaults]\n"
				"on-target = stop\n"
				"on-deadline = stop\n"
				"grace = 24h\n"
				"threads = 1.5\n"
				"[policy core]\n"
				"capacity-part = 0.5\n"
				"unseen-spread = 3e0  ; the most\n"
				"[user alice]\n"
				"cpus = 1cpu\n"
				"tasks = 7\n"
				"[user 1000]\n"
				"cpus = 25%\n";

START_TEST(reads_every_key)
{
	_cleanup_config_ struct config *config = take(every_key, NULL);

	ck_assert_double_eq(config->capacity_cpus, 4);
	ck_assert_double_eq(config->budget.cpus, 3);
	ck_assert_uint_eq(config->slot_ns, 50 * NSEC_PER_MSEC);
	ck_assert_str_eq(config->policy->name, "edf");
	ck_assert_str_eq(config->enforcer, "signal");
	ck_assert_str_eq(config->meter, "proc");
	ck_assert_double_eq(config->floor.cpus, 0.25);
	ck_assert_uint_eq(config->n_tasks_max, 1000);
	ck_assert_uint_eq(config->n_user_tasks_max, 1);
	ck_assert_double_eq(config->user_cpus.cpus, 2);
	ck_assert_str_eq(config->presets[0], "/a");
	ck_assert_str_eq(config->presets[1], "/b c");
	ck_assert_ptr_null(config->presets[2]);
	ck_assert_int_eq(config->on_target, AT_END_STOP);
	ck_assert_int_eq(config->on_deadline, AT_END_STOP);
	ck_assert_uint_eq(config->grace_ns, 24 * 3600 * NSEC_PER_SEC);
	ck_assert(!config->threads.is_auto);
	ck_assert_double_eq(config->threads.cpus, 1.5);
	ck_assert_double_eq(parameter(config, "capacity-part"), 0.5);
	ck_assert_double_eq(parameter(config, "unseen-spread"), 3);
	ck_assert_double_eq(parameter(config, "unseen-part"), 0.18);
	ck_assert_ptr_null(config_parameters(config)); /* `edf` decides */
	ck_assert_uint_eq(config->n_users, 2);
	ck_assert_double_eq(config->users[0].cpus.cpus, 1);
	ck_assert_uint_eq(config->users[1].uid, 1000);
	ck_assert_str_eq(said, "");
	for (const struct config_key *key = config_keys; key->key; key++)
		ck_assert_msg(strcmp(key->section, "user") == 0 ||
				config->settings[key - config_keys].path,
			"%s is not tried", key->key);
}
END_TEST

START_TEST(later_file_wins_by_key)
{
	_cleanup_config_ struct config *config = take(
		"[governor]\nslot = 2s\nbudget = 1cpu\npresets = /a\n"
		"[user bob]\ncpus = 1cpu\ntasks = 3\n",
		"[user bob]\ntasks = 4\n[governor]\n\nbudget = 2cpu\npresets = /b\n");

	ck_assert_uint_eq(config->slot_ns, 2 * NSEC_PER_SEC);
	ck_assert_double_eq(config->budget.cpus, 2);
	ck_assert_str_eq(config->presets[0], "/b");
	ck_assert_str_eq(setting(config, "slot")->path, "a.conf");
	ck_assert_uint_eq(setting(config, "slot")->line, 2);
	ck_assert_str_eq(setting(config, "budget")->path, "b.conf");
	ck_assert_uint_eq(setting(config, "budget")->line, 5);
	ck_assert_str_eq(setting(config, "budget")->text, "2cpu");
	ck_assert_uint_eq(config->n_users, 1);
	ck_assert_double_eq(config->users[0].cpus.cpus, 1);
	ck_assert_uint_eq(config->users[0].tasks.most, 4);
}
END_TEST

START_TEST(later_file_wins_by_parameter)
{
	_cleanup_config_ struct config *config = take(
		"[policy core]\ncapacity-part = 0.5\nunseen-part = 0.5\ncharge-due = 1\n",
		"[governor]\n\n[policy core]\nunseen-part = 0.6\ncharge-due =\n");

	ck_assert_double_eq(parameter(config, "capacity-part"), 0.5);
	ck_assert_double_eq(parameter(config, "unseen-part"), 0.6);
	ck_assert_double_eq(parameter(config, "charge-due"), 0.03);
	ck_assert_double_eq(config_parameters(config)[place_of("unseen-part")], 0.6);
	ck_assert_str_eq(parameter_setting(config, "capacity-part")->path, "a.conf");
	ck_assert_uint_eq(parameter_setting(config, "capacity-part")->line, 2);
	ck_assert_str_eq(parameter_setting(config, "unseen-part")->path, "b.conf");
	ck_assert_uint_eq(parameter_setting(config, "unseen-part")->line, 4);
	ck_assert_ptr_null(parameter_setting(config, "charge-due")->path);
	ck_assert_ptr_null(parameter_setting(config, "charge-unused")->path);
	ck_assert_str_eq(said, "");
}
END_TEST

/* Whether a governor that reads it again has to begin with another state of the policy. */
START_TEST(decides_alike_or_not)
{
	_cleanup_config_ struct config *usual = take("", NULL);
	_cleanup_config_ struct config *said_so = take(
		"[policy core]\nunseen-part = 0.180\n", NULL);
	_cleanup_config_ struct config *other = take("[policy core]\nunseen-part = 0.19\n", NULL);
	_cleanup_config_ struct config *edf = take("[governor]\npolicy = edf\n", NULL);
	_cleanup_config_ struct config *edf_too = take(
		"[governor]\npolicy = edf\nslot = 2s\n[policy core]\nunseen-part = 1\n", NULL);

	ck_assert(config_decides_alike(usual, said_so));
	ck_assert(!config_decides_alike(usual, other));
	ck_assert(!config_decides_alike(other, usual));
	ck_assert(!config_decides_alike(usual, edf));
	ck_assert(config_decides_alike(edf, edf_too));
}
END_TEST

/* Or nobody could say into which section a key belongs. */
START_TEST(parameters_are_no_other_keys)
{
	for (const struct policy *const *policy = policies; *policy; policy++)
		for (uint32_t i = 0; i < policy_n_parameters(*policy); i++)
			for (const struct config_key *key = config_keys; key->key; key++)
				ck_assert_str_ne((*policy)->parameters[i].name, key->key);
}
END_TEST

/* Every key of every section, with what the first file says taken back by the second. */
START_TEST(empty_value_takes_back)
{
	char second[1024] = "";
	size_t length = 0;
	_cleanup_config_ struct config *config = NULL;

	for (const char *line = every_key; line && *line;) {
		size_t n = strcspn(line, "=\n");

		length += (size_t)snprintf(second + length, sizeof(second) - length, "%.*s%s\n",
			(int)n, line, line[n] == '=' ? "=" : "");
		line = strchr(line, '\n') + 1;
	}
	config = take(every_key, second);
	ck_assert(!config->capacity.is_set);
	ck_assert_double_eq(config->budget.cpus, MACHINE_CPUS);
	ck_assert_uint_eq(config->slot_ns, NSEC_PER_SEC);
	ck_assert_str_eq(config->policy->name, "core");
	ck_assert_ptr_null(config->enforcer);
	ck_assert(!config->user_cpus.is_set);
	ck_assert_ptr_null(config->presets);
	ck_assert(config->threads.is_auto);
	ck_assert_uint_eq(config->grace_ns, 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(config->n_users, 2);
	ck_assert(!config->users[0].tasks.is_set && !config->users[0].cpus.is_set);
	for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
		ck_assert(!config->settings[i].path && !config->users[0].settings[i].path);
	ck_assert(!config_policy_is_said(core_of(config)));
	ck_assert(policy_parameters_are_same(config->policy, config_parameters(config), NULL));
}
END_TEST

static const struct {
	const char *text, *warning;
} passed_over[] = {
	{"[governor]\npolciy = edf\n",
		"a.conf:2: unknown key 'polciy' in [governor]; did you mean 'policy'? (ignored)\n"},
	{"[defaults]\nzzzzzz = edf\n",
		"a.conf:2: unknown key 'zzzzzz' in [defaults]; see the manual for the keys there "
		"are (ignored)\n"},
	{"[defaults]\nbudget = nonsense\n",
		"a.conf:2: the key 'budget' belongs into [governor], not into [defaults] "
		"(ignored)\n"},
	{"[user bob]\nslot = 1s\n",
		"a.conf:2: the key 'slot' belongs into [governor], not into [user] (ignored)\n"},
	{"; a\n[govenor]\nslot = 2s\n",
		"a.conf:2: unknown section [govenor]; did you mean [governor]? (ignored with all "
		"that is in it)\n"},
	{"[bundle]\nslot = 2s\n",
		"a.conf:1: unknown section [bundle]; expected [governor], [defaults], [policy "
		"NAME] "
		"or [user NAME] (ignored with all that is in it)\n"},
	{"[policy core]\ncapacity-prt = 1\n",
		"a.conf:2: unknown key 'capacity-prt' in [policy core]; did you mean "
		"'capacity-part'? (ignored)\n"},
	{"[policy core]\nbudget = nonsense\n",
		"a.conf:2: the key 'budget' belongs into [governor], not into [policy core] "
		"(ignored)\n"},
	{"[governor]\ncapacity-part = 1\n",
		"a.conf:2: the key 'capacity-part' belongs into [policy core], not into [governor] "
		"(ignored)\n"},
	{"[policy edf]\ncapacity-part = 1\n",
		"a.conf:2: the key 'capacity-part' belongs into [policy core], not into [policy "
		"edf] (ignored)\n"},
	{"[policy fixed]\nzzz = 1\n",
		"a.conf:2: unknown key 'zzz': fixed has no parameters (ignored)\n"},
	{"[policy cor]\ncapacity-part = 2\n",
		"a.conf:1: unknown policy in [policy cor]; did you mean [policy core]? (ignored "
		"with all that is in it)\n"},
	{"[policy zzzzzzz]\nx = 2\n",
		"a.conf:1: unknown policy in [policy zzzzzzz]; see coregov-policies(7) for those "
		"there are (ignored with all that is in it)\n"},
	{"[polcy core]\nx = 2\n",
		"a.conf:1: unknown section [polcy]; did you mean [policy]? (ignored with all that "
		"is in it)\n"},
	{"[governor x]\nslot = 2s\n",
		"a.conf:1: the section [governor] takes no name (ignored with all that is in "
		"it)\n"},
};

/* It goes on after that, and nobody has to listen. */
START_TEST(passes_over_what_is_unknown)
{
	static const char more[] = "[defaults]\ngrace = 3s\n";
	const struct config_setup silent = {.say = NULL};
	_cleanup_config_ struct config *config = take(passed_over[_i].text, more);
	struct fault fault = FAULT_INIT;

	ck_assert_str_eq(said, passed_over[_i].warning);
	ck_assert_uint_eq(config->grace_ns, 3 * NSEC_PER_SEC);
	ck_assert_uint_eq(config->slot_ns, NSEC_PER_SEC);
	ck_assert_int_eq(config_take(config, "c.conf", passed_over[_i].text,
				 strlen(passed_over[_i].text), &silent, &fault),
		0);
}
END_TEST

static const struct {
	const char *text, *words; /* what the sentence has to say */
} refused[] = {
	{"[governor]\nbudget = 2\n", "a.conf:2: budget: '2' has no unit; write 'cpu'"},
	{"[governor]\nbudget = 2cpus\n", "a.conf:2: budget: '2cpus' has the unknown unit 'cpus'"},
	{"[governor]\nbudget = all\n", "a.conf:2: budget: 'all' is not a share"},
	{"[governor]\nbudget = -1cpu\n", "a.conf:2: budget: '-1cpu' is negative"},
	{"[governor]\nbudget = 0%\n", "a.conf:2: budget: '0%' is nothing; expected CPUs above 0"},
	{"[governor]\nbudget = 101%\n", "a.conf:2: budget: '101%' is more than the capacity"},
	{"[governor]\nbudget = nan%\n", "a.conf:2: budget: 'nan%' is not a share"},
	{"[governor]\nbudget = 9cpu\n",
		"a.conf:2: budget: the budget of 9 CPUs is above the 8 that this machine can give"},
	{"[governor]\nbudget = 3cpu\ncapacity = 2cpu\n",
		"a.conf:2: budget: the budget of 3 CPUs is above the 2 that 'capacity' says"},
	{"[governor]\ncapacity = 64cpu\n",
		"a.conf:2: capacity: the budget of 64 CPUs is above the 8 that this machine"},
	{"[governor]\ncapacity = 50%\n",
		"a.conf:2: capacity: '50%' is a part of the capacity; expected CPUs above 0"},
	{"[governor]\ncapacity = 0cpu\n", "a.conf:2: capacity: '0cpu' is nothing"},
	{"[governor]\nslot = 1\n", "a.conf:2: slot: '1' has no unit"},
	{"[governor]\nslot = 1m\n", "a.conf:2: slot: '1m' has the unknown unit 'm'"},
	{"[governor]\nslot = 49ms\n", "a.conf:2: slot: '49ms' is outside the range; expected 50ms"},
	{"[governor]\nslot = 61s\n", "a.conf:2: slot: '61s' is outside the range; expected 50ms"},
	{"[governor]\npolicy = cor\n",
		"a.conf:2: policy: unknown policy 'cor'; did you mean "
		"'core'?; expected core, edf"},
	{"[governor]\npolicy = script\n",
		"a.conf:2: policy: the policy 'script' has to know all tasks before they come"},
	{"[governor]\npolicy = fixed\n",
		"a.conf:2: policy: the policy 'fixed' has to know all tasks before they come"},
	{"[governor]\npolicy = exclusive\n",
		"a.conf:2: policy: the policy 'exclusive' has to know all tasks before they come"},
	{"[governor]\npolicy = oracle\n",
		"a.conf:2: policy: the policy 'oracle' has to know what each task needs, as only a "
		"simulation does"},
	{"[governor]\nenforcer = cgroup3\n",
		"a.conf:2: enforcer: unknown enforcer 'cgroup3'; did you mean 'cgroup"},
	{"[governor]\nmeter = zzzzzzz\n",
		"a.conf:2: meter: unknown meter 'zzzzzzz'; expected auto, bpf, cgroup or proc"},
	{"[governor]\nfloor = 1%\n", "a.conf:2: floor: '1%' is a part of the capacity"},
	{"[governor]\nfloor = 1cpu\nbudget = 0.5cpu\n",
		"a.conf:2: floor: 1 CPUs for each task are above the budget of 0.5"},
	{"[governor]\ntasks-max = 0\n",
		"a.conf:2: tasks-max: '0' is outside the range; expected a whole number from 1 to "
		"1000"},
	{"[governor]\ntasks-max = many\n", "a.conf:2: tasks-max: 'many' is not a whole number"},
	{"[governor]\nper-user-tasks = 1.5\n", "a.conf:2: per-user-tasks: '1.5' is not a whole"},
	{"[governor]\nper-user-cpus = 0cpu\n", "a.conf:2: per-user-cpus: '0cpu' is nothing"},
	{"[governor]\npresets = a\n", "a.conf:2: presets: 'a' is not an absolute path"},
	{"[governor]\npresets = /a b\n", "a.conf:2: presets: 'b' is not an absolute path"},
	{"[governor]\npresets = '/a\n", "a.conf:2: presets: "},
	{"[defaults]\non-target = stopp\n",
		"a.conf:2: on-target: unknown choice 'stopp'; did you mean 'stop'?"},
	{"[defaults]\non-deadline = kill\n",
		"a.conf:2: on-deadline: unknown choice 'kill'; expected stop or yield"},
	{"[defaults]\ngrace = 25h\n", "a.conf:2: grace: '25h' is outside the range; expected 0s"},
	{"[defaults]\nthreads = 0\n", "a.conf:2: threads: '0' is outside the range"},
	{"[defaults]\nthreads = 1e7\n", "a.conf:2: threads: '1e7' is outside the range"},
	{"[defaults]\nthreads = two\n", "a.conf:2: threads: expected auto, or a number"},
	{"[policy]\ncapacity-part = 1\n",
		"a.conf:1: [policy] names no policy; expected [policy NAME]"},
	{"[policy core]\ncapacity-part = 1.5\n",
		"a.conf:2: capacity-part: '1.5' is outside the range; expected a number from 0.5 "
		"to 1"},
	{"[policy core]\ncapacity-part = 95%\n",
		"a.conf:2: capacity-part: expected a number from 0.5 to 1: '95%' is not a finite"},
	{"[policy core]\nunseen-chance = nan\n",
		"a.conf:2: unseen-chance: expected a number from 0.1 to 1: 'nan' is not"},
	{"[governor]\npolicy = edf\n[policy core]\nunseen-part = 0\n",
		"a.conf:4: unseen-part: '0' is outside the range; expected a number from 0.01 to "
		"1"},
	{"[policy core]\nroom-power = 1\nroom-power = 1\n",
		"a.conf:3: the key 'room-power' is there a second time"},
	{"[policy core]\n[policy core]\n",
		"a.conf:2: the section [policy core] is there a second time"},
	{"[user]\ntasks = 1\n", "a.conf:1: [user] names nobody; expected [user NAME]"},
	{"[user a:b]\ntasks = 1\n", "a.conf:1: 'a:b' is not a user's name"},
	{"[user 4294967295]\ntasks = 1\n", "a.conf:1: [user UID]: '4294967295' is outside"},
	{"[user bob]\ntasks = -1\n", "a.conf:2: tasks: '-1' is not a whole number"},
	{"[user bob]\ntasks = 1001\n", "a.conf:2: tasks: '1001' is outside the range"},
	{"[user bob]\ncpus = 2\n", "a.conf:2: cpus: '2' has no unit"},
	{"[governor]\nslot = 1s\nslot = 1s\n", "a.conf:3: the key 'slot' is there a second time"},
	{"[governor]\n[governor]\n", "a.conf:2: the section [governor] is there a second time"},
	{"slot = 1s\n", "a.conf:1: the key 'slot' comes before the first section"},
	{"[governor]\nslot\n", "a.conf:2: 'slot' is neither 'key = value' nor a '[section]'"},
	{"[governor]\nslot = \xff\n", "a.conf:2: not UTF-8"},
};

START_TEST(refuses_what_is_wrong)
{
	struct config *config = NULL;
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(try(&config, refused[_i].text, NULL, &fault), -EBADMSG);
	ck_assert_msg(strncmp(fault.text, refused[_i].words, strlen(refused[_i].words)) == 0,
		"'%s' is not '%s...'", fault.text, refused[_i].words);
	ck_assert_ptr_null(config);
}
END_TEST

/* A mistake is told also where a later file takes it back. */
START_TEST(refuses_what_is_taken_back)
{
	struct config *config = NULL;
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(try(&config, "[governor]\nslot = 1\n", "[governor]\nslot = 1s\n", &fault),
		-EBADMSG);
	ck_assert_ptr_null(config);
}
END_TEST

/* What ties keys together is looked at when all are there. */
START_TEST(compares_at_the_end)
{
	_cleanup_config_ struct config *config = take(
		"[governor]\nbudget = 5cpu\ncapacity = 2cpu\n", "[governor]\ncapacity = 6cpu\n");

	ck_assert_double_eq(config->capacity_cpus, 6);
}
END_TEST

START_TEST(machine_may_be_unknown)
{
	static const char text[] = "[governor]\nfloor = 1cpu\nper-user-cpus = 3cpu\n";
	_cleanup_config_ struct config *config = take(text, NULL);
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(config_resolve(config, 0, &fault), 0);
	ck_assert(isnan(config->capacity_cpus) && isnan(config->budget.cpus));
	ck_assert_double_eq(config->user_cpus.cpus, 3);
}
END_TEST

START_TEST(finds_caps)
{
	_cleanup_config_ struct config *config = take(
		"[user bob]\ncpus = 50%\n[user 7]\ntasks = 0\n[user eve]\ntasks = 9\n",
		"[governor]\nper-user-tasks = 5\nper-user-cpus = 3cpu\n[user 007]\ncpus = 1cpu\n");
	struct config_caps caps = config_caps(config, 1, "bob");

	ck_assert(config_names_users(config));
	ck_assert_double_eq(caps.cpus, 4);
	ck_assert_uint_eq(caps.n_tasks, 5);
	caps = config_caps(config, 2, "eve");
	ck_assert_double_eq(caps.cpus, 3);
	ck_assert_uint_eq(caps.n_tasks, 9);
	/* The number comes before the name, however it is written. */
	caps = config_caps(config, 7, "eve");
	ck_assert_double_eq(caps.cpus, 1);
	ck_assert_uint_eq(caps.n_tasks, 0);
	/* A number is no name, and who has none has what everybody has. */
	caps = config_caps(config, 3, "7");
	ck_assert_uint_eq(caps.n_tasks, 5);
	caps = config_caps(config, 3, NULL);
	ck_assert_double_eq(caps.cpus, 3);
	ck_assert_uint_eq(caps.n_tasks, 5);
}
END_TEST

START_TEST(names_are_asked_for_where_they_matter)
{
	_cleanup_config_ struct config *config = take("[user 7]\ntasks = 1\n", NULL);

	ck_assert(!config_names_users(config));
}
END_TEST

START_TEST(has_no_cap_by_default)
{
	_cleanup_config_ struct config *config = take("[user bob]\ntasks = 1\n", NULL);

	ck_assert(isinf(config_caps(config, 1, "bob").cpus));
	ck_assert(isinf(config_caps(config, 2, "eve").cpus));
}
END_TEST

START_TEST(users_have_a_limit)
{
	_cleanup_free_ char *text = calloc(CONFIG_USERS_MAX + 1, 16);
	struct config *config = NULL;
	struct fault fault = FAULT_INIT;
	size_t length = 0;

	for (unsigned i = 0; i < CONFIG_USERS_MAX; i++)
		length += (size_t)sprintf(text + length, "[user u%u]\n", i);
	ck_assert_int_eq(try(&config, text, "[user u0]\ntasks = 1\n", &fault), 0);
	config = config_free(config);
	ck_assert_int_eq(try(&config, text, "[user one-more]\n", &fault), -EBADMSG);
	ck_assert_str_eq(fault.text, "b.conf:1: more than 1000 users");
}
END_TEST

/* The words of the seams are those that there are. */
START_TEST(knows_enforcers_and_meters)
{
	char text[128];

	for (size_t i = 0; enforcers[i]; i++) {
		(void)snprintf(
			text, sizeof(text), "[governor]\nenforcer = %s\n", enforcers[i]->name);
		config_free(take(text, NULL));
	}
	for (size_t i = 0; meters[i]; i++) {
		(void)snprintf(text, sizeof(text), "[governor]\nmeter = %s\n", meters[i]->name);
		config_free(take(text, NULL));
	}
	for (const struct config_key *key = config_keys; key->key; key++) {
		for (size_t i = 0; strcmp(key->key, "enforcer") == 0 && enforcers[i]; i++)
			ck_assert_ptr_nonnull(strstr(key->expected, enforcers[i]->name));
		for (size_t i = 0; strcmp(key->key, "meter") == 0 && meters[i]; i++)
			ck_assert_ptr_nonnull(strstr(key->expected, meters[i]->name));
	}
}
END_TEST

static char *printed(const struct config *config)
{
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	ck_assert_ptr_nonnull(to);
	config_print(config, /* force= */ NULL, to);
	(void)fclose(to);
	return text;
}

START_TEST(shows_what_reads_back)
{
	_cleanup_config_ struct config *config = take(every_key, "[governor]\npolicy =\n");
	_cleanup_free_ char *text = printed(config);
	_cleanup_config_ struct config *again = take(text, NULL);

	ck_assert_str_eq(said, "");
	ck_assert_ptr_nonnull(strstr(text, "\nbudget         = 75%        # a.conf:3\n"));
	ck_assert_ptr_nonnull(strstr(text, "\npolicy         = core       # default\n"));
	ck_assert_ptr_nonnull(strstr(text,
		"[user 1000]\n"
		"cpus           = 25%        # a.conf:25\n"
		"tasks          =            # default: per-user-tasks\n"));
	for (const struct config_key *key = config_keys; key->key; key++) {
		const struct config_setting *before = &config->settings[key - config_keys];
		const struct config_setting *after = &again->settings[key - config_keys];

		/* A default reads back as a value; what has no value, as none. */
		ck_assert_pstr_eq(before->text                      ? before->text
				: strcmp(key->section, "user") == 0 ? NULL
								    : key->fallback,
			after->text);
	}
	ck_assert_uint_eq(again->n_users, 2);
	ck_assert_str_eq(again->presets[1], "/b c");
}
END_TEST

START_TEST(shows_what_is_in_force)
{
	_cleanup_config_ struct config *config = take("[governor]\nbudget = 1cpu\n", NULL);
	const struct config_force force = {
		.budget_cpus = 0.5,
		.capacity_cpus = 2,
		.slot_ns = 250 * NSEC_PER_MSEC,
		.policy = "edf",
		.enforcer = "cgroup2",
		.meter = "bpf",
	};
	static const char first[] = "# in force: budget 0.5cpu of 2cpu, slot 0.25s, policy edf, "
				    "enforcer cgroup2, meter bpf\n";
	_cleanup_free_ char *json = config_json(config, &force), *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	config_print(config, &force, to);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert(strncmp(text, first, strlen(first)) == 0);
	ck_assert_ptr_nonnull(strstr(text, "\nbudget         = 1cpu"));
	ck_assert_ptr_nonnull(strstr(json,
		"\"in_force\":{\"budget_cpus\":0.5,\"capacity_cpus\":2.0,\"slot_seconds\":0.25,"
		"\"policy\":\"edf\",\"enforcer\":\"cgroup2\",\"meter\":\"bpf\"}"));
	/* It is a comment, and reads back. */
	config_free(take(text, NULL));
}
END_TEST

/* All of the policy that decides, and those of another where something is said of it. */
START_TEST(shows_parameters)
{
	_cleanup_config_ struct config *plain = take("[governor]\npolicy = edf\n", NULL);
	_cleanup_config_ struct config *core = take(
		"[policy core]\nunseen-part = 0.20 ; a fifth\n", "");
	_cleanup_config_ struct config *said_of = take(
		"[governor]\npolicy = edf\n[policy core]\nunseen-part = 0.20\n", NULL);
	_cleanup_free_ char *nothing = printed(plain), *all = printed(core),
			    *too = printed(said_of);
	_cleanup_config_ struct config *again = NULL;

	ck_assert_ptr_null(strstr(nothing, "[policy"));
	ck_assert_ptr_nonnull(strstr(all,
		"\n[policy core]\n"
		"capacity-part  = 0.97       # default\n"));
	ck_assert_ptr_nonnull(strstr(all, "\nunseen-part    = 0.20       # a.conf:2\n"));
	ck_assert_ptr_nonnull(strstr(too, "\nunseen-part    = 0.20       # a.conf:4\n"));
	again = take(all, NULL);
	ck_assert_str_eq(said, "");
	ck_assert(config_decides_alike(core, again));
	ck_assert_double_eq(parameter(again, "unseen-part"), 0.2);
}
END_TEST

START_TEST(tells_what_differs)
{
	_cleanup_config_ struct config *old = take(
		"[governor]\nbudget = 1cpu\npolicy = edf\n[user anna]\ntasks = 3\n", NULL);
	_cleanup_config_ struct config *new = take("[governor]\nbudget = 50%\npolicy = edf\n"
						   "slot = 1s\n[defaults]\nthreads = 2\n"
						   "[user 1000]\ncpus = 1cpu\n",
		NULL);
	char text[256], little[16];

	config_differences(old, old, text, sizeof(text));
	ck_assert_str_eq(text, "");
	/* A default that is written down is the same. */
	config_differences(old, new, text, sizeof(text));
	ck_assert_str_eq(text, "budget, threads, [user anna] tasks, [user 1000] cpus");
	config_differences(new, old, text, sizeof(text));
	ck_assert_str_eq(text, "budget, threads, [user 1000] cpus, [user anna] tasks");
	/* Of parameters those that are not the same, of whichever policy. */
	_cleanup_config_ struct config *other = take(
		"[governor]\nbudget = 1cpu\npolicy = edf\n[user anna]\ntasks = 3\n"
		"[policy core]\nunseen-part = 0.3\ncharge-due = 0.03\n",
		NULL);
	config_differences(old, other, text, sizeof(text));
	ck_assert_str_eq(text, "[policy core] unseen-part");
	config_differences(old, new, little, sizeof(little));
	ck_assert_str_eq(little, "budget, threads");
}
END_TEST

START_TEST(shows_json)
{
	_cleanup_config_ struct config *config = take(
		"[user a\"b]\ncpus = 1cpu\n[policy core]\nunseen-part = 0.20\n", NULL);
	_cleanup_free_ char *json = config_json(config, /* force= */ NULL);

	ck_assert_ptr_nonnull(strstr(json, "\"schema\":1"));
	ck_assert_ptr_nonnull(strstr(json, "\"in_force\":null"));
	ck_assert_ptr_nonnull(strstr(json,
		"{\"section\":\"governor\",\"name\":null,\"key\":\"capacity\",\"value\":null,"
		"\"file\":null,\"line\":null}"));
	ck_assert_ptr_nonnull(strstr(json,
		"{\"section\":\"user\",\"name\":\"a\\\"b\",\"key\":\"cpus\","
		"\"value\":\"1cpu\",\"file\":\"a.conf\",\"line\":2}"));
	ck_assert_ptr_nonnull(strstr(json,
		"{\"section\":\"policy\",\"name\":\"core\",\"key\":\"unseen-part\","
		"\"value\":\"0.20\",\"file\":\"a.conf\",\"line\":4}"));
	ck_assert_ptr_nonnull(strstr(json,
		"{\"section\":\"policy\",\"name\":\"core\",\"key\":\"unseen-spread\","
		"\"value\":\"1.6\",\"file\":null,\"line\":null}"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, fills_defaults);
	tcase_add_test(tcase, reads_every_key);
	tcase_add_test(tcase, later_file_wins_by_key);
	tcase_add_test(tcase, later_file_wins_by_parameter);
	tcase_add_test(tcase, decides_alike_or_not);
	tcase_add_test(tcase, parameters_are_no_other_keys);
	tcase_add_test(tcase, empty_value_takes_back);
	tcase_add_loop_test(tcase, passes_over_what_is_unknown, 0, (int)ARRAY_LENGTH(passed_over));
	tcase_add_loop_test(tcase, refuses_what_is_wrong, 0, (int)ARRAY_LENGTH(refused));
	tcase_add_test(tcase, refuses_what_is_taken_back);
	tcase_add_test(tcase, compares_at_the_end);
	tcase_add_test(tcase, machine_may_be_unknown);
	tcase_add_test(tcase, finds_caps);
	tcase_add_test(tcase, names_are_asked_for_where_they_matter);
	tcase_add_test(tcase, has_no_cap_by_default);
	tcase_add_test(tcase, users_have_a_limit);
	tcase_add_test(tcase, knows_enforcers_and_meters);
	tcase_add_test(tcase, shows_what_reads_back);
	tcase_add_test(tcase, shows_what_is_in_force);
	tcase_add_test(tcase, shows_parameters);
	tcase_add_test(tcase, tells_what_differs);
	tcase_add_test(tcase, shows_json);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
