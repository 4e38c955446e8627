// SPDX-License-Identifier: GPL-2.0-or-later
#include "page.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"
#include "progress/layout.h"

/* The governor's side of the progress page.
 *
 * The task may write anything anywhere in the page at any moment, so nothing in it is used twice: a
 * field is loaded once, into a variable, then judged. What protects the governor:
 *   - the seals: the memfd cannot shrink under the mapping, so no access faults;
 *   - counters are positions of our own. A counter of the page only says how far it claims to have
 *     grown since; more than one a nanosecond, or backwards, is absurd: it is counted, and we go on
 *     from where it stands now. The ring is entered modulo its length;
 *   - at most one pass over the ring in a read, whatever the counter says;
 *   - an entry counts only if it bears its number before and after it was copied.
 *
 * What the page says is judged like any report: a task can lie about its loss as well in an entry
 * as in the mark `first_met`, so using the mark costs no trust. */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* since Linux 6.3 */
#endif

#define STALL_NS NSEC_PER_SEC

_Static_assert(REPORTS_BATCH >= COREGOV_RING_LENGTH, "what the loop does not take at once is lost");

struct page {
	int fd;
	struct coregov_page *shared; /* mapped; not owned by malloc */
	struct target target;
	struct page_place at;
};

DEFINE_CLEANUP_FUNC(struct page, page_free)
#define _cleanup_page_ _cleanup_(cleanup_page_free)

static int make_memfd(const char *name, struct fault *fault)
{
	char label[sizeof("coregov:") + TASK_NAME_MAX];
	int fd;

	(void)snprintf(label, sizeof(label), "coregov:%s", name);
	fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fault_errno(fault, -errno, "task %s: create the progress page", name);
	return fd;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int map_page(struct page *page, const char *name, struct fault *fault)
{
	void *map = mmap(
		NULL, sizeof(struct coregov_page), PROT_READ | PROT_WRITE, MAP_SHARED, page->fd, 0);

	if (map == MAP_FAILED)
		return fault_errno(fault, -errno, "task %s: map the progress page", name);
	page->shared = map;
	return 0;
}

static int make_room(struct page *page, const char *name, struct fault *fault)
{
	const size_t size = sizeof(struct coregov_page);

	page->fd = make_memfd(name, fault);
	if (page->fd < 0)
		return page->fd;
	/* The memory is taken now, where its lack is an error, not a signal in the slot path. */
	if (ftruncate(page->fd, (off_t)size) < 0 || fallocate(page->fd, 0, 0, (off_t)size) < 0)
		return fault_errno(fault, -errno, "task %s: size the progress page", name);
	if (fcntl(page->fd, F_ADD_SEALS, SEALS) < 0)
		return fault_errno(fault, -errno, "task %s: seal the progress page", name);
	return map_page(page, name, fault);
}

static void introduce(struct page *page, uint64_t deadline_ns)
{
	struct coregov_governor_side *side = &page->shared->governor;

	static_assert(sizeof(side->target_metric) >= sizeof(page->target.metric), "it fits");
	*side = (struct coregov_governor_side){
		.magic = COREGOV_PAGE_MAGIC,
		.version = COREGOV_PAGE_VERSION,
		.size = sizeof(struct coregov_page),
		.token = page->at.token,
		.deadline_ns = deadline_ns,
		.threads = 1,
		.target_value = page->target.value,
		.target_is_raised = page->target.is_raised,
		.target_in_a_row = page->target.in_a_row,
	};
	memcpy(side->target_metric, page->target.metric, sizeof(page->target.metric));
}

int page_new(struct page **ret_page, const char *name, const struct target *target, uint64_t now_ns,
	uint64_t deadline_ns, struct fault *fault)
{
	_cleanup_page_ struct page *page = NULL;
	int r;

	assert(isfinite(target->value) && target->in_a_row >= 1);
	page = calloc(1, sizeof(*page));
	if (!page)
		return fault_errno(fault, -ENOMEM, "task %s: create the progress page", name);
	page->fd = -EBADF;
	page->target = *target;
	page->at.last_ns = now_ns;
	if (getrandom(&page->at.token, sizeof(page->at.token), 0) !=
		(ssize_t)sizeof(page->at.token))
		return fault_errno(fault, -errno, "task %s: draw the page's token", name);
	r = make_room(page, name, fault);
	if (r < 0)
		return r;
	introduce(page, deadline_ns);
	*ret_page = TAKE_PTR(page);
	return 0;
}

void page_place(const struct page *page, struct page_place *ret_place)
{
	*ret_place = page->at;
}

/* The token is the task's to know, and to change: a page with a wrong one is of another task, or of one that
 * wants no governor. */
static bool is_page(int fd)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &status) == 0 &&
		status.st_size == (off_t)sizeof(struct coregov_page);
}

int page_take_over(struct page **ret_page, int fd, const char *name, const struct target *target,
	const struct page_place *place, struct fault *fault)
{
	_cleanup_page_ struct page *page = calloc(1, sizeof(*page));
	int r;

	if (!page) {
		(void)close(fd);
		return fault_errno(fault, -ENOMEM, "task %s: its progress page", name);
	}
	page->fd = fd;
	page->target = *target;
	page->at = *place;
	if (!is_page(fd))
		return fault_set(fault, -EBADMSG, "task %s: no progress page", name);
	r = map_page(page, name, fault);
	if (r < 0)
		return r;
	if (__atomic_load_n(&page->shared->governor.token, __ATOMIC_RELAXED) != place->token)
		return fault_set(fault, -EBADMSG, "task %s: another task's progress page", name);
	*ret_page = TAKE_PTR(page);
	return 0;
}

struct page *page_free(struct page *page)
{
	if (!page)
		return NULL;
	if (page->shared)
		(void)munmap(page->shared, sizeof(*page->shared));
	cleanup_close(&page->fd);
	free(page);
	return NULL;
}

int page_fd(const struct page *page)
{
	return page->fd;
}

uint64_t page_token(const struct page *page)
{
	return page->at.token;
}

void page_retarget(struct page *page, double value, uint32_t in_a_row)
{
	struct coregov_governor_side *side = &page->shared->governor;

	assert(isfinite(value) && in_a_row >= 1);
	page->target.value = value;
	page->target.in_a_row = in_a_row;
	__atomic_store(&side->target_value, &value, __ATOMIC_RELAXED);
	__atomic_store_n(&side->target_in_a_row, in_a_row, __ATOMIC_RELAXED);
}

int page_address(const struct page_address *address, char *ret_text, size_t size)
{
	char text[PAGE_ENVIRONMENT_MAX];
	int length;

	length = snprintf(text, sizeof(text),
		COREGOV_PROGRESS_VARIABLE "=%d:/proc/%d/fd/%d:%016" PRIx64,
		address->task_fd >= 0 ? address->task_fd : -1, (int)address->holder,
		address->holder_fd, address->token);
	assert(length > 0 && (size_t)length < sizeof(text));
	if ((size_t)length >= size)
		return -ENOSPC;
	memcpy(ret_text, text, (size_t)length + 1);
	return 0;
}

int page_environment(const struct page *page, int task_fd, char *ret_text, size_t size)
{
	const struct page_address address = {
		.task_fd = task_fd,
		.holder = getpid(),
		.holder_fd = page->fd,
		.token = page->at.token,
	};

	return page_address(&address, ret_text, size);
}

void page_tell(struct page *page, const struct page_news *news)
{
	struct coregov_governor_side *side = &page->shared->governor;
	double share_cpus = news->share_cpus;

	assert(isfinite(share_cpus) && share_cpus >= 0 && news->advised_threads >= 1);
	__atomic_store(&side->share_cpus, &share_cpus, __ATOMIC_RELAXED);
	__atomic_store_n(&side->threads, news->advised_threads, __ATOMIC_RELAXED);
	__atomic_store_n(&side->should_stop, news->should_stop, __ATOMIC_RELAXED);
}

static uint64_t load(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static double load_double(const double *field)
{
	double value;

	__atomic_load(field, &value, __ATOMIC_RELAXED);
	return value;
}

/* How far a counter of the page has grown since the last read, 0 where that is absurd: more than
 * once a nanosecond. now_ns may be a while ago by now, if we had to wait for a CPU ourselves; a
 * real report takes tens of nanoseconds, so STALL_NS of slack covers a wait of many seconds. */
static uint64_t growth(struct page *page, uint64_t now_ns, uint64_t counter, uint64_t *then)
{
	const uint64_t most = nsec_sub(now_ns, page->at.last_ns) + STALL_NS;
	const uint64_t before = *then;

	*then = counter;
	if (counter >= before && counter - before <= most)
		return counter - before;
	page->at.facts.n_refused++;
	return 0;
}

/* Copies entry `number` of the ring. False where it is not whole, or not that report any more. */
static bool copy_entry(const struct coregov_task_side *task, uint64_t number, struct report *ret)
{
	const struct coregov_entry *entry = &task->ring[(number - 1) % COREGOV_RING_LENGTH];
	struct report copy = {0};
	uint32_t mask;

	if (__atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE) != number)
		return false;
	copy.step = load(&entry->step);
	copy.stamp_ns = load(&entry->stamp_ns);
	mask = __atomic_load_n(&entry->mask, __ATOMIC_RELAXED);
	copy.value = load_double(&entry->values[0]);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (load(&entry->sequence) != number)
		return false;
	if ((mask & 1) == 0 || mask >> COREGOV_METRICS_MAX != 0)
		return false;
	*ret = copy;
	return true;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	if (value > most)
		return most;
	return value < least ? least : value;
}

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The reports of one read, in the caller's array. */
struct harvest {
	struct report *reports;
	size_t n_reports, n_max;
	size_t n_until_met; /* of these, made up to the one that first met the target */
	uint64_t now_ns;
	uint64_t met;                       /* the number of that one, 0: not in this read */
	uint64_t lost_before;               /* page->at.last_lost when the read began */
	bool is_taken[COREGOV_RING_LENGTH]; /* by number modulo the length */
};

static void lose(struct page *page, uint64_t number)
{
	const uint64_t newest = __atomic_load_n(&page->shared->task.n_ring, __ATOMIC_ACQUIRE);

	page->at.last_lost = number;
	/* The writer may be at work on the report that replaces it: it was only too fast. */
	if (newest >= number && newest - number >= COREGOV_RING_LENGTH - 1)
		page->at.facts.n_dropped++;
	else
		page->at.facts.n_refused++;
}

static void take(struct page *page, struct harvest *harvest, uint64_t number)
{
	struct report *report = &harvest->reports[harvest->n_reports];
	uint64_t least = clamp(page->at.last_ns + 1, 0, harvest->now_ns);

	if (!copy_entry(&page->shared->task, number, report)) {
		lose(page, number);
		return;
	}
	if (report->stamp_ns < page->at.last_stamp_ns)
		page->at.facts.n_refused++;
	page->at.last_stamp_ns = report->stamp_ns;
	if (harvest->n_reports > 0)
		least = report[-1].stamp_ns;
	report->stamp_ns = clamp(report->stamp_ns, least, harvest->now_ns);
	harvest->n_reports++;
	if (number <= harvest->met)
		harvest->n_until_met = harvest->n_reports;
	harvest->is_taken[number % COREGOV_RING_LENGTH] = true;
}

/* Loads the mark of the report that first met the target, once it is within what is read now. */
static bool is_first_met_now(struct page *page, uint64_t newest, struct coregov_mark *ret_mark)
{
	const struct coregov_mark *mark = &page->shared->task.first_met;
	const uint64_t number = __atomic_load_n(&mark->number, __ATOMIC_ACQUIRE);

	if (page->at.first_met_done || number == 0 || number > newest)
		return false;
	page->at.first_met_done = true;
	*ret_mark = (struct coregov_mark){
		.number = number,
		.step = load(&mark->step),
		.stamp_ns = load(&mark->stamp_ns),
		.value = load_double(&mark->value),
	};
	/* An honest writer sets the mark before the entry. */
	if (number > page->at.n_taken && target_is_met(&page->target, ret_mark->value))
		return true;
	page->at.facts.n_refused++;
	return false;
}

/* True where a report of the row that met the target is missing from what was handed out. */
static bool is_row_broken(const struct page *page, const struct harvest *harvest, uint64_t newest)
{
	const uint64_t first = nsec_sub(harvest->met, page->target.in_a_row) + 1;
	uint64_t number = page->at.n_taken + 1;

	if (harvest->lost_before >= first)
		return true;
	if (number < first)
		number = first;
	if (newest - number >= COREGOV_RING_LENGTH)
		return true;
	for (; number - 1 < harvest->met; number++) /* the last number may be the largest */
		if (!harvest->is_taken[number % COREGOV_RING_LENGTH])
			return true;
	return false;
}

/* Puts the report that first met the target in its place, as often as the target asks for in a row,
 * within the caller's array: of the others the newest stay. */
static void put_back(struct page *page, struct harvest *harvest, const struct coregov_mark *mark)
{
	struct report *reports = harvest->reports;
	const size_t n_front = harvest->n_until_met;
	const size_t n_tail = harvest->n_reports - n_front;
	const size_t n_copies = least_of(page->target.in_a_row, harvest->n_max);
	const size_t tail = least_of(n_tail, harvest->n_max - n_copies);
	const size_t front = least_of(n_front, harvest->n_max - n_copies - tail);
	uint64_t least = clamp(page->at.last_ns + 1, 0, harvest->now_ns);
	uint64_t most = harvest->now_ns;

	memmove(reports, reports + n_front - front, front * sizeof(*reports));
	memmove(reports + front + n_copies, reports + harvest->n_reports - tail,
		tail * sizeof(*reports));
	if (front > 0)
		least = reports[front - 1].stamp_ns;
	if (tail > 0)
		most = reports[front + n_copies].stamp_ns;
	for (size_t i = front; i < front + n_copies; i++)
		reports[i] = (struct report){
			.step = mark->step,
			.stamp_ns = clamp(mark->stamp_ns, least, most),
			.value = mark->value,
		};
	page->at.facts.n_dropped += n_front - front + n_tail - tail;
	harvest->n_reports = front + n_copies + tail;
}

static void read_ring(struct page *page, struct harvest *harvest)
{
	const uint64_t newest = __atomic_load_n(&page->shared->task.n_ring, __ATOMIC_ACQUIRE);
	uint64_t position = page->at.n_taken;
	const uint64_t n_new = growth(page, harvest->now_ns, newest, &position);
	const size_t n_kept = least_of(least_of(n_new, COREGOV_RING_LENGTH), harvest->n_max);
	struct coregov_mark mark;

	if (position != page->at.n_taken + n_new) {
		page->at.n_taken = position;
		page->at.last_lost = position;
		return;
	}
	if (is_first_met_now(page, newest, &mark))
		harvest->met = mark.number;
	harvest->lost_before = page->at.last_lost;
	if (n_new > n_kept) {
		page->at.facts.n_dropped += n_new - n_kept;
		page->at.last_lost = newest - n_kept;
	}
	for (size_t i = 0; i < n_kept; i++)
		take(page, harvest, newest - n_kept + 1 + i);
	if (harvest->met != 0 && is_row_broken(page, harvest, newest))
		put_back(page, harvest, &mark);
	page->at.n_taken = newest;
}

static void read_facts(struct page *page, uint64_t now_ns)
{
	const struct coregov_task_side *task = &page->shared->task;
	struct progress_facts *facts = &page->at.facts;
	const double epoch = load_double(&task->epoch);
	const uint64_t owner = load(&task->owner);

	facts->n_reports += growth(page, now_ns, load(&task->n_reports), &page->at.n_reports_then);
	facts->n_dropped += growth(page, now_ns, load(&task->n_lost), &page->at.n_lost_then);
	facts->n_refused += growth(page, now_ns, load(&task->n_others), &page->at.n_others_then);
	facts->steps_done = load(&task->steps_done);
	facts->steps_total = load(&task->steps_total);
	facts->samples_seen = load(&task->samples_seen);
	facts->epoch = isfinite(epoch) && epoch > 0 ? epoch : 0;
	facts->speaks_page = owner != 0 && owner <= COREGOV_PID_MAX;
	facts->is_relayed = owner > COREGOV_PID_MAX;
}

size_t page_read(struct page *page, uint64_t now_ns, struct report ret_reports[], size_t n_max)
{
	struct harvest harvest = {.reports = ret_reports, .n_max = n_max, .now_ns = now_ns};

	assert(n_max > 0);
	read_ring(page, &harvest);
	read_facts(page, now_ns);
	if (now_ns > page->at.last_ns)
		page->at.last_ns = now_ns;
	return harvest.n_reports;
}

void page_facts(const struct page *page, struct progress_facts *ret_facts)
{
	*ret_facts = page->at.facts;
}
