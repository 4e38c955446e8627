// SPDX-License-Identifier: GPL-2.0-or-later
#include "output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "last_words.h"
#include "line_scan.h"
#include "listener.h"
#include "preset.h"
#include "sink.h"

/* Between a task and where its output goes.
 *
 * Each stream has one buffer: the destination's. Bytes are read straight into it, scanned for lines
 * where they lie, and written on; nothing more is read until they are gone. So a destination that
 * does not take them fills the pipe and slows the task down as it would without us, memory is the
 * same whatever the task does, and a call costs at most one read and what the scan of 64 KiB costs.
 * What listening costs beyond that is bounded by the listener.
 *
 * A program asks isatty(3) to decide on colours, bars and buffering, so a stream that is a terminal
 * becomes a pty with the terminal's modes and size. Its output processing is off: the real terminal
 * does that, and the bytes in between stay what the task wrote. Where stdout and stderr are one
 * terminal, one pipe or one file, one end serves both, or the order of what they say would be lost;
 * all of it then counts as stdout. */

#define READ_MAX 65536
/* Every byte may be a line: a prefix and a newline for each. */
#define READ_PREFIXED_MAX 4096
#define PREFIX_MAX 80

struct stream {
	int read_fd; /* owned; -EBADF after the end */
	int task_fd; /* owned; -EBADF once the task has it, or where stdout's serves both */
	bool is_pty;
	int terminal_fd; /* whose size the pty has; the caller's */
	struct sink bytes, lines;
	struct line_scan scan;
	struct last_words words;
};

struct output {
	struct stream streams[2];
	struct listener listener;
	bool is_shared;              /* one stream for both */
	char prefix[PREFIX_MAX + 1]; /* "": none */
	uint64_t now_ns;             /* of the call */
	char *last_words;            /* owned; LAST_WORDS_TEXT_MAX bytes to compose them in */
};

/* What the scan of a stream's lines is told. */
struct hearing {
	struct output *output;
	struct stream *stream;
};

static void cleanup_output(struct output **output)
{
	(void)output_free(*output);
}

static struct stream *stream_of(const struct output *output, int which)
{
	assert(which == 1 || which == 2);
	return (struct stream *)&output->streams[which - 1];
}

static int make_pipe(struct stream *stream, struct fault *fault)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fault_errno(fault, -errno, "pipe");
	stream->read_fd = ends[0];
	stream->task_fd = ends[1];
	/* Only our end: the task's must block as it always does. */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return fault_errno(fault, -errno, "pipe");
	return 0;
}

static void copy_size(const struct stream *stream)
{
	struct winsize size;

	/* A terminal without a size leaves the pty without one. */
	if (ioctl(stream->terminal_fd, TIOCGWINSZ, &size) == 0)
		(void)ioctl(stream->read_fd, TIOCSWINSZ, &size);
}

static int make_pty(struct stream *stream, int terminal_fd, struct fault *fault)
{
	struct termios modes;

	stream->is_pty = true;
	stream->terminal_fd = terminal_fd;
	stream->read_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (stream->read_fd < 0)
		return fault_errno(fault, -errno, "open a pseudo-terminal (/dev/ptmx)");
	if (unlockpt(stream->read_fd) < 0)
		return fault_errno(fault, -errno, "unlock a pseudo-terminal");
	stream->task_fd = ioctl(stream->read_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (stream->task_fd < 0)
		return fault_errno(fault, -errno, "open the task's end of a pseudo-terminal");
	if (tcgetattr(terminal_fd, &modes) == 0) {
		modes.c_oflag &= ~(tcflag_t)OPOST;
		modes.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
		(void)tcsetattr(stream->task_fd, TCSANOW, &modes);
	}
	copy_size(stream);
	return 0;
}

static bool is_same(int one, int two)
{
	struct stat a, b;

	return one >= 0 && two >= 0 && fstat(one, &a) == 0 && fstat(two, &b) == 0 &&
		a.st_rdev == b.st_rdev && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int stream_open(
	struct output *output, int which, const struct output_setup *setup, struct fault *fault)
{
	struct stream *stream = stream_of(output, which);
	int to = which == 1 ? setup->stdout_to : setup->stderr_to, r;

	r = sink_open(&stream->bytes, to, READ_MAX);
	if (r < 0)
		return fault_errno(fault, r, "where std%s is to go", which == 1 ? "out" : "err");
	r = sink_open(&stream->lines, setup->prefix ? setup->prefixed_to : -EBADF,
		setup->prefix ? READ_PREFIXED_MAX * (strlen(setup->prefix) + 1) + LINE_SCAN_MAX +
				PREFIX_MAX + 2
			      : 1);
	if (r < 0)
		return fault_errno(fault, r, "where lines with a prefix are to go");
	if (which == 2 && output->is_shared)
		return 0;
	if (setup->leaves_terminals && to >= 0 && isatty(to))
		return 0;
	return to >= 0 && isatty(to) ? make_pty(stream, to, fault) : make_pipe(stream, fault);
}

int output_new(struct output **ret_output, const struct output_setup *setup, struct fault *fault)
{
	_cleanup_(cleanup_output) struct output *output = calloc(1, sizeof(*output));
	int r;

	if (!output)
		return fault_errno(fault, -ENOMEM, "task %s: output", setup->name);
	output->last_words = malloc(LAST_WORDS_TEXT_MAX);
	for (int which = 1; which <= 2; which++) {
		struct stream *stream = stream_of(output, which);

		stream->read_fd = stream->task_fd = stream->terminal_fd = -EBADF;
		stream->bytes.fd = stream->lines.fd = -EBADF;
	}
	if (!output->last_words)
		return fault_errno(fault, -ENOMEM, "task %s: output", setup->name);
	if (setup->prefix && strlen(setup->prefix) > PREFIX_MAX)
		return fault_set(fault, -EINVAL, "task %s: the prefix has more than %d bytes",
			setup->name, PREFIX_MAX);
	if (setup->prefix)
		strcpy(output->prefix, setup->prefix);
	output->is_shared = is_same(setup->stdout_to, setup->stderr_to);
	listener_init(&output->listener, setup->presets, setup->target, setup->preset);
	for (int which = 1; which <= 2; which++) {
		r = stream_open(output, which, setup, fault);
		if (r < 0)
			return fault_wrap(fault, r, "task %s: output", setup->name);
	}
	*ret_output = TAKE_PTR(output);
	return 0;
}

struct output *output_free(struct output *output)
{
	if (!output)
		return NULL;
	for (int which = 1; which <= 2; which++) {
		struct stream *stream = stream_of(output, which);

		cleanup_close(&stream->read_fd);
		cleanup_close(&stream->task_fd);
		sink_done(&stream->bytes);
		sink_done(&stream->lines);
	}
	free(output->last_words);
	free(output);
	return NULL;
}

int output_task_fd(const struct output *output, int which)
{
	return stream_of(output, output->is_shared ? 1 : which)->task_fd;
}

void output_launched(struct output *output)
{
	for (int which = 1; which <= 2; which++) {
		struct stream *stream = stream_of(output, which);

		cleanup_close(&stream->task_fd);
		stream->task_fd = -EBADF;
	}
}

int output_poll_fd(const struct output *output, int which)
{
	return stream_of(output, which)->read_fd;
}

int output_write_fd(const struct output *output, int which)
{
	const struct stream *stream = stream_of(output, which);

	if (sink_waits(&stream->bytes))
		return stream->bytes.fd;
	return sink_waits(&stream->lines) ? stream->lines.fd : -EBADF;
}

static void add_prefixed(struct output *output, struct stream *stream, const char *line,
	size_t length, enum line_end end)
{
	size_t prefix_length = strlen(output->prefix);
	char *space = sink_space(&stream->lines);

	/* A bar's \r\n has shown its line already. */
	if (length == 0 && (end != LINE_END_NEWLINE || stream->words.is_open))
		return;
	assert(prefix_length + length + 1 <= sink_room(&stream->lines));
	memcpy(space, output->prefix, prefix_length);
	memcpy(space + prefix_length, line, length);
	words_make_printable(space + prefix_length, length);
	space[prefix_length + length] = '\n';
	sink_added(&stream->lines, prefix_length + length + 1);
}

static void hear_line(void *context, const char *line, size_t length, enum line_end end)
{
	const struct hearing *hearing = context;
	struct output *output = hearing->output;

	if (output->prefix[0] != '\0')
		add_prefixed(output, hearing->stream, line, length, end);
	last_words_add(&hearing->stream->words, line, length, end);
	listener_line(&output->listener, line, length, output->now_ns);
}

static void stream_close(struct stream *stream)
{
	cleanup_close(&stream->read_fd);
	stream->read_fd = -EBADF;
}

/* Passes on what waits; 1 while the stream lives, 0 after its end. */
static int stream_flush(struct stream *stream)
{
	int r = sink_flush(&stream->bytes);

	/* Nobody reads: the task must learn of it as it would without us. */
	if (r == -EPIPE)
		stream_close(stream);
	/* The lines are a courtesy: if their reader is gone they are lost, no more. */
	(void)sink_flush(&stream->lines);
	/* At the end of file no bytes wait, or it would not have been read; a last line may. */
	return stream->read_fd >= 0 || sink_waits(&stream->lines);
}

static int stream_end(struct output *output, struct stream *stream, int error)
{
	struct hearing hearing = {output, stream};
	int r;

	line_scan_end(&stream->scan, hear_line, &hearing);
	stream_close(stream);
	r = stream_flush(stream);
	return error < 0 ? error : r;
}

int output_readable(struct output *output, int which, uint64_t now_ns)
{
	struct stream *stream = stream_of(output, which);
	struct hearing hearing = {output, stream};
	size_t most = output->prefix[0] != '\0' ? READ_PREFIXED_MAX : READ_MAX;
	char *space;
	ssize_t n;
	int r;

	r = stream_flush(stream);
	if (r == 0 || stream->read_fd < 0 || sink_waits(&stream->bytes) ||
		sink_waits(&stream->lines))
		return r;
	output->now_ns = now_ns;
	space = sink_space(&stream->bytes);
	n = read(stream->read_fd, space, most);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	/* A pty says EIO when its last other end is closed. */
	if (n == 0 || (n < 0 && stream->is_pty && errno == EIO))
		return stream_end(output, stream, 0);
	if (n < 0)
		return stream_end(output, stream, -errno);
	line_scan_bytes(&stream->scan, space, (size_t)n, hear_line, &hearing);
	sink_added(&stream->bytes, (size_t)n);
	return stream_flush(stream);
}

int output_writable(struct output *output, int which)
{
	return stream_flush(stream_of(output, which));
}

void output_resize(struct output *output)
{
	for (int which = 1; which <= 2; which++) {
		const struct stream *stream = stream_of(output, which);

		if (stream->is_pty && stream->read_fd >= 0)
			copy_size(stream);
	}
}

size_t output_read(struct output *output, struct report ret_reports[], size_t n_max)
{
	return listener_read(&output->listener, ret_reports, n_max);
}

void output_facts(const struct output *output, struct progress_facts *ret_facts)
{
	*ret_facts = output->listener.facts;
	for (int which = 1; which <= 2; which++)
		ret_facts->n_dropped += stream_of(output, which)->scan.n_overlong;
}

const char *output_preset(const struct output *output)
{
	return output->listener.locked;
}

const char *output_last_words(const struct output *output)
{
	const struct last_words *words = &stream_of(output, 2)->words;

	if (words->n_lines == 0)
		words = &stream_of(output, 1)->words;
	last_words_text(words, output->last_words);
	return output->last_words;
}

uint64_t output_lost_bytes(const struct output *output, int *ret_error)
{
	uint64_t n_lost = 0;

	*ret_error = 0;
	for (int which = 1; which <= 2; which++) {
		const struct sink *sink = &stream_of(output, which)->bytes;

		n_lost += sink->n_lost;
		if (sink->error < 0 && sink->error != -EPIPE && *ret_error == 0)
			*ret_error = sink->error;
	}
	return n_lost;
}
