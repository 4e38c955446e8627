// SPDX-License-Identifier: GPL-2.0-or-later
#include "order.h"

#include "suite.h"
#include "views.h"

#define N_MOST 300

static bool is_less(const void *context, uint32_t a, uint32_t b)
{
	const int *keys = context;

	return keys[a] < keys[b];
}

/* Sorted by key, equal keys in their old order: so (key, index) goes up strictly. Each length up to
 * N_MOST, which ends in the array as often as in the scratch. */
START_TEST(sorts_and_keeps_places)
{
	uint64_t seed = (uint64_t)_i + 1;
	uint32_t order[N_MOST], scratch[N_MOST], n = (uint32_t)_i;
	int keys[N_MOST];
	bool is_seen[N_MOST] = {false};

	for (uint32_t i = 0; i < n; i++)
		keys[i] = (int)(views_uniform(&seed) * 20);
	order_init(order, n);
	order_sort(order, scratch, n, is_less, keys);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert(order[i] < n && !is_seen[order[i]]);
		is_seen[order[i]] = true;
		if (i == 0)
			continue;
		ck_assert_int_le(keys[order[i - 1]], keys[order[i]]);
		if (keys[order[i - 1]] == keys[order[i]])
			ck_assert_uint_lt(order[i - 1], order[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("order");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, sorts_and_keeps_places, 0, N_MOST);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
