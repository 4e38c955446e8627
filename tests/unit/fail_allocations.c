// SPDX-License-Identifier: GPL-2.0-or-later
#include "fail_allocations.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NEVER UINT_MAX

static unsigned allocations_left = NEVER;
static bool has_failed;

static bool fails(void)
{
	if (allocations_left == NEVER)
		return false;
	if (allocations_left == 0) {
		allocations_left = NEVER;
		has_failed = true;
		errno = ENOMEM;
		return true;
	}
	allocations_left--;
	return false;
}

/* What the linker calls instead, and what it was. */
#define WRAP(type, name, parameters, arguments)                  \
	type __real_##name parameters;                           \
	type __wrap_##name parameters;                           \
	type __wrap_##name parameters                            \
	{                                                        \
		return fails() ? NULL : __real_##name arguments; \
	}
WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *pointer, size_t size), (pointer, size))
WRAP(void *, reallocarray, (void *pointer, size_t n, size_t size), (pointer, n, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t n), (text, n))
WRAP(char *, getcwd, (char *buffer, size_t size), (buffer, size))

int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list args;
	int r;

	if (fails())
		return -1;
	va_start(args, format);
	r = vasprintf(ret_text, format, args);
	va_end(args);
	return r;
}

void fail_allocation(unsigned n)
{
	allocations_left = n;
	has_failed = false;
}

bool fail_allocation_end(void)
{
	allocations_left = NEVER;
	return has_failed;
}
