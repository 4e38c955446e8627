// SPDX-License-Identifier: GPL-2.0-or-later
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config_internal.h"
#include "nsec.h"

/* What is in force and where it comes from. The text is a configuration file itself: where a value
 * comes from is a comment, and a key that is not set has no value, which is how a file takes a key
 * back. Values are shown as they were written. */

static const char *shown(const struct config_key *key, const struct config_setting *setting)
{
	return setting->text ? setting->text : key->fallback;
}

static void print_key(const struct config_key *key, const struct config_setting *setting, FILE *to)
{
	const char *text = shown(key, setting);

	(void)fprintf(to, "%-14s = %-10s # ", key->key, text ? text : "");
	if (setting->path)
		(void)fprintf(to, "%s:%u\n", setting->path, setting->line);
	else
		(void)fprintf(
			to, "default%s%s\n", key->unset ? ": " : "", key->unset ? key->unset : "");
}

static void print_section(const char *section, const char *name, const struct config_key *keys,
	const struct config_setting *settings, FILE *to)
{
	(void)fprintf(to, "\n[%s%s%s]\n", section, name ? " " : "", name ? name : "");
	for (const struct config_key *key = keys; key->key; key++)
		if (strcmp(key->section, section) == 0)
			print_key(key, &settings[key - keys], to);
}

/* The parameters of the policy that decides, and those of others that a file says something of: they would
 * be in force with another policy. */
static bool is_shown(const struct config *config, const struct config_policy *policy)
{
	return policy->policy == config->policy || config_policy_is_said(policy);
}

static void print_policies(const struct config *config, FILE *to)
{
	struct config_policy_keys keys;

	for (size_t i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		if (!is_shown(config, policy))
			continue;
		config_policy_keys_make(&keys, policy->policy);
		print_section("policy", policy->policy->name, keys.keys, policy->settings, to);
	}
}

static void print_force(const struct config_force *force, FILE *to)
{
	(void)fprintf(to,
		"# in force: budget %.9gcpu of %.9gcpu, slot %.9gs, policy %s, enforcer %s, meter "
		"%s\n",
		force->budget_cpus, force->capacity_cpus, nsec_to_seconds(force->slot_ns),
		force->policy, force->enforcer, force->meter);
}

void config_print(const struct config *config, const struct config_force *force, FILE *to)
{
	if (force)
		print_force(force, to);
	for (char **path = config->files; path && *path; path++)
		(void)fprintf(to, "# %s\n", *path);
	if (!config->files || !config->files[0])
		(void)fprintf(to, "# there is no file; the defaults hold\n");
	print_section("governor", /* name= */ NULL, config_keys, config->settings, to);
	print_section("defaults", /* name= */ NULL, config_keys, config->settings, to);
	print_policies(config, to);
	for (size_t i = 0; i < config->n_users; i++)
		print_section(
			"user", config->users[i].name, config_keys, config->users[i].settings, to);
}

static struct json_object *json_text(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static int json_section(const char *section, const char *name, const struct config_key *keys,
	const struct config_setting *settings, struct json_object *into)
{
	for (const struct config_key *key = keys; key->key; key++) {
		const struct config_setting *setting = &settings[key - keys];
		struct json_object *json;

		if (strcmp(key->section, section) != 0)
			continue;
		json = json_object_new_object();
		if (!json || json_object_array_add(into, json) < 0)
			return -1;
		json_object_object_add(json, "section", json_text(section));
		json_object_object_add(json, "name", json_text(name));
		json_object_object_add(json, "key", json_text(key->key));
		json_object_object_add(json, "value", json_text(shown(key, setting)));
		json_object_object_add(json, "file", json_text(setting->path));
		json_object_object_add(
			json, "line", setting->path ? json_object_new_int64(setting->line) : NULL);
	}
	return 0;
}

static struct json_object *json_force(const struct config_force *force)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return NULL;
	json_object_object_add(json, "budget_cpus", json_object_new_double(force->budget_cpus));
	json_object_object_add(json, "capacity_cpus", json_object_new_double(force->capacity_cpus));
	json_object_object_add(
		json, "slot_seconds", json_object_new_double(nsec_to_seconds(force->slot_ns)));
	json_object_object_add(json, "policy", json_text(force->policy));
	json_object_object_add(json, "enforcer", json_text(force->enforcer));
	json_object_object_add(json, "meter", json_text(force->meter));
	return json;
}

static int json_policies(const struct config *config, struct json_object *into)
{
	struct config_policy_keys keys;
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		if (!is_shown(config, policy))
			continue;
		config_policy_keys_make(&keys, policy->policy);
		r = json_section("policy", policy->policy->name, keys.keys, policy->settings, into);
	}
	return r;
}

char *config_json(const struct config *config, const struct config_force *force)
{
	struct json_object *json = json_object_new_object(), *files = json_object_new_array(),
			   *settings = json_object_new_array();
	const char *text = NULL;
	char *copy = NULL;
	int r;

	r = json && files && settings ? 0 : -1;
	for (char **path = config->files; r == 0 && path && *path; path++)
		r = json_object_array_add(files, json_text(*path));
	if (r == 0)
		r = json_section(
			"governor", /* name= */ NULL, config_keys, config->settings, settings);
	if (r == 0)
		r = json_section(
			"defaults", /* name= */ NULL, config_keys, config->settings, settings);
	if (r == 0)
		r = json_policies(config, settings);
	for (size_t i = 0; r == 0 && i < config->n_users; i++)
		r = json_section("user", config->users[i].name, config_keys,
			config->users[i].settings, settings);
	if (r == 0) {
		json_object_object_add(json, "schema", json_object_new_int(1));
		json_object_object_add(json, "in_force", force ? json_force(force) : NULL);
		json_object_object_add(json, "files", json_object_get(files));
		json_object_object_add(json, "settings", json_object_get(settings));
		text = json_object_to_json_string_ext(
			json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
		copy = text ? strdup(text) : NULL;
	}
	json_object_put(files);
	json_object_put(settings);
	json_object_put(json);
	return copy;
}

static const struct config_setting *settings_of(const struct config *config, const char *user)
{
	static const struct config_setting none[CONFIG_KEYS_MAX];

	if (!user)
		return config->settings;
	for (size_t i = 0; i < config->n_users; i++)
		if (strcmp(config->users[i].name, user) == 0)
			return config->users[i].settings;
	return none;
}

/* user: NULL for the sections that have no name. */
static void add_differences(
	const struct config *a, const struct config *b, const char *user, char *text, size_t n_text)
{
	const struct config_setting *ours = settings_of(a, user), *theirs = settings_of(b, user);

	for (const struct config_key *key = config_keys; key->key; key++) {
		const char *one = shown(key, &ours[key - config_keys]);
		const char *other = shown(key, &theirs[key - config_keys]);
		size_t length = strlen(text);

		if ((strcmp(key->section, "user") == 0) != (user != NULL) ||
			strcmp(one ? one : "", other ? other : "") == 0)
			continue;
		(void)snprintf(text + length, n_text - length, "%s%s%s%s%s", length > 0 ? ", " : "",
			user ? "[user " : "", user ? user : "", user ? "] " : "", key->key);
	}
}

static void add_policy_differences(
	const struct config_policy *a, const struct config_policy *b, char *text, size_t n_text)
{
	for (uint32_t i = 0; i < policy_n_parameters(a->policy); i++) {
		size_t length = strlen(text);

		if (a->parameters[i] < b->parameters[i] || a->parameters[i] > b->parameters[i])
			(void)snprintf(text + length, n_text - length, "%s[policy %s] %s",
				length > 0 ? ", " : "", a->policy->name,
				a->policy->parameters[i].name);
	}
}

void config_differences(
	const struct config *a, const struct config *b, char *ret_text, size_t n_text)
{
	ret_text[0] = '\0';
	add_differences(a, b, /* user= */ NULL, ret_text, n_text);
	for (size_t i = 0; i < a->n_policies; i++) /* the same ones in both */
		add_policy_differences(&a->policies[i], &b->policies[i], ret_text, n_text);
	for (size_t i = 0; i < a->n_users; i++)
		add_differences(a, b, a->users[i].name, ret_text, n_text);
	for (size_t i = 0; i < b->n_users; i++) {
		size_t j = 0;

		while (j < a->n_users && strcmp(a->users[j].name, b->users[i].name) != 0)
			j++;
		if (j == a->n_users)
			add_differences(a, b, b->users[i].name, ret_text, n_text);
	}
}
