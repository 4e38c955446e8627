// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "config_internal.h"
#include "suite.h"

/* Which files are read, and in which order: trees below a root. */

DEFINE_CLEANUP_FUNC(struct config, config_free)
#define _cleanup_config_ _cleanup_(cleanup_config_free)

#define PATH_SIZE 512

static char root[SUITE_PATH_MAX];

static void make_root(void)
{
	ck_assert_ptr_nonnull(mkdtemp(suite_template(root)));
	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/home/u/.config", 1), 0);
}

/* The path below the root, with its folders made. */
static const char *below(const char *path, char ret_path[static PATH_SIZE])
{
	(void)snprintf(ret_path, PATH_SIZE, "%s%s", root, path);
	for (char *slash = ret_path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		ck_assert(mkdir(ret_path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	return ret_path;
}

/* A file that says how long the slot is, and nothing else where that is NULL. */
static void write_file(const char *path, const char *slot)
{
	char full[PATH_SIZE];
	FILE *file = fopen(below(path, full), "we");

	ck_assert_ptr_nonnull(file);
	if (slot)
		(void)fprintf(file, "[governor]\nslot = %s\n", slot);
	ck_assert_int_eq(fclose(file), 0);
}

static void link_file(const char *path, const char *target)
{
	char full[PATH_SIZE];

	(void)unlink(below(path, full));
	ck_assert_int_eq(symlink(target, full), 0);
}

static struct config *load(bool is_user)
{
	const struct config_setup setup = {.root = root, .is_user = is_user};
	struct fault fault = FAULT_INIT;
	struct config *config = NULL;

	ck_assert_msg(config_load(&config, &setup, &fault) == 0, "%s", fault.text);
	return config;
}

/* What is read, below the root, with a blank after each. */
static void assert_files(bool is_user, const char *wanted)
{
	_cleanup_config_ struct config *config = load(is_user);
	char found[4096] = "";
	size_t length = 0;

	for (char **path = config->files; *path; path++) {
		ck_assert_int_eq(strncmp(*path, root, strlen(root)), 0);
		length += (size_t)snprintf(
			found + length, sizeof(found) - length, "%s ", *path + strlen(root));
	}
	ck_assert_str_eq(found, wanted);
}

static void assert_slot(const char *text, const char *path)
{
	_cleanup_config_ struct config *config = load(/* is_user= */ true);

	for (const struct config_key *key = config_keys; key->key; key++) {
		const struct config_setting *setting = &config->settings[key - config_keys];

		if (strcmp(key->key, "slot") != 0)
			continue;
		ck_assert_str_eq(setting->text, text);
		ck_assert_str_eq(setting->path + strlen(root), path);
		ck_assert_uint_eq(setting->line, 2);
	}
}

static void assert_fails(int error, const char *words)
{
	const struct config_setup setup = {.root = root, .is_user = true};
	struct config *config = NULL;
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(config_load(&config, &setup, &fault), error);
	ck_assert_msg(strstr(fault.text, words) != NULL, "'%s'", fault.text);
	ck_assert_ptr_null(config);
}

static const char *const directories[] = {
	"/usr/lib/coregov",
	"/usr/local/lib/coregov",
	"/run/coregov",
	"/etc/coregov",
	"/home/u/.config/coregov",
};

START_TEST(nothing_is_fine)
{
	assert_files(true, "");
	assert_files(false, "");
}
END_TEST

/* One file more in each round: of coregov.conf the last directory's alone is read. */
START_TEST(last_main_file_counts)
{
	char path[PATH_SIZE], slot[16];

	for (unsigned i = 0; i < ARRAY_LENGTH(directories); i++) {
		(void)snprintf(path, sizeof(path), "%s/coregov.conf", directories[i]);
		(void)snprintf(slot, sizeof(slot), "%us", i + 1);
		write_file(path, slot);
		assert_slot(slot, path);
	}
	assert_files(true, "/home/u/.config/coregov/coregov.conf ");
	assert_files(false, "/etc/coregov/coregov.conf ");
}
END_TEST

START_TEST(drop_ins_are_sorted_by_name)
{
	write_file("/etc/coregov/coregov.conf.d/20-b.conf", "2s");
	write_file("/usr/lib/coregov/coregov.conf.d/30-c.conf", "3s");
	write_file("/run/coregov/coregov.conf.d/10-a.conf", "1s");
	write_file("/home/u/.config/coregov/coregov.conf.d/00-u.conf", "4s");
	write_file("/usr/lib/coregov/coregov.conf", "5s");
	assert_slot("3s", "/usr/lib/coregov/coregov.conf.d/30-c.conf");
	assert_files(false,
		"/usr/lib/coregov/coregov.conf /run/coregov/coregov.conf.d/10-a.conf "
		"/etc/coregov/coregov.conf.d/20-b.conf /usr/lib/coregov/coregov.conf.d/30-c.conf ");
	assert_files(true,
		"/usr/lib/coregov/coregov.conf "
		"/home/u/.config/coregov/coregov.conf.d/00-u.conf "
		"/run/coregov/coregov.conf.d/10-a.conf /etc/coregov/coregov.conf.d/20-b.conf "
		"/usr/lib/coregov/coregov.conf.d/30-c.conf ");
}
END_TEST

START_TEST(same_name_replaces)
{
	char path[PATH_SIZE], slot[16];

	for (unsigned i = 0; i < ARRAY_LENGTH(directories); i++) {
		(void)snprintf(path, sizeof(path), "%s/coregov.conf.d/x.conf", directories[i]);
		(void)snprintf(slot, sizeof(slot), "%us", i + 1);
		write_file(path, slot);
		assert_slot(slot, path);
	}
	assert_files(false, "/etc/coregov/coregov.conf.d/x.conf ");
}
END_TEST

START_TEST(other_names_do_not_count)
{
	write_file("/etc/coregov/coregov.conf.d/.x.conf", "nonsense");
	write_file("/etc/coregov/coregov.conf.d/.conf", "nonsense");
	write_file("/etc/coregov/coregov.conf.d/x.conf~", "nonsense");
	write_file("/etc/coregov/coregov.conf.d/x.conf.dpkg-new", "nonsense");
	write_file("/etc/coregov/coregov.conf.d/README", "nonsense");
	write_file("/etc/coregov/other.conf", "nonsense");
	assert_files(true, "");
}
END_TEST

START_TEST(link_to_null_masks)
{
	write_file("/usr/lib/coregov/coregov.conf", "1s");
	write_file("/usr/lib/coregov/coregov.conf.d/x.conf", "nonsense");
	write_file("/usr/lib/coregov/coregov.conf.d/y.conf", "2s");
	link_file("/etc/coregov/coregov.conf.d/x.conf", "/dev/null");
	assert_files(true, "/usr/lib/coregov/coregov.conf /usr/lib/coregov/coregov.conf.d/y.conf ");
	link_file("/run/coregov/coregov.conf", "/dev/null");
	assert_files(true, "/usr/lib/coregov/coregov.conf.d/y.conf ");
	/* A mask can be replaced like any other file. */
	write_file("/home/u/.config/coregov/coregov.conf.d/x.conf", "3s");
	assert_slot("2s", "/usr/lib/coregov/coregov.conf.d/y.conf");
	write_file("/etc/coregov/coregov.conf.d/y.conf", NULL);
	assert_slot("3s", "/home/u/.config/coregov/coregov.conf.d/x.conf");
}
END_TEST

START_TEST(links_are_followed)
{
	write_file("/srv/shared", "7s");
	link_file("/etc/coregov/coregov.conf.d/x.conf", "../../../srv/shared");
	assert_slot("7s", "/etc/coregov/coregov.conf.d/x.conf");
}
END_TEST

START_TEST(mistakes_have_the_file)
{
	char words[2 * PATH_SIZE];

	write_file("/etc/coregov/coregov.conf.d/x.conf", "1 day");
	(void)snprintf(
		words, sizeof(words), "%s/etc/coregov/coregov.conf.d/x.conf:2: slot: ", root);
	assert_fails(-EBADMSG, words);
}
END_TEST

START_TEST(what_cannot_be_read_is_an_error)
{
	char path[PATH_SIZE];

	link_file("/etc/coregov/coregov.conf.d/x.conf", "nowhere");
	assert_fails(-ENOENT, "/etc/coregov/coregov.conf.d/x.conf': No such file");
	ck_assert_int_eq(unlink(below("/etc/coregov/coregov.conf.d/x.conf", path)), 0);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	assert_fails(-EISDIR, "x.conf': Is a directory");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
	assert_fails(-EINVAL, "x.conf': it is neither a file nor a link to /dev/null");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(below("/etc/coregov/coregov.conf.d", path)), 0);
	write_file("/etc/coregov/coregov.conf.d", "1s");
	assert_fails(-ENOTDIR, "/etc/coregov/coregov.conf.d': Not a directory");
	write_file("/run/coregov/x", NULL);
	write_file("/usr/local/lib/coregov", "1s");
	ck_assert_int_eq(unlink(below("/etc/coregov/coregov.conf.d", path)), 0);
	assert_fails(-ENOTDIR, "/usr/local/lib/coregov/coregov.conf': Not a directory");
}
END_TEST

START_TEST(files_have_a_limit)
{
	char path[PATH_SIZE];

	for (unsigned i = 0; i < CONFIG_FILES_MAX; i++) {
		(void)snprintf(path, sizeof(path), "/etc/coregov/coregov.conf.d/%u.conf", i);
		write_file(path, NULL);
	}
	write_file("/run/coregov/coregov.conf.d/7.conf", NULL);
	config_free(load(/* is_user= */ false));
	write_file("/run/coregov/coregov.conf.d/one-more.conf", NULL);
	assert_fails(-E2BIG, "more than 1000 files");
}
END_TEST

START_TEST(user_files_follow_the_variables)
{
	write_file("/home/u/.config/coregov/coregov.conf", "1s");
	write_file("/home/v/.config/coregov/coregov.conf", "2s");
	ck_assert_int_eq(setenv("HOME", "/home/v", 1), 0);
	assert_slot("1s", "/home/u/.config/coregov/coregov.conf");
	/* A relative one does not count. */
	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "home/u/.config", 1), 0);
	assert_slot("2s", "/home/v/.config/coregov/coregov.conf");
	ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_slot("2s", "/home/v/.config/coregov/coregov.conf");
	ck_assert_int_eq(unsetenv("HOME"), 0);
	assert_fails(-ENOENT, "neither XDG_CONFIG_HOME nor HOME");
	assert_files(false, "");
}
END_TEST

START_TEST(root_has_to_be_there)
{
	ck_assert_int_eq(rmdir(root), 0);
	assert_fails(-ENOENT, "No such file");
	(void)snprintf(root, sizeof(root), "/proc/self/stat");
	assert_fails(-ENOTDIR, "cannot read '/proc/self/stat': Not a directory");
}
END_TEST

START_TEST(slashes_after_the_root_do_not_count)
{
	const struct config_setup setup = {.root = root};
	_cleanup_config_ struct config *config = NULL;
	struct fault fault = FAULT_INIT;
	char wanted[PATH_SIZE];

	write_file("/etc/coregov/coregov.conf", "1s");
	(void)snprintf(wanted, sizeof(wanted), "%s/etc/coregov/coregov.conf", root);
	(void)strcat(root, "//");
	ck_assert_int_eq(config_load(&config, &setup, &fault), 0);
	ck_assert_str_eq(config->files[0], wanted);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_files");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, make_root, NULL);
	tcase_add_test(tcase, nothing_is_fine);
	tcase_add_test(tcase, last_main_file_counts);
	tcase_add_test(tcase, drop_ins_are_sorted_by_name);
	tcase_add_test(tcase, same_name_replaces);
	tcase_add_test(tcase, other_names_do_not_count);
	tcase_add_test(tcase, link_to_null_masks);
	tcase_add_test(tcase, links_are_followed);
	tcase_add_test(tcase, mistakes_have_the_file);
	tcase_add_test(tcase, what_cannot_be_read_is_an_error);
	tcase_add_test(tcase, files_have_a_limit);
	tcase_add_test(tcase, user_files_follow_the_variables);
	tcase_add_test(tcase, root_has_to_be_there);
	tcase_add_test(tcase, slashes_after_the_root_do_not_count);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
