// SPDX-License-Identifier: GPL-2.0-or-later
#include "follow_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "tfevents.h"

/* One file that somebody else writes.
 *
 * There is no state but an offset: everything before it is done, everything after it is read again
 * next time, so a line that is half written simply is not there yet. Inotify would say when to look,
 * but the loop looks once a slot anyway, and inotify does not work on network file systems.
 *
 * The file may not be the one that was read before: cut (shorter than the offset), written anew in
 * place (the first or the last bytes that are done have changed; Lightning does that whenever a
 * column is added), or another file under the same name (then what is left of the old one is read
 * first). In each case it is read from its start, and the reports are compared, one after the other,
 * with those made before: as long as they are the same, it is the same log once more and nothing is
 * new. From the first that differs on, it is another training's. */

#define MADE_MAX 65536

void follow_file_init(struct follow_file *file)
{
	*file = (struct follow_file){.fd = -EBADF};
}

void follow_file_done(struct follow_file *file)
{
	cleanup_close(&file->fd);
	free(file->path);
	free(file->made);
	follow_file_init(file);
}

/* FNV-1a. */
static uint64_t hash_report(const struct report *report)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	uint8_t bytes[sizeof(report->step) + sizeof(report->value)];

	memcpy(bytes, &report->step, sizeof(report->step));
	memcpy(bytes + sizeof(report->step), &report->value, sizeof(report->value));
	for (size_t i = 0; i < sizeof(bytes); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Remembers a report; beyond MADE_MAX, or without memory, only that there was one. */
static void remember(struct follow_file *file, uint64_t hash)
{
	size_t room = file->n_made_max == 0 ? 256 : file->n_made_max * 2;
	uint64_t *made;

	if (file->n_made == file->n_made_max && file->n_made_max < MADE_MAX) {
		made = reallocarray(file->made, room, sizeof(*made));
		if (made) {
			file->made = made;
			file->n_made_max = room;
		}
	}
	if (file->n_made < file->n_made_max)
		file->made[file->n_made] = hash;
	file->n_made++;
}

void follow_file_report(struct follow_file *file, struct followed *all, const struct report *report)
{
	uint64_t hash = hash_report(report), index = file->index++;

	if (index < file->n_made) {
		if (index >= file->n_made_max || file->made[index] == hash)
			return;
		file->n_made = index;
	}
	remember(file, hash);
	all->facts.n_reports++;
	all->reports[all->n_reports++] = *report;
}

static bool is_full(const struct followed *all)
{
	return all->n_reports >= all->n_max;
}

static void start_again(struct follow_file *file)
{
	file->kind = FILE_UNKNOWN;
	file->offset = 0;
	file->is_skipping = false;
	file->bad_head = 0;
	file->n_head = file->n_tail = 0;
	file->columns = (struct csv_columns){.is_read = false};
	file->index = 0;
}

/* Takes n bytes as done. */
static void done(struct follow_file *file, const uint8_t *bytes, size_t n_bytes)
{
	size_t n = n_bytes < MARK_BYTES ? n_bytes : MARK_BYTES, keep, room;

	room = MARK_BYTES - file->n_head;
	if (file->offset == file->n_head && room > 0) {
		keep = n < room ? n : room;
		memcpy(file->head + file->n_head, bytes, keep);
		file->n_head += keep;
	}
	keep = file->n_tail < MARK_BYTES - n ? file->n_tail : MARK_BYTES - n;
	memmove(file->tail, file->tail + file->n_tail - keep, keep);
	memcpy(file->tail + keep, bytes + n_bytes - n, n);
	file->n_tail = keep + n;
	file->offset += n_bytes;
}

static bool has_bytes(int fd, const uint8_t *bytes, size_t n_bytes, uint64_t offset)
{
	uint8_t there[MARK_BYTES];

	return pread(fd, there, n_bytes, (off_t)offset) == (ssize_t)n_bytes &&
		memcmp(there, bytes, n_bytes) == 0;
}

/* What was read is still what stands there. */
static bool is_same_writing(const struct follow_file *file)
{
	struct stat status;

	if (fstat(file->fd, &status) < 0 || (uint64_t)status.st_size < file->offset)
		return false;
	return has_bytes(file->fd, file->head, file->n_head, 0) &&
		has_bytes(file->fd, file->tail, file->n_tail, file->offset - file->n_tail);
}

/* A record's head, or text? Needs its first bytes. */
static enum file_kind tell_kind(const uint8_t *bytes, size_t n_bytes)
{
	uint64_t length;

	if (n_bytes >= 12 && tfevents_record(bytes, n_bytes, &length) != TFEVENTS_BAD_HEAD)
		return FILE_TFEVENTS;
	if (!memchr(bytes, '\n', n_bytes))
		return FILE_UNKNOWN;
	for (size_t i = 0; i < n_bytes; i++)
		if (!strchr(" \t\r\n", bytes[i]))
			return bytes[i] == '{' ? FILE_JSON : FILE_CSV;
	return FILE_UNKNOWN;
}

static void json_row(struct follow_file *file, struct followed *all, const char *row, size_t length)
{
	struct report report = {.stamp_ns = all->now_ns};
	struct preset_hit hit = {.preset = NULL};
	bool is_core;

	if (length == 0)
		return;
	if (!json_line_read(
		    all->json, row, length, all->target->metric, &all->choice, &hit, &is_core)) {
		all->facts.n_refused++;
		return;
	}
	if (hit.has_epoch)
		all->facts.epoch = hit.epoch;
	if (hit.step > 0) {
		all->facts.steps_done = hit.step;
		all->facts.steps_total = hit.total;
	}
	if (hit.samples > 0)
		all->facts.samples_seen = hit.samples;
	if (!hit.has_value)
		return;
	report.step = hit.step;
	report.value = hit.value;
	follow_file_report(file, all, &report);
}

/* The whole lines of the buffer; returns how many bytes are done. */
static size_t read_lines(
	struct follow_file *file, struct followed *all, const uint8_t *bytes, size_t n_bytes)
{
	size_t n_done = 0;

	while (n_done < n_bytes && !is_full(all)) {
		const uint8_t *line = bytes + n_done;
		const uint8_t *end = memchr(line, '\n', n_bytes - n_done);

		if (!end) {
			/* Too long for the buffer: what there is of it is nothing to us. */
			if (n_done == 0 && n_bytes == FOLLOW_BUFFER) {
				file->is_skipping = true;
				return n_bytes;
			}
			break;
		}
		n_done += (size_t)(end - line) + 1;
		if (file->is_skipping) {
			file->is_skipping = false;
			all->facts.n_refused++;
		} else if (file->kind == FILE_JSON) {
			json_row(file, all, (const char *)line, (size_t)(end - line));
		} else {
			follow_csv_row(file, all, (const char *)line, (size_t)(end - line));
		}
	}
	return n_done;
}

/* What the scalars of an event are taken to; the wanted one is reported after it. */
struct event {
	struct followed *all;
	bool has_value;
	struct report report;
};

static void take_scalar(
	void *context, const char *tag, size_t tag_length, uint64_t step, double value)
{
	struct event *event = context;

	event->all->facts.steps_done = step;
	if (!metric_choose(&event->all->choice, event->all->target->metric, tag, tag_length))
		return;
	event->has_value = true;
	event->report.step = step;
	event->report.value = value;
}

/* A record that does not fit the buffer (an image, a graph) is stepped over once it is whole. */
static bool step_over(struct follow_file *file, uint64_t length, size_t n_bytes)
{
	struct stat status;

	if (length + TFEVENTS_FRAME <= FOLLOW_BUFFER || n_bytes < FOLLOW_BUFFER ||
		fstat(file->fd, &status) < 0 ||
		(uint64_t)status.st_size < file->offset + length + TFEVENTS_FRAME)
		return false;
	file->offset += length + TFEVENTS_FRAME;
	/* The bytes before it are not known. */
	file->n_tail = 0;
	return true;
}

/* As read_lines(), for one record. */
static size_t read_record(
	struct follow_file *file, struct followed *all, const uint8_t *bytes, size_t n_bytes)
{
	struct event event = {.all = all, .report = {.stamp_ns = all->now_ns}};
	uint64_t length;

	switch (tfevents_record(bytes, n_bytes, &length)) {
	case TFEVENTS_RECORD:
		if (!tfevents_event(bytes + 12, length, take_scalar, &event))
			all->facts.n_refused++;
		if (event.has_value)
			follow_file_report(file, all, &event.report);
		return length + TFEVENTS_FRAME;
	case TFEVENTS_BAD_DATA:
		all->facts.n_refused++;
		return length + TFEVENTS_FRAME;
	case TFEVENTS_BAD_HEAD:
		/* Half written, or lost for good: look again, count once. */
		if (file->bad_head != file->offset + 1) {
			file->bad_head = file->offset + 1;
			all->facts.n_refused++;
		}
		return 0;
	default:
		return 0;
	}
}

static size_t read_records(
	struct follow_file *file, struct followed *all, const uint8_t *bytes, size_t n_bytes)
{
	size_t n_done = 0, n;

	while (!is_full(all)) {
		uint64_t offset = file->offset;

		/* bad_head is told by its place in the file. */
		file->offset += n_done;
		n = read_record(file, all, bytes + n_done, n_bytes - n_done);
		file->offset = offset;
		if (n == 0)
			break;
		n_done += n;
	}
	return n_done;
}

/* One buffer; false: nothing more to be had now. */
static bool read_buffer(struct follow_file *file, struct followed *all)
{
	uint8_t *bytes = all->buffer;
	ssize_t n = pread(file->fd, bytes, FOLLOW_BUFFER, (off_t)file->offset);
	uint64_t length;
	size_t n_done;

	if (n <= 0)
		return false;
	if (file->kind == FILE_UNKNOWN) {
		file->kind = tell_kind(bytes, (size_t)n);
		if (file->kind == FILE_UNKNOWN)
			return false;
	}
	if (file->kind != FILE_TFEVENTS) {
		n_done = read_lines(file, all, bytes, (size_t)n);
	} else {
		n_done = read_records(file, all, bytes, (size_t)n);
		if (n_done == 0 && !is_full(all) &&
			tfevents_record(bytes, (size_t)n, &length) == TFEVENTS_MORE)
			return step_over(file, length, (size_t)n);
	}
	done(file, bytes, n_done);
	return n_done > 0;
}

/* Opens what stands under the path, if that is another file than the one that is open. */
static void reopen(struct follow_file *file)
{
	struct stat status;
	int fd;

	if (stat(file->path, &status) < 0 || !S_ISREG(status.st_mode))
		return;
	if (file->fd >= 0 && file->device == status.st_dev && file->inode == status.st_ino)
		return;
	fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		(void)close(fd);
		return;
	}
	cleanup_close(&file->fd);
	file->fd = fd;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	start_again(file);
}

bool follow_file_read(struct follow_file *file, struct followed *all)
{
	int reads = 0;

	if (file->fd >= 0 && !is_same_writing(file))
		start_again(file);
	while (file->fd >= 0 && reads < FOLLOW_READS && !is_full(all) && read_buffer(file, all))
		reads++;
	if (is_full(all))
		return false;
	/* Only when the file that is open has been read to its end. */
	if (reads == FOLLOW_READS)
		return true;
	reopen(file);
	while (file->fd >= 0 && reads < FOLLOW_READS && !is_full(all) && read_buffer(file, all))
		reads++;
	return !is_full(all);
}
