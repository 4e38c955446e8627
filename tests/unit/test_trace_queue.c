// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "suite.h"

START_TEST(first_in_first_out)
{
	struct trace_queue queue = {0};
	int *place;

	ck_assert_int_eq(trace_queue_init(&queue, 4096), 0);
	ck_assert_ptr_null(trace_queue_front(&queue));
	for (int i = 0; i < 3; i++) {
		place = trace_queue_reserve(&queue, sizeof(*place));
		*place = i;
		trace_queue_push(&queue);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(*(const int *)trace_queue_front(&queue), i);
		trace_queue_pop(&queue);
	}
	ck_assert_ptr_null(trace_queue_front(&queue));
	ck_assert_uint_eq(trace_queue_used_bytes(&queue), 0);
	trace_queue_done(&queue);
}
END_TEST

START_TEST(is_seen_only_when_pushed)
{
	struct trace_queue queue = {0};

	ck_assert_int_eq(trace_queue_init(&queue, 4096), 0);
	ck_assert_ptr_nonnull(trace_queue_reserve(&queue, 100));
	ck_assert_ptr_null(trace_queue_front(&queue));
	ck_assert_ptr_nonnull(trace_queue_reserve(&queue, 8));
	trace_queue_push(&queue);
	ck_assert_ptr_nonnull(trace_queue_front(&queue));
	trace_queue_pop(&queue);
	ck_assert_ptr_null(trace_queue_front(&queue));
	trace_queue_done(&queue);
}
END_TEST

START_TEST(refuses_when_full_and_recovers)
{
	struct trace_queue queue = {0};
	unsigned n_records = 0;

	ck_assert_int_eq(trace_queue_init(&queue, 4096), 0);
	ck_assert_ptr_null(trace_queue_reserve(&queue, 4096));
	ck_assert_ptr_null(trace_queue_reserve(&queue, SIZE_MAX));
	while (trace_queue_reserve(&queue, 100)) {
		trace_queue_push(&queue);
		n_records++;
	}
	ck_assert_uint_eq(n_records, 4096 / 128);
	ck_assert_uint_eq(trace_queue_used_bytes(&queue), 4096);
	trace_queue_pop(&queue);
	ck_assert_ptr_nonnull(trace_queue_reserve(&queue, 100));
	trace_queue_done(&queue);
}
END_TEST

/* Records of all sizes, so that they meet the end of the ring in every way. */
static size_t size_of_record(uint32_t number)
{
	return sizeof(uint32_t) + number * 7919 % 900;
}

static void *push_all(void *argument)
{
	struct trace_queue *queue = argument;
	unsigned char *place;

	for (uint32_t i = 0; i < 200000; i++) {
		while (!(place = trace_queue_reserve(queue, size_of_record(i))))
			(void)sched_yield();
		memcpy(place, &i, sizeof(i));
		memset(place + sizeof(i), (int)(i & 0xff), size_of_record(i) - sizeof(i));
		trace_queue_push(queue);
	}
	return NULL;
}

START_TEST(keeps_order_and_bytes_between_threads)
{
	struct trace_queue queue = {0};
	const unsigned char *record;
	pthread_t producer;
	uint32_t number;

	ck_assert_int_eq(trace_queue_init(&queue, 4096), 0);
	ck_assert_int_eq(pthread_create(&producer, NULL, push_all, &queue), 0);
	for (uint32_t i = 0; i < 200000; i++) {
		while (!(record = trace_queue_front(&queue)))
			(void)sched_yield();
		memcpy(&number, record, sizeof(number));
		ck_assert_uint_eq(number, i);
		for (size_t k = sizeof(number); k < size_of_record(i); k++)
			if (record[k] != (i & 0xff))
				ck_abort_msg("record %u: byte %zu is wrong", i, k);
		trace_queue_pop(&queue);
	}
	ck_assert_int_eq(pthread_join(producer, NULL), 0);
	trace_queue_done(&queue);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace_queue");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, first_in_first_out);
	tcase_add_test(tcase, is_seen_only_when_pushed);
	tcase_add_test(tcase, refuses_when_full_and_recovers);
	tcase_add_test(tcase, keeps_order_and_bytes_between_threads);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
