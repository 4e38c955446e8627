// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.h"

#include <math.h>
#include <string.h>
#include <sys/uio.h>

#include "cleanup.h"
#include "nsec.h"
#include "suite.h"

/* What of an event comes into the journal, with the call into it wrapped. */

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
	journal_event(&event);
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
		journal_event(&event);
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
	journal_event(&event);
	ck_assert(has("COREGOV_CHANCE=0.75"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_NEED_SECONDS"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_LEFT_SECONDS"));
	event = event_of("unheard", "unheard: it has used 30.0 s of CPU time");
	journal_event(&event);
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
		journal_event(&event);
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

	journal_event(&event);
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
	journal_event(&event);
	ck_assert(has("COREGOV_POLICY=edf"));
	ck_assert(has("COREGOV_OLD_POLICY=core"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_SENDER_UID"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_BUDGET"));
	event = (struct daemon_event){.kind = "bus-lost", .text = "the bus is gone"};
	journal_event(&event);
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

	journal_event(&event);
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
		journal_event(&event);
	ck_assert_uint_eq(n_sent, 5);
	ck_assert(has("MESSAGE=chosen: enforcer cgroup2"));
}
END_TEST

/* Of the whole: once in a while. Of a task: each. */
START_TEST(what_comes_again_and_again_is_told_once)
{
	struct daemon_event event = {.kind = "excess", .text = "too much"};

	for (int i = 0; i < 100; i++)
		journal_event(&event);
	ck_assert_uint_eq(n_sent, 1);
	ck_assert(has("MESSAGE=excess: too much"));
	ck_assert_ptr_null(strstr(sent, "COREGOV_TASK"));
	event = event_of("share", "share 0.50 CPUs");
	for (int i = 0; i < 3; i++)
		journal_event(&event);
	ck_assert_uint_eq(n_sent, 4);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("journal");
	TCase *tcase = tcase_create("fields");

	tcase_add_checked_fixture(tcase, setup, /* teardown= */ NULL);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_prospect_has_its_numbers);
	tcase_add_test(tcase, a_task_has_all_its_fields);
	tcase_add_test(tcase, what_is_no_number_is_left_out);
	tcase_add_test(tcase, each_has_its_id);
	tcase_add_test(tcase, a_change_of_the_whole_has_its_fields);
	tcase_add_test(tcase, a_task_may_be_known_by_its_name_alone);
	tcase_add_test(tcase, decisions_are_told_one_by_one);
	tcase_add_test(tcase, what_comes_again_and_again_is_told_once);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
