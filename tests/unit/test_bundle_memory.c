// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle.h"

#include <errno.h>
#include <string.h>

#include "bundle_internal.h"
#include "fail_allocations.h"
#include "suite.h"

/* Memory that runs out while a bundle is read: for every n the n-th allocation fails, until one
 * reading gets through. Each failure is -ENOMEM with a sentence, and leaves nothing behind (which a
 * build with the address sanitizer sees). */

static const char head[] =
	"[bundle]\ncapacity = 2cpu\nbudget = 75%\npolicy = script\n"
	"schedule = s.csv\n[budget]\n60s = 50%\n90s = 25%\n[capacity]\n1h = 1cpu\n"
	"[policy core]\ncapacity-part = 1\nunseen-part = 1\n"
	"[task a]\ncommand = ./a 'b c'\ndirectory = \"d\"\ndeadline = 9s\ntarget = 1\n"
	"environment = A=1 B=2\nfeed = file:x\n"
	"[task b]\ncommand = b\ncurve = b.csv\nfeed = output:keras\ndeadline = 1s\n"
	"target = loss <= 1\n";
static const char schedule[] = "slot,task,cpus\n0,a,1\n1,b,0.5\n2,a,0\n";
static const char rows[] = "cpu_seconds,loss\n1,2\n2,1\n";

static int read_all(struct bundle **ret_bundle, struct fault *fault)
{
	struct bundle *bundle = NULL;
	int r;

	r = bundle_parse("dir/x.bundle", head, sizeof(head) - 1, &bundle, fault);
	if (r == 0)
		r = schedule_parse(bundle, "s.csv", schedule, sizeof(schedule) - 1, fault);
	if (r == 0)
		r = curve_parse("b.csv", rows, sizeof(rows) - 1, &bundle->tasks[1].curve, fault);
	if (r == 0)
		r = bundle_resolve(bundle, BUNDLE_REAL, 2, fault);
	if (r < 0)
		bundle_free(bundle);
	else
		*ret_bundle = bundle;
	return r;
}

START_TEST(survives_every_failure)
{
	struct bundle *bundle = NULL;
	unsigned n = 0;
	int r;

	for (;; n++) {
		struct fault fault = FAULT_INIT;

		fail_allocation(n);
		r = read_all(&bundle, &fault);
		if (!fail_allocation_end())
			break;
		ck_assert_msg(r == -ENOMEM, "allocation %u: %d, %s", n, r, fault.text);
		ck_assert_msg(strstr(fault.text, "Cannot allocate memory") != NULL,
			"allocation %u: '%s'", n, fault.text);
		ck_assert_ptr_null(bundle);
	}
	ck_assert_int_eq(r, 0);
	/* Each string, array and section of the bundle is one at least. */
	ck_assert_uint_gt(n, 60);
	ck_assert_uint_eq(bundle->n_tasks, 2);
	bundle_free(bundle);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bundle_memory");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, survives_every_failure);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
