// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "nsec.h"
#include "page.h"

/* fake_governor [OPTION VALUE]...: what a launcher sees of a governor, on the bus of
 * COREGOV_BUS_ADDRESS. Tells on stdout, a line each, what it is asked and what stands in the page of
 * its newest task; governs nothing.
 *
 *	prospect WORD     of every task; default unknown
 *	name NAME         of a task that came without one; default made
 *	error NAME        refuses with this error
 *	sentence TEXT     and this message
 *	hang 1            has its name on the bus and does nothing
 *	deaf 1            is alive and never answers a Submit
 *	delay MS          answers a Submit so much later
 *	vanish 1          ends when it gets a Submit
 *	page WORD         none: /dev/null in its place
 *	hold 1            a task that waits for its start gets its share with SIGUSR1
 *
 * SIGUSR2: nothing has been heard of its newest task, which it says twice. */

#define NAME "org.coregov.Governor1"
#define TASKS "/org/coregov/Governor1/task"
#define READ_EVERY_US 5000
#define N_MAX 64

static struct {
	const char *prospect, *name, *error, *sentence, *page;
	bool hangs, is_deaf, vanishes, holds;
	unsigned delay_ms;
} settings = {.prospect = "unknown", .name = "made", .sentence = "no", .page = ""};

static sd_bus_message *held; /* a Submit */
static volatile sig_atomic_t has_share, is_unheard;
static struct page *page;
static unsigned n_tasks;
static char task_name[TASK_NAME_MAX + 1];

static uint64_t clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void on_share(int signo)
{
	(void)signo;
	has_share = 1;
}

static void on_unheard(int signo)
{
	(void)signo;
	is_unheard = 1;
}

static void tell_unheard(sd_bus *bus)
{
	char path[64];

	is_unheard = 0;
	(void)snprintf(path, sizeof(path), TASKS "/_%u", n_tasks);
	for (int i = 0; i < 2; i++)
		(void)sd_bus_emit_signal(bus, path, NAME ".Task", "Unheard", "");
}

static void print_value(sd_bus_message *message, const char *option, const char *type)
{
	const char *text;
	uint64_t time;
	uint32_t count;
	int is_set;

	if (strcmp(type, "s") == 0 && sd_bus_message_read(message, "s", &text) > 0)
		printf("option %s %s\n", option, text);
	else if (strcmp(type, "t") == 0 && sd_bus_message_read(message, "t", &time) > 0)
		printf("option %s %" PRIu64 "\n", option, time);
	else if (strcmp(type, "u") == 0 && sd_bus_message_read(message, "u", &count) > 0)
		printf("option %s %u\n", option, count);
	else if (strcmp(type, "b") == 0 && sd_bus_message_read(message, "b", &is_set) > 0)
		printf("option %s %d\n", option, is_set);
	if (strcmp(option, "Name") == 0)
		(void)snprintf(task_name, sizeof(task_name), "%.*s", TASK_NAME_MAX, text);
	if (strcmp(type, "as") != 0 || sd_bus_message_enter_container(message, 'a', "s") < 0)
		return;
	printf("option %s", option);
	while (sd_bus_message_read(message, "s", &text) > 0)
		printf(" [%s]", text);
	printf("\n");
	(void)sd_bus_message_exit_container(message);
}

static void print_options(sd_bus_message *message)
{
	const char *option, *type;

	if (sd_bus_message_enter_container(message, 'a', "{sv}") < 0)
		exit(1);
	while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
		if (sd_bus_message_read(message, "s", &option) < 0 ||
			sd_bus_message_peek_type(message, NULL, &type) < 0 ||
			sd_bus_message_enter_container(message, 'v', type) < 0)
			exit(1);
		print_value(message, option, type);
		(void)sd_bus_message_exit_container(message);
		(void)sd_bus_message_exit_container(message);
	}
}

/* What is behind the pidfd, and that it does not execute the command yet. */
static void print_process(int pidfd)
{
	char path[64], line[256], exe[4096];
	ssize_t length;
	int pid = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		(void)sscanf(line, "Pid: %d", &pid);
	if (file)
		(void)fclose(file);
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, exe, sizeof(exe) - 1);
	exe[length > 0 ? length : 0] = '\0';
	printf("process %d %s\n", pid, exe);
}

static void make_page(void)
{
	const struct target target = {.metric = "loss", .value = 0.1, .in_a_row = 1};
	struct fault fault = FAULT_INIT;

	page = page_free(page);
	if (page_new(&page, "fake", &target, clock_ns(), 0, &fault) < 0) {
		fprintf(stderr, "fake_governor: %s\n", fault.text);
		exit(1);
	}
}

static int accept_task(sd_bus_message *message)
{
	char path[64];
	int null_fd = -1;

	(void)snprintf(path, sizeof(path), TASKS "/_%u", ++n_tasks);
	make_page();
	if (strcmp(settings.page, "none") == 0)
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return sd_bus_reply_method_return(message, "ohts", path,
		null_fd >= 0 ? null_fd : page_fd(page), null_fd >= 0 ? 0 : page_token(page),
		settings.prospect);
}

static int submit(sd_bus_message *message)
{
	int pidfd;

	if (sd_bus_message_read(message, "h", &pidfd) < 0)
		exit(1);
	(void)strcpy(task_name, settings.name);
	printf("submit\n");
	print_process(pidfd);
	print_options(message);
	if (settings.vanishes)
		exit(0);
	if (settings.is_deaf)
		return 1;
	if (settings.error)
		return sd_bus_reply_method_errorf(message, settings.error, "%s", settings.sentence);
	if (settings.holds) {
		held = sd_bus_message_ref(message);
		printf("held\n");
		return 1;
	}
	if (settings.delay_ms > 0) {
		const struct timespec delay = {.tv_sec = settings.delay_ms / 1000,
			.tv_nsec = (long)(settings.delay_ms % 1000) * 1000000};

		(void)nanosleep(&delay, NULL);
	}
	return accept_task(message);
}

static void print_page(void)
{
	static struct progress_facts told;
	struct progress_facts facts;
	struct report reports[N_MAX];
	size_t n = page ? page_read(page, clock_ns(), reports, N_MAX) : 0;

	for (size_t i = 0; i < n; i++)
		printf("report %" PRIu64 " %g\n", reports[i].step, reports[i].value);
	if (!page)
		return;
	page_facts(page, &facts);
	if (facts.speaks_page != told.speaks_page || facts.is_relayed != told.is_relayed)
		printf("facts speaks=%d relayed=%d\n", facts.speaks_page, facts.is_relayed);
	told = facts;
}

static int ended(sd_bus_message *message)
{
	const char *path;
	int32_t status;

	if (sd_bus_message_read(message, "oi", &path, &status) < 0)
		exit(1);
	print_page();
	printf("ended %s %d\n", path, status);
	return sd_bus_reply_method_return(message, "");
}

static int on_message(sd_bus_message *message, void *data, sd_bus_error *error)
{
	(void)data;
	(void)error;
	if (sd_bus_message_is_method_call(message, NAME, "Submit"))
		return submit(message) < 0 ? -EIO : 1;
	if (sd_bus_message_is_method_call(message, NAME, "Ended"))
		return ended(message) < 0 ? -EIO : 1;
	if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Get"))
		return sd_bus_reply_method_return(message, "v", "s", task_name) < 0 ? -EIO : 1;
	return 0;
}

static void read_settings(int argc, char *argv[])
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *word = argv[i], *value = argv[i + 1];

		if (strcmp(word, "prospect") == 0)
			settings.prospect = value;
		else if (strcmp(word, "name") == 0)
			settings.name = value;
		else if (strcmp(word, "error") == 0)
			settings.error = value;
		else if (strcmp(word, "sentence") == 0)
			settings.sentence = value;
		else if (strcmp(word, "page") == 0)
			settings.page = value;
		else if (strcmp(word, "hang") == 0)
			settings.hangs = true;
		else if (strcmp(word, "deaf") == 0)
			settings.is_deaf = true;
		else if (strcmp(word, "vanish") == 0)
			settings.vanishes = true;
		else if (strcmp(word, "hold") == 0)
			settings.holds = true;
		else if (strcmp(word, "delay") == 0)
			settings.delay_ms = (unsigned)strtoul(value, NULL, 10);
	}
}

static sd_bus *open_bus(void)
{
	sd_bus *bus = NULL;

	if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, getenv("COREGOV_BUS_ADDRESS")) < 0 ||
		sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0 ||
		sd_bus_add_filter(bus, NULL, on_message, NULL) < 0 ||
		sd_bus_request_name(bus, NAME, 0) < 0) {
		fprintf(stderr, "fake_governor: no bus\n");
		exit(1);
	}
	return bus;
}

int main(int argc, char *argv[])
{
	sd_bus *bus;
	int r;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGUSR1, on_share);
	(void)signal(SIGUSR2, on_unheard);
	read_settings(argc, argv);
	bus = open_bus();
	printf("ready\n");
	while (settings.hangs)
		(void)pause();
	for (;;) {
		r = sd_bus_process(bus, NULL);
		if (r < 0)
			return 1;
		print_page();
		if (is_unheard)
			tell_unheard(bus);
		if (held && has_share) {
			(void)accept_task(held);
			held = sd_bus_message_unref(held);
		}
		if (r == 0 && sd_bus_wait(bus, READ_EVERY_US) < 0 && errno != EINTR)
			return 1;
	}
}
