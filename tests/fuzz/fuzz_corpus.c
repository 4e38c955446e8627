// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "text_file.h"

/* fuzz-corpus MODE DIRECTORY: feeds every sample of a corpus to its reader, whole and cut short at
 * every length, and with every byte replaced once. Needs no fuzzer, so it is an ordinary test;
 * every input that ever broke something is a sample. Each input is a copy of its own size, so that
 * a sanitizer sees a read beyond its end. */

#define SAMPLE_MAX (1u << 20)
#define MANGLED_MAX 4096u

static int feed(const char *text, size_t length, size_t at, char byte)
{
	char *copy = malloc(length + (length == 0));

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, length);
	if (at < length)
		copy[at] = byte;
	(void)LLVMFuzzerTestOneInput((const uint8_t *)copy, length);
	free(copy);
	return 0;
}

static int feed_mangled(const char *text, size_t length)
{
	static const char bytes[] = {'\0', '\n', '=', '"', '\\', '9', '-', '\xc3'};
	int r = feed(text, length, SIZE_MAX, 0);

	if (length > MANGLED_MAX)
		return r;
	for (size_t at = 0; r == 0 && at < length; at++) {
		r = feed(text, at, SIZE_MAX, 0);
		if (r == 0)
			r = feed(text, length, at, bytes[at % sizeof(bytes)]);
	}
	return r;
}

static int run(const char *directory, unsigned *ret_n_samples)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	unsigned n_samples = 0;
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL, *text = NULL;
		struct fault fault = FAULT_INIT;
		size_t length = 0;
		int r;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&path, "%s/%s", directory, entry->d_name) < 0)
			return -ENOMEM;
		r = text_file_read(path, SAMPLE_MAX, &text, &length, &fault);
		if (r == 0)
			r = feed_mangled(text, length);
		if (r < 0) {
			(void)fprintf(stderr, "%s\n", fault.text);
			return r;
		}
		n_samples++;
	}
	*ret_n_samples = n_samples;
	return 0;
}

int main(int argc, char *argv[])
{
	unsigned n_samples = 0;
	int r;

	if (argc != 3 || fuzz_choose(argv[1]) < 0) {
		(void)fputs("usage: fuzz-corpus bundle|curve|ini|quantity|schedule DIRECTORY\n",
			stderr);
		return 64;
	}
	r = run(argv[2], &n_samples);
	if (r < 0 || n_samples == 0) {
		(void)fprintf(stderr, "fuzz-corpus: no samples read in '%s': %s\n", argv[2],
			strerror(r < 0 ? -r : ENOENT));
		return EXIT_FAILURE;
	}
	(void)printf("%s: %u samples\n", argv[1], n_samples);
	return EXIT_SUCCESS;
}
