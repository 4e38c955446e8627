// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "follow.h"
#include "last_words.h"
#include "line_scan.h"
#include "listener.h"
#include "nsec.h"
#include "preset.h"
#include "tfevents.h"

/* What a training program may print or write, and all of it may be hostile: `lines` takes the input
 * as a program's output, `file` as a file that grows and is then written anew, `events` as the data
 * of one event. The entries are those of fuzz.h, so both drivers serve here too. Needs
 * COREGOV_PRESETS. */

static const char *const metrics[] = {"loss", "accuracy", "eval-auc"};

static const struct preset_set *presets(void)
{
	static struct preset_set *set;
	const char *directories[] = {getenv("COREGOV_PRESETS"), NULL};
	struct fault fault = FAULT_INIT;

	if (!set && (!directories[0] || preset_set_read(&set, directories, &fault) < 0)) {
		(void)fprintf(stderr, "COREGOV_PRESETS: %s\n", fault.text);
		exit(64);
	}
	return set;
}

struct heard {
	struct listener listener;
	struct last_words words;
	size_t n_bytes;
};

static void hear(void *context, const char *line, size_t length, enum line_end end)
{
	struct heard *heard = context;

	CHECK(!memchr(line, '\n', length) && !memchr(line, '\033', length));
	CHECK(!memchr(line, '\r', length) && !memchr(line, '\0', length));
	heard->n_bytes += length;
	last_words_add(&heard->words, line, length, end);
	listener_line(&heard->listener, line, length, NSEC_PER_SEC);
}

static void fuzz_lines(const char *text, size_t length)
{
	static struct line_scan scan;
	static char words[LAST_WORDS_TEXT_MAX];
	struct report reports[LISTENER_REPORTS];
	struct target target = {.in_a_row = 1};
	struct heard heard;

	for (size_t i = 0; i < ARRAY_LENGTH(metrics); i++) {
		size_t cut = length / (i + 1);

		strcpy(target.metric, metrics[i]);
		memset(&scan, 0, sizeof(scan));
		memset(&heard, 0, sizeof(heard));
		listener_init(&heard.listener, presets(), &target, NULL);
		line_scan_bytes(&scan, text, cut, hear, &heard);
		line_scan_bytes(&scan, text + cut, length - cut, hear, &heard);
		line_scan_end(&scan, hear, &heard);
		CHECK(heard.n_bytes <= length);
		last_words_text(&heard.words, words);
		CHECK(strlen(words) < LAST_WORDS_TEXT_MAX);
		CHECK(heard.listener.n_held <= LISTENER_REPORTS);
		CHECK(heard.listener.facts.n_reports >= heard.listener.n_held);
		CHECK(heard.listener.facts.n_reports == 0 || heard.listener.locked);
		(void)listener_read(&heard.listener, reports, LISTENER_REPORTS);
		CHECK(heard.listener.n_held == 0);
	}
}

/* Reads until nothing is new; one call at most per report and per bound. */
static size_t read_all(struct follow *follow, size_t length)
{
	struct report reports[16];
	size_t n, n_all = 0, calls = 0;

	do {
		n = follow_read(follow, 1, reports, ARRAY_LENGTH(reports));
		CHECK(n <= ARRAY_LENGTH(reports));
		n_all += n;
		CHECK(calls++ <= length + 2);
	} while (n > 0);
	return n_all;
}

static void put(int fd, const char *text, size_t length)
{
	CHECK(ftruncate(fd, (off_t)length) == 0);
	CHECK(pwrite(fd, text, length, 0) == (ssize_t)length);
}

static void fuzz_file(const char *text, size_t length)
{
	static int fd = -EBADF;
	struct target target = {.metric = "loss", .in_a_row = 1};
	struct follow *follow;
	char path[64];
	size_t n;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	CHECK(fd >= 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(follow_new(&follow, path, &target, NULL) == 0);
	put(fd, text, length / 2);
	n = read_all(follow, length);
	put(fd, text, length);
	n += read_all(follow, length);
	CHECK(n <= length);
	/* Cut and put back: nothing in it is new, whatever it is. */
	put(fd, text, 0);
	CHECK(read_all(follow, length) == 0);
	put(fd, text, length);
	CHECK(read_all(follow, length) <= n);
	(void)follow_free(follow);
}

static void take_scalar(
	void *context, const char *tag, size_t tag_length, uint64_t step, double value)
{
	size_t *n = context;

	(void)step;
	(void)value;
	for (size_t i = 0; i < tag_length; i++)
		*n += tag[i] == 'x';
}

static void fuzz_events(const char *text, size_t length)
{
	uint64_t record_length;
	size_t n = 0;

	(void)tfevents_event((const uint8_t *)text, length, take_scalar, &n);
	CHECK(n <= length);
	if (tfevents_record((const uint8_t *)text, length, &record_length) == TFEVENTS_RECORD)
		CHECK(record_length + TFEVENTS_FRAME <= length);
}

const struct fuzz_mode fuzz_modes[] = {
	{"events", fuzz_events},
	{"file", fuzz_file},
	{"lines", fuzz_lines},
	{NULL, NULL},
};
