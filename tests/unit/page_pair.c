// SPDX-License-Identifier: GPL-2.0-or-later
#include "page_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nsec.h"

struct page_pair pair;

uint64_t pair_now(void)
{
	struct timespec now;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

void pair_set_environment(int fd)
{
	const size_t prefix = strlen(COREGOV_PROGRESS_VARIABLE "=");
	char text[PAGE_ENVIRONMENT_MAX];

	ck_assert_int_eq(page_environment(pair.page, fd, text, sizeof(text)), 0);
	ck_assert_int_eq(strncmp(text, COREGOV_PROGRESS_VARIABLE "=", prefix), 0);
	ck_assert_int_eq(setenv(COREGOV_PROGRESS_VARIABLE, text + prefix, /* overwrite= */ 1), 0);
}

void pair_make(bool is_raised, uint32_t in_a_row)
{
	const struct target loss = {.metric = "loss", .value = 0.5, .in_a_row = in_a_row};
	const struct target accuracy = {
		.metric = "accuracy", .is_raised = true, .value = 0.9, .in_a_row = in_a_row};
	struct fault fault = FAULT_INIT;

	pair.target = is_raised ? accuracy : loss;
	ck_assert_msg(page_new(&pair.page, "t", &pair.target, pair_now(), 12345, &fault) == 0, "%s",
		fault.text);
	ck_assert_int_eq(dup2(page_fd(pair.page), PAIR_TASK_FD), PAIR_TASK_FD);
	pair.shared = mmap(
		NULL, sizeof(*pair.shared), PROT_READ | PROT_WRITE, MAP_SHARED, PAIR_TASK_FD, 0);
	ck_assert_ptr_ne(pair.shared, MAP_FAILED);
	pair_set_environment(PAIR_TASK_FD);
}

void pair_make_plain(void)
{
	pair_make(/* is_raised= */ false, 1);
}

void pair_drop(void)
{
	pair.page = page_free(pair.page);
	(void)munmap(pair.shared, sizeof(*pair.shared));
	(void)close(PAIR_TASK_FD);
}

size_t pair_read(void)
{
	return page_read(pair.page, pair_now(), pair.reports, PAIR_N_MAX);
}

struct progress_facts pair_facts(void)
{
	struct progress_facts facts;

	page_facts(pair.page, &facts);
	return facts;
}

int pair_in_child(int (*test)(void))
{
	const pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(test());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}
