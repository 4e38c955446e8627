// SPDX-License-Identifier: GPL-2.0-or-later
#include "progress.h"

#include <math.h>
#include <sys/ioctl.h>

#include "human.h"
#include "nsec.h"

/* A bar, the part in per cent, how many of how many, the rate, the time that is left. All of it from the
 * mean rate so far: pieces of work differ, and a rate of the last second would make the time jump. */

#define DELAY_NS (500 * NSEC_PER_MSEC)
#define APART_NS (100 * NSEC_PER_MSEC)
#define BAR_WIDTH 20
#define COLUMNS_DEFAULT 80

void progress_text(char ret_text[static PROGRESS_TEXT_MAX], const char *what, size_t n_done,
	size_t n_all, double seconds, unsigned columns)
{
	size_t all = n_all > 0 ? n_all : 1;
	double rate = seconds > 0 ? (double)n_done / seconds : 0;
	int filled = (int)(n_done * BAR_WIDTH / all);
	char left[HUMAN_TEXT_MAX] = "", rate_text[32];
	size_t room = columns < PROGRESS_TEXT_MAX ? columns + 1 : PROGRESS_TEXT_MAX;

	(void)snprintf(rate_text, sizeof(rate_text), rate < 10 ? "%.2g" : "%.0f", rate);
	if (rate > 0)
		(void)format_span(
			left, (uint64_t)fmin((double)(n_all - n_done) / rate, 1e9) * NSEC_PER_SEC);
	(void)snprintf(ret_text, room, "%.*s%.*s %3zu %%  %zu of %zu %s, %s/s%s%s", filled,
		"####################", BAR_WIDTH - filled, "--------------------",
		100 * n_done / all, n_done, n_all, what, rate_text, rate > 0 ? ", left: " : "",
		left);
}

static unsigned columns_of(FILE *to)
{
	struct winsize size = {0};

	(void)ioctl(fileno(to), TIOCGWINSZ, &size);
	/* The last column stays free: a terminal may wrap when it is written to. */
	return (size.ws_col > 1 ? size.ws_col : COLUMNS_DEFAULT) - 1;
}

void progress_look(struct progress *progress, size_t n_done, uint64_t now_ns)
{
	char text[PROGRESS_TEXT_MAX];

	if (!progress->to || nsec_sub(now_ns, progress->start_ns) < DELAY_NS ||
		nsec_sub(now_ns, progress->drawn_ns) < APART_NS)
		return;
	progress->drawn_ns = now_ns;
	progress->is_drawn = true;
	progress_text(text, progress->what, n_done, progress->n_all,
		nsec_to_seconds(nsec_sub(now_ns, progress->start_ns)), columns_of(progress->to));
	(void)fprintf(progress->to, "\r%s\x1b[K", text);
	(void)fflush(progress->to);
}

void progress_hide(struct progress *progress)
{
	if (!progress->is_drawn)
		return;
	progress->is_drawn = false;
	(void)fputs("\r\x1b[K", progress->to);
	(void)fflush(progress->to);
}
