// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_internal.h"
#include "ini.h"
#include "policy.h"
#include "text_file.h"

/* Reads the configuration: defaults first, then file upon file, the table of config_keys.c for what
 * is in them.
 *
 * Every line is checked, also one that a later file takes back: a mistake that waits for the day on
 * which the later file goes is told today. What is unknown is told and passed over, since a file may
 * be written for another version; what is known and wrong is refused. Only when all is read, shares
 * are turned into CPUs and keys are compared with each other. It is all in a new struct until then, so
 * whoever loads again has both, or the old one alone.
 *
 * Users are few (their number has a limit), so they are looked for one by one. */

#define TEXT_SHOWN 60
#define USER_NAME_MAX 256
#define CPUS_TOLERANCE 1e-9

static const char *const section_kinds[] = {"governor", "defaults", "policy", "user", NULL};

/* Where what a section says goes, and which keys there are. */
struct place {
	const struct config_key *keys;   /* may be of other sections, too */
	struct config_setting *settings; /* beside the keys */
	void *destination;
};

static bool is_of(const struct config_key *key, const char *section)
{
	return strcmp(key->section, section) == 0;
}

static const struct config_key *find_key(
	const struct config_key *keys, const char *section, const char *name)
{
	for (const struct config_key *key = keys; key->key; key++)
		if (is_of(key, section) && strcmp(key->key, name) == 0)
			return key;
	return NULL;
}

static struct place place_of(struct config *config)
{
	return (struct place){
		.keys = config_keys, .settings = config->settings, .destination = config};
}

static struct place place_of_user(struct config_user *user)
{
	return (struct place){.keys = config_keys, .settings = user->settings, .destination = user};
}

static struct place place_of_policy(
	struct config_policy *policy, const struct config_policy_keys *keys)
{
	return (struct place){
		.keys = keys->keys, .settings = policy->settings, .destination = policy};
}

/* Sets the keys of a section that are not there yet to what holds without them. */
static int take_defaults(const struct place *place, const char *section, struct fault *fault)
{
	int r = 0;

	for (const struct config_key *key = place->keys; r == 0 && key->key; key++)
		if (is_of(key, section))
			r = key->parse(key, key->fallback, (char *)place->destination + key->offset,
				fault);
	return r;
}

static int add_policy(struct config *config, const struct policy *policy, struct fault *fault)
{
	struct config_policy *added;
	struct config_policy_keys keys;
	struct place place;

	if (policy_n_parameters(policy) == 0)
		return 0;
	added = reallocarray(config->policies, config->n_policies + 1, sizeof(*added));
	if (!added)
		return fault_errno(fault, -ENOMEM, "read the configuration");
	config->policies = added;
	added = &config->policies[config->n_policies++];
	*added = (struct config_policy){.policy = policy};
	config_policy_keys_make(&keys, policy);
	place = place_of_policy(added, &keys);
	return take_defaults(&place, "policy", fault);
}

DEFINE_CLEANUP_FUNC(struct config, config_free)
DEFINE_CLEANUP_FUNC(struct ini, ini_free)

int config_new(struct config **ret_config, struct fault *fault)
{
	_cleanup_(cleanup_config_free) struct config *config = calloc(1, sizeof(*config));
	struct place place;
	int r;

	if (!config)
		return fault_errno(fault, -ENOMEM, "read the configuration");
	place = place_of(config);
	r = take_defaults(&place, "governor", fault);
	if (r == 0)
		r = take_defaults(&place, "defaults", fault);
	for (const struct policy *const *policy = policies; r == 0 && *policy; policy++)
		r = add_policy(config, *policy, fault);
	if (r == 0)
		*ret_config = TAKE_PTR(config);
	return r;
}

static int at_line(const struct ini *ini, unsigned line, int error, struct fault *fault)
{
	if (error == -ENOMEM)
		return fault_errno(fault, error, "%s:%u", ini->path, line);
	return fault_wrap(fault, -EBADMSG, "%s:%u", ini->path, line);
}

static int keep_setting(struct config_setting *setting, const char *path,
	const struct ini_key *given, bool is_default)
{
	char *text = is_default ? NULL : strdup(given->value);

	if (!text && !is_default)
		return -ENOMEM;
	free(setting->text);
	*setting = (struct config_setting){
		.text = text,
		.path = is_default ? NULL : path,
		.line = is_default ? 0 : given->line,
	};
	return 0;
}

#define HEAD_MAX 64

/* The section that has a key of that name, as in "[policy core]"; false: there is none. */
static bool find_home(const struct config *config, const char *name, char ret_head[static HEAD_MAX])
{
	for (const struct config_key *key = config_keys; key->key; key++)
		if (strcmp(key->key, name) == 0) {
			(void)snprintf(ret_head, HEAD_MAX, "[%s]", key->section);
			return true;
		}
	for (size_t i = 0; i < config->n_policies; i++)
		if (policy_parameter_find(config->policies[i].policy, name)) {
			(void)snprintf(ret_head, HEAD_MAX, "[policy %s]",
				config->policies[i].policy->name);
			return true;
		}
	return false;
}

/* An unknown key, and where it belongs or what was meant. */
static void pass_over_key(const struct config *config, const struct place *place,
	const struct ini *ini, const struct ini_section *section, const struct ini_key *given,
	const struct config_setup *setup)
{
	bool is_policy = strcmp(section->kind, "policy") == 0;
	const char *names[CONFIG_KEYS_MAX + 1] = {NULL};
	struct fault fault = FAULT_INIT;
	char home[HEAD_MAX];
	size_t n = 0;

	if (!setup->say)
		return;
	if (find_home(config, given->key, home)) {
		setup->say("%s:%u: the key '%s' belongs into %s, not into [%s%s%s] (ignored)",
			ini->path, given->line, given->key, home, section->kind,
			is_policy ? " " : "", is_policy ? section->name : "");
		return;
	}
	for (const struct config_key *key = place->keys; key->key; key++)
		if (is_of(key, section->kind))
			names[n++] = key->key;
	if (n == 0)
		(void)fault_set(&fault, -EINVAL, "%s:%u: unknown key '%.*s': %s has no parameters",
			ini->path, given->line, TEXT_SHOWN, given->key, section->name);
	else
		(void)ini_unknown_key(ini, section, given, names, &fault);
	setup->say("%s (ignored)", fault.text);
}

static int take_key(const struct config *config, const struct place *place, const char *path,
	const struct ini *ini, const struct ini_section *section, const struct ini_key *given,
	const struct config_setup *setup, struct fault *fault)
{
	const struct config_key *key = find_key(place->keys, section->kind, given->key);
	bool is_default = *given->value == '\0';
	int r;

	if (!key) {
		pass_over_key(config, place, ini, section, given, setup);
		return 0;
	}
	r = key->parse(key, is_default ? key->fallback : given->value,
		(char *)place->destination + key->offset, fault);
	if (r < 0 && r != -ENOMEM)
		fault_wrap(fault, r, "%s", key->key);
	if (r == 0)
		r = keep_setting(&place->settings[key - place->keys], path, given, is_default);
	return r < 0 ? at_line(ini, given->line, r, fault) : 0;
}

static int take_keys(const struct config *config, const struct place *place, const char *path,
	const struct ini *ini, const struct ini_section *section, const struct config_setup *setup,
	struct fault *fault)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < section->n_keys; i++)
		r = take_key(config, place, path, ini, section, &section->keys[i], setup, fault);
	return r;
}

static bool is_number(const char *text)
{
	return text[strspn(text, "0123456789")] == '\0';
}

/* A number is a UID, and UID_INVALID is nobody's. */
static int parse_user(const char *name, struct config_user *ret_user, struct fault *fault)
{
	uint64_t uid = 0;
	int r;

	*ret_user = (struct config_user){.is_uid = name && is_number(name)};
	if (!name)
		return fault_set(
			fault, -EINVAL, "[user] names nobody; expected [user NAME] or [user UID]");
	if (strlen(name) > USER_NAME_MAX || strpbrk(name, ":/"))
		return fault_set(fault, -EINVAL,
			"'%.*s' is not a user's name; expected [user NAME] or [user UID]",
			TEXT_SHOWN, name);
	if (ret_user->is_uid) {
		r = parse_count(name, 0, (uint64_t)UINT32_MAX - 1, &uid, fault);
		if (r < 0)
			return fault_wrap(fault, r, "[user UID]");
	}
	ret_user->uid = (uid_t)uid;
	return 0;
}

static struct config_user *find_user(
	const struct config *config, const struct config_user *wanted, const char *name)
{
	for (size_t i = 0; i < config->n_users; i++) {
		struct config_user *user = &config->users[i];

		if (user->is_uid == wanted->is_uid &&
			(user->is_uid ? user->uid == wanted->uid
				      : name && strcmp(user->name, name) == 0))
			return user;
	}
	return NULL;
}

static int add_user(struct config *config, const struct config_user *wanted, const char *name,
	struct config_user **ret_user, struct fault *fault)
{
	struct config_user *users, *user;
	struct place place;
	int r;

	if (config->n_users == CONFIG_USERS_MAX)
		return fault_set(fault, -E2BIG, "more than %d users", CONFIG_USERS_MAX);
	users = reallocarray(config->users, config->n_users + 1, sizeof(*users));
	if (!users)
		return -ENOMEM;
	config->users = users;
	user = &users[config->n_users];
	*user = *wanted;
	user->name = strdup(name);
	if (!user->name)
		return -ENOMEM;
	config->n_users++;
	place = place_of_user(user);
	r = take_defaults(&place, "user", fault);
	if (r == 0)
		*ret_user = user;
	return r;
}

static int take_user_section(struct config *config, const char *path, const struct ini *ini,
	const struct ini_section *section, const struct config_setup *setup, struct fault *fault)
{
	struct config_user wanted, *user = NULL;
	struct place place;
	int r;

	r = parse_user(section->name, &wanted, fault);
	if (r == 0)
		user = find_user(config, &wanted, section->name);
	if (r == 0 && !user)
		r = add_user(config, &wanted, section->name, &user, fault);
	if (r < 0)
		return at_line(ini, section->line, r, fault);
	place = place_of_user(user);
	return take_keys(config, &place, path, ini, section, setup, fault);
}

static struct config_policy *find_policy(const struct config *config, const struct policy *policy)
{
	for (size_t i = 0; i < config->n_policies; i++)
		if (config->policies[i].policy == policy)
			return &config->policies[i];
	return NULL;
}

/* Of a policy that is not known, as of one without parameters, nothing can be taken. */
static int take_policy_section(struct config *config, const char *path, const struct ini *ini,
	const struct ini_section *section, const struct config_setup *setup, struct fault *fault)
{
	struct config_policy none = {.policy = NULL}, *into;
	const char *names[POLICY_NAMES_MAX], *nearest;
	const struct policy *policy;
	struct config_policy_keys keys;
	struct place place;

	if (!section->name)
		return fault_set(fault, -EBADMSG,
			"%s:%u: [policy] names no policy; expected [policy NAME]", ini->path,
			section->line);
	policy = policy_find(section->name);
	if (!policy && setup->say) {
		policy_names(names);
		nearest = nearest_word(section->name, names);
		setup->say("%s:%u: unknown policy in [policy %.*s]%s%s%s (ignored with all that is "
			   "in it)",
			ini->path, section->line, TEXT_SHOWN, section->name,
			nearest ? "; did you mean [policy " : "", nearest ? nearest : "",
			nearest ? "]?" : "; see coregov-policies(7) for those there are");
	}
	if (!policy)
		return 0;
	into = find_policy(config, policy);
	config_policy_keys_make(&keys, policy);
	place = place_of_policy(into ? into : &none, &keys);
	return take_keys(config, &place, path, ini, section, setup, fault);
}

/* Says what is wrong with the head of a section that is not known; true: it is. */
static bool section_is_known(
	const struct ini *ini, const struct ini_section *section, const struct config_setup *setup)
{
	const char *nearest = NULL;
	bool is_known = false;

	for (const char *const *kind = section_kinds; *kind; kind++)
		is_known = is_known || strcmp(section->kind, *kind) == 0;
	if (is_known &&
		(strcmp(section->kind, "user") == 0 || strcmp(section->kind, "policy") == 0 ||
			!section->name))
		return true;
	if (!setup->say)
		return false;
	nearest = nearest_word(section->kind, section_kinds);
	if (is_known)
		setup->say("%s:%u: the section [%s] takes no name (ignored with all that is in it)",
			ini->path, section->line, section->kind);
	else
		setup->say("%s:%u: unknown section [%.*s]%s%s%s (ignored with all that is in it)",
			ini->path, section->line, TEXT_SHOWN, section->kind,
			nearest ? "; did you mean [" : "", nearest ? nearest : "",
			nearest ? "]?"
				: "; expected [governor], [defaults], [policy NAME] or [user "
				  "NAME]");
	return false;
}

static int take_section(struct config *config, const char *path, const struct ini *ini,
	const struct ini_section *section, const struct config_setup *setup, struct fault *fault)
{
	struct place place = place_of(config);

	if (!section_is_known(ini, section, setup))
		return 0;
	if (strcmp(section->kind, "user") == 0)
		return take_user_section(config, path, ini, section, setup, fault);
	if (strcmp(section->kind, "policy") == 0)
		return take_policy_section(config, path, ini, section, setup, fault);
	return take_keys(config, &place, path, ini, section, setup, fault);
}

int config_take(struct config *config, const char *path, const char *text, size_t length,
	const struct config_setup *setup, struct fault *fault)
{
	_cleanup_(cleanup_ini_free) struct ini *ini = NULL;
	int r;

	r = ini_parse(path, text, length, &ini, fault);
	for (size_t i = 0; r == 0 && i < ini->n_sections; i++)
		r = take_section(config, path, ini, &ini->sections[i], setup, fault);
	return r;
}

static const struct config_setting *setting_of(const struct config *config, const char *name)
{
	return &config->settings[find_key(config_keys, "governor", name) - config_keys];
}

static void resolve(struct config_share *share, double capacity_cpus)
{
	const struct share *written = &share->written;

	share->cpus = !share->is_set  ? (double)NAN
		: written->is_percent ? capacity_cpus * (written->number / 100)
				      : written->number;
}

/* Nothing is above what is not known: no comparison with a NAN is true. */
static bool is_above(double cpus, double most_cpus)
{
	return cpus > most_cpus + CPUS_TOLERANCE;
}

/* A budget that comes to too much does so by its own line, or as a part of what [governor] capacity
 * says. */
static int check_budget(
	const struct config *config, double most_cpus, const char *most, struct fault *fault)
{
	const struct config_setting *budget = setting_of(config, "budget");
	const struct config_setting *at = budget->path ? budget : setting_of(config, "capacity");

	if (!is_above(config->budget.cpus, most_cpus))
		return 0;
	return fault_set(fault, -EBADMSG,
		"%s:%u: %s: the budget of %g CPUs is above the %g that %s", at->path, at->line,
		at == budget ? "budget" : "capacity", config->budget.cpus, most_cpus, most);
}

int config_resolve(struct config *config, double machine_cpus, struct fault *fault)
{
	const struct config_setting *floor = setting_of(config, "floor");
	double machine = machine_cpus > 0 ? machine_cpus : (double)NAN;
	int r;

	resolve(&config->capacity, NAN);
	config->capacity_cpus = config->capacity.is_set ? config->capacity.cpus : machine;
	resolve(&config->budget, config->capacity_cpus);
	resolve(&config->floor, config->capacity_cpus);
	resolve(&config->user_cpus, config->capacity_cpus);
	for (size_t i = 0; i < config->n_users; i++)
		resolve(&config->users[i].cpus, config->capacity_cpus);

	r = check_budget(config, config->capacity_cpus,
		config->capacity.is_set ? "'capacity' says there are" : "this machine can give",
		fault);
	if (r == 0)
		r = check_budget(config, machine, "this machine can give", fault);
	if (r == 0 && is_above(config->floor.cpus, config->budget.cpus))
		r = fault_set(fault, -EBADMSG,
			"%s:%u: floor: %g CPUs for each task are above the budget of %g",
			floor->path, floor->line, config->floor.cpus, config->budget.cpus);
	return r;
}

static int take_file(struct config *config, const char *path, const struct config_setup *setup,
	struct fault *fault)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	r = text_file_read(path, INI_FILE_MAX, &text, &length, fault);
	return r < 0 ? r : config_take(config, path, text, length, setup, fault);
}

int config_load(struct config **ret_config, const struct config_setup *setup, struct fault *fault)
{
	_cleanup_(cleanup_config_free) struct config *config = NULL;
	int r;

	r = config_new(&config, fault);
	if (r == 0)
		r = config_files_find(setup, &config->files, fault);
	if (r < 0)
		return r;
	for (char **path = config->files; r == 0 && *path; path++)
		r = take_file(config, *path, setup, fault);
	if (r == 0)
		r = config_resolve(config, setup->machine_cpus, fault);
	if (r == 0)
		*ret_config = TAKE_PTR(config);
	return r;
}

static void settings_done(struct config_setting *settings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(settings[i].text);
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	for (size_t i = 0; i < config->n_users; i++) {
		free(config->users[i].name);
		settings_done(config->users[i].settings, CONFIG_KEYS_MAX);
	}
	free(config->users);
	for (size_t i = 0; i < config->n_policies; i++)
		settings_done(config->policies[i].settings, POLICY_PARAMETERS_MAX);
	free(config->policies);
	settings_done(config->settings, CONFIG_KEYS_MAX);
	words_free(config->presets);
	config_files_free(config->files);
	free(config);
	return NULL;
}

const double *config_parameters(const struct config *config)
{
	const struct config_policy *policy = find_policy(config, config->policy);

	return policy ? policy->parameters : NULL;
}

bool config_decides_alike(const struct config *a, const struct config *b)
{
	return a->policy == b->policy &&
		policy_parameters_are_same(a->policy, config_parameters(a), config_parameters(b));
}

bool config_policy_is_said(const struct config_policy *policy)
{
	bool is_said = false;

	for (size_t i = 0; i < POLICY_PARAMETERS_MAX; i++)
		is_said |= policy->settings[i].path != NULL;
	return is_said;
}

bool config_names_users(const struct config *config)
{
	for (size_t i = 0; i < config->n_users; i++)
		if (!config->users[i].is_uid)
			return true;
	return false;
}

struct config_caps config_caps(const struct config *config, uid_t uid, const char *name)
{
	const struct config_user by_uid = {.is_uid = true, .uid = uid}, by_name = {.is_uid = false};
	const struct config_user *user = find_user(config, &by_uid, NULL);
	const struct config_share *cpus = &config->user_cpus;

	if (!user && name)
		user = find_user(config, &by_name, name);
	if (user && user->cpus.is_set)
		cpus = &user->cpus;
	return (struct config_caps){
		.cpus = cpus->is_set ? cpus->cpus : (double)INFINITY,
		.n_tasks = user && user->tasks.is_set ? user->tasks.most : config->n_user_tasks_max,
	};
}
