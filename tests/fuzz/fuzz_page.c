// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "nsec.h"
#include "page.h"
#include "progress/layout.h"

/* A task that writes what it likes, where it likes, between two reads of its progress page.
 *
 * The input is a list of moves of 12 bytes: what to do, a byte, a place, a value. The moves reach
 * what random bytes alone would hardly hit: entries that bear the right number, counters that grow
 * a little, marks that meet the target. After each read the promises of page.h are looked at. An
 * input also decides whether the target is to be raised, and how many reports in a row it takes. */

#define MOVE_SIZE 12
#define N_MAX 200

enum move_kind {
	MOVE_WORD,  /* any word of the task's side */
	MOVE_ENTRY, /* the next report, as an honest writer makes it */
	MOVE_READ,  /* the governor reads */
	MOVE_JUMP,  /* the count of reports grows or shrinks a little */
	MOVE_MARK,  /* a mark for a report near the newest */
	MOVE_FLOOD, /* a word all over the ring */
	_MOVE_MAX,
};

struct move {
	uint8_t kind, byte;
	uint16_t place;
	uint64_t value;
};

struct game {
	struct page *page;
	struct coregov_page *shared;
	struct target target;
	uint64_t now_ns;
	struct progress_facts before;
};

static struct move next_move(const uint8_t *data)
{
	struct move move = {.kind = data[0] % _MOVE_MAX, .byte = data[1]};

	memcpy(&move.place, data + 2, sizeof(move.place));
	memcpy(&move.value, data + 4, sizeof(move.value));
	return move;
}

static void check_facts(struct game *game)
{
	const struct progress_facts before = game->before;
	struct progress_facts *now = &game->before;

	page_facts(game->page, now);
	CHECK(isfinite(now->epoch) && now->epoch >= 0);
	CHECK(now->n_reports >= before.n_reports && now->n_refused >= before.n_refused &&
		now->n_dropped >= before.n_dropped);
	/* What is believed of a counter is bounded by time: 2^31 ns pass at most, and a stall. */
	CHECK(now->n_reports - before.n_reports < UINT64_C(1) << 33);
	CHECK(now->n_dropped - before.n_dropped < UINT64_C(1) << 33);
}

static void play_read(struct game *game, const struct move *move)
{
	const size_t n_max = 1 + move->byte % N_MAX;
	const uint64_t last_ns = game->now_ns;
	struct report *reports = calloc(n_max, sizeof(*reports));
	size_t n;

	CHECK(reports);
	game->now_ns += move->value % (UINT64_C(1) << 31);
	n = page_read(game->page, game->now_ns, reports, n_max);
	CHECK(n <= n_max);
	for (size_t i = 0; i < n; i++) {
		CHECK(reports[i].stamp_ns <= game->now_ns);
		CHECK(reports[i].stamp_ns > last_ns || game->now_ns == last_ns);
		CHECK(i == 0 || reports[i].stamp_ns >= reports[i - 1].stamp_ns);
		CHECK(!reports[i].has_cpu);
	}
	free(reports);
	check_facts(game);
}

static void play_entry(struct game *game, const struct move *move)
{
	struct coregov_task_side *task = &game->shared->task;
	const uint64_t number = task->n_ring + 1;
	struct coregov_entry *entry = &task->ring[(number - 1) % COREGOV_RING_LENGTH];

	entry->step = move->place;
	entry->stamp_ns = game->now_ns + move->byte;
	entry->mask = 1;
	memcpy(&entry->values[0], &move->value, sizeof(move->value));
	entry->sequence = number;
	task->n_ring = number;
	task->n_reports++;
}

static void play(struct game *game, const struct move *move)
{
	struct coregov_task_side *task = &game->shared->task;
	const size_t n_words = sizeof(*task) / sizeof(uint64_t);

	switch ((enum move_kind)move->kind) {
	case MOVE_WORD:
		((uint64_t *)task)[move->place % n_words] = move->value;
		break;
	case MOVE_ENTRY:
		play_entry(game, move);
		break;
	case MOVE_READ:
		play_read(game, move);
		break;
	case MOVE_JUMP:
		task->n_ring += (uint64_t)(int64_t)(int16_t)move->place;
		break;
	case MOVE_MARK:
		task->first_met.number = task->n_ring - 2 + move->byte % 5;
		task->first_met.stamp_ns = move->value;
		task->first_met.value = game->target.value;
		break;
	case MOVE_FLOOD:
		for (size_t i = 0; i < COREGOV_RING_LENGTH; i++)
			((uint64_t *)&task->ring[i])[move->place % 16] = move->value +
				(move->byte & 1 ? i : 0);
		break;
	case _MOVE_MAX:
		break;
	}
}

static void start(struct game *game, uint8_t choice)
{
	struct fault fault = FAULT_INIT;
	void *map;

	game->now_ns = NSEC_PER_SEC;
	game->target = (struct target){
		.metric = "loss",
		.is_raised = (choice & 1) != 0,
		.value = 0.5,
		.in_a_row = (choice & 2) != 0 ? UINT32_MAX : 1 + (uint32_t)(choice >> 2) * 3,
	};
	CHECK(page_new(&game->page, "fuzz", &game->target, game->now_ns, 0, &fault) == 0);
	map = mmap(NULL, sizeof(*game->shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		page_fd(game->page), 0);
	CHECK(map != MAP_FAILED);
	game->shared = map;
}

/* Whatever was done to it: in the end an honest report is read again. */
static void end(struct game *game)
{
	const struct move read = {.byte = N_MAX - 1, .value = 1000};
	struct report report[1];

	/* A count that is about to run out has no next number. */
	game->shared->task.n_ring &= UINT32_MAX;
	play_read(game, &read);
	play_entry(game, &(struct move){.place = 77});
	game->now_ns += 1000;
	CHECK(page_read(game->page, game->now_ns, report, 1) == 1);
	CHECK(report[0].step == 77 || game->shared->task.first_met.number != 0);
	(void)munmap(game->shared, sizeof(*game->shared));
	page_free(game->page);
}

static void fuzz_page(const char *text, size_t length)
{
	const uint8_t *data = (const uint8_t *)text;
	struct game game = {.page = NULL};

	if (length == 0)
		return;
	start(&game, data[0]);
	for (size_t at = 1; length - at >= MOVE_SIZE; at += MOVE_SIZE) {
		const struct move move = next_move(data + at);

		play(&game, &move);
	}
	end(&game);
}

const struct fuzz_mode fuzz_modes[] = {
	{"page", fuzz_page},
	{NULL, NULL},
};
