/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A knob is one control file of a group, held open for as long as the group is ours. Writing and
 * reading it allocates nothing. All return 0 or a negative errno; -ENODEV: the group is gone. */

/* Opens it for reading and writing. Returns the descriptor (owned by the caller), or a negative
 * errno. */
int knob_open(int dir_fd, const char *file);

int knob_write(int fd, const char *text);
int knob_write_number(int fd, uint64_t number);

/* The same once, without holding it. -ENOENT where there is no such file. */
int knob_write_at(int dir_fd, const char *file, const char *text);

#define KNOB_TEXT_MAX 128

/* The whole contents, ended by a NUL, without the newline at the end. */
int knob_read(int fd, char ret_text[static KNOB_TEXT_MAX]);
/* -ERANGE where that is no number; -1 is one. */
int knob_read_number(int fd, int64_t *ret_number);

/* A word of a list such as "cpuset cpu io"? */
bool knob_has_word(const char *list, const char *word);

/* Writes `number` into `text` in decimal and ends it by a NUL. Returns the length. */
#define NUMBER_TEXT_MAX 21
size_t format_number(char text[static NUMBER_TEXT_MAX], uint64_t number);
