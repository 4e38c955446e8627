// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.h"

#include <math.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>

#include "cleanup.h"
#include "journal_limit.h"
#include "nsec.h"
#include "suite.h"

/* What of an event comes into the journal, with the call into it wrapped, and the clock. */

#define SENT_MAX 8192

static char sent[SENT_MAX]; /* the fields of the newest line, each with a newline at its end */
static unsigned n_sent;

int __wrap_sd_journal_sendv(const struct iovec *fields, int n);
int __wrap_sd_journal_sendv(const struct iovec *fields, int n)
{
	size_t length = 0;

	n_sent++;
	for (int i = 0; i < n; i++)
		length += (size_t)snprintf(sent + length, sizeof(sent) - length, "%.*s\n",
			(int)fields[i].iov_len, (const char *)fields[i].iov_base);
	return 0;
}

static uint64_t now_ns;

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	if (clock != CLOCK_MONOTONIC || now_ns == 0)
		return __real_clock_gettime(clock, ret_now);
	*ret_now = (struct timespec){.tv_sec = (time_t)(now_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(now_ns % NSEC_PER_SEC)};
	return 0;
}

/* As systemd does for a service. */
static void setup(void)
{
	struct stat stat;
	char text[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &stat), 0);
	(void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)stat.st_dev,
		(unsigned long long)stat.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", text, /* overwrite= */ 1), 0);
	n_sent = 0;
	sent[0] = '\0';
	now_ns = 1000 * NSEC_PER_SEC;
}

/* The library of the tests has a look at the clock, too. */
static void teardown(void)
{
	now_ns = 0;
}

static struct daemon_event event_of(const char *kind, const char *text)
{
	return (struct daemon_event){
		.kind = kind,
		.text = text,
		.number = 7,
		.name = "mlp",
		.owner = 1000,
		.slot = 42,
		.share_cpus = 0.5,
		.old_share_cpus = (double)NAN,
		.value = 0.25,
		.cpu_ns = 1500 * NSEC_PER_MSEC,
		.chance = (double)NAN,
		.need_s = (double)NAN,
		.left_s = (double)NAN,
	};
}

static bool has(const char *field)
{
	const char *found = strstr(sent, field);

	return found && (found == sent || found[-1] == '\n') && found[strlen(field)] == '\n';
}

START_TEST(a_prospect_has_its_numbers)
{
	struct daemon_event event = event_of("unlikely", "unlikely to reach its target");

	event.chance = 0.125;
	event.need_s = 300;
	event.left_s = 120.5;
	(void)journal_event(&event);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert(has("MESSAGE=task mlp: unlikely to reach its target"));
	ck_assert(has("COREGOV_EVENT=unlikely"));
	ck_assert(has("COREGOV_TASK=mlp"));
	ck_assert(has("COREGOV_NUMBER=7"));
	ck_assert(has("COREGOV_OWNER_UID=1000"));
	ck_assert(has("COREGOV_SLOT=42"));
	ck_assert(has("COREGOV_CHANCE=0.125"));
	ck_assert(has("COREGOV_NEED_SECONDS=300"));
	ck_assert(has("COREGOV_LEFT_SECONDS=120.5"));
	ck_assert(has("COREGOV_CPU_SECONDS=1.5"));
}
END_TEST

/* All that there is of a task, on whichever line. */
START_TEST(a_task_has_all_its_fields)
{
	static const struct {
		const char *kind, *priority;
	} kinds[] = {
		{"share", "PRIORITY=6"},
		{"learned", "PRIORITY=6"},
		{"missed-deadline", "PRIORITY=4"},
		{"missed-target", "PRIORITY=4"},
		{"failed", "PRIORITY=4"},
		{"set", "PRIORITY=6"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct daemon_event event = event_of(kinds[i].kind, "since it is so");
		char text[64];

		event.old_share_cpus = 0.125;
		event.chance = 0.75;
		event.need_s = 12.5;
		event.left_s = 60;
		(void)journal_event(&event);
		(void)snprintf(text, sizeof(text), "COREGOV_EVENT=%s", kinds[i].kind);
		ck_assert(has(text));
		(void)snprintf(
			text, sizeof(text), "MESSAGE=task mlp: %s: since it is so", kinds[i].kind);
		ck_assert(has(text));
		ck_assert(has(kinds[i].priority));
		ck_assert(has("COREGOV_REASON=since it is so"));
		ck_assert(has("COREGOV_TASK=mlp"));
		ck_assert(has("COREGOV_NUMBER=7"));
		ck_assert(has("COREGOV_OWNER_UID=1000"));
		ck_assert(has("COREGOV_SLOT=42"));
		ck_assert(has("COREGOV_SHARE=0.5"));
		ck_assert(has("COREGOV_OLD_SHARE=0.125"));
		ck_assert(has("COREGOV_LOSS=0.25"));
		ck_assert(has("COREGOV_CPU_SECONDS=1.5"));
		ck_assert(has("COREGOV_CHANCE=0.75"));
		ck_assert(has("COREGOV_NEED_SECONDS=12.5"));
		ck_assert(has("COREGOV_LEFT_SECONDS=60"));
	}
}
END_TEST

START_TEST(what_is_no_number_is_left_out)
{
	struct daemon_event event = event_of("likely", "likely again to reach its target");

	event.chance = 0.75;
	event.need_s = event.left_s = (double)INFINITY;
	(void)journal_event(&event);
	ck_assert(has("COREGOV_CHANCE=0.75"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_NEED_SECONDS"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_LEFT_SECONDS"));
	event = event_of("unheard", "unheard: it has used 30.0 s of CPU time");
	(void)journal_event(&event);
	ck_assert(has("MESSAGE=task mlp: unheard: it has used 30.0 s of CPU time"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_CHANCE"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_OLD_SHARE"));
}
END_TEST

START_TEST(each_has_its_id)
{
	static const char *const kinds[] = {"unlikely", "likely", "unheard"};

	for (size_t i = 0; i < 3; i++) {
		struct daemon_event event = event_of(kinds[i], "why");
		char id[64];

		ck_assert_ptr_nonnull(journal_message_id(kinds[i]));
		(void)snprintf(id, sizeof(id), "MESSAGE_ID=%s", journal_message_id(kinds[i]));
		(void)journal_event(&event);
		ck_assert(has(id));
	}
	ck_assert_ptr_null(journal_message_id("no such kind"));
}
END_TEST

START_TEST(a_change_of_the_whole_has_its_fields)
{
	struct daemon_event event = {
		.kind = "budget",
		.text = "budget 0.4 CPUs, before 1.5: user 1000 has asked for it",
		.has_sender = true,
		.sender = 1000,
		.budget_cpus = 0.4,
		.old_budget_cpus = 1.5,
	};

	(void)journal_event(&event);
	/* The kind stands in the sentence already. */
	ck_assert(has("MESSAGE=budget 0.4 CPUs, before 1.5: user 1000 has asked for it"));
	ck_assert(has("COREGOV_REASON=budget 0.4 CPUs, before 1.5: user 1000 has asked for it"));
	ck_assert(has("COREGOV_BUDGET=0.4"));
	ck_assert(has("COREGOV_OLD_BUDGET=1.5"));
	ck_assert(has("COREGOV_SENDER_UID=1000"));
	ck_assert(has("PRIORITY=6"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_TASK"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_SLOT"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_POLICY"));
	event = (struct daemon_event){
		.kind = "policy",
		.text = "policy edf, before core: the configuration says so",
		.policy = "edf",
		.old_policy = "core",
	};
	(void)journal_event(&event);
	ck_assert(has("COREGOV_POLICY=edf"));
	ck_assert(has("COREGOV_OLD_POLICY=core"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_SENDER_UID"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_BUDGET"));
	event = (struct daemon_event){.kind = "bus-lost", .text = "the bus is gone"};
	(void)journal_event(&event);
	ck_assert(has("MESSAGE=bus-lost: the bus is gone"));
	ck_assert(has("PRIORITY=4"));
	ck_assert_uint_eq(n_sent, 3);
}
END_TEST

/* Of what was not taken over there may be no more. */
START_TEST(a_task_may_be_known_by_its_name_alone)
{
	struct daemon_event event = {
		.kind = "not-adopted", .text = "not taken over: it is gone", .name = "mlp"};

	(void)journal_event(&event);
	ck_assert(has("MESSAGE=task mlp: not-adopted: not taken over: it is gone"));
	ck_assert(has("COREGOV_TASK=mlp"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_NUMBER"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_OWNER_UID"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_SHARE"));
}
END_TEST

/* Each as it is: what was decided on is no more of the same. */
START_TEST(decisions_are_told_one_by_one)
{
	struct daemon_event event = {.kind = "chosen", .text = "enforcer cgroup2"};

	for (int i = 0; i < 5; i++)
		(void)journal_event(&event);
	ck_assert_uint_eq(n_sent, 5);
	ck_assert(has("MESSAGE=chosen: enforcer cgroup2"));
}
END_TEST

/* Of the whole: once in a while, with how many there were. */
START_TEST(what_comes_again_and_again_is_told_once)
{
	struct daemon_event event = {.kind = "excess", .text = "too much"};

	for (int i = 0; i < 100; i++)
		(void)journal_event(&event);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert(has("MESSAGE=excess: too much"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_TASK"));
	now_ns += 10 * NSEC_PER_SEC;
	(void)journal_event(&event);
	ck_assert_uint_eq(n_sent, 2);
	ck_assert(has("MESSAGE=excess: too much (and 99 more times since it was told last)"));
}
END_TEST

/* In figures, and only where they are wanted. */
START_TEST(a_slot_has_its_fields)
{
	const struct daemon_slot made = {
		.slot = 42,
		.n_tasks = 7,
		.n_chosen = 3,
		.granted_cpus = 1.5,
		.used_cpus = 1.25,
		.budget_cpus = 2,
		.late_ns = 1500000,
		.n_changed = 4,
	};
	const struct daemon_event event = {
		.kind = "slot", .text = "slot 42: 7 tasks", .made = &made};

	ck_assert_int_eq(journal_level(), LOG_INFO);
	ck_assert(journal_event(&event)); /* not wanted, so not left out */
	ck_assert_uint_eq(n_sent, 0);
	journal_set_level(LOG_DEBUG);
	for (int i = 0; i < 5000; i++)
		ck_assert(journal_event(&event));
	ck_assert_uint_eq(n_sent, 5000);
	ck_assert(has("MESSAGE=slot 42: 7 tasks"));
	ck_assert(has("PRIORITY=7"));
	ck_assert(has("COREGOV_EVENT=slot"));
	ck_assert(has("COREGOV_SLOT=42"));
	ck_assert(has("COREGOV_TASKS=7"));
	ck_assert(has("COREGOV_CHOSEN=3"));
	ck_assert(has("COREGOV_GRANTED=1.5"));
	ck_assert(has("COREGOV_USED=1.25"));
	ck_assert(has("COREGOV_BUDGET=2"));
	ck_assert(has("COREGOV_LATE_SECONDS=0.0015"));
	ck_assert(has("COREGOV_GRANTS_CHANGED=4"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_TASK="));
}
END_TEST

START_TEST(what_is_above_the_level_is_not_told)
{
	struct daemon_event event = event_of("learned", "why");

	journal_set_level(LOG_WARNING);
	ck_assert(journal_event(&event));
	ck_assert_uint_eq(n_sent, 0);
	event.kind = "missed-deadline";
	ck_assert(journal_event(&event));
	ck_assert_uint_eq(n_sent, 1);
	journal_set_level(LOG_ERR);
	ck_assert(journal_event(&event));
	ck_assert_uint_eq(n_sent, 1);
}
END_TEST

static unsigned tell(const char *kind, uid_t owner, unsigned n)
{
	struct daemon_event event = event_of(kind, "why");
	unsigned n_told = 0;

	event.owner = owner;
	for (unsigned i = 0; i < n; i++)
		n_told += journal_event(&event);
	return n_told;
}

/* 200 that are submitted at once, and cancelled at once. */
START_TEST(a_burst_of_tasks_is_told_whole)
{
	for (int i = 0; i < 200; i++)
		ck_assert_uint_eq(tell("start", 1000, 1) + tell("share", 1000, 2), 3);
	for (int i = 0; i < 200; i++)
		ck_assert_uint_eq(tell("cancelled", 1000, 1) + tell("stopping", 1000, 1) +
				tell("share", 1000, 1) + tell("end", 1000, 1),
			4);
	ck_assert_uint_eq(n_sent, 1400);
	ck_assert_uint_eq(journal_due_ns(), UINT64_MAX);
}
END_TEST

START_TEST(a_flood_costs_nothing_but_itself)
{
	/* As fast as can be; then as fast as the bus allows, for ten minutes. */
	ck_assert_uint_eq(tell("paused", 1000, 5000) + tell("set", 1000, 5000), LIMIT_ASKED);
	for (int i = 0; i < 6000; i++) {
		now_ns += NSEC_PER_SEC / 10;
		(void)tell(i % 2 ? "paused" : "resumed", 1000, 1);
	}
	ck_assert_uint_le(n_sent, LIMIT_ASKED + 600 * LIMIT_ASKED_PER_SECOND + 1);
	/* Not what becomes of a task, nor what comes in a burst; and not what is another's. */
	ck_assert_uint_eq(tell("learned", 1000, 50) + tell("missed-deadline", 1000, 50) +
			tell("missed-target", 1000, 50) + tell("failed", 1000, 50),
		200);
	ck_assert_uint_eq(tell("start", 1000, 200), 200);
	ck_assert_uint_eq(tell("paused", 1001, LIMIT_ASKED), LIMIT_ASKED);
	/* Nor does one that starts and ends tasks in a loop take all of it. */
	(void)tell("start", 1000, 100000);
	ck_assert_uint_ge(tell("learned", 1000, 1000), LIMIT_RESERVE);
	ck_assert_uint_eq(tell("start", 1001, 200), 200);
}
END_TEST

/* Root may pause what is anybody's, as often as he likes. */
START_TEST(who_asks_pays)
{
	struct daemon_event event = event_of("paused", "why");

	event.has_sender = true;
	event.sender = 0;
	for (int i = 0; i < 1000; i++)
		(void)journal_event(&event);
	ck_assert_uint_eq(n_sent, LIMIT_ASKED);
	ck_assert_uint_eq(tell("paused", 1000, LIMIT_ASKED), LIMIT_ASKED);
	/* And he is still heard of for what is for all. */
	event = (struct daemon_event){
		.kind = "budget", .text = "budget 1 CPUs", .has_sender = true, .sender = 0};
	ck_assert(journal_event(&event));
}
END_TEST

/* A share before a line that is asked for is of that line. */
START_TEST(a_share_before_a_line_is_of_that_line)
{
	struct daemon_event event = event_of("share", "share 0.50 CPUs");

	event.has_sender = true;
	event.sender = 77;
	event.before = "paused";
	ck_assert(journal_event(&event));
	ck_assert_ptr_null(strstr(sent, "COREGOV_SENDER_UID")); /* nobody has asked for it */
	for (int i = 0; i < 1000; i++)
		(void)journal_event(&event);
	ck_assert_uint_eq(n_sent, LIMIT_ASKED);
	event.before = "learned";
	event.has_sender = false;
	ck_assert(journal_event(&event));
	ck_assert_uint_eq(tell("share", 1000, 500), 500);
}
END_TEST

START_TEST(how_many_were_left_out_is_told)
{
	struct daemon_event event = event_of("share", "share 0.50 CPUs");

	(void)tell("set", 1000, LIMIT_ASKED + 30);
	/* What comes later is not lost. */
	event.comes_later = true;
	for (int i = 0; i < 10000; i++)
		(void)journal_event(&event);
	ck_assert(!journal_event(&event));
	ck_assert_uint_eq(
		tell("end", 1000, 200), 200); /* and takes nothing from what does not wait */
	n_sent = 0;
	ck_assert_uint_eq(journal_due_ns(), now_ns + LIMIT_TELL_NS);
	journal_tell_left_out(/* is_end= */ false);
	ck_assert_uint_eq(n_sent, 0);
	now_ns += LIMIT_TELL_NS;
	journal_tell_left_out(/* is_end= */ false);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert(has("MESSAGE=left-out: 30 lines that user 1000 has caused: more than 1600 at "
		      "once, and 10 a second after that"));
	ck_assert(has("COREGOV_EVENT=left-out"));
	ck_assert(has("COREGOV_OWNER_UID=1000"));
	ck_assert(has("COREGOV_LEFT_OUT=30"));
	ck_assert(has("PRIORITY=5"));
	ck_assert_ptr_nonnull(journal_message_id("left-out"));
	ck_assert_uint_eq(journal_due_ns(), UINT64_MAX);
	(void)tell("set", 1000, 1000);
	n_sent = 0;
	journal_tell_left_out(/* is_end= */ true);
	ck_assert_uint_eq(n_sent, 1);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("journal");
	TCase *tcase = tcase_create("fields");

	tcase_add_checked_fixture(tcase, setup, teardown);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_prospect_has_its_numbers);
	tcase_add_test(tcase, a_task_has_all_its_fields);
	tcase_add_test(tcase, what_is_no_number_is_left_out);
	tcase_add_test(tcase, each_has_its_id);
	tcase_add_test(tcase, a_change_of_the_whole_has_its_fields);
	tcase_add_test(tcase, a_task_may_be_known_by_its_name_alone);
	tcase_add_test(tcase, decisions_are_told_one_by_one);
	tcase_add_test(tcase, what_comes_again_and_again_is_told_once);
	tcase_add_test(tcase, a_slot_has_its_fields);
	tcase_add_test(tcase, what_is_above_the_level_is_not_told);
	tcase_add_test(tcase, a_burst_of_tasks_is_told_whole);
	tcase_add_test(tcase, a_flood_costs_nothing_but_itself);
	tcase_add_test(tcase, who_asks_pays);
	tcase_add_test(tcase, a_share_before_a_line_is_of_that_line);
	tcase_add_test(tcase, how_many_were_left_out_is_told);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
