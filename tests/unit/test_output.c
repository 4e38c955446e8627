// SPDX-License-Identifier: GPL-2.0-or-later
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "nsec.h"
#include "preset.h"
#include "suite.h"

#define DEADLINE_MS 20000

static struct preset_set *set;
static struct output *output;
static struct target target;
static int out_fd, err_fd; /* where the bytes went: temporary files */

static int temporary(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void begin(void)
{
	const char *directories[] = {getenv("COREGOV_PRESETS"), NULL};

	signal(SIGPIPE, SIG_IGN);
	ck_assert_ptr_nonnull(directories[0]);
	ck_assert_int_eq(preset_set_read(&set, directories, NULL), 0);
	target = (struct target){.metric = "loss", .value = 0.1, .in_a_row = 1};
	out_fd = temporary();
	err_fd = temporary();
	output = NULL;
}

static void finish(void)
{
	output = output_free(output);
	set = preset_set_free(set);
	close(out_fd);
	close(err_fd);
}

static void open_output(struct output_setup setup)
{
	struct fault fault = FAULT_INIT;

	setup.name = "t";
	setup.target = &target;
	setup.presets = set;
	ck_assert_msg(output_new(&output, &setup, &fault) == 0, "%s", fault.text);
}

static void open_to_files(void)
{
	open_output((struct output_setup){.stdout_to = out_fd, .stderr_to = err_fd});
}

static void say(int which, const char *text)
{
	ck_assert_int_eq(
		write(output_task_fd(output, which), text, strlen(text)), (ssize_t)strlen(text));
}

/* Reads until nothing is there. */
static void take(int which, uint64_t now_ns)
{
	struct pollfd poll_fd = {.events = POLLIN};

	while ((poll_fd.fd = output_poll_fd(output, which)) >= 0 && poll(&poll_fd, 1, 0) > 0)
		if (output_readable(output, which, now_ns) <= 0)
			break;
}

static void end(void)
{
	output_launched(output);
	take(1, 1);
	take(2, 1);
	ck_assert_int_eq(output_poll_fd(output, 1), -EBADF);
	ck_assert_int_eq(output_poll_fd(output, 2), -EBADF);
}

static const char *contents(int fd)
{
	static char text[8192];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

START_TEST(passes_bytes_on_unchanged)
{
	open_to_files();
	say(1, "a\033[1mb\r\n\b\001c");
	say(2, "to stderr\n");
	end();
	ck_assert_str_eq(contents(out_fd), "a\033[1mb\r\n\b\001c");
	ck_assert_str_eq(contents(err_fd), "to stderr\n");
}
END_TEST

static size_t reports_of(const char *text, struct report reports[], size_t n_max)
{
	open_to_files();
	say(1, text);
	end();
	return output_read(output, reports, n_max);
}

START_TEST(finds_reports)
{
	struct report reports[8];
	struct progress_facts facts;

	ck_assert_uint_eq(
		reports_of("Iteration 1, loss = 0.5\nIteration 2, loss = 0.25\n", reports, 8), 2);
	ck_assert(fabs(reports[0].value - 0.5) < 1e-12);
	ck_assert(fabs(reports[1].value - 0.25) < 1e-12);
	ck_assert_uint_eq(reports[1].step, 2);
	ck_assert_uint_eq(reports[1].stamp_ns, 1);
	ck_assert_str_eq(output_preset(output), "sklearn");
	output_facts(output, &facts);
	ck_assert_uint_eq(facts.n_reports, 2);
	ck_assert_uint_eq(facts.steps_done, 2);
}
END_TEST

START_TEST(takes_what_stands_without_line_end)
{
	struct report reports[8];

	ck_assert_uint_eq(reports_of("Iteration 1, loss = 0.5", reports, 8), 1);
}
END_TEST

START_TEST(a_line_comes_in_pieces)
{
	struct report reports[8];

	open_to_files();
	say(1, "Iterat");
	take(1, 1);
	say(1, "ion 1, loss = 0.\033[");
	take(1, 2);
	ck_assert_uint_eq(output_read(output, reports, 8), 0);
	say(1, "0m25\n");
	take(1, 3);
	ck_assert_uint_eq(output_read(output, reports, 8), 1);
	ck_assert(fabs(reports[0].value - 0.25) < 1e-12);
	ck_assert_uint_eq(reports[0].stamp_ns, 3);
}
END_TEST

/* A pipe as destination that nobody empties. */
START_TEST(a_full_destination_slows_the_task_and_blocks_nobody)
{
	static char chunk[4096], back[65536];
	struct pollfd poll_fd = {.events = POLLOUT};
	size_t n_written = 0, n_read = 0;
	ssize_t n;
	int ends[2], alive;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	open_output((struct output_setup){.stdout_to = ends[1], .stderr_to = -EBADF});
	fcntl(output_task_fd(output, 1), F_SETFL, O_NONBLOCK);
	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 1000; i++) {
		n = write(output_task_fd(output, 1), chunk, sizeof(chunk));
		if (n > 0)
			n_written += (size_t)n;
		if (output_write_fd(output, 1) < 0)
			ck_assert_int_eq(output_readable(output, 1, 1), 1);
	}
	/* The task's pipe and the destination's are full, 64 KiB each; between them our buffer. */
	ck_assert_uint_gt(n_written, 2 * 65536);
	ck_assert_uint_le(n_written, 3 * 65536);
	ck_assert_int_ge(output_write_fd(output, 1), 0);
	/* Its flags are the caller's: not touched. */
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	poll_fd.fd = output_write_fd(output, 1);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);

	output_launched(output);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (output_poll_fd(output, 1) >= 0 || output_write_fd(output, 1) >= 0) {
		while ((n = read(ends[0], back, sizeof(back))) > 0)
			n_read += (size_t)n;
		alive = output_write_fd(output, 1) >= 0 ? output_writable(output, 1)
							: output_readable(output, 1, 1);
		/* Bytes that wait are life, also after the task's end. */
		ck_assert_int_eq(
			alive, output_poll_fd(output, 1) >= 0 || output_write_fd(output, 1) >= 0);
	}
	while ((n = read(ends[0], back, sizeof(back))) > 0)
		n_read += (size_t)n;
	ck_assert_uint_eq(n_read, n_written);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* A socket, and what cannot be opened a second time: the master of a pty. */
START_TEST(other_destinations_do_not_block_either)
{
	static char chunk[4096];
	int ends[2];

	if (_i == 0)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	else
		ck_assert_int_eq(openpty(&ends[1], &ends[0], NULL, NULL, NULL), 0);
	open_output((struct output_setup){.stdout_to = ends[1], .stderr_to = -EBADF});
	fcntl(output_task_fd(output, 1), F_SETFL, O_NONBLOCK);
	memset(chunk, '\n', sizeof(chunk));
	for (int i = 0; i < 10000 && output_write_fd(output, 1) < 0; i++) {
		(void)!write(output_task_fd(output, 1), chunk, sizeof(chunk));
		ck_assert_int_eq(output_readable(output, 1, 1), 1);
	}
	ck_assert_int_ge(output_write_fd(output, 1), 0);
	ck_assert_int_eq(output_writable(output, 1), 1);
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_destination_without_reader_ends_the_stream)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	open_output((struct output_setup){.stdout_to = ends[1], .stderr_to = -EBADF});
	close(ends[0]);
	say(1, "x\n");
	ck_assert_int_eq(output_readable(output, 1, 1), 0);
	ck_assert_int_eq(write(output_task_fd(output, 1), "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(ends[1]);
}
END_TEST

START_TEST(a_full_disk_loses_bytes_but_no_reports)
{
	struct report reports[8];
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), error;

	ck_assert_int_ge(full, 0);
	open_output((struct output_setup){.stdout_to = full, .stderr_to = -EBADF});
	say(1, "Iteration 1, loss = 0.5\n");
	take(1, 1);
	say(1, "Iteration 2, loss = 0.4\n");
	take(1, 1);
	ck_assert_uint_eq(output_read(output, reports, 8), 2);
	ck_assert_uint_eq(output_lost_bytes(output, &error), 48);
	ck_assert_int_eq(error, -ENOSPC);
	close(full);
}
END_TEST

static pid_t run_yes(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(output_task_fd(output, 1), 1);
		execlp("yes", "yes", (char *)NULL);
		_exit(127);
	}
	return pid;
}

START_TEST(a_chatty_task_costs_no_memory)
{
	struct rusage before, after;
	struct pollfd poll_fd = {.events = POLLIN};
	struct progress_facts facts;
	pid_t pid;

	open_output((struct output_setup){.stdout_to = -EBADF, .stderr_to = -EBADF});
	pid = run_yes();
	output_launched(output);
	poll_fd.fd = output_poll_fd(output, 1);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(poll(&poll_fd, 1, DEADLINE_MS), 1);
		ck_assert_int_eq(output_readable(output, 1, NSEC_PER_SEC), 1);
	}
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(poll(&poll_fd, 1, DEADLINE_MS), 1);
		ck_assert_int_eq(output_readable(output, 1, NSEC_PER_SEC), 1);
	}
	getrusage(RUSAGE_SELF, &after);
	/* KiB; some 60 MB went through. The address sanitizer keeps what was freed for a while. */
	ck_assert_int_le(after.ru_maxrss - before.ru_maxrss, 4096);
	output_facts(output, &facts);
	ck_assert_uint_eq(facts.n_reports, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(reports_beyond_the_ring_are_dropped_and_counted)
{
	struct report reports[400];
	struct progress_facts facts;
	char line[64];

	open_to_files();
	for (int i = 1; i <= 300; i++) {
		snprintf(line, sizeof(line), "Iteration %d, loss = 0.5\n", i);
		say(1, line);
	}
	take(1, 1);
	ck_assert_uint_eq(output_read(output, reports, 6), 6);
	ck_assert_uint_eq(reports[0].step, 45);
	ck_assert_uint_eq(output_read(output, reports, 400), 250);
	ck_assert_uint_eq(reports[249].step, 300);
	output_facts(output, &facts);
	ck_assert_uint_eq(facts.n_reports, 300);
	ck_assert_uint_eq(facts.n_dropped, 44);
}
END_TEST

START_TEST(a_terminal_gets_a_pty_of_its_size)
{
	struct winsize size = {.ws_row = 33, .ws_col = 111}, got;
	struct pollfd poll_fd = {.events = POLLIN};
	char back[64];
	int master, slave;
	ssize_t n;

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	open_output((struct output_setup){.stdout_to = slave, .stderr_to = err_fd});
	ck_assert(isatty(output_task_fd(output, 1)));
	ck_assert(!isatty(output_task_fd(output, 2)));
	ck_assert_int_eq(ioctl(output_task_fd(output, 1), TIOCGWINSZ, &got), 0);
	ck_assert_int_eq(got.ws_col, 111);
	size.ws_col = 77;
	ioctl(slave, TIOCSWINSZ, &size);
	output_resize(output);
	ck_assert_int_eq(ioctl(output_task_fd(output, 1), TIOCGWINSZ, &got), 0);
	ck_assert_int_eq(got.ws_col, 77);
	ck_assert_int_eq(got.ws_row, 33);

	/* One \n stays one: only the real terminal, the outer one, makes \r\n of it. */
	say(1, "Iteration 1, loss = 0.5\n");
	poll_fd.fd = output_poll_fd(output, 1);
	ck_assert_int_eq(poll(&poll_fd, 1, DEADLINE_MS), 1);
	ck_assert_int_eq(output_readable(output, 1, 1), 1);
	n = read(master, back, sizeof(back) - 1);
	ck_assert_int_ge(n, 0);
	back[n] = '\0';
	ck_assert_str_eq(back, "Iteration 1, loss = 0.5\r\n");
	ck_assert_str_eq(output_preset(output), "sklearn");

	output_launched(output);
	ck_assert_int_eq(poll(&poll_fd, 1, DEADLINE_MS), 1);
	ck_assert_int_eq(output_readable(output, 1, 1), 0);
	ck_assert_int_eq(output_poll_fd(output, 1), -EBADF);
	close(master);
	close(slave);
}
END_TEST

START_TEST(one_terminal_gets_one_pty)
{
	int master, slave;

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	open_output((struct output_setup){.stdout_to = slave, .stderr_to = slave});
	ck_assert_int_eq(output_task_fd(output, 1), output_task_fd(output, 2));
	ck_assert_int_ge(output_poll_fd(output, 1), 0);
	ck_assert_int_eq(output_poll_fd(output, 2), -EBADF);
	close(master);
	close(slave);
}
END_TEST

START_TEST(prefixed_lines_are_whole_and_clean)
{
	int to = temporary();

	open_output((struct output_setup){
		.stdout_to = out_fd, .stderr_to = err_fd, .prefix = "t: ", .prefixed_to = to});
	say(1, "one\nt\033[31mwo\n10%\r20%\r\n\nthr");
	take(1, 1);
	say(2, "\xff\xc2\x9bx\n");
	take(2, 1);
	say(1, "ee");
	end();
	ck_assert_str_eq(contents(to),
		"t: one\nt: two\nt: 10%\nt: 20%\nt: \nt: ?"
		"??x\nt: three\n");
	ck_assert_str_eq(contents(out_fd), "one\nt\033[31mwo\n10%\r20%\r\n\nthree");
	close(to);
}
END_TEST

START_TEST(a_prefix_per_byte_fits)
{
	static char newlines[65536];
	struct stat status;
	char prefix[81];
	int to = temporary();

	memset(prefix, 'p', 80);
	prefix[80] = '\0';
	memset(newlines, '\n', sizeof(newlines));
	open_output((struct output_setup){
		.stdout_to = out_fd, .stderr_to = err_fd, .prefix = prefix, .prefixed_to = to});
	ck_assert_int_eq(
		write(output_task_fd(output, 1), newlines, sizeof(newlines)), sizeof(newlines));
	end();
	ck_assert_int_eq(fstat(to, &status), 0);
	ck_assert_int_eq((int)status.st_size, 81 * 65536);
	close(to);
}
END_TEST

START_TEST(last_words_are_of_stderr)
{
	open_to_files();
	say(1, "printed\n");
	say(2, " 10%|#\r 20%|##\rTraceback:\n  File\n\033[31mKeyError: 'x'\033[0m\n");
	end();
	ck_assert_str_eq(output_last_words(output), "Traceback:\n  File\nKeyError: 'x'");
}
END_TEST

START_TEST(last_words_are_few)
{
	char line[300];

	open_to_files();
	ck_assert_str_eq(output_last_words(output), "");
	for (int i = 0; i < 30; i++) {
		snprintf(line, sizeof(line), "%d%0280d\n", i + 100, 0);
		say(1, line);
	}
	end();
	ck_assert_uint_eq(strlen(output_last_words(output)), 20 * 241 - 1);
	ck_assert_int_eq(strncmp(output_last_words(output), "110", 3), 0);
}
END_TEST

START_TEST(a_preset_may_be_forced)
{
	struct report reports[8];

	open_output((struct output_setup){
		.stdout_to = -EBADF, .stderr_to = -EBADF, .preset = "fasttext"});
	say(1, "Iteration 1, loss = 0.5\nProgress:  10.0% loss: 0.25\n");
	end();
	ck_assert_uint_eq(output_read(output, reports, 8), 1);
	ck_assert(fabs(reports[0].value - 0.25) < 1e-12);
}
END_TEST

static TCase *add_case(Suite *suite)
{
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 40);
	tcase_add_checked_fixture(tcase, begin, finish);
	suite_add_tcase(suite, tcase);
	return tcase;
}

/* `test_output terminals` runs those that need some. */
static int run_on_terminals(void)
{
	Suite *suite = suite_create("output-terminals");
	TCase *tcase = add_case(suite);

	tcase_add_loop_test(tcase, other_destinations_do_not_block_either, 1, 2);
	tcase_add_test(tcase, a_terminal_gets_a_pty_of_its_size);
	tcase_add_test(tcase, one_terminal_gets_one_pty);
	return suite_run_on_terminals(suite);
}

int main(int argc, char *argv[])
{
	Suite *suite;
	TCase *tcase;

	if (argc > 1 && strcmp(argv[1], "terminals") == 0)
		return run_on_terminals();
	suite = suite_create("output");
	tcase = add_case(suite);
	tcase_add_test(tcase, passes_bytes_on_unchanged);
	tcase_add_test(tcase, finds_reports);
	tcase_add_test(tcase, takes_what_stands_without_line_end);
	tcase_add_test(tcase, a_line_comes_in_pieces);
	tcase_add_test(tcase, a_full_destination_slows_the_task_and_blocks_nobody);
	tcase_add_loop_test(tcase, other_destinations_do_not_block_either, 0, 1);
	tcase_add_test(tcase, a_destination_without_reader_ends_the_stream);
	tcase_add_test(tcase, a_full_disk_loses_bytes_but_no_reports);
	tcase_add_test(tcase, a_chatty_task_costs_no_memory);
	tcase_add_test(tcase, reports_beyond_the_ring_are_dropped_and_counted);
	tcase_add_test(tcase, prefixed_lines_are_whole_and_clean);
	tcase_add_test(tcase, a_prefix_per_byte_fits);
	tcase_add_test(tcase, last_words_are_of_stderr);
	tcase_add_test(tcase, last_words_are_few);
	tcase_add_test(tcase, a_preset_may_be_forced);
	return suite_run(suite);
}
