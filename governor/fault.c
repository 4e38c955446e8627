// SPDX-License-Identifier: GPL-2.0-or-later
#include "fault.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One carrier for the sentence behind an error, see fault.h. Every function here returns the
 * error it was given, so that a failing line reads `return fault_set(fault, -EINVAL, "...")` and
 * no path can leave with success by mistake. */

int fault_set(struct fault *fault, int error, const char *format, ...)
{
	va_list args;

	assert(error < 0);
	if (!fault)
		return error;
	va_start(args, format);
	(void)vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return error;
}

int fault_errno(struct fault *fault, int error, const char *format, ...)
{
	va_list args;
	size_t length;

	assert(error < 0);
	if (!fault)
		return error;
	va_start(args, format);
	(void)vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	length = strlen(fault->text);
	(void)snprintf(
		fault->text + length, sizeof(fault->text) - length, ": %s", strerror(-error));
	return error;
}

int fault_wrap(struct fault *fault, int error, const char *format, ...)
{
	char inner[FAULT_TEXT_MAX];
	va_list args;
	size_t length;

	assert(error < 0);
	if (!fault)
		return error;
	memcpy(inner, fault->text, sizeof(inner));
	va_start(args, format);
	(void)vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	length = strlen(fault->text);
	if (inner[0] != '\0')
		(void)snprintf(fault->text + length, sizeof(fault->text) - length, ": %s", inner);
	return error;
}
