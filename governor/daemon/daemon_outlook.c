// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon_internal.h"
#include "nsec.h"

/* Who will make it: by the forecast of the task's own curve, and the policy's word. What changes about that
 * is told (outlook.c says when), with the numbers that it comes from. */

/* A task with such a chance, or a better one, is told to be likely to make it. */
#define LIKELY_CHANCE 0.5

/* More than that is as good as never, and too long for a sentence. */
#define NEED_MOST_S 1e9

#define SENTENCE_MAX 320

const char *prospect_to_string(enum prospect prospect)
{
	static const char *const words[] = {
		[PROSPECT_UNKNOWN] = "unknown",
		[PROSPECT_LIKELY] = "likely",
		[PROSPECT_UNLIKELY] = "unlikely",
	};

	return words[prospect];
}

/* The CPU time that it can have until its deadline, as far as it can use it. */
static double left_cpu_s(
	const struct daemon *daemon, const struct member *member, const struct task_status *status)
{
	double left_s = nsec_to_seconds(
		nsec_sub(daemon_deadline_ns(daemon, &member->deadline), daemon_now_ns(daemon)));

	return left_s * fmin(status->counted_cpus, daemon->setup.budget_cpus);
}

static const struct forecast *forecast_of(
	const struct daemon *daemon, struct member *member, const struct task_status *status)
{
	if (member->forecast_reports != status->n_reports) {
		governor_forecast(daemon->governor, member->seat, &member->forecast);
		member->forecast_reports = status->n_reports;
	}
	return &member->forecast;
}

/* The chance that a task reaches its target in time, if it has all that it can use. */
static double chance_of(const struct forecast *forecast, double cpu_s, double left_s)
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	uint32_t n;

	if (!(left_s > 0))
		return 0;
	n = forecast_from_now(forecast, cpu_s, left_s, need_s, chance);
	return n > 0 ? chance[n - 1] : 0;
}

/* The CPU time with which it would be likely; INFINITY where none is enough. */
static double need_cpu_s(const struct forecast *forecast, double cpu_s)
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	double before_s = 0, before = 0;
	uint32_t n = forecast_from_now(forecast, cpu_s, INFINITY, need_s, chance);

	for (uint32_t i = 0; i < n; i++) {
		if (chance[i] >= LIKELY_CHANCE)
			return before_s +
				(need_s[i] - before_s) * (LIKELY_CHANCE - before) /
				(chance[i] - before);
		before_s = need_s[i];
		before = chance[i];
	}
	return INFINITY;
}

static struct outlook_numbers numbers_by(
	const struct member *member, const struct forecast *forecast, double cpu_s, double left_s)
{
	bool has_deadline = member->deadline.at_ns != DAEMON_NO_DEADLINE;

	return (struct outlook_numbers){
		.chance = chance_of(forecast, cpu_s, left_s),
		.need_s = need_cpu_s(forecast, cpu_s),
		.left_s = has_deadline ? left_s : INFINITY,
	};
}

struct outlook_numbers daemon_outlook_numbers(
	const struct daemon *daemon, struct member *member, const struct task_status *status)
{
	static const struct outlook_numbers none = {.chance = NAN, .need_s = NAN, .left_s = NAN};

	if (!member->has_target || status->n_reports == 0)
		return none;
	/* What it has reported now says that it is there. */
	if (status->outcome == OUTCOME_LEARNED)
		return member->look.has_forecast ? numbers_by(member, &member->forecast,
							   member->look.cpu_s, member->look.left_s)
						 : none;
	return numbers_by(member, forecast_of(daemon, member, status),
		nsec_to_seconds(status->cpu_ns), left_cpu_s(daemon, member, status));
}

static bool is_same_command(const struct member *a, const struct member *b)
{
	size_t i = 0;

	if (a->owner != b->owner || strcmp(a->directory, b->directory) != 0)
		return false;
	while (a->argv[i] && b->argv[i] && strcmp(a->argv[i], b->argv[i]) == 0)
		i++;
	return !a->argv[i] && !b->argv[i];
}

/* The newest that says something. */
void daemon_look_back(struct daemon *daemon, struct member *member)
{
	member->prior = (struct prior){0};
	for (size_t i = daemon->members.n; member->has_target && i > 0; i--) {
		const struct member *before = daemon->members.all[i - 1];
		const struct prior_run run = {
			.target = before->target,
			.outcome = before->last.outcome,
			.cpu_s = nsec_to_seconds(before->last.cpu_ns),
		};

		if (before->seat == MEMBER_NO_SEAT && before->has_target &&
			is_same_command(before, member) &&
			prior_of_run(&run, &member->target, &member->prior))
			return;
	}
}

/* What it has reported says more than what another run has. */
static enum prospect prospect_at_first(
	const struct daemon *daemon, const struct member *member, const struct task_status *status)
{
	bool has_deadline = member->deadline.at_ns != DAEMON_NO_DEADLINE;

	return prior_prospect(
		&member->prior, has_deadline ? left_cpu_s(daemon, member, status) : INFINITY);
}

/* The policy has the last word: what it has written off gets too little, whatever it could do. */
enum prospect daemon_prospect(
	const struct daemon *daemon, struct member *member, const struct task_status *status)
{
	if (!member->has_target || status->outcome != OUTCOME_NONE)
		return PROSPECT_UNKNOWN;
	if (status->n_reports == 0)
		return prospect_at_first(daemon, member, status);
	if (status->why == WHY_WRITTEN_OFF)
		return PROSPECT_UNLIKELY;
	return chance_of(forecast_of(daemon, member, status), nsec_to_seconds(status->cpu_ns),
		       left_cpu_s(daemon, member, status)) >= LIKELY_CHANCE
		? PROSPECT_LIKELY
		: PROSPECT_UNLIKELY;
}

static void tell_prospect(
	struct daemon *daemon, struct member *member, const struct task_status *status)
{
	bool is_unlikely = member->outlook.is_told_unlikely;
	bool has_deadline = member->deadline.at_ns != DAEMON_NO_DEADLINE;
	struct outlook_numbers numbers = daemon_outlook_numbers(daemon, member, status);
	char text[SENTENCE_MAX];
	int n = snprintf(text, sizeof(text), "%s to reach its target%s: chance %.2f at best, ",
		is_unlikely ? "unlikely" : "likely again", has_deadline ? " in time" : "",
		numbers.chance);

	if (numbers.need_s < NEED_MOST_S)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "needs about %.1f s of CPU time",
			numbers.need_s);
	else
		n += snprintf(
			text + n, sizeof(text) - (size_t)n, "no CPU time is likely to be enough");
	if (has_deadline)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			", and can have %.1f s of it until its deadline", numbers.left_s);
	if (status->why == WHY_WRITTEN_OFF)
		(void)snprintf(text + n, sizeof(text) - (size_t)n,
			"; the policy gives it what others leave");
	daemon_tell_event(daemon, member, is_unlikely ? "unlikely" : "likely", text);
}

static void tell_unheard(
	struct daemon *daemon, struct member *member, const struct task_status *status)
{
	char text[SENTENCE_MAX];

	(void)snprintf(text, sizeof(text),
		"unheard: it has used %.1f s of CPU time and not reported its %s; see --feed in "
		"coregov-run(1)",
		nsec_to_seconds(status->cpu_ns), member->target.metric);
	daemon_tell_event(daemon, member, "unheard", text);
	member->has_gone_unheard = true;
}

/* For what is told of it once it has learned. */
static void keep_look(
	const struct daemon *daemon, struct member *member, const struct task_status *status)
{
	if (!member->has_target || status->outcome != OUTCOME_NONE)
		return;
	member->look.has_forecast = member->forecast_reports > 0;
	member->look.cpu_s = nsec_to_seconds(status->cpu_ns);
	member->look.left_s = left_cpu_s(daemon, member, status);
}

void daemon_look_ahead(struct daemon *daemon, struct member *member, uint64_t now_ns)
{
	struct outlook_look look = {.now_ns = now_ns};
	struct task_status status;

	governor_task_status(daemon->governor, member->seat, &status);
	look.age_ns = nsec_sub(now_ns, daemon->bundle.tasks[member->seat].begin_ns);
	look.cpu_ns = status.cpu_ns;
	look.is_expected = member->has_target && status.outcome == OUTCOME_NONE;
	look.n_reports = status.n_reports;
	/* What it was thought to be at first has been told to whoever started it. */
	look.prospect = status.n_reports > 0 ? daemon_prospect(daemon, member, &status)
					     : PROSPECT_UNKNOWN;
	keep_look(daemon, member, &status);
	look.unheard_cpu_ns = daemon->setup.unheard_cpu_ns > 0 ? daemon->setup.unheard_cpu_ns
							       : OUTLOOK_UNHEARD_CPU_NS;
	switch (outlook_look(&member->outlook, &look)) {
	case OUTLOOK_UNLIKELY:
	case OUTLOOK_LIKELY:
		tell_prospect(daemon, member, &status);
		break;
	case OUTLOOK_UNHEARD:
		tell_unheard(daemon, member, &status);
		break;
	case OUTLOOK_NOTHING:
		break;
	}
}
