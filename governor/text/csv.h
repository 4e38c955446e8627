/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "text_file.h"

/* Comma-separated numbers and names: fields without quotes, blanks around them left out. */

#define CSV_FIELD_MAX 160

/* Splits a line into exactly that many fields. 0, or -EINVAL where there are more or fewer, or one
 * is too long or has a NUL in it. */
int csv_split(const struct text_line *line, size_t n_fields, char ret_fields[][CSV_FIELD_MAX]);

/* True for a line of blanks. */
bool csv_is_empty(const struct text_line *line);
