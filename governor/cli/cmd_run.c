// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "choice.h"
#include "cleanup.h"
#include "cmd.h"
#include "config.h"
#include "gate.h"
#include "launcher.h"
#include "locate.h"
#include "moment.h"
#include "nsec.h"
#include "preset.h"
#include "quantity.h"

/* `coregov run`: a command under the governor that is there. What can be wrong in the options is found
 * here, before anything starts; what only the governor knows (a name in use, a cap) it says itself. */

#define THREADS_MAX 100000

struct options {
	struct launcher_setup launcher;
	char directory[PATH_MAX];
	bool wants_user, wants_system, is_help;
};

static void print_help(void)
{
	(void)printf("usage: coregov run [OPTION...] [--] COMMAND [ARGUMENT...]\n"
		     "\n"
		     "Runs a command under the machine's governor, coregovd.\n"
		     "\n"
		     "  -n, --name N         what the task is called; else made from the command\n"
		     "  -t, --target T       learned well: 'loss <= 0.1', 'accuracy >= 0.9 for 3'\n"
		     "  -d, --deadline D     45min, now+2h, 18:30 or '2026-12-01 18:30'\n"
		     "  -T, --threads N      the CPUs it can use at once; default auto\n"
		     "  -f, --feed F         auto, shm, output[:PRESET], file:PATH or none\n"
		     "  -o, --on-target W    stop or yield once it has learned; default yield\n"
		     "  -O, --on-deadline W  stop or yield when its time is up; default yield\n"
		     "  -g, --grace T        between being asked to stop and being stopped\n"
		     "  -w, --wait-start     do not start before there is a share for it\n"
		     "  -r, --require        do not run it without a governor\n"
		     "  -u, --user           under your own governor\n"
		     "  -s, --system         under the system's\n"
		     "  -q, --quiet          say nothing where all is well\n"
		     "  -h, --help           this text\n");
}

static const struct option long_options[] = {
	{"name", required_argument, NULL, 'n'},
	{"target", required_argument, NULL, 't'},
	{"deadline", required_argument, NULL, 'd'},
	{"threads", required_argument, NULL, 'T'},
	{"feed", required_argument, NULL, 'f'},
	{"on-target", required_argument, NULL, 'o'},
	{"on-deadline", required_argument, NULL, 'O'},
	{"grace", required_argument, NULL, 'g'},
	{"wait-start", no_argument, NULL, 'w'},
	{"require", no_argument, NULL, 'r'},
	{"user", no_argument, NULL, 'u'},
	{"system", no_argument, NULL, 's'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static uint64_t clock_now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int bad_option(const char *option)
{
	const char *words[ARRAY_LENGTH(long_options)] = {NULL}, *nearest = NULL;
	size_t length = strcspn(option, "=");
	_cleanup_free_ char *word = strndup(option, length);

	for (size_t i = 0; long_options[i].name; i++)
		words[i] = long_options[i].name;
	if (word && strncmp(word, "--", 2) == 0)
		nearest = nearest_word(word + 2, words);
	if (nearest)
		return cmd_usage_error(
			"run", "unknown option '%s'; did you mean '--%s'?", word, nearest);
	return cmd_usage_error("run", "unknown option '%s'", option);
}

static int bad_value(const char *option, const struct fault *fault)
{
	return cmd_usage_error("run", "--%s: %s", option, fault->text);
}

static int take_threads(struct submission *request, const char *text, struct fault *fault)
{
	uint64_t threads = 0;
	int r;

	if (strcmp(text, "auto") != 0) {
		r = parse_count(text, 1, THREADS_MAX, &threads, fault);
		if (r < 0)
			return fault_wrap(fault, r, "neither 'auto' nor a number of CPUs");
	}
	request->has_threads = true;
	request->threads = (uint32_t)threads;
	return 0;
}

static int take_name(struct submission *request, const char *name, struct fault *fault)
{
	if (!task_name_is_valid(name))
		return fault_set(fault, -EINVAL,
			"'%.80s' is no name of a task; expected 1 to %d letters, digits, '.', '_' "
			"and '-'",
			name, TASK_NAME_MAX);
	request->name = name;
	return 0;
}

static int take_deadline(struct submission *request, const char *text, struct fault *fault)
{
	int r = parse_moment(text, clock_now_ns(CLOCK_REALTIME), &request->deadline, fault);

	request->has_deadline = r == 0;
	request->now_boottime_ns = clock_now_ns(CLOCK_BOOTTIME);
	return r;
}

/* A value that has one; 0 or a negative errno with a sentence. */
static int take_value(struct options *options, int option, const char *text, struct fault *fault)
{
	struct launcher_setup *launcher = &options->launcher;
	struct submission *request = &launcher->request;
	enum at_end at_end;
	struct target target;

	switch (option) {
	case 'n':
		return take_name(request, text, fault);
	case 't':
		request->target = text;
		return parse_target(text, &target, fault);
	case 'd':
		return take_deadline(request, text, fault);
	case 'T':
		return take_threads(request, text, fault);
	case 'f':
		return parse_feed(text, &launcher->feed, &launcher->feed_more, fault);
	case 'o':
		request->on_target = text;
		return parse_at_end(text, &at_end, fault);
	case 'O':
		request->on_deadline = text;
		return parse_at_end(text, &at_end, fault);
	default:
		request->has_grace = true;
		return parse_span(text, &request->grace_ns, fault);
	}
}

static void take_flag(struct options *options, int option)
{
	switch (option) {
	case 'w':
		options->launcher.request.waits_start = true;
		break;
	case 'r':
		options->launcher.required_by = "--require";
		break;
	case 'u':
		options->wants_user = true;
		break;
	case 's':
		options->wants_system = true;
		break;
	case 'q':
		options->launcher.is_quiet = true;
		break;
	default:
		options->is_help = true;
		break;
	}
}

static const char *long_name(int option)
{
	size_t i = 0;

	while (long_options[i].val != option)
		i++;
	return long_options[i].name;
}

/* What one option needs of another. */
static int check_together(const struct options *options)
{
	const struct submission *request = &options->launcher.request;

	if (options->wants_user && options->wants_system)
		return cmd_usage_error("run", "--user and --system: which of the two?");
	if (request->on_target && !request->target)
		return cmd_usage_error(
			"run", "--on-target without --target: there is nothing to learn");
	if (request->on_deadline && !request->has_deadline)
		return cmd_usage_error("run", "--on-deadline without --deadline: there is no end");
	return 0;
}

static int parse(int argc, char *argv[], struct options *options)
{
	struct fault fault = FAULT_INIT;
	int option;

	opterr = 0;
	/* '+': what comes behind the command is its own. */
	while ((option = getopt_long(argc, argv, "+:n:t:d:T:f:o:O:g:wrusqh", long_options, NULL)) >=
		0) {
		if (option == '?')
			return bad_option(argv[optind - 1]);
		if (option == ':')
			return cmd_usage_error("run", "%s needs a value", argv[optind - 1]);
		if (!optarg || strchr("wrusqh", option))
			take_flag(options, option);
		else if (take_value(options, option, optarg, &fault) < 0)
			return bad_value(long_name(option), &fault);
		if (options->is_help)
			return 0;
	}
	if (optind == argc)
		return cmd_usage_error("run", "no command given");
	options->launcher.request.command = argv + optind;
	if (options->wants_user)
		options->launcher.place = GOVERNOR_USER;
	if (options->wants_system)
		options->launcher.place = GOVERNOR_SYSTEM;
	return check_together(options);
}

static bool names_a_folder(const char *variable)
{
	const char *value = secure_getenv(variable);

	return value && *value == '/';
}

/* The configuration, for the presets that it names: with the user's own files unless it is the
 * system's governor that is asked for. The rest of it is the governor's affair, as is what is wrong
 * with it: that is said, and keeps nobody from running. What is not for us to read is passed over. */
static struct config *read_config(enum governor_place place)
{
	const struct config_setup setup = {
		.is_user = place != GOVERNOR_SYSTEM &&
			(names_a_folder("XDG_CONFIG_HOME") || names_a_folder("HOME")),
	};
	struct fault fault = FAULT_INIT;
	struct config *config = NULL;
	int r = config_load(&config, &setup, &fault);

	if (r < 0 && r != -EACCES && r != -EPERM)
		cmd_message("%s: presets that the configuration names are not read", fault.text);
	return r < 0 ? NULL : config;
}

static int find_directories(enum governor_place place, char ***ret_directories)
{
	struct config *config = read_config(place);
	int r = preset_directories(
		preset_directory(), config ? config->presets : NULL, ret_directories);

	(void)config_free(config);
	return r;
}

/* Presets are read where output may be; what is wrong with a file of them keeps nobody from running,
 * unless it was asked for by name. */
static int read_presets(const struct launcher_setup *setup, struct preset_set **ret_presets)
{
	bool is_asked_for = setup->feed == FEED_OUTPUT;
	char **directories = NULL;
	struct fault fault = FAULT_INIT;
	const char *nearest;
	int r;

	if (!is_asked_for &&
		(setup->feed != FEED_AUTO || !setup->request.target ||
			(isatty(STDOUT_FILENO) && isatty(STDERR_FILENO))))
		return 0;
	r = find_directories(setup->place, &directories);
	if (r < 0)
		(void)fault_errno(&fault, r, "presets");
	else
		r = preset_set_read(ret_presets, (const char *const *)directories, &fault);
	(void)preset_directories_free(directories);
	if (r < 0) {
		cmd_message("%s%s", fault.text, is_asked_for ? "" : ": what it prints is not read");
		return is_asked_for ? EXIT_STATUS_DATA : 0;
	}
	if (!is_asked_for || !setup->feed_more || preset_set_has(*ret_presets, setup->feed_more))
		return 0;
	nearest = nearest_word(setup->feed_more, preset_set_names(*ret_presets));
	if (nearest)
		return cmd_usage_error("run", "--feed: unknown preset '%s'; did you mean '%s'?",
			setup->feed_more, nearest);
	return cmd_usage_error("run", "--feed: unknown preset '%s'", setup->feed_more);
}

/* As the command: a shell that has seen its child die of Ctrl-C ends its script, too. */
static void die_interrupted(void)
{
	sigset_t interrupt;

	(void)signal(SIGINT, SIG_DFL);
	(void)raise(SIGINT);
	(void)sigemptyset(&interrupt);
	(void)sigaddset(&interrupt, SIGINT);
	(void)sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
}

static int status_of(const struct launcher_result *result)
{
	switch (result->answer) {
	case CLIENT_ACCEPTED:
		if (result->was_interrupted)
			die_interrupted();
		return result->status;
	case CLIENT_REFUSED_DATA:
		return EXIT_STATUS_DATA;
	case CLIENT_REFUSED_BUSY:
		return EXIT_STATUS_TEMPORARY;
	case CLIENT_REFUSED_PERMISSION:
		return EXIT_STATUS_PERMISSION;
	case CLIENT_ABSENT:
		return EXIT_STATUS_UNAVAILABLE;
	case CLIENT_FAILED:
	case CLIENT_WAITING:
		break;
	}
	return GATE_STATUS_LAUNCHER;
}

int cmd_run(int argc, char *argv[])
{
	struct options options = {.launcher = {.say = cmd_message}};
	struct preset_set *presets = NULL;
	struct launcher_result result;
	struct fault fault = FAULT_INIT;
	int status = parse(argc, argv, &options);

	if (status != 0)
		return status;
	if (options.is_help) {
		print_help();
		return EXIT_STATUS_DONE;
	}
	status = read_presets(&options.launcher, &presets);
	if (status == 0) {
		options.launcher.presets = presets;
		options.launcher.request.directory = getcwd(
			options.directory, sizeof(options.directory));
		if (launcher_run(&options.launcher, &result, &fault) < 0) {
			cmd_message("%s", fault.text);
			status = GATE_STATUS_LAUNCHER;
		} else {
			status = status_of(&result);
		}
	}
	(void)preset_set_free(presets);
	return status;
}
