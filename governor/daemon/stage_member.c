// SPDX-License-Identifier: GPL-2.0-or-later
#include "stage_member.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptors.h"
#include "nsec.h"

static struct stage_member *of(struct stage *stage)
{
	return (struct stage_member *)stage;
}

static void leave_place(struct stage_member *self, uint32_t id)
{
	struct member *member = self->seats[id];

	descriptors_open_reserve();
	if (member->is_metered)
		self->meter->ops->task_remove(self->meter, id);
	if (member->is_placed)
		self->is_held[id] = self->enforcer->ops->task_remove(
					    self->enforcer, id, /* fault= */ NULL) < 0;
	member->is_metered = member->is_placed = false;
	descriptors_close_reserve();
}

/* What was moved and cannot be governed runs on; it may also be a stranger, who has got the pid of a
 * process that has ended. */
static void let_go(struct stage_member *self, uint32_t id)
{
	(void)self->enforcer->ops->task_let_go(self->enforcer, id, /* fault= */ NULL);
	self->seats[id]->is_placed = false;
}

static bool is_there(const struct member *member)
{
	return syscall(SYS_pidfd_send_signal, member->pidfd, 0, NULL, 0) == 0;
}

static int place(struct stage_member *self, uint32_t id, struct fault *fault)
{
	struct member *member = self->seats[id];
	struct enforcer *enforcer = self->enforcer;
	int r = enforcer->ops->task_add(enforcer, id, member->name, member->scope, fault);

	if (r < 0)
		return r;
	member->is_placed = true;
	r = enforcer->ops->task_attach(enforcer, id, member->pid, fault);
	if (r < 0) {
		/* It may be in a part of its place: it is not ended for that. */
		if (r != -ESRCH)
			let_go(self, id);
		return r;
	}
	if (!is_there(member))
		r = fault_set(fault, -ESRCH,
			"task %s: its process has ended before it was in its place", member->name);
	else
		r = self->meter->ops->task_add(
			self->meter, id, enforcer->ops->task_place(enforcer, id), fault);
	if (r < 0)
		let_go(self, id);
	else
		member->is_metered = true;
	return r;
}

/* Without one, what is in the place is known by its pid. */
static bool has_group(const struct stage_member *self, uint32_t id)
{
	const struct place *place = self->enforcer->ops->task_place(self->enforcer, id);

	return place->cgroup2_fd >= 0 || place->cpu1_fd >= 0;
}

/* An empty place is as good as none for one whose process has ended. 1 where there is nothing to measure. */
static int find_place(struct stage_member *self, uint32_t id)
{
	struct member *member = self->seats[id];
	struct enforcer *enforcer = self->enforcer;
	pid_t pid = member->pidfd >= 0 ? member->pid : 0;
	int r = enforcer->ops->task_adopt(
		enforcer, id, member->name, member->scope, pid, &self->fault);

	member->is_placed = r >= 0;
	if (r != -ENOENT && (r != 0 || has_group(self, id)))
		return r;
	if (r == -ENOENT) {
		r = enforcer->ops->task_add(
			enforcer, id, member->name, member->scope, &self->fault);
		member->is_placed = r == 0;
		if (r == 0 && pid > 0)
			r = enforcer->ops->task_attach(enforcer, id, pid, &self->fault);
	}
	if (r == 0 && pid > 0 && !is_there(member)) {
		let_go(self, id); /* a stranger may have been moved */
		return fault_set(&self->fault, -ESRCH,
			"task %s: its process has ended before it was in its place", member->name);
	}
	return r == -ESRCH ? 0 : r;
}

int stage_member_adopt(struct stage_member *self, uint32_t id)
{
	struct member *member = self->seats[id];
	int r = find_place(self, id);

	if (r == 1)
		return 0;
	if (r == 0)
		r = self->meter->ops->task_add(self->meter, id,
			self->enforcer->ops->task_place(self->enforcer, id), &self->fault);
	member->is_metered = r == 0;
	if (r < 0 && member->is_placed)
		let_go(self, id);
	return r;
}

static int member_start(struct stage *stage, uint32_t id, uint64_t now_ns, struct fault *fault)
{
	struct stage_member *self = of(stage);
	int r = place(self, id, &self->fault);

	(void)now_ns;
	if (r == 0)
		return 0;
	leave_place(self, id);
	self->error = r;
	return fault_set(fault, r, "%s", self->fault.text);
}

static size_t member_reports(struct stage *stage, uint32_t id, uint64_t now_ns,
	struct report ret_reports[], size_t n_max)
{
	struct stage_member *self = of(stage);
	size_t n = page_read(self->seats[id]->page, self->epoch_ns + now_ns, ret_reports, n_max);

	for (size_t i = 0; i < n; i++)
		ret_reports[i].stamp_ns = nsec_sub(ret_reports[i].stamp_ns, self->epoch_ns);
	return n;
}

static void member_facts(struct stage *stage, uint32_t id, struct progress_facts *ret_facts)
{
	page_facts(of(stage)->seats[id]->page, ret_facts);
}

static void member_tell(struct stage *stage, uint32_t id, const struct stage_news *news)
{
	struct member *member = of(stage)->seats[id];

	member->news.share_cpus = news->share_cpus;
	member->news.advised_threads = news->advised_threads;
	page_tell(member->page, &member->news);
}

static bool member_stop(struct stage *stage, uint32_t id, enum stop_step step)
{
	struct stage_member *self = of(stage);
	struct member *member = self->seats[id];

	member->news.should_stop = true;
	page_tell(member->page, &member->news);
	if (self->stopping)
		self->stopping(self, id, step);
	if (step == STOP_ASK || !member->is_placed)
		return false;
	descriptors_open_reserve();
	(void)self->enforcer->ops->task_signal(
		self->enforcer, id, step == STOP_TERM ? SIGTERM : SIGKILL);
	descriptors_close_reserve();
	return false;
}

static void member_clear(struct stage *stage, uint32_t id)
{
	leave_place(of(stage), id);
}

static const char *member_feed_name(struct stage *stage, uint32_t id)
{
	const struct member *member = of(stage)->seats[id];
	struct progress_facts facts;

	if (!member)
		return "none";
	page_facts(member->page, &facts);
	if (facts.speaks_page)
		return "shm";
	return facts.is_relayed ? "launcher" : "none";
}

static const struct stage_ops stage_member_ops = {
	.max_batches = 64, /* as in a run of a bundle */
	.start = member_start,
	.reports = member_reports,
	.facts = member_facts,
	.tell = member_tell,
	.stop = member_stop,
	.clear = member_clear,
	.feed_name = member_feed_name,
};

void stage_member_init(struct stage_member *self)
{
	self->stage.ops = &stage_member_ops;
}
