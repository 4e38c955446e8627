/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#define FAULT_TEXT_MAX 1024

/* The sentence that goes with a negative errno.
 *
 * A function that can fail in a way a user should read takes a `struct fault *` as its last
 * parameter; NULL means that the caller does not want the sentence. It is set once where the
 * failure happens, wrapped with context on the way up, and printed once at the edge. It lives on
 * the caller's stack and has a fixed size, so that it works when memory is gone; a text that does
 * not fit is cut at the end. */
struct fault {
	char text[FAULT_TEXT_MAX];
};

#define FAULT_INIT         \
	(struct fault)     \
	{                  \
		.text = "" \
	}

/* Sets the sentence and returns `error` unchanged, for `return fault_set(fault, -EINVAL, ...)`.
 * `error` is a negative errno. The text says what was wrong, where, and what to do; it carries no
 * trailing newline or full stop. With fault NULL it only returns `error`. */
int fault_set(struct fault *fault, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As fault_set(), with ": " and the system's words for `error` added. */
int fault_errno(struct fault *fault, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence that is there, and returns `error` unchanged. */
int fault_wrap(struct fault *fault, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
