// SPDX-License-Identifier: GPL-2.0-or-later
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "cleanup.h"
#include "nsec.h"
#include "page.h"
#include "quantity.h"

/* The example learners and the replay learner as processes: what they say on stdout and through the
 * page, that they stop when asked, and their exit statuses. The folder of the programs comes in
 * COREGOV_LEARNERS. */

#define DEADLINE_NS (30 * NSEC_PER_SEC) /* only so that a broken test ends */
#define OUTPUT_MAX 65536

struct training {
	pid_t pid;
	int out_fd; /* stdout and stderr */
	struct page *page;
	char environment[PAGE_ENVIRONMENT_MAX];
	char output[OUTPUT_MAX];
	size_t n_output;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void start(struct training *training, const char *program, const char *const arguments[])
{
	struct target target = {.metric = "loss", .value = -1, .in_a_row = 1};
	char path[4096], *argv[16] = {path};
	int pipe_fds[2];

	*training = (struct training){0};
	snprintf(path, sizeof(path), "%s/%s", getenv("COREGOV_LEARNERS"), program);
	for (size_t i = 0; arguments[i]; i++)
		argv[i + 1] = (char *)arguments[i];
	ck_assert_int_eq(
		page_new(&training->page, "t", &target, now_ns(), now_ns() + DEADLINE_NS, NULL), 0);
	ck_assert_int_eq(page_environment(training->page, -EBADF, training->environment,
				 sizeof(training->environment)),
		0);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	training->pid = fork();
	ck_assert_int_ge(training->pid, 0);
	if (training->pid == 0) {
		/* A failed test leaves nothing running. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipe_fds[1], STDOUT_FILENO);
		dup2(pipe_fds[1], STDERR_FILENO);
		putenv(training->environment);
		execv(path, argv);
		_exit(127);
	}
	close(pipe_fds[1]);
	training->out_fd = pipe_fds[0];
}

/* Reads what there is; false at the end. Waits, up to the deadline. */
static bool read_more(struct training *training)
{
	struct pollfd wanted = {.fd = training->out_fd, .events = POLLIN};
	ssize_t n;

	ck_assert_msg(poll(&wanted, 1, (int)(DEADLINE_NS / NSEC_PER_MSEC)) == 1,
		"nothing came; so far: %s", training->output);
	n = read(training->out_fd, training->output + training->n_output,
		OUTPUT_MAX - 1 - training->n_output);
	ck_assert_int_ge(n, 0);
	training->n_output += (size_t)n;
	ck_assert_uint_lt(training->n_output, OUTPUT_MAX - 1);
	return n > 0;
}

static int wait_for_end(struct training *training)
{
	int status;

	while (read_more(training))
		;
	ck_assert_int_eq(waitpid(training->pid, &status, 0), training->pid);
	ck_assert(WIFEXITED(status));
	close(training->out_fd);
	return WEXITSTATUS(status);
}

static void ask_to_stop(struct training *training)
{
	page_tell(training->page,
		&(struct page_news){.share_cpus = 1, .advised_threads = 1, .should_stop = true});
}

static const char rows[] = "cpu_seconds,loss\n"
			   "0.02,2.5\n0.0205,nan\n0.021,inf\n0.0400005,0.25\n0.1,-3e-5\n";

static void write_curve(char path[static 64], const char *text)
{
	_cleanup_fclose_ FILE *file = NULL;
	int fd;

	(void)suite_template(path);
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	file = fdopen(fd, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
}

START_TEST(replay_reports_the_rows)
{
	static const double losses[] = {2.5, NAN, INFINITY, 0.25, -3e-5};
	static const double cpu_seconds[] = {0.02, 0.0205, 0.021, 0.0400005, 0.1};
	struct report reports[16];
	struct training training;
	const char *line;
	char path[64];

	write_curve(path, rows);
	start(&training, "coregov-replay", (const char *const[]){path, NULL});
	ck_assert_int_eq(wait_for_end(&training), 0);
	ck_assert_uint_eq(page_read(training.page, now_ns(), reports, 16), ARRAY_LENGTH(losses));
	line = training.output;
	for (size_t i = 0; i < ARRAY_LENGTH(losses); i++) {
		double loss, used;
		size_t step, of;

		ck_assert_int_eq(
			sscanf(line, "step %zu/%zu loss %lf cpu %lfs", &step, &of, &loss, &used),
			4);
		ck_assert_uint_eq(step, i + 1);
		ck_assert_uint_eq(of, ARRAY_LENGTH(losses));
		ck_assert_mem_eq(&(bool){isnan(loss)}, &(bool){isnan(losses[i])}, sizeof(bool));
		ck_assert(isnan(loss) || !(fabs(loss - losses[i]) > 0));
		/* Never before its time; the line has microseconds, rounded down. */
		ck_assert_double_ge(used, cpu_seconds[i] - 1e-6);
		ck_assert_uint_eq(reports[i].step, i + 1);
		ck_assert_mem_eq(
			&(bool){isnan(reports[i].value)}, &(bool){isnan(losses[i])}, sizeof(bool));
		ck_assert(isnan(losses[i]) || !(fabs(reports[i].value - losses[i]) > 0));
		line = strchr(line, '\n') + 1;
	}
	ck_assert_str_eq(line, "");
	unlink(path);
	page_free(training.page);
}
END_TEST

START_TEST(replay_stops_when_asked)
{
	struct training training;
	char path[64];

	write_curve(path, "cpu_seconds,loss\n0.001,1\n100000,0.5\n");
	start(&training, "coregov-replay", (const char *const[]){path, NULL});
	ck_assert(read_more(&training));
	ask_to_stop(&training);
	ck_assert_int_eq(wait_for_end(&training), 0);
	ck_assert_ptr_null(strstr(training.output, "step 2/"));
	unlink(path);
	page_free(training.page);
}
END_TEST

START_TEST(replay_refuses_bad_curves)
{
	static const struct {
		const char *text, *sentence;
		int status;
	} cases[] = {
		{"cpu_seconds,loss\n2,1\n1,1\n", ":3: ", 65},
		{"cpu_seconds,loss\n", "", 65},
		{"", "", 65},
	};
	struct training training;
	char path[64];

	write_curve(path, cases[_i].text);
	start(&training, "coregov-replay", (const char *const[]){path, NULL});
	ck_assert_int_eq(wait_for_end(&training), cases[_i].status);
	ck_assert_msg(strstr(training.output, path) && strstr(training.output, cases[_i].sentence),
		"%s", training.output);
	unlink(path);
	page_free(training.page);
}
END_TEST

START_TEST(replay_says_how_to_use_it)
{
	static const struct {
		const char *arguments[3];
		int status;
	} cases[] = {{{"--help"}, 0}, {{"--rows"}, 64}, {{"a", "b"}, 64}, {{NULL}, 64}};
	struct training training;

	start(&training, "coregov-replay", cases[_i].arguments);
	ck_assert_int_eq(wait_for_end(&training), cases[_i].status);
	ck_assert_ptr_nonnull(strstr(training.output, "usage: coregov-replay CURVE.csv\n"));
	page_free(training.page);
}
END_TEST

static const char *const programs[] = {"boost", "factors", "gru", "mlp", "ngram", "softmax"};

START_TEST(learner_runs_its_steps)
{
	struct training first, second;
	struct progress_facts facts;
	struct report reports[16];
	static const char *const arguments[] = {
		"--steps", "5", "--report-every", "2", "--seed", "4", NULL};
	double loss;

	start(&first, programs[_i], arguments);
	ck_assert_int_eq(wait_for_end(&first), 0);
	/* The start, two rounds of two, and the end. */
	ck_assert_uint_eq(page_read(first.page, now_ns(), reports, 16), 4);
	ck_assert_uint_eq(reports[1].step, 2);
	ck_assert_uint_eq(reports[3].step, 5);
	ck_assert(isfinite(reports[3].value));
	page_facts(first.page, &facts);
	ck_assert_uint_eq(facts.steps_total, 5);
	ck_assert_int_eq(sscanf(first.output, "step 0/5 loss %lf cpu ", &loss), 1);
	ck_assert_double_eq_tol(loss, reports[0].value, 1e-7);

	start(&second, programs[_i], arguments);
	ck_assert_int_eq(wait_for_end(&second), 0);
	for (const char *one = first.output, *other = second.output; *one;) {
		size_t same = (size_t)(strstr(one, " cpu ") - one);

		ck_assert_msg(strncmp(one, other, same) == 0, "%s\n%s", one, other);
		one = strchr(one, '\n') + 1;
		other = strchr(other, '\n') + 1;
	}
	page_free(first.page);
	page_free(second.page);
}
END_TEST

START_TEST(learner_stops_when_asked)
{
	static const char *const arguments[] = {
		"--steps", "1000000000", "--report-every", "1000000000", NULL};
	struct training training;

	start(&training, programs[_i], arguments);
	ck_assert(read_more(&training));
	ask_to_stop(&training);
	ck_assert_int_eq(wait_for_end(&training), 0);
	ck_assert_uint_eq(strcspn(training.output, "\n") + 1, training.n_output);
	page_free(training.page);
}
END_TEST

START_TEST(learner_refuses_bad_input)
{
	static const struct {
		const char *arguments[3], *sentence;
		int status;
	} cases[] = {
		{{"--steps", "many"}, "softmax: --steps: 'many' is not a number\n", 64},
		{{"--data", "/nowhere"},
			"softmax: read '/nowhere/digits.csv': No such file or directory\n", 1},
	};
	struct training training;

	start(&training, "softmax", cases[_i].arguments);
	ck_assert_int_eq(wait_for_end(&training), cases[_i].status);
	ck_assert_str_eq(training.output, cases[_i].sentence);
	page_free(training.page);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("training");
	TCase *tcase = tcase_create("all");

	if (!getenv("COREGOV_LEARNERS") || !getenv("COREGOV_DATA")) {
		fprintf(stderr, "set COREGOV_LEARNERS and COREGOV_DATA (meson test does)\n");
		return EXIT_FAILURE;
	}
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, replay_reports_the_rows);
	tcase_add_test(tcase, replay_stops_when_asked);
	tcase_add_loop_test(tcase, replay_refuses_bad_curves, 0, 3);
	tcase_add_loop_test(tcase, replay_says_how_to_use_it, 0, 4);
	tcase_add_loop_test(tcase, learner_runs_its_steps, 0, ARRAY_LENGTH(programs));
	tcase_add_loop_test(tcase, learner_stops_when_asked, 0, ARRAY_LENGTH(programs));
	tcase_add_loop_test(tcase, learner_refuses_bad_input, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
