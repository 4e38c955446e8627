// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "suite.h"
#include "text_file.h"

/* The file that is installed says what the table of keys says: every key, in the table's order, with
 * its sentence, what a value is, and its default commented out. `test_config_example print` prints
 * what has to stand below its head. */

#define EXAMPLE_MAX ((size_t)1 << 20)

static void print_key(const struct config_key *key, FILE *to)
{
	(void)fprintf(to, "\n# %s\n# Expected: %s.%s%s%s\n#%s =%s%s\n", key->summary, key->expected,
		key->unset ? " Default: " : "", key->unset ? key->unset : "", key->unset ? "." : "",
		key->key, key->fallback ? " " : "", key->fallback ? key->fallback : "");
}

static void print_policies(FILE *to)
{
	struct config_policy_keys keys;

	for (const struct policy *const *policy = policies; *policy; policy++) {
		if (policy_n_parameters(*policy) == 0)
			continue;
		(void)fprintf(to,
			"\n# Parameters of the policy %s, see coregov-policies(7).\n[policy %s]\n",
			(*policy)->name, (*policy)->name);
		config_policy_keys_make(&keys, *policy);
		for (const struct config_key *key = keys.keys; key->key; key++)
			print_key(key, to);
	}
}

static void print_section(const struct config_key *key, FILE *to)
{
	if (strcmp(key->section, "user") == 0)
		print_policies(to);
	if (strcmp(key->section, "user") == 0)
		(void)fputs("\n# Caps of one user, by name or by number.\n#[user NAME]\n", to);
	else
		(void)fprintf(to, "\n[%s]\n", key->section);
}

static void print_body(FILE *to)
{
	const char *section = "";

	for (const struct config_key *key = config_keys; key->key; key++) {
		if (strcmp(section, key->section) != 0)
			print_section(key, to);
		section = key->section;
		print_key(key, to);
	}
}

static char *read_example(void)
{
	struct fault fault = FAULT_INIT;
	char *text = NULL;
	size_t length;

	ck_assert_msg(
		text_file_read(getenv("COREGOV_CONF"), EXAMPLE_MAX, &text, &length, &fault) == 0,
		"%s", fault.text);
	return text;
}

START_TEST(says_what_the_table_says)
{
	_cleanup_free_ char *text = read_example();
	_cleanup_free_ char *wanted = NULL;
	const char *body = strstr(text, "\n\n[");
	size_t length, same = 0;
	FILE *to = open_memstream(&wanted, &length);

	ck_assert_ptr_nonnull(to);
	print_body(to);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_ptr_nonnull(body);
	body++;
	while (wanted[same] != '\0' && body[same] == wanted[same])
		same++;
	ck_assert_msg(strcmp(body, wanted) == 0, "the file goes on '%.60s', the table '%.60s'",
		body + same, wanted + same);
}
END_TEST

static unsigned n_said;

static void say(const char *format, ...)
{
	(void)format;
	n_said++;
}

static struct config *take(const char *text)
{
	const struct config_setup setup = {.say = say};
	struct fault fault = FAULT_INIT;
	struct config *config = NULL;

	ck_assert_int_eq(config_new(&config, &fault), 0);
	ck_assert_msg(config_take(config, "x", text, strlen(text), &setup, &fault) == 0, "%s",
		fault.text);
	ck_assert_uint_eq(n_said, 0);
	return config;
}

START_TEST(changes_nothing)
{
	_cleanup_free_ char *text = read_example();
	struct config *config = take(text);

	ck_assert_uint_eq(config->n_users, 0);
	for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
		ck_assert_ptr_null(config->settings[i].path);
	for (size_t i = 0; i < config->n_policies; i++)
		ck_assert(!config_policy_is_said(&config->policies[i]));
	config_free(config);
}
END_TEST

/* Without the marks of the comments it is valid, and says the defaults. */
START_TEST(can_be_commented_in)
{
	_cleanup_free_ char *text = read_example();
	struct config *config;

	for (char *mark = text; (mark = strstr(mark, "\n#")); mark++)
		if (!isspace((unsigned char)mark[2]))
			mark[1] = ' ';
	config = take(text);
	ck_assert_uint_eq(config->n_users, 1);
	ck_assert_str_eq(config->users[0].name, "NAME");
	for (const struct config_key *key = config_keys; key->key; key++)
		ck_assert_pstr_eq(config->settings[key - config_keys].text, key->fallback);
	for (size_t i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		for (uint32_t p = 0; p < policy_n_parameters(policy->policy); p++)
			ck_assert_ptr_nonnull(policy->settings[p].text);
		ck_assert(policy_parameters_are_same(policy->policy, policy->parameters, NULL));
	}
	config_free(config);
}
END_TEST

int main(int argc, char *argv[])
{
	Suite *suite;
	TCase *tcase;

	if (argc > 1 && strcmp(argv[1], "print") == 0) {
		print_body(stdout);
		return EXIT_SUCCESS;
	}
	suite = suite_create("config_example");
	tcase = tcase_create("all");
	tcase_add_test(tcase, says_what_the_table_says);
	tcase_add_test(tcase, changes_nothing);
	tcase_add_test(tcase, can_be_commented_in);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
