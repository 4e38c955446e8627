/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bundle.h"
#include "fault.h"

#define REPLAY_LEARNER "coregov-replay"

/* What a task is started with: its command, its environment, and where its command is looked up. */

/* The caller's environment, over it what keeps trainings well-behaved under a quota
 * (PYTHONUNBUFFERED=1, OMP_WAIT_POLICY=PASSIVE, OMP_NUM_THREADS=<threads>, each unless set), over
 * that the bundle's `environment`; and `page` ("NAME=value", "" for none). *ret_environment is
 * NULL-ended, given back by words_free(). 0 or -ENOMEM. */
int environment_of_task(const struct bundle_task *task, const char *page, char ***ret_environment,
	struct fault *fault);

/* The task's argument vector; for a curve without a command the replay learner's. */
int command_of_task(const struct bundle_task *task, char ***ret_argv, struct fault *fault);

/* PATH of that environment, with `learner_directory` at its end. Given back by free(). */
int search_path(char *const environment[], const char *learner_directory, char **ret_path,
	struct fault *fault);

/* Where argv[0] has no slash and is not in the environment's PATH, but among the learners: the path of it
 * there instead. For who executes by that PATH. 0 or -ENOMEM. */
int find_learner(char *argv[], char *const environment[], const char *learner_directory,
	struct fault *fault);

/* Opens DIRECTORY/NAME.SUFFIX anew for what a task writes. *ret_fd is -EBADF where there is no directory
 * (NULL). 0 or a negative errno. */
int open_output_of_task(const char *directory, const char *name, const char *suffix, int *ret_fd,
	struct fault *fault);

void cleanup_words(char ***words);
