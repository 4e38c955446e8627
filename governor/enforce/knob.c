// SPDX-License-Identifier: GPL-2.0-or-later
#include "knob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

/* Control files of cgroups by held descriptors. The kernel takes a control file's new value from
 * one write(2) at any offset and shows the current one to a pread(2) at offset 0, so one descriptor
 * serves for good. Numbers are formatted by hand: this is the one piece of code that runs for every
 * grant of every slot, and printf costs a fifth of the system call. */

int knob_open(int dir_fd, const char *file)
{
	int fd = openat(dir_fd, file, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *text, size_t length)
{
	ssize_t n;

	do {
		n = pwrite(fd, text, length, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -EIO;
}

int knob_write(int fd, const char *text)
{
	return write_all(fd, text, strlen(text));
}

int knob_write_at(int dir_fd, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : knob_write(fd, text);
}

size_t format_number(char text[static NUMBER_TEXT_MAX], uint64_t number)
{
	char reversed[NUMBER_TEXT_MAX];
	size_t n = 0;

	do {
		reversed[n++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	for (size_t i = 0; i < n; i++)
		text[i] = reversed[n - 1 - i];
	text[n] = '\0';
	return n;
}

int knob_write_number(int fd, uint64_t number)
{
	char text[NUMBER_TEXT_MAX];
	size_t length = format_number(text, number);

	return write_all(fd, text, length);
}

int knob_read(int fd, char ret_text[static KNOB_TEXT_MAX])
{
	ssize_t n;

	do {
		n = pread(fd, ret_text, KNOB_TEXT_MAX - 1, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > 0 && ret_text[n - 1] == '\n')
		n--;
	ret_text[n] = '\0';
	return 0;
}

int knob_read_number(int fd, int64_t *ret_number)
{
	char text[KNOB_TEXT_MAX], *end;
	long long number;
	int r = knob_read(fd, text);

	if (r < 0)
		return r;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		return -ERANGE;
	*ret_number = number;
	return 0;
}

bool knob_has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += length)
		if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}
