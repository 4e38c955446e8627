// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"
#include "output.h"
#include "preset.h"

/* hear [--metric M] [--preset P] [--reports N] [--needs TEST]... COMMAND...
 *
 * Runs a training and listens to it as the governor does, then prints the preset it locked to, the
 * number of reports, and the first and the last value. Exit status 1 where it is not preset P, where
 * there are fewer than N reports, or where the last value is not below the first; 77 where a shell
 * command TEST fails: what it needs is not on this machine. */

#define SECONDS_MAX 100
#define FAILED 1
#define SKIPPED 77

struct heard {
	uint64_t n_reports;
	double first, last;
};

struct options {
	struct target target;
	const char *preset;
	unsigned long n_reports;
};

static void say_and_exit(int status, const char *what, const char *why)
{
	(void)printf("%s: %s\n", what, why);
	exit(status);
}

static pid_t start(const struct output *output, char *argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		(void)dup2(output_task_fd(output, 1), STDOUT_FILENO);
		(void)dup2(output_task_fd(output, 2), STDERR_FILENO);
		(void)setenv("PYTHONUNBUFFERED", "1", 1);
		(void)setenv("OMP_NUM_THREADS", "1", 1);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static void take_reports(struct output *output, struct heard *heard)
{
	struct report reports[64];
	size_t n;

	while ((n = output_read(output, reports, ARRAY_LENGTH(reports))) > 0) {
		if (heard->n_reports == 0)
			heard->first = reports[0].value;
		heard->last = reports[n - 1].value;
		heard->n_reports += n;
	}
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Until both streams have ended. Nothing waits for a destination: there is none. */
static int listen_to(struct output *output, struct heard *heard)
{
	uint64_t deadline_ns = clock_ns() + SECONDS_MAX * NSEC_PER_SEC;

	while (output_poll_fd(output, 1) >= 0 || output_poll_fd(output, 2) >= 0) {
		struct pollfd streams[2] = {
			{.fd = output_poll_fd(output, 1), .events = POLLIN},
			{.fd = output_poll_fd(output, 2), .events = POLLIN},
		};

		if (poll(streams, 2, 1000) < 0)
			return -errno;
		for (int i = 0; i < 2; i++)
			if (streams[i].revents != 0)
				(void)output_readable(output, i + 1, clock_ns());
		take_reports(output, heard);
		if (clock_ns() > deadline_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

static struct options read_options(int argc, char *argv[])
{
	static const struct option names[] = {
		{"metric", required_argument, NULL, 'm'},
		{"preset", required_argument, NULL, 'p'},
		{"reports", required_argument, NULL, 'r'},
		{"needs", required_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.target = {.metric = "loss", .in_a_row = 1}};
	int option;

	while ((option = getopt_long(argc, argv, "+", names, NULL)) >= 0) {
		if (option == 'm')
			(void)snprintf(
				options.target.metric, sizeof(options.target.metric), "%s", optarg);
		else if (option == 'p')
			options.preset = optarg;
		else if (option == 'r')
			options.n_reports = strtoul(optarg, NULL, 10);
		else if (option != 'n')
			exit(64);
		else if (system(optarg) != 0)
			say_and_exit(SKIPPED, "skipped, this fails", optarg);
	}
	if (optind == argc)
		say_and_exit(64, "usage", "hear [OPTION]... COMMAND...");
	return options;
}

static int judge(
	const struct options *options, struct output *output, const struct heard *heard, int status)
{
	const char *preset = output_preset(output);

	(void)printf("preset %s, %lu reports, first %g, last %g\n", preset ? preset : "none",
		(unsigned long)heard->n_reports, heard->first, heard->last);
	if (status != 0)
		say_and_exit(FAILED, "the training failed", output_last_words(output));
	if (options->preset && (!preset || strcmp(preset, options->preset) != 0))
		say_and_exit(FAILED, "another preset was expected", options->preset);
	if (heard->n_reports < options->n_reports)
		say_and_exit(FAILED, "more reports were expected", output_last_words(output));
	if (options->preset && !(heard->last < heard->first))
		say_and_exit(FAILED, "the metric was expected to fall", options->target.metric);
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct options options = read_options(argc, argv);
	const char *own = getenv("COREGOV_PRESETS");
	struct output_setup setup = {
		.name = argv[optind],
		.target = &options.target,
		.stdout_to = -EBADF,
		.stderr_to = -EBADF,
	};
	struct heard heard = {.n_reports = 0};
	struct fault fault = FAULT_INIT;
	struct preset_set *presets = NULL;
	struct output *output = NULL;
	char **directories = NULL;
	int r, status = -1;
	pid_t pid = -1;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!own)
		say_and_exit(64, "usage", "COREGOV_PRESETS is not set");
	r = preset_directories(own, /* more= */ NULL, &directories);
	if (r == 0)
		r = preset_set_read(&presets, (const char *const *)directories, &fault);
	setup.presets = presets;
	if (r == 0)
		r = output_new(&output, &setup, &fault);
	if (r < 0)
		say_and_exit(FAILED, argv[0], fault.text);
	pid = start(output, argv + optind);
	output_launched(output);
	r = listen_to(output, &heard);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		say_and_exit(FAILED, argv[0], "no child");
	r = judge(&options, output, &heard, status);
	(void)output_free(output);
	(void)preset_set_free(presets);
	(void)preset_directories_free(directories);
	return r;
}
