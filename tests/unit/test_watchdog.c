// SPDX-License-Identifier: GPL-2.0-or-later
#include "watchdog.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "suite.h"

/* What systemd hears, on a socket of ours. */

#define USEC "40000"
#define LOOKS 3

static sd_event *loop;
static struct watchdog *watchdog;
static int heard_fd;
static bool is_well;
static unsigned n_asked;

static bool ask(void *userdata)
{
	ck_assert_ptr_eq(userdata, &n_asked);
	n_asked++;
	return is_well;
}

static void setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", getenv("TMPDIR"));
	(void)unlink(address.sun_path);
	heard_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(heard_fd, 0);
	ck_assert_int_eq(bind(heard_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", address.sun_path, /* overwrite= */ 1), 0);
	ck_assert_int_eq(setenv("WATCHDOG_USEC", USEC, /* overwrite= */ 1), 0);
	ck_assert_int_eq(unsetenv("WATCHDOG_PID"), 0);
	ck_assert_int_ge(sd_event_new(&loop), 0);
	is_well = true;
	n_asked = 0;
}

static void teardown(void)
{
	watchdog = watchdog_free(watchdog);
	loop = sd_event_unref(loop);
	(void)close(heard_fd);
}

static void open_watchdog(void)
{
	ck_assert_int_eq(watchdog_new(&watchdog, loop, ask, &n_asked), 0);
}

/* How often it was told. */
static unsigned count_heard(void)
{
	char text[256];
	unsigned n = 0;
	ssize_t length;

	while ((length = recv(heard_fd, text, sizeof(text) - 1, 0)) > 0) {
		text[length] = '\0';
		ck_assert_str_eq(text, "WATCHDOG=1");
		n++;
	}
	return n;
}

/* Until it was asked so often: each time the loop wakes up it is for that. */
static void run(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_gt(sd_event_run(loop, UINT64_MAX), 0);
		ck_assert_uint_eq(n_asked, i + 1);
	}
	n_asked = 0;
}

START_TEST(nobody_wants_to_hear)
{
	ck_assert_int_eq(unsetenv("WATCHDOG_USEC"), 0);
	open_watchdog();
	ck_assert_ptr_null(watchdog);
	watchdog_look(watchdog);
	/* Of the process that has started us, and not of us. */
	ck_assert_int_eq(setenv("WATCHDOG_USEC", USEC, 1), 0);
	ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
	open_watchdog();
	ck_assert_ptr_null(watchdog);
	ck_assert_uint_eq(count_heard(), 0);
	ck_assert_int_eq(setenv("WATCHDOG_USEC", "soon", 1), 0);
	ck_assert_int_lt(watchdog_new(&watchdog, loop, ask, &n_asked), 0);
}
END_TEST

START_TEST(told_each_time)
{
	open_watchdog();
	ck_assert_uint_eq(count_heard(), 0);
	run(LOOKS);
	ck_assert_uint_eq(count_heard(), LOOKS);
	/* Work that is done is no reason to tell it more often. */
	watchdog_look(watchdog);
	ck_assert_uint_eq(count_heard(), 0);
	ck_assert_uint_eq(n_asked, 0);
}
END_TEST

START_TEST(not_told_while_no_work_is_done)
{
	open_watchdog();
	is_well = false;
	run(LOOKS);
	watchdog_look(watchdog);
	ck_assert_uint_eq(n_asked, 1);
	ck_assert_uint_eq(count_heard(), 0);
	/* And as soon as it is, once. */
	is_well = true;
	watchdog_look(watchdog);
	watchdog_look(watchdog);
	ck_assert_uint_eq(n_asked, 2);
	ck_assert_uint_eq(count_heard(), 1);
	n_asked = 0;
	run(LOOKS);
	ck_assert_uint_eq(count_heard(), LOOKS);
}
END_TEST

START_TEST(told_no_more_at_the_end)
{
	open_watchdog();
	watchdog = watchdog_free(watchdog);
	ck_assert_int_eq(sd_event_run(loop, 2 * strtoull(USEC, NULL, 10)), 0);
	ck_assert_uint_eq(count_heard(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nobody_wants_to_hear);
	tcase_add_test(tcase, told_each_time);
	tcase_add_test(tcase, not_told_while_no_work_is_done);
	tcase_add_test(tcase, told_no_more_at_the_end);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
