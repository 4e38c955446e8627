// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "cleanup.h"
#include "connect_bus.h"
#include "governor_names.h"

/* submit_once [--pid PID|--no-process|--ended] [--times N] [--end STATUS] [KEY:TYPE=VALUE...]: submits
 * a process that waits, its own child where no other is named, and prints what comes back: "task PATH
 * PROSPECT TOKEN", or "error NAME: SENTENCE" for each of N calls that are all sent before the first
 * answer is waited for. Words of an "as" are separated by commas.
 *
 * submit_once --do [INTERFACE.]METHOD [--times N] PATH: instead, calls a method of a task that is there, or another
 * one without arguments, and prints "done" or the error for each. */

static unsigned n_open;

static int append_option(sd_bus_message *message, char *text)
{
	char *type = strchr(text, ':'), *value = type ? strchr(type, '=') : NULL;
	int r;

	if (!value)
		return -EINVAL;
	*type++ = *value++ = '\0';
	r = sd_bus_message_open_container(message, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append(message, "s", text);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', type);
	if (r < 0)
		return r;
	if (strcmp(type, "as") == 0) {
		char *words[1024] = {NULL}, *rest = NULL;
		size_t n = 0;

		for (char *word = strtok_r(value, ",", &rest); word && n < 1023;
			word = strtok_r(NULL, ",", &rest))
			words[n++] = word;
		r = sd_bus_message_append_strv(message, words);
	} else if (type[0] == 's') {
		r = sd_bus_message_append(message, "s", value);
	} else if (type[0] == 't') {
		r = sd_bus_message_append(message, "t", (uint64_t)strtoull(value, NULL, 10));
	} else if (type[0] == 'u') {
		r = sd_bus_message_append(message, "u", (uint32_t)strtoul(value, NULL, 10));
	} else {
		r = sd_bus_message_append(message, "b", atoi(value));
	}
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

static int answered(sd_bus_message *reply, void *userdata, sd_bus_error *ignored)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	const char *path, *prospect;
	char *ret_path = userdata;
	uint64_t token;
	struct stat page;
	int fd;

	(void)ignored;
	n_open--;
	if (error)
		(void)printf("error %s: %s\n", error->name, error->message);
	else if (sd_bus_message_read(reply, "ohts", &path, &fd, &token, &prospect) < 0)
		(void)puts("an answer of another form");
	else if (fstat(fd, &page) < 0)
		(void)puts("an answer without a page");
	else
		(void)printf("task %s %s %" PRIx64 "\n", strcpy(ret_path, path), prospect, token);
	(void)fflush(stdout);
	return 0;
}

static int submit(sd_bus *bus, int fd, char *options[], char ret_path[static 256])
{
	sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &message, GOVERNOR_NAME, GOVERNOR_PATH, GOVERNOR_INTERFACE, "Submit");

	if (r >= 0)
		r = sd_bus_message_append(message, "h", fd);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "{sv}");
	for (; r >= 0 && *options; options++) {
		char *copy = strdup(*options);

		r = copy ? append_option(message, copy) : -ENOMEM;
		free(copy);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = sd_bus_call_async(
			bus, /* slot= */ NULL, message, answered, ret_path, UINT64_MAX);
	n_open += r >= 0;
	sd_bus_message_unref(message);
	return r;
}

static int done(sd_bus_message *reply, void *userdata, sd_bus_error *ignored)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);

	(void)userdata, (void)ignored;
	n_open--;
	if (error)
		(void)printf("error %s: %s\n", error->name, error->message);
	else
		(void)puts("done");
	return 0;
}

static int call_task(sd_bus *bus, const char *path, const char *method)
{
	char interface[128] = TASK_INTERFACE;
	const char *dot = strrchr(method, '.');
	int r;

	if (dot)
		(void)snprintf(interface, sizeof(interface), "%.*s", (int)(dot - method), method);
	r = sd_bus_call_method_async(bus, /* slot= */ NULL, GOVERNOR_NAME, path, interface,
		dot ? dot + 1 : method, done, /* userdata= */ NULL, /* types= */ NULL);
	n_open += r >= 0;
	return r;
}

static pid_t start_waiting(int *ret_gate)
{
	int gate[2];
	pid_t pid;
	char go;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)close(gate[1]);
		_exit(read(gate[0], &go, 1) < 0);
	}
	(void)close(gate[0]);
	*ret_gate = gate[1];
	return pid;
}

static int tell_end(sd_bus *bus, const char *path, int status)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, GOVERNOR_NAME, GOVERNOR_PATH, GOVERNOR_INTERFACE, "Ended",
		&error, /* ret_reply= */ NULL, "oi", path, (int32_t)status);

	if (r < 0)
		(void)printf("error %s: %s\n", error.name, error.message);
	sd_bus_error_free(&error);
	return r;
}

int main(int argc, char *argv[])
{
	sd_bus *bus = NULL;
	struct fault fault = FAULT_INIT;
	int gate = -1, times = 1, status = -1, i = 1, fd, r = 0;
	bool is_process = true, has_ended = false;
	char path[256] = "";
	const char *method = NULL;
	pid_t pid = 0, child = 0;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--pid") == 0)
			pid = (pid_t)atoi(argv[++i]);
		else if (strcmp(argv[i], "--times") == 0)
			times = atoi(argv[++i]);
		else if (strcmp(argv[i], "--end") == 0)
			status = atoi(argv[++i]);
		else if (strcmp(argv[i], "--do") == 0)
			method = argv[++i];
		else if (strcmp(argv[i], "--no-process") == 0)
			is_process = false;
		else if (strcmp(argv[i], "--ended") == 0)
			has_ended = true;
	}
	if (pid == 0)
		pid = child = start_waiting(&gate);
	fd = is_process ? (int)syscall(SYS_pidfd_open, pid, 0) : open("/dev/null", O_CLOEXEC);
	if (has_ended) {
		(void)close(gate);
		(void)waitpid(child, NULL, 0);
	}
	if (connect_bus(GOVERNOR_SYSTEM, &bus, &fault) < 0) {
		(void)fprintf(stderr, "%s\n", fault.text);
		return 1;
	}
	while (times-- > 0 && r >= 0)
		r = method ? call_task(bus, argv[i], method) : submit(bus, fd, argv + i, path);
	while (r >= 0 && n_open > 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	if (r >= 0 && status >= 0)
		r = tell_end(bus, path[0] ? path : argv[i], status);
	(void)sd_bus_flush_close_unref(bus);
	return r < 0;
}
