// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"
#include "nsec.h"
#include "page.h"

/* page_host [-q] TARGET SHARE THREADS STOP COMMAND...: runs a command with a progress page, as a governor
 * would, and prints what the page tells: a line for each report, then one of facts; with -q it
 * only reads. STOP 1 asks the command to stop. For tests and benchmarks of what speaks through the page in other languages.
 * Exit status: the command's, 125 where there was no page. */

#define READ_EVERY_MS 5
#define N_MAX 256

static bool is_quiet;

static uint64_t clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void print_reports(struct page *page)
{
	struct report reports[N_MAX];
	const size_t n = page_read(page, clock_ns(), reports, N_MAX);

	for (size_t i = 0; i < n && !is_quiet; i++)
		printf("report %" PRIu64 " %.17g\n", reports[i].step, reports[i].value);
}

static void print_facts(const struct page *page)
{
	struct progress_facts facts;

	if (is_quiet)
		return;
	page_facts(page, &facts);
	printf("facts reports=%" PRIu64 " dropped=%" PRIu64 " refused=%" PRIu64 " step=%" PRIu64
	       " total=%" PRIu64 " samples=%" PRIu64 " epoch=%g speaks=%d\n",
		facts.n_reports, facts.n_dropped, facts.n_refused, facts.steps_done,
		facts.steps_total, facts.samples_seen, facts.epoch, facts.speaks_page);
}

static _Noreturn void become(const struct page *page, char *environment, char *argv[])
{
	if (putenv(environment) == 0 && dup2(page_fd(page), KEEPER_PAGE_FD) == KEEPER_PAGE_FD)
		(void)execvp(argv[0], argv);
	perror(argv[0]);
	_exit(125);
}

static int watch(struct page *page, pid_t pid)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int status;

	while (end.fd >= 0 && poll(&end, 1, READ_EVERY_MS) <= 0)
		print_reports(page);
	if (waitpid(pid, &status, 0) != pid)
		return 125;
	print_reports(page);
	print_facts(page);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int host(int argc, char *argv[])
{
	const struct page_news news = {
		.share_cpus = argc > 2 ? strtod(argv[2], NULL) : 0,
		.advised_threads = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1,
		.should_stop = argc > 4 && argv[4][0] == '1',
	};
	const uint64_t now_ns = clock_ns();
	struct fault fault = FAULT_INIT;
	struct target target;
	char environment[PAGE_ENVIRONMENT_MAX];
	struct page *page;
	pid_t pid;
	int status;

	if (argc < 6 || parse_target(argv[1], &target, &fault) < 0 ||
		page_new(&page, "host", &target, now_ns, now_ns + 90 * NSEC_PER_SEC, &fault) < 0 ||
		page_environment(page, KEEPER_PAGE_FD, environment, sizeof(environment)) < 0) {
		fprintf(stderr, "page_host: %s\n", fault.text);
		return 125;
	}
	page_tell(page, &news);
	pid = fork();
	if (pid < 0)
		return 125;
	if (pid == 0)
		become(page, environment, argv + 5);
	status = watch(page, pid);
	page_free(page);
	return status;
}

int main(int argc, char *argv[])
{
	/* Whole lines, among those of the command. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	is_quiet = argc > 1 && strcmp(argv[1], "-q") == 0;
	return host(argc - is_quiet, argv + is_quiet);
}
