// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "nsec.h"

/* The guard of condition (1).
 *
 * In a slot of S ns with budget B, task k with share s_k is due s_k * S. Where anything can be
 * expressed (simulation) that is its grant. A kernel takes a quota per period instead, and gives
 * not quite what was written: every write refills the quota of the running period, quotas below
 * 1 ms do not exist, and a parent that holds the budget stops whoever comes last. So the guard keeps
 * an account per task:
 *
 *	balance += share in force * elapsed - used          (settled at each slot)
 *	grant    = share * S + balance                      (what is due, and what is owed)
 *
 * What a task used too much is taken from its next grants until it is paid. What it got too little
 * is made good only as far as the enforcer could be the reason, which is what one slot or one least
 * quota amounts to, and as far as it has waited for a CPU, where the meter knows that: a task that
 * sleeps saves nothing up. A grant below the least quota becomes a
 * freeze, the balance grows, and a few slots later there is enough for a real one: small shares are
 * given in turns.
 *
 * Condition (1) is kept in two steps: shares above the budget are scaled to it, and what is paid
 * back beyond the shares is cut until the sum fits. What all tasks together used beyond the budget
 * (hostile tasks, a broken controller) is the excess; it is taken from the budget of the slots that
 * follow. The assert at the end is on integers.
 *
 * One period serves all tasks of a slot; it follows from the smallest share, since a quota must stay
 * above the least one to be exact, and short periods keep tasks smooth. */

#define LADDER_LENGTH 6
static const uint32_t period_ladder_us[LADDER_LENGTH] = {
	10000, 20000, 50000, 100000, 200000, 500000};

/* The smallest quota in force is this many least quotas, or more. Measured with eight busy tasks whose
 * shares change each slot, two of them small: 2 gives the least error of the worst task, 4 to 8 more,
 * since a write refills the quota and long periods have large ones. */
#define QUOTA_COMFORT 2

/* A shorter period is taken once it would have done for so many slots in a row. */
#define SHORTEN_AFTER 5

/* How far into the past or the future the reading of a slot's use may reach: two periods. */
#define SWING_NS (200 * NSEC_PER_MSEC)

struct account {
	uint64_t seen_slot; /* number of the guard_clip() it was last part of */
	uint64_t cpu_ns;    /* used, as of then */
	uint64_t wait_ns;   /* waited, as of then */
	bool has_grant;     /* since then */
	double share_cpus;  /* in force since then */
	int64_t balance_ns; /* > 0: owed to the task, < 0: the task owes */
};

struct guard {
	struct enforcer_limits limits;
	bool is_dry;
	uint64_t n_clips;
	uint32_t period_us;
	uint32_t n_shorter;   /* slots in a row in which a shorter period would have done */
	uint64_t ended_ns;    /* used since the last clip by tasks that have ended */
	int64_t overdrawn_ns; /* used beyond the budget, all tasks together */
	double budget_cpus;   /* in force since the last clip */
	size_t next_turn;     /* input that is served first where not all can be */
	uint32_t n_accounts;
	struct account accounts[];
};

int guard_new(struct guard **ret_guard, uint32_t n_tasks_max, const struct enforcer_limits *limits,
	bool is_dry)
{
	struct guard *guard = calloc(1, sizeof(*guard) + n_tasks_max * sizeof(guard->accounts[0]));

	if (!guard)
		return -ENOMEM;
	guard->limits = *limits;
	guard->is_dry = is_dry;
	guard->n_accounts = n_tasks_max;
	*ret_guard = guard;
	return 0;
}

struct guard *guard_free(struct guard *guard)
{
	free(guard);
	return NULL;
}

uint64_t guard_excess_ns(const struct guard *guard)
{
	return guard->overdrawn_ns > 0 ? (uint64_t)guard->overdrawn_ns : 0;
}

/* Was it part of the last clip? */
static bool has_account(const struct guard *guard, const struct account *account)
{
	return !guard->is_dry && guard->n_clips > 0 && account->seen_slot == guard->n_clips;
}

void guard_task_ended(struct guard *guard, uint32_t task, uint64_t cpu_ns)
{
	assert(task < guard->n_accounts);
	if (has_account(guard, &guard->accounts[task]))
		guard->ended_ns += nsec_sub(cpu_ns, guard->accounts[task].cpu_ns);
	/* Whoever has this number next begins with nothing. */
	guard->accounts[task] = (struct account){0};
}

uint64_t share_to_ns(double share_cpus, uint64_t span_ns)
{
	assert(isfinite(share_cpus) && share_cpus >= 0);
	return (uint64_t)floor(share_cpus * (double)span_ns + 1e-3);
}

static bool has_periods(const struct guard *guard)
{
	return guard->limits.min_quota_us > 0;
}

/* The shortest period of the ladder, within the limits and at most half a slot, in which the share
 * still gets a comfortable quota; the longest allowed where none does. */
static uint32_t period_for(const struct guard *guard, double share_cpus, uint64_t slot_ns)
{
	double least_us = (double)guard->limits.min_quota_us * QUOTA_COMFORT;
	uint32_t best_us = 0;

	for (size_t i = 0; i < LADDER_LENGTH; i++) {
		uint32_t period_us = period_ladder_us[i];

		if (period_us < guard->limits.min_period_us ||
			period_us > guard->limits.max_period_us)
			continue;
		if (best_us > 0 && period_us * NSEC_PER_USEC > slot_ns / 2)
			break;
		best_us = period_us;
		if (share_cpus * period_us >= least_us)
			break;
	}
	return best_us > 0 ? best_us : guard->limits.min_period_us;
}

/* A period that is running goes to its end before a new one counts, and a new one rewrites every
 * group: so it lengthens when it must, and shortens when that has been right for a while. */
static void choose_period(
	struct guard *guard, uint64_t slot_ns, const struct guard_input inputs[], size_t n_inputs)
{
	double smallest = INFINITY;
	uint32_t wanted_us;

	for (size_t i = 0; i < n_inputs; i++)
		if (inputs[i].share_cpus > 0)
			smallest = fmin(smallest, inputs[i].share_cpus);
	if (isinf(smallest) && guard->period_us > 0)
		return;
	wanted_us = period_for(guard, smallest, slot_ns);
	guard->n_shorter = wanted_us < guard->period_us ? guard->n_shorter + 1 : 0;
	if (wanted_us > guard->period_us || guard->n_shorter >= SHORTEN_AFTER) {
		guard->period_us = wanted_us;
		guard->n_shorter = 0;
	}
}

/* CPU time in the slot that a quota per period comes to. */
static uint64_t quota_to_ns(uint64_t quota_us, uint32_t period_us, uint64_t slot_ns)
{
	return nsec_scale(quota_us, slot_ns, period_us);
}

/* What a task is due more than it used; < 0: it used more. A frozen task does not wait, but is owed. */
static int64_t owed(const struct account *account, const struct guard_input *input,
	uint64_t elapsed_ns, uint64_t used_ns)
{
	uint64_t due_ns = share_to_ns(account->share_cpus, elapsed_ns);
	uint64_t wait_ns = nsec_sub(input->wait_ns, account->wait_ns);

	if (input->has_wait && account->has_grant && due_ns > used_ns && wait_ns < due_ns - used_ns)
		return (int64_t)wait_ns;
	return (int64_t)due_ns - (int64_t)used_ns;
}

/* The share that was in force against what was used. */
static void settle(struct guard *guard, struct account *account, const struct guard_input *input,
	uint64_t elapsed_ns, uint64_t *used_ns)
{
	bool is_new = !has_account(guard, account);
	uint64_t used = is_new ? 0 : nsec_sub(input->cpu_ns, account->cpu_ns);

	if (is_new)
		account->balance_ns = 0;
	else
		account->balance_ns += owed(account, input, elapsed_ns, used);
	account->cpu_ns = input->cpu_ns;
	account->wait_ns = input->wait_ns;
	account->seen_slot = guard->n_clips + 1;
	*used_ns += used;
}

/* Keeps a balance within what the enforcer may have caused. */
static int64_t bounded_balance(
	const struct guard *guard, int64_t balance_ns, uint64_t due_ns, uint64_t slot_ns)
{
	uint64_t least_ns = quota_to_ns(guard->limits.min_quota_us, guard->period_us, slot_ns);
	int64_t most = (int64_t)(due_ns > 2 * least_ns ? due_ns : 2 * least_ns);
	int64_t least = -(int64_t)(10 * slot_ns);

	if (balance_ns > most)
		return most;
	return balance_ns < least ? least : balance_ns;
}

/* A parent group that holds the budget gives it in periods, and a slot sees one more or one less of
 * them: use below the budget is remembered for so long, and no longer. */
static void settle_excess(struct guard *guard, uint64_t elapsed_ns, uint64_t used_ns)
{
	int64_t least = -(int64_t)share_to_ns(guard->budget_cpus, SWING_NS);

	guard->overdrawn_ns += (int64_t)used_ns -
		(int64_t)share_to_ns(guard->budget_cpus, elapsed_ns);
	if (guard->overdrawn_ns < least)
		guard->overdrawn_ns = least;
}

/* What each task is due and owed, before it is made to fit the budget. */
static uint64_t draft(struct guard *guard, uint64_t slot_ns, double scale,
	const struct guard_input inputs[], size_t n_inputs, struct grant ret_grants[],
	uint64_t *ret_beyond_ns)
{
	uint64_t sum_ns = 0, beyond_ns = 0;

	for (size_t i = 0; i < n_inputs; i++) {
		struct account *account = &guard->accounts[inputs[i].task];
		uint64_t due_ns = share_to_ns(inputs[i].share_cpus * scale, slot_ns);
		uint64_t most_ns = share_to_ns(inputs[i].usable_cpus, slot_ns);
		int64_t wanted_ns = (int64_t)due_ns;

		account->share_cpus = inputs[i].share_cpus * scale;
		if (has_periods(guard)) {
			account->balance_ns = bounded_balance(
				guard, account->balance_ns, due_ns, slot_ns);
			/* A task without a share is frozen, whatever is owed to it. */
			wanted_ns = due_ns > 0 ? wanted_ns + account->balance_ns : 0;
			if (wanted_ns > (int64_t)most_ns && most_ns >= due_ns)
				wanted_ns = (int64_t)most_ns;
		}
		ret_grants[i] = (struct grant){
			.task = inputs[i].task,
			.why = inputs[i].why,
			.cpu_ns = wanted_ns > 0 ? (uint64_t)wanted_ns : 0,
		};
		sum_ns += ret_grants[i].cpu_ns;
		beyond_ns += nsec_sub(ret_grants[i].cpu_ns, due_ns);
	}
	*ret_beyond_ns = beyond_ns;
	return sum_ns;
}

/* Cuts what is paid back beyond the shares until the sum is at most the budget. */
static void fit(const struct guard *guard, uint64_t slot_ns, uint64_t too_much_ns,
	uint64_t beyond_ns, size_t n_inputs, struct grant ret_grants[])
{
	if (too_much_ns == 0 || beyond_ns == 0)
		return;
	for (size_t i = 0; i < n_inputs; i++) {
		const struct account *account = &guard->accounts[ret_grants[i].task];
		uint64_t due_ns = share_to_ns(account->share_cpus, slot_ns);
		uint64_t more_ns = nsec_sub(ret_grants[i].cpu_ns, due_ns);
		/* Rounded up, so that all the cuts together are enough. */
		uint64_t cut_ns = nsec_scale_up(more_ns, too_much_ns, beyond_ns);

		ret_grants[i].cpu_ns -= cut_ns < more_ns ? cut_ns : more_ns;
	}
}

/* To what a quota can say, rounding down. */
static void quantise(const struct guard *guard, uint64_t slot_ns, struct grant *grant)
{
	grant->period_us = guard->period_us;
	grant->quota_us = nsec_scale(grant->cpu_ns, guard->period_us, slot_ns);
	if (grant->quota_us < guard->limits.min_quota_us)
		grant->quota_us = 0;
	grant->cpu_ns = quota_to_ns(grant->quota_us, grant->period_us, slot_ns);
}

/* Many small shares that come to a least quota in the same slot, and do not fit together: cut evenly
 * none of them would ever get one. So they get it one after the other, from where the last slot
 * ended. Returns what was given. */
static uint64_t give_turns(struct guard *guard, uint64_t slot_ns, uint64_t left_ns, size_t n_inputs,
	struct grant ret_grants[])
{
	uint64_t least_ns = quota_to_ns(guard->limits.min_quota_us, guard->period_us, slot_ns);
	size_t first = n_inputs > 0 ? guard->next_turn % n_inputs : 0;
	uint64_t given_ns = 0;

	for (size_t i = 0; i < n_inputs; i++) {
		size_t at = (first + i) % n_inputs;
		struct grant *grant = &ret_grants[at];
		const struct account *account = &guard->accounts[grant->task];
		uint64_t due_ns = share_to_ns(account->share_cpus, slot_ns);

		if (grant->quota_us > 0 || due_ns == 0 ||
			(int64_t)due_ns + account->balance_ns < (int64_t)least_ns)
			continue;
		if (left_ns - given_ns < least_ns) {
			guard->next_turn = at;
			break;
		}
		grant->quota_us = guard->limits.min_quota_us;
		grant->cpu_ns = least_ns;
		given_ns += least_ns;
	}
	return given_ns;
}

uint64_t guard_clip(struct guard *guard, uint64_t elapsed_ns, uint64_t slot_ns, uint64_t budget_ns,
	const struct guard_input inputs[], size_t n_inputs, struct grant ret_grants[])
{
	uint64_t used_ns = 0, sum_ns, beyond_ns, left_ns, granted_ns = 0;
	double shares = 0, left_cpus;

	assert(slot_ns > 0);
	for (size_t i = 0; i < n_inputs; i++) {
		assert(inputs[i].task < guard->n_accounts);
		settle(guard, &guard->accounts[inputs[i].task], &inputs[i], elapsed_ns, &used_ns);
		shares += inputs[i].share_cpus;
	}
	if (guard->n_clips > 0)
		settle_excess(guard, elapsed_ns, used_ns + guard->ended_ns);
	guard->ended_ns = 0;
	guard->n_clips++;
	guard->budget_cpus = (double)budget_ns / (double)slot_ns;
	left_ns = nsec_sub(budget_ns, guard_excess_ns(guard));
	left_cpus = (double)left_ns / (double)slot_ns;
	if (has_periods(guard))
		choose_period(guard, slot_ns, inputs, n_inputs);

	sum_ns = draft(guard, slot_ns, shares > left_cpus ? left_cpus / shares : 1, inputs,
		n_inputs, ret_grants, &beyond_ns);
	fit(guard, slot_ns, nsec_sub(sum_ns, left_ns), beyond_ns, n_inputs, ret_grants);
	for (size_t i = 0; i < n_inputs; i++) {
		/* Scaled shares may each round up by the 1/1000 ns of share_to_ns(). */
		if (ret_grants[i].cpu_ns > left_ns - granted_ns)
			ret_grants[i].cpu_ns = left_ns - granted_ns;
		if (has_periods(guard))
			quantise(guard, slot_ns, &ret_grants[i]);
		granted_ns += ret_grants[i].cpu_ns;
	}
	if (has_periods(guard))
		granted_ns += give_turns(
			guard, slot_ns, left_ns - granted_ns, n_inputs, ret_grants);
	for (size_t i = 0; i < n_inputs; i++)
		guard->accounts[inputs[i].task].has_grant = ret_grants[i].cpu_ns > 0;
	assert(granted_ns <= budget_ns);
	return granted_ns;
}
