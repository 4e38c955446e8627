// SPDX-License-Identifier: GPL-2.0-or-later
#include "service_status.h"

#include "nsec.h"
#include "suite.h"

/* What systemd is told, and how often. */

static struct service_status status;
static uint64_t now_ns;

static void setup(void)
{
	status = (struct service_status){.text = ""};
	now_ns = 1000 * NSEC_PER_SEC;
}

static bool next(uint32_t n_tasks, uint32_t n_at_risk, double used_cpus)
{
	const struct daemon_info info = {
		.n_tasks = n_tasks,
		.n_at_risk = n_at_risk,
		.used_cpus = used_cpus,
		.budget_cpus = 1.5,
	};

	return service_status_next(&status, &info, now_ns);
}

START_TEST(says_what_there_is)
{
	struct daemon_info info = {.is_draining = true, .budget_cpus = 128};

	ck_assert(next(0, 0, 0));
	ck_assert_str_eq(status.text, "no task");
	now_ns += SERVICE_STATUS_PAUSE_NS;
	ck_assert(next(1, 0, 0.5));
	ck_assert_str_eq(status.text, "1 task, 0.50 of 1.5 CPUs used");
	now_ns += SERVICE_STATUS_PAUSE_NS;
	ck_assert(next(3, 1, 1.2099));
	ck_assert_str_eq(status.text, "3 tasks, 1 unlikely to make it, 1.21 of 1.5 CPUs used");
	ck_assert(service_status_next(&status, &info, now_ns));
	ck_assert_str_eq(status.text, "no task, draining");
	now_ns += SERVICE_STATUS_PAUSE_NS;
	info.n_tasks = UINT32_MAX;
	info.n_at_risk = UINT32_MAX;
	info.used_cpus = 12345.678;
	ck_assert(service_status_next(&status, &info, now_ns));
	ck_assert_str_eq(status.text,
		"4294967295 tasks, 4294967295 unlikely to make it, 12345.68 of 128 CPUs used, "
		"draining");
}
END_TEST

START_TEST(tells_only_what_has_changed)
{
	ck_assert(next(1, 0, 0.5));
	for (int i = 0; i < 100; i++) {
		now_ns += SERVICE_STATUS_PAUSE_NS;
		ck_assert(!next(1, 0, 0.501));
	}
	ck_assert(next(1, 0, 0.51));
}
END_TEST

START_TEST(tells_it_now_and_then)
{
	unsigned n_told = 0;

	for (int i = 0; i < 1000; i++) {
		n_told += next(1, 0, i);
		now_ns += NSEC_PER_SEC / 10;
	}
	ck_assert_uint_eq(n_told, 100 * NSEC_PER_SEC / SERVICE_STATUS_PAUSE_NS);
}
END_TEST

/* Tasks that come and go are two messages in a pause. */
START_TEST(the_end_of_the_last_one_is_told_at_once)
{
	unsigned n_told = 0;

	ck_assert(next(1, 0, 0.5));
	ck_assert(next(0, 0, 0));
	ck_assert_str_eq(status.text, "no task");
	for (int i = 0; i < 100; i++) {
		n_told += next(1, 0, 0.5);
		n_told += next(0, 0, 0);
	}
	ck_assert_uint_eq(n_told, 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("service_status");
	TCase *tcase = tcase_create("texts");

	tcase_add_checked_fixture(tcase, setup, /* teardown= */ NULL);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, says_what_there_is);
	tcase_add_test(tcase, tells_only_what_has_changed);
	tcase_add_test(tcase, tells_it_now_and_then);
	tcase_add_test(tcase, the_end_of_the_last_one_is_told_at_once);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
