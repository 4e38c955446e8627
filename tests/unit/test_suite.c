// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

/* What tests leave behind when they fail: a suite within a test. */

static int told_fd;

START_TEST(fails_with_a_folder)
{
	char folder[SUITE_PATH_MAX], path[2 * SUITE_PATH_MAX];

	ck_assert_ptr_nonnull(mkdtemp(suite_template(folder)));
	(void)snprintf(path, sizeof(path), "%s/file", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(write(told_fd, folder, sizeof(folder)), sizeof(folder));
	ck_abort();
}
END_TEST

/* Says nothing: it would be taken for the result. */
static int run_failing(void)
{
	Suite *suite = suite_create("within");
	TCase *tcase = tcase_create("within");

	if (!freopen("/dev/null", "w", stdout))
		return -1;
	tcase_add_test(tcase, fails_with_a_folder);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

START_TEST(what_a_failed_test_has_left_is_removed)
{
	char folder[SUITE_PATH_MAX];
	int ends[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	told_fd = ends[1];
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(run_failing());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_FAILURE);
	ck_assert_int_eq(read(ends[0], folder, sizeof(folder)), sizeof(folder));
	(void)close(ends[0]);
	(void)close(ends[1]);
	*strrchr(folder, '/') = '\0';
	ck_assert_str_ne(folder, getenv("TMPDIR"));
	ck_assert_int_lt(access(folder, F_OK), 0);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("suite");
	TCase *tcase = tcase_create("folder");

	tcase_add_test(tcase, what_a_failed_test_has_left_is_removed);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
