// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config_internal.h"
#include "fail_allocations.h"
#include "suite.h"

/* Memory that runs out while the configuration is loaded: for every n the n-th allocation fails, until
 * one loading gets through. Each failure is -ENOMEM with a sentence, and leaves nothing behind (which a
 * build with the address sanitizer sees). */

static const char text[] = "[governor]\nbudget = 75%\npresets = /a '/b c'\n"
			   "[policy core]\ncapacity-part = 1\nunseen-part = 1\n"
			   "[user bob]\ncpus = 1cpu\n[user 7]\ntasks = 1\n";

static char root[SUITE_PATH_MAX];

static void make_tree(void)
{
	static const char *const folders[] = {
		"/usr", "/usr/lib", "/usr/lib/coregov", "/usr/lib/coregov/coregov.conf.d"};
	char path[256];
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(suite_template(root)));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", root, folders[i]);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	for (const char *name = "ab"; *name; name++) {
		(void)snprintf(path, sizeof(path), "%s%s/%c.conf", root, folders[3], *name);
		file = fopen(path, "we");
		ck_assert_ptr_nonnull(file);
		(void)fputs(text, file);
		ck_assert_int_eq(fclose(file), 0);
	}
	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/home/u", 1), 0);
}

START_TEST(survives_every_failure)
{
	const struct config_setup setup = {.root = root, .is_user = true, .machine_cpus = 2};
	struct config *config = NULL;
	unsigned n = 0;
	int r;

	make_tree();
	for (;; n++) {
		struct fault fault = FAULT_INIT;

		fail_allocation(n);
		r = config_load(&config, &setup, &fault);
		if (!fail_allocation_end())
			break;
		ck_assert_msg(r == -ENOMEM, "allocation %u: %d, %s", n, r, fault.text);
		ck_assert_msg(strstr(fault.text, "Cannot allocate memory") != NULL,
			"allocation %u: '%s'", n, fault.text);
		ck_assert_ptr_null(config);
	}
	ck_assert_int_eq(r, 0);
	/* Each path, section and value is one at least. */
	ck_assert_uint_gt(n, 60);
	ck_assert_uint_eq(config->n_users, 2);
	config_free(config);
}
END_TEST

START_TEST(json_needs_memory)
{
	const struct config_force force = {
		.budget_cpus = 0.5, .policy = "core", .enforcer = "cgroup2", .meter = "bpf"};
	struct config *config = NULL;
	char *json = NULL;
	bool has_failed;

	ck_assert_int_eq(config_new(&config, NULL), 0);
	for (unsigned n = 0;; n++) {
		fail_allocation(n);
		json = config_json(config, &force);
		has_failed = fail_allocation_end();
		if (!has_failed)
			break;
		ck_assert_ptr_null(json);
	}
	ck_assert_ptr_nonnull(json);
	free(json);
	config_free(config);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_memory");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, survives_every_failure);
	tcase_add_test(tcase, json_needs_memory);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
