// SPDX-License-Identifier: GPL-2.0-or-later
#define SD_JOURNAL_SUPPRESS_LOCATION /* ours say nothing to users */

#include "journal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cleanup.h"
#include "monotonic.h"
#include "nsec.h"

#define PAUSE_NS (10 * NSEC_PER_SEC)
#define FIELDS_MAX 20
#define FIELD_TEXT_MAX 1280

/* coregov.catalog has a text for each. */
static const struct {
	const char *kind, *message_id;
	int priority;
} kinds[] = {
	{"start", "3d43a1a9109f4f3eabf7067bac458ad8", LOG_INFO},
	{"adopted", "95d1f342ff604c72aaa2f964a8b7de32", LOG_INFO},
	{"share", "a2b520f17c70439f84a228d555f1435e", LOG_INFO},
	{"learned", "bbb652f7919943a9babb5a3bbf793a4e", LOG_INFO},
	{"missed-deadline", "a44109987c5c443bbd767c1d35dfeeb3", LOG_WARNING},
	{"missed-target", "bef93f93e0ce44a2b6fb9044125ebed6", LOG_WARNING},
	{"failed", "b365e6faa2a74cfcaac58fe2a98e8352", LOG_WARNING},
	{"cancelled", "e9da0895e68242a4a4786df702062b79", LOG_INFO},
	{"end", "036a89a011c34492a9b21ce691c526c1", LOG_INFO},
	{"set", "00de685515384ac48602f75d81062a36", LOG_INFO},
	{"paused", "b5d91de688de46e19c8da835367b99c4", LOG_INFO},
	{"resumed", "e992667eb25547d3a79042ad7250358c", LOG_INFO},
	{"unlikely", "d617ec22b2d04cf0ba317dc2ab6f7bf0", LOG_NOTICE},
	{"likely", "f31842e4b68e4f28b74bb00c79672591", LOG_INFO},
	{"unheard", "945665879cf74ab5a6be1ad7068470a9", LOG_WARNING},
	{"enforce", "304fc81cec5d419d8c03a9fa7aaee82a", LOG_WARNING},
	{"foreign", "e60628031b8744e186eff74a2dc76024", LOG_WARNING},
	{"excess", "41b159532b904b5b9002f52e41878aa9", LOG_WARNING},
	{"meter", "803b46fbb8aa466d9cf479fc6d9258e3", LOG_WARNING},
};

static struct {
	uint64_t told_ns; /* 0: never */
	unsigned n_untold;
} told[ARRAY_LENGTH(kinds)];

const char *journal_message_id(const char *kind)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].message_id;
	return NULL;
}

/* systemd names the stream that it has made, so that what is written to it can be told from a file's. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat stat;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		fstat(fd, &stat) == 0 && stat.st_dev == device && stat.st_ino == inode;
}

/* How many were left out since, or -1: this one is, too. */
static int n_left_out(size_t kind, bool is_of_task)
{
	uint64_t now = monotonic_ns();
	int n;

	if (is_of_task)
		return 0;
	if (told[kind].told_ns > 0 && now - told[kind].told_ns < PAUSE_NS) {
		told[kind].n_untold++;
		return -1;
	}
	n = (int)told[kind].n_untold;
	told[kind].told_ns = now;
	told[kind].n_untold = 0;
	return n;
}

struct fields {
	char texts[FIELDS_MAX][FIELD_TEXT_MAX];
	struct iovec vectors[FIELDS_MAX];
	int n;
};

__attribute__((format(printf, 2, 3))) static void add(
	struct fields *fields, const char *format, ...)
{
	char *text = fields->texts[fields->n];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, FIELD_TEXT_MAX, format, args);
	va_end(args);
	fields->vectors[fields->n++] = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

static void add_number(struct fields *fields, const char *name, double value)
{
	if (isfinite(value))
		add(fields, "%s=%.9g", name, value);
}

static void send(size_t kind, const struct daemon_event *event, const char *sentence)
{
	struct fields fields = {.n = 0};

	add(&fields, "MESSAGE=%s", sentence);
	add(&fields, "MESSAGE_ID=%s", kinds[kind].message_id);
	add(&fields, "PRIORITY=%d", kinds[kind].priority);
	add(&fields, "COREGOV_REASON=%s", event->text);
	add(&fields, "COREGOV_EVENT=%s", event->kind);
	if (event->number > 0) {
		add(&fields, "COREGOV_TASK=%s", event->name);
		add(&fields, "COREGOV_NUMBER=%" PRIu64, event->number);
		add(&fields, "COREGOV_OWNER_UID=%u", (unsigned)event->owner);
		add(&fields, "COREGOV_SLOT=%" PRIu64, event->slot);
		add_number(&fields, "COREGOV_SHARE", event->share_cpus);
		add_number(&fields, "COREGOV_OLD_SHARE", event->old_share_cpus);
		add_number(&fields, "COREGOV_LOSS", event->value);
		add_number(&fields, "COREGOV_CPU_SECONDS", nsec_to_seconds(event->cpu_ns));
		add_number(&fields, "COREGOV_CHANCE", event->chance);
		add_number(&fields, "COREGOV_NEED_SECONDS", event->need_s);
		add_number(&fields, "COREGOV_LEFT_SECONDS", event->left_s);
	}
	(void)sd_journal_sendv(fields.vectors, fields.n);
}

void journal_event(const struct daemon_event *event)
{
	bool is_in_text = strncmp(event->text, event->kind, strlen(event->kind)) == 0;
	char sentence[FIELD_TEXT_MAX - 16];
	size_t kind = 0;
	int n, left_out;

	while (kind < ARRAY_LENGTH(kinds) && strcmp(kinds[kind].kind, event->kind) != 0)
		kind++;
	if (kind == ARRAY_LENGTH(kinds))
		return;
	left_out = n_left_out(kind, event->number > 0);
	if (left_out < 0)
		return;
	if (event->number > 0)
		n = snprintf(sentence, sizeof(sentence), "task %s: %s%s%s", event->name,
			is_in_text ? "" : event->kind, is_in_text ? "" : ": ", event->text);
	else
		n = snprintf(sentence, sizeof(sentence), "%s: %s", event->kind, event->text);
	if (left_out > 0 && n > 0 && (size_t)n < sizeof(sentence))
		(void)snprintf(sentence + n, sizeof(sentence) - (size_t)n,
			" (and %d more times since it was told last)", left_out);
	if (is_journal(STDERR_FILENO))
		send(kind, event, sentence);
	else
		(void)fprintf(stderr, "%s\n", sentence);
}
