// SPDX-License-Identifier: GPL-2.0-or-later
#define SD_JOURNAL_SUPPRESS_LOCATION /* ours say nothing to users */

#include "journal.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "cleanup.h"
#include "journal_limit.h"
#include "monotonic.h"
#include "nsec.h"

#define PAUSE_NS (10 * NSEC_PER_SEC)
#define FIELDS_MAX 24
#define FIELD_TEXT_MAX 1280

/* coregov.catalog has a text for each, coregovd(8) an item. */
static const struct {
	const char *kind, *message_id;
	int priority;
	enum {
		LIMITED_NOT,   /* it comes with the governor's life */
		LIMITED_AGAIN, /* again and again: of the whole only now and then */
		LIMITED_ASKED, /* these three are of a user's, see journal_limit.h */
		LIMITED_LIFE,
		LIMITED_OUTCOME,
	} limited;
} kinds[] = {
	/* Of a task. */
	{"start", "3d43a1a9109f4f3eabf7067bac458ad8", LOG_INFO, LIMITED_LIFE},
	{"adopted", "95d1f342ff604c72aaa2f964a8b7de32", LOG_INFO, LIMITED_NOT},
	{"not-adopted", "b412be77df604c8d8922e7d91913677e", LOG_WARNING, LIMITED_NOT},
	{"stranger", "14301e48da214574bab64797ae352d39", LOG_WARNING, LIMITED_NOT},
	{"page-lost", "549a528068c34831a3e02732d4bd2ca9", LOG_WARNING, LIMITED_NOT},
	{"share", "a2b520f17c70439f84a228d555f1435e", LOG_INFO, LIMITED_LIFE},
	{"learned", "bbb652f7919943a9babb5a3bbf793a4e", LOG_INFO, LIMITED_OUTCOME},
	{"missed-deadline", "a44109987c5c443bbd767c1d35dfeeb3", LOG_WARNING, LIMITED_OUTCOME},
	{"missed-target", "bef93f93e0ce44a2b6fb9044125ebed6", LOG_WARNING, LIMITED_OUTCOME},
	{"failed", "b365e6faa2a74cfcaac58fe2a98e8352", LOG_WARNING, LIMITED_OUTCOME},
	{"cancelled", "e9da0895e68242a4a4786df702062b79", LOG_INFO, LIMITED_LIFE},
	{"stopping", "54d08ae1709c4599aed34cac30116714", LOG_INFO, LIMITED_LIFE},
	{"end", "036a89a011c34492a9b21ce691c526c1", LOG_INFO, LIMITED_LIFE},
	{"set", "00de685515384ac48602f75d81062a36", LOG_INFO, LIMITED_ASKED},
	{"paused", "b5d91de688de46e19c8da835367b99c4", LOG_INFO, LIMITED_ASKED},
	{"resumed", "e992667eb25547d3a79042ad7250358c", LOG_INFO, LIMITED_ASKED},
	{"unlikely", "d617ec22b2d04cf0ba317dc2ab6f7bf0", LOG_NOTICE, LIMITED_OUTCOME},
	{"likely", "f31842e4b68e4f28b74bb00c79672591", LOG_INFO, LIMITED_OUTCOME},
	{"unheard", "945665879cf74ab5a6be1ad7068470a9", LOG_WARNING, LIMITED_OUTCOME},
	/* Of the governor. What is limited there is by whom it was asked for. */
	{"ready", "cba001e5f3b2452bb79e7dcd4df6a126", LOG_INFO, LIMITED_NOT},
	{"ending", "dc0758691efa486292c77e41033926da", LOG_INFO, LIMITED_NOT},
	{"gave-up", "6da95b71a8cf4f688fb6c41df026e96c", LOG_ERR, LIMITED_NOT},
	{"chosen", "f9ac011c64614c7786f76c160442c010", LOG_INFO, LIMITED_NOT},
	{"moved", "c6f90c7a8e9b4e928c60f6ec301c11bc", LOG_WARNING, LIMITED_NOT},
	{"budget", "5c797a6442e34efda6011e6dfe1eb48a", LOG_INFO, LIMITED_OUTCOME},
	{"policy", "01188c0c23ac4777b4bf0a0459b0f348", LOG_INFO, LIMITED_OUTCOME},
	{"draining", "8fd49f6f6dce40d4b7b0cc22c175a6fd", LOG_INFO, LIMITED_OUTCOME},
	{"accepting", "767d30454c8b48a4abbddcd2696ec79e", LOG_INFO, LIMITED_OUTCOME},
	{"reloaded", "3cf5d51492c04d8b923014118b1d608a", LOG_INFO, LIMITED_OUTCOME},
	{"not-reloaded", "d4ce10d426ee4c7ba4a7fbe3356e111f", LOG_WARNING, LIMITED_OUTCOME},
	{"ignored", "ff2c2a2ed9fc41dfb22da9e0a6e52722", LOG_WARNING, LIMITED_NOT},
	{"waits", "7b64b3da22444ac8b07b025cb70360f3", LOG_NOTICE, LIMITED_OUTCOME},
	{"not-kept", "0599d21c32ab45bdbad3404dd3e76813", LOG_WARNING, LIMITED_NOT},
	{"bus-lost", "f72fff0c523a4f508966d51b15b45996", LOG_WARNING, LIMITED_NOT},
	{"bus-back", "f3c54424a62048a397cf1c2f001e7360", LOG_INFO, LIMITED_NOT},
	{"no-polkit", "98985a4125594eb59c253689d75a18c9", LOG_NOTICE, LIMITED_NOT},
	{"log-level", "3ec09dcc83444b06bb97f78140210607", LOG_NOTICE, LIMITED_OUTCOME},
	{"left-out", "2caa8263291945a49497e0fc2c23855d", LOG_NOTICE, LIMITED_NOT},
	{"confined", "6de08087e6fa486298dd928a14178dcc", LOG_NOTICE, LIMITED_LIFE},
	{"enforce", "304fc81cec5d419d8c03a9fa7aaee82a", LOG_WARNING, LIMITED_AGAIN},
	{"foreign", "e60628031b8744e186eff74a2dc76024", LOG_WARNING, LIMITED_AGAIN},
	{"excess", "41b159532b904b5b9002f52e41878aa9", LOG_WARNING, LIMITED_AGAIN},
	/* Of a task, too: then each is told. */
	{"meter", "803b46fbb8aa466d9cf479fc6d9258e3", LOG_WARNING, LIMITED_AGAIN},
	{"slot", "08d045ad248c48f9bd92365bb23efdb9", LOG_DEBUG, LIMITED_NOT},
};

static struct {
	uint64_t told_ns; /* 0: never */
	unsigned n_untold;
} told[ARRAY_LENGTH(kinds)];

static struct limit limit;
static int max_level = LOG_INFO;

/* ARRAY_LENGTH(kinds) where there is none. */
static size_t find_kind(const char *kind)
{
	size_t i = 0;

	while (i < ARRAY_LENGTH(kinds) && strcmp(kinds[i].kind, kind) != 0)
		i++;
	return i;
}

const char *journal_message_id(const char *kind)
{
	size_t i = find_kind(kind);

	return i < ARRAY_LENGTH(kinds) ? kinds[i].message_id : NULL;
}

void journal_set_level(int level)
{
	max_level = level;
}

int journal_level(void)
{
	return max_level;
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

bool journal_is_there(void)
{
	return is_journal(STDERR_FILENO);
}

/* How many were left out since, or -1: this one is, too. */
static int n_left_out(size_t kind, uint64_t now_ns)
{
	int n;

	if (told[kind].told_ns > 0 && now_ns - told[kind].told_ns < PAUSE_NS) {
		told[kind].n_untold++;
		return -1;
	}
	n = (int)told[kind].n_untold;
	told[kind].told_ns = now_ns;
	told[kind].n_untold = 0;
	return n;
}

/* May the user cause one more? Of what nobody has asked for, and is nobody's, there is no end. */
static bool is_within_limit(const struct daemon_event *event, size_t kind, uint64_t now_ns)
{
	static const enum limit_rank ranks[] = {
		[LIMITED_ASKED] = LIMIT_RANK_ASKED,
		[LIMITED_LIFE] = LIMIT_RANK_LIFE,
		[LIMITED_OUTCOME] = LIMIT_RANK_OUTCOME,
	};
	size_t line = event->before ? find_kind(event->before) : kind;
	uid_t uid = event->has_sender ? event->sender : event->owner;

	if (line == ARRAY_LENGTH(kinds) || kinds[line].limited < LIMITED_ASKED ||
		(!event->has_sender && event->number == 0))
		return true;
	if (limit_take(&limit, uid,
		    event->comes_later ? LIMIT_RANK_LATER : ranks[kinds[line].limited], now_ns))
		return true;
	if (!event->comes_later)
		limit_leave_out(&limit, uid, now_ns);
	return false;
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

static void add_task(struct fields *fields, const struct daemon_event *event)
{
	add(fields, "COREGOV_NUMBER=%" PRIu64, event->number);
	add(fields, "COREGOV_OWNER_UID=%u", (unsigned)event->owner);
	add(fields, "COREGOV_SLOT=%" PRIu64, event->slot);
	add_number(fields, "COREGOV_SHARE", event->share_cpus);
	add_number(fields, "COREGOV_OLD_SHARE", event->old_share_cpus);
	add_number(fields, "COREGOV_LOSS", event->value);
	add_number(fields, "COREGOV_CPU_SECONDS", nsec_to_seconds(event->cpu_ns));
	add_number(fields, "COREGOV_CHANCE", event->chance);
	add_number(fields, "COREGOV_NEED_SECONDS", event->need_s);
	add_number(fields, "COREGOV_LEFT_SECONDS", event->left_s);
}

/* What is otherwise about the governor. */
static void add_change(struct fields *fields, const struct daemon_event *event)
{
	if (event->budget_cpus > 0)
		add_number(fields, "COREGOV_BUDGET", event->budget_cpus);
	if (event->old_budget_cpus > 0)
		add_number(fields, "COREGOV_OLD_BUDGET", event->old_budget_cpus);
	if (event->policy)
		add(fields, "COREGOV_POLICY=%s", event->policy);
	if (event->old_policy)
		add(fields, "COREGOV_OLD_POLICY=%s", event->old_policy);
}

static void add_slot(struct fields *fields, const struct daemon_slot *made)
{
	add(fields, "COREGOV_SLOT=%" PRIu64, made->slot);
	add(fields, "COREGOV_TASKS=%" PRIu32, made->n_tasks);
	add(fields, "COREGOV_CHOSEN=%" PRIu32, made->n_chosen);
	add_number(fields, "COREGOV_GRANTED", made->granted_cpus);
	add_number(fields, "COREGOV_USED", made->used_cpus);
	add_number(fields, "COREGOV_BUDGET", made->budget_cpus);
	add_number(fields, "COREGOV_LATE_SECONDS", nsec_to_seconds(made->late_ns));
	add(fields, "COREGOV_GRANTS_CHANGED=%" PRIu64, made->n_changed);
}

static void add_line(struct fields *fields, size_t kind, const char *sentence, const char *text)
{
	add(fields, "MESSAGE=%s", sentence);
	add(fields, "MESSAGE_ID=%s", kinds[kind].message_id);
	add(fields, "PRIORITY=%d", kinds[kind].priority);
	add(fields, "COREGOV_REASON=%s", text);
	add(fields, "COREGOV_EVENT=%s", kinds[kind].kind);
}

static void send(size_t kind, const struct daemon_event *event, const char *sentence)
{
	struct fields fields = {.n = 0};

	add_line(&fields, kind, sentence, event->text);
	if (event->has_sender && !event->before)
		add(&fields, "COREGOV_SENDER_UID=%u", (unsigned)event->sender);
	if (event->name)
		add(&fields, "COREGOV_TASK=%s", event->name);
	if (event->number > 0)
		add_task(&fields, event);
	add_change(&fields, event);
	if (event->made)
		add_slot(&fields, event->made);
	(void)sd_journal_sendv(fields.vectors, fields.n);
}

bool journal_event(const struct daemon_event *event)
{
	/* A sentence that begins with its kind needs no other word before it. */
	bool is_in_text = strncmp(event->text, event->kind, strlen(event->kind)) == 0;
	char sentence[FIELD_TEXT_MAX - 16];
	size_t kind = find_kind(event->kind);
	uint64_t now_ns = monotonic_ns();
	int n, left_out = 0;

	/* What is not wanted is not left out. */
	if (kind == ARRAY_LENGTH(kinds) || kinds[kind].priority > max_level)
		return true;
	if (!event->name && kinds[kind].limited == LIMITED_AGAIN)
		left_out = n_left_out(kind, now_ns);
	if (left_out < 0 || !is_within_limit(event, kind, now_ns))
		return false;
	n = snprintf(sentence, sizeof(sentence), "%s%s%s%s%s%s", event->name ? "task " : "",
		event->name ? event->name : "", event->name ? ": " : "",
		is_in_text ? "" : event->kind, is_in_text ? "" : ": ", event->text);
	if (left_out > 0 && n > 0 && (size_t)n < sizeof(sentence))
		(void)snprintf(sentence + n, sizeof(sentence) - (size_t)n,
			" (and %d more times since it was told last)", left_out);
	if (is_journal(STDERR_FILENO))
		send(kind, event, sentence);
	else
		(void)fprintf(stderr, "%s\n", sentence);
	return true;
}

uint64_t journal_due_ns(void)
{
	return limit_due_ns(&limit);
}

static void tell_left_out(uid_t uid, uint64_t n_left_out)
{
	size_t kind = find_kind("left-out");
	struct fields fields = {.n = 0};
	char sentence[256];

	(void)snprintf(sentence, sizeof(sentence),
		"left-out: %" PRIu64 " line%s that user %u has caused: more than %d at once, and "
		"%d a second after that",
		n_left_out, n_left_out == 1 ? "" : "s", (unsigned)uid, LIMIT_LINES,
		LIMIT_PER_SECOND);
	if (!is_journal(STDERR_FILENO)) {
		(void)fprintf(stderr, "%s\n", sentence);
		return;
	}
	add_line(&fields, kind, sentence, sentence);
	add(&fields, "COREGOV_OWNER_UID=%u", (unsigned)uid);
	add(&fields, "COREGOV_LEFT_OUT=%" PRIu64, n_left_out);
	(void)sd_journal_sendv(fields.vectors, fields.n);
}

void journal_tell_left_out(bool is_end)
{
	uint64_t now_ns = is_end ? UINT64_MAX : monotonic_ns(), n_left_out;
	uid_t uid;

	while (limit_next_due(&limit, now_ns, &uid, &n_left_out))
		if (kinds[find_kind("left-out")].priority <= max_level)
			tell_left_out(uid, n_left_out);
}
