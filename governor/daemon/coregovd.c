// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "config.h"
#include "connect_bus.h"
#include "daemon.h"
#include "fd_store.h"
#include "governor_bus.h"
#include "journal.h"
#include "log_level.h"
#include "machine.h"
#include "monotonic.h"
#include "nsec.h"
#include "policy.h"
#include "service_claim.h"
#include "service_status.h"
#include "watchdog.h"

/* coregovd(8): the configuration, the daemon and its bus put together around one event loop. */

#define BUS_PAUSE_US (2 * USEC_PER_SEC) /* before a bus that was lost is looked for again */
#define PASSWD_ENTRY_MAX 16384

struct service {
	struct config_setup config_setup;
	struct config *config;
	struct share budget; /* of the command line */
	bool has_budget;
	sd_event *event;
	struct daemon *daemon;
	struct governor_bus *bus;
	sd_event_source *bus_timer, *left_out_timer;
	struct fd_store *fd_store;
	char ledger_path[PATH_MAX];
	bool is_notifying; /* somebody wants to hear */
	struct service_status status;
	struct watchdog *watchdog; /* NULL: there is none */
};

struct options {
	struct config_setup config;
	struct share budget;
	bool has_budget, is_check;
	int log_level;
	bool has_log_level;
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

/* What happens to the service around the daemon. sender: who on the bus has asked for it. */
__attribute__((format(printf, 3, 4))) static void tell(
	const char *kind, uid_t sender, const char *format, ...)
{
	char text[FAULT_TEXT_MAX + 128];
	const struct daemon_event event = {
		.kind = kind,
		.text = text,
		.has_sender = sender != DAEMON_NOBODY,
		.sender = sender,
	};
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)journal_event(&event);
}

/* Of the configuration's reader. */
__attribute__((format(printf, 1, 2))) static void tell_ignored(const char *format, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tell("ignored", DAEMON_NOBODY, "%s", text);
}

static int complain(int status, const struct fault *fault)
{
	say("coregovd: %s", fault->text);
	return status;
}

/* ---- what it tells ---- */

/* Only where something was left out: idle it does not wake up. */
static void arm_left_out(struct service *service)
{
	uint64_t due_ns = journal_due_ns();

	if (due_ns == UINT64_MAX)
		return;
	(void)sd_event_source_set_time(
		service->left_out_timer, (due_ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC);
	(void)sd_event_source_set_enabled(service->left_out_timer, SD_EVENT_ONESHOT);
}

/* ---- the command line ---- */

static void print_help(void)
{
	(void)printf(
		"usage: coregovd [OPTION...]\n"
		"\n"
		"Governs the trainings that `coregov run` hands to it.\n"
		"\n"
		"  -b, --budget CPUS   such as 1.5cpu or 75%%, instead of the configuration's\n"
		"  -c, --check-config  only check the configuration\n"
		"  -f, --foreground    stay in the foreground, as it does anyway\n"
		"  -l, --log-level L   debug, info, notice, warning or err\n"
		"  -r, --root DIR      with --check-config: that below DIR\n"
		"  -u, --user          the governor of one user, on his bus\n"
		"  -h, --help          this text\n"
		"  -V, --version       the version\n");
}

__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...)
{
	va_list args;

	(void)fputs("coregovd: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputs("; try 'coregovd --help'\n", stderr);
	return EX_USAGE;
}

static int take_option(int option, const char *word, struct options *options)
{
	struct fault fault = FAULT_INIT;

	switch (option) {
	case 'b':
		if (parse_share(optarg, &options->budget, &fault) < 0)
			return usage_error("--budget: %s", fault.text);
		options->has_budget = true;
		return 0;
	case 'c':
		options->is_check = true;
		return 0;
	case 'f':
		return 0;
	case 'l':
		if (log_level_parse(optarg, &options->log_level, &fault) < 0)
			return usage_error("--log-level: %s", fault.text);
		options->has_log_level = true;
		return 0;
	case 'r':
		options->config.root = optarg;
		return 0;
	case 'u':
		options->config.is_user = true;
		return 0;
	case 'h':
		print_help();
		exit(EXIT_SUCCESS);
	case 'V':
		(void)printf("coregovd %s\n", COREGOV_VERSION);
		exit(EXIT_SUCCESS);
	case ':':
		return usage_error("%s needs a value", word);
	default:
		return usage_error("unknown option '%s'", word);
	}
}

static int parse(int argc, char *argv[], struct options *options)
{
	static const struct option known[] = {
		{"budget", required_argument, NULL, 'b'},
		{"check-config", no_argument, NULL, 'c'},
		{"foreground", no_argument, NULL, 'f'},
		{"log-level", required_argument, NULL, 'l'},
		{"root", required_argument, NULL, 'r'},
		{"user", no_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option, status = 0;

	opterr = 0;
	while (status == 0 && (option = getopt_long(argc, argv, ":b:cfl:r:uhV", known, NULL)) >= 0)
		status = take_option(option, argv[optind - 1], options);
	if (status == 0 && optind < argc)
		status = usage_error("'%s' is too many", argv[optind]);
	if (status == 0 && options->config.root && !options->is_check)
		status = usage_error("--root is for --check-config");
	return status;
}

/* ---- the configuration ---- */

static int budget_of(const struct service *service, const struct config *config,
	double *ret_budget_cpus, struct fault *fault)
{
	double cpus = config->budget.cpus;

	if (service->has_budget)
		cpus = service->budget.is_percent
			? service->budget.number / 100 * config->capacity_cpus
			: service->budget.number;
	if (!(cpus > 0) || cpus > config->capacity_cpus + 1e-9)
		return fault_set(fault, -ERANGE,
			"a budget of %g CPUs: it has to be above 0, and at most the machine's %g",
			cpus, config->capacity_cpus);
	*ret_budget_cpus = fmin(cpus, config->capacity_cpus);
	return 0;
}

static struct daemon_caps caps_of(void *userdata, uid_t owner)
{
	const struct service *service = userdata;
	struct passwd entry, *found = NULL;
	static char room[PASSWD_ENTRY_MAX];
	struct config_caps caps;

	if (!config_names_users(service->config) ||
		getpwuid_r(owner, &entry, room, sizeof(room), &found) != 0)
		found = NULL;
	caps = config_caps(service->config, owner, found ? found->pw_name : NULL);
	return (struct daemon_caps){.cpus = caps.cpus, .n_tasks = caps.n_tasks};
}

static struct governor_bus_defaults defaults_of(const struct config *config)
{
	return (struct governor_bus_defaults){
		.threads = config->threads.is_auto ? 0 : config->threads.cpus,
		.grace_ns = config->grace_ns,
		.on_target = config->on_target,
		.on_deadline = config->on_deadline,
	};
}

static void add_key(char *text, size_t n_text, const char *key)
{
	size_t length = strlen(text);

	(void)snprintf(text + length, n_text - length, "%s%s", length > 0 ? ", " : "", key);
}

static void tell_what_waits(const struct config *old, const struct config *new, uid_t sender)
{
	char keys[128] = "";

	if (old->slot_ns != new->slot_ns)
		add_key(keys, sizeof(keys), "slot");
	if (fabs(old->capacity_cpus - new->capacity_cpus) > 1e-9)
		add_key(keys, sizeof(keys), "capacity");
	if (old->enforcer != new->enforcer)
		add_key(keys, sizeof(keys), "enforcer");
	if (old->meter != new->meter)
		add_key(keys, sizeof(keys), "meter");
	if (old->n_tasks_max != new->n_tasks_max)
		add_key(keys, sizeof(keys), "tasks-max");
	if (keys[0])
		tell("waits", sender,
			"changed in the configuration, and in force from the next start: %s", keys);
}

static void tell_reloaded(const struct config *old, const struct config *new, uid_t sender)
{
	char keys[512];

	config_differences(old, new, keys, sizeof(keys));
	tell("reloaded", sender, "the configuration was read again and is in force; %s%s",
		keys[0] ? "other than before: " : "nothing in it is other than before", keys);
}

/* The budget first, which can be refused; for another policy there may be no memory. Its old state is kept where
 * it decides as before. */
static int put_into_force(
	struct service *service, const struct config *config, uid_t sender, struct fault *fault)
{
	struct daemon_info before;
	double budget_cpus;
	int r = budget_of(service, config, &budget_cpus, fault);

	daemon_info(service->daemon, &before);
	if (r == 0)
		r = daemon_configure_budget(service->daemon, budget_cpus, sender, fault);
	if (r < 0 || config_decides_alike(config, service->config))
		return r;
	r = daemon_set_policy(
		service->daemon, config->policy->name, config_parameters(config), sender, fault);
	if (r == 0 || budget_of(service, service->config, &budget_cpus, /* fault= */ NULL) < 0)
		return r;
	(void)daemon_configure_budget(service->daemon, budget_cpus, sender, /* fault= */ NULL);
	(void)daemon_set_budget(service->daemon, before.budget_cpus, sender, /* fault= */ NULL);
	return r;
}

static int reload(void *userdata, uid_t sender, struct fault *fault)
{
	struct governor_bus_defaults defaults;
	struct service *service = userdata;
	struct config *config, *old = service->config;
	int r;

	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_ns() / NSEC_PER_USEC);
	r = config_load(&config, &service->config_setup, fault);
	if (r == 0) {
		r = put_into_force(service, config, sender, fault);
		if (r == 0)
			service->config = config;
		else
			(void)config_free(config);
	}
	if (r == 0) {
		daemon_set_floor(service->daemon, config->floor.cpus);
		daemon_refresh_caps(service->daemon);
		defaults = defaults_of(config);
		/* While there is no bus: when it is back. */
		if (service->bus)
			governor_bus_set_defaults(service->bus, &defaults);
		tell_reloaded(old, config, sender);
		tell_what_waits(old, config, sender);
		(void)config_free(old);
	} else {
		tell("not-reloaded", sender,
			"the configuration was read again, and the old one stays in force: %s",
			fault ? fault->text : strerror(-r));
	}
	arm_left_out(service); /* whoever may do this may do it without end */
	(void)sd_notify(0, "READY=1");
	return r;
}

static char *describe(void *userdata, bool is_json)
{
	const struct service *service = userdata;
	struct daemon_info info;
	struct config_force force;
	char *text = NULL;
	size_t length;
	FILE *to;

	daemon_info(service->daemon, &info);
	force = (struct config_force){
		.budget_cpus = info.budget_cpus,
		.capacity_cpus = info.capacity_cpus,
		.slot_ns = info.slot_ns,
		.policy = info.policy,
		.enforcer = info.enforcer,
		.meter = info.meter,
	};
	if (is_json)
		return config_json(service->config, &force);
	to = open_memstream(&text, &length);
	if (!to)
		return NULL;
	config_print(service->config, &force, to);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- the bus ---- */

static void lost(void *userdata)
{
	struct service *service = userdata;

	tell("bus-lost", DAEMON_NOBODY,
		"the bus is gone; the tasks are governed on, and it is looked for");
	(void)sd_event_source_set_time_relative(service->bus_timer, 0);
	(void)sd_event_source_set_enabled(service->bus_timer, SD_EVENT_ONESHOT);
}

static void no_polkit(void *userdata, const char *sentence)
{
	(void)userdata;
	tell("no-polkit", DAEMON_NOBODY, "%s", sentence);
}

static int log_level(void *userdata)
{
	(void)userdata;
	return journal_level();
}

static void set_log_level(void *userdata, int level, uid_t sender)
{
	struct service *service = userdata;
	int old_level = journal_level();

	/* Under the one that tells more, or who turns it down would not be told of. */
	if (level > old_level)
		journal_set_level(level);
	if (level != old_level)
		tell("log-level", sender, "log-level %s, before %s: user %u has asked for it",
			log_level_to_string(level), log_level_to_string(old_level),
			(unsigned)sender);
	journal_set_level(level);
	arm_left_out(service);
}

static int open_bus(struct service *service, struct fault *fault)
{
	const struct governor_bus_setup setup = {
		.event = service->event,
		.daemon = service->daemon,
		.place = service->config_setup.is_user ? GOVERNOR_USER : GOVERNOR_SYSTEM,
		.asks_polkit = !service->config_setup.is_user && !connect_has_address(),
		.version = COREGOV_VERSION,
		.defaults = defaults_of(service->config),
		.userdata = service,
		.reload = reload,
		.describe = describe,
		.lost = lost,
		.no_polkit = no_polkit,
		.log_level = log_level,
		.set_log_level = set_log_level,
		.log_target = journal_is_there() ? "journal" : "console",
	};

	return governor_bus_new(&service->bus, &setup, fault);
}

static int on_bus_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *service = userdata;
	struct fault fault = FAULT_INIT;

	(void)usec;
	service->bus = governor_bus_free(service->bus);
	if (open_bus(service, &fault) == 0) {
		tell("bus-back", DAEMON_NOBODY, "the bus is there again");
		return 0;
	}
	(void)sd_event_source_set_time_relative(source, BUS_PAUSE_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- signals, and the whole ---- */

static int on_left_out(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	journal_tell_left_out(/* is_end= */ false);
	arm_left_out(userdata);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct fault fault = FAULT_INIT;

	(void)source;
	(void)info;
	(void)reload(userdata, DAEMON_NOBODY, &fault);
	return 0;
}

static int set_up_event(struct service *service, struct fault *fault)
{
	sigset_t signals;
	int r = sd_event_new(&service->event);

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (r >= 0)
		r = sd_event_add_signal(service->event, NULL, SIGHUP, on_hangup, service);
	if (r >= 0)
		r = sd_event_add_signal(
			service->event, NULL, SIGINT, NULL, NULL); /* ends the loop */
	if (r >= 0)
		r = sd_event_add_signal(service->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_time(service->event, &service->bus_timer, CLOCK_MONOTONIC,
			UINT64_MAX, 0, on_bus_timer, service);
	if (r >= 0)
		r = sd_event_source_set_enabled(service->bus_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(service->event, &service->left_out_timer, CLOCK_MONOTONIC,
			UINT64_MAX, 0, on_left_out, service);
	if (r >= 0)
		r = sd_event_source_set_enabled(service->left_out_timer, SD_EVENT_OFF);
	return r < 0 ? fault_errno(fault, r, "event loop") : 0;
}

/* How many were left out is told, too, if the timer is not set for that already. */
static bool keep_event(void *userdata, const struct daemon_event *event)
{
	struct service *service = userdata;
	bool is_told = journal_event(event);

	if (!is_told)
		arm_left_out(service);
	return is_told;
}

static bool wants_slots(void *userdata)
{
	(void)userdata;
	return journal_level() >= LOG_DEBUG;
}

static void keep_slot(void *userdata)
{
	struct service *service = userdata;
	struct daemon_info info;

	watchdog_look(service->watchdog);
	if (!service->is_notifying)
		return;
	daemon_info(service->daemon, &info);
	if (service_status_next(&service->status, &info, monotonic_ns()))
		(void)sd_notifyf(0, "STATUS=%s", service->status.text);
}

/* ---- what is there for the next one ---- */

static void keep_fd(void *userdata, const char *name, int fd)
{
	(void)userdata;
	fd_store_keep(name, fd);
}

static int take_fd(void *userdata, const char *name)
{
	const struct service *service = userdata;

	return fd_store_take(service->fd_store, name);
}

static void drop_fd(void *userdata, const char *name)
{
	(void)userdata;
	fd_store_drop(name);
}

/* In the directory that systemd makes for us, or one of that name where there is no systemd. False where there
 * is none. */
static bool find_ledger(struct service *service)
{
	const char *directory = getenv("RUNTIME_DIRECTORY"), *above = "/run";
	char made[PATH_MAX - 16];
	size_t length;

	if (!directory || !*directory) {
		if (service->config_setup.is_user)
			above = getenv("XDG_RUNTIME_DIR");
		if (!above || !*above)
			return false;
		if (snprintf(made, sizeof(made), "%s/coregov", above) >= (int)sizeof(made) ||
			(mkdir(made, service->config_setup.is_user ? 0700 : 0755) < 0 &&
				errno != EEXIST))
			return false;
		directory = made;
	}
	length = strcspn(directory, ":"); /* there may be several, of which ours is the first */
	return snprintf(service->ledger_path, sizeof(service->ledger_path), "%.*s/tasks",
		       (int)length, directory) < (int)sizeof(service->ledger_path);
}

static int open_daemon(struct service *service, struct fault *fault)
{
	const struct config *config = service->config;
	struct daemon_setup setup = {
		.event = service->event,
		.capacity_cpus = config->capacity_cpus,
		.slot_ns = config->slot_ns,
		.policy = config->policy->name,
		.parameters = config_parameters(config),
		.enforcer = config->enforcer,
		.meter = config->meter,
		.n_tasks_max = config->n_tasks_max,
		.floor_cpus = config->floor.cpus,
		.userdata = service,
		.caps_of = caps_of,
		.keep_event = keep_event,
		.wants_slots = wants_slots,
		.keep_fd = keep_fd,
		.take_fd = take_fd,
		.drop_fd = drop_fd,
		.keep_slot = keep_slot,
	};
	int r = budget_of(service, config, &setup.budget_cpus, fault);

	service->fd_store = fd_store_new();
	if (!service->fd_store)
		return fault_errno(fault, -ENOMEM, "descriptors of the daemon before");
	if (find_ledger(service))
		setup.ledger_path = service->ledger_path;
	else
		tell("not-kept", DAEMON_NOBODY,
			"no directory to write down what tasks there are (XDG_RUNTIME_DIR): after "
			"a "
			"restart they will not be taken over");
	setup.is_machines = !service->config_setup.is_user &&
		strcmp(service->ledger_path, SERVICE_CLAIM_DIRECTORY "/tasks") == 0;
	if (r == 0)
		r = daemon_new(&service->daemon, &setup, fault);
	if (r == 0) /* otherwise the next start has another try */
		fd_store_drop_rest(service->fd_store);
	service->fd_store = fd_store_free(service->fd_store);
	return r;
}

static int status_of_start(int error)
{
	switch (error) {
	case -ERANGE:
	case -EINVAL:
		return EX_DATAERR;
	case -EDQUOT:
		return EX_TEMPFAIL;
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	case -ENOMEM:
		return EXIT_FAILURE;
	default:
		return EX_UNAVAILABLE;
	}
}

static bool is_well(void *userdata)
{
	const struct service *service = userdata;

	return daemon_is_in_time(service->daemon);
}

static int open_watchdog(struct service *service, struct fault *fault)
{
	int r = watchdog_new(&service->watchdog, service->event, is_well, service);

	return r < 0 ? fault_errno(fault, r, "watchdog") : 0;
}

static void tell_ready(const struct service *service)
{
	struct daemon_info info;
	char text[256];
	struct daemon_event event = {.kind = "ready", .text = text};

	daemon_info(service->daemon, &info);
	event.policy = info.policy;
	event.budget_cpus = info.budget_cpus;
	(void)snprintf(text, sizeof(text),
		"ready: policy %s, budget %.4g of %.4g CPUs, a slot every %g s, %" PRIu32 " task%s",
		info.policy, info.budget_cpus, info.capacity_cpus, nsec_to_seconds(info.slot_ns),
		info.n_tasks, info.n_tasks == 1 ? "" : "s");
	(void)journal_event(&event);
}

static void tell_ending(const struct service *service)
{
	struct daemon_info info;

	daemon_info(service->daemon, &info);
	if (info.n_tasks > 0)
		tell("ending", DAEMON_NOBODY,
			"ending: %" PRIu32 " task%s on, limited by the budget around all of them "
			"alone, until a governor is there again",
			info.n_tasks, info.n_tasks == 1 ? " runs" : "s run");
	else
		tell("ending", DAEMON_NOBODY, "ending: no task runs");
}

static int serve(struct service *service)
{
	struct fault fault = FAULT_INIT;
	int r = set_up_event(service, &fault);

	if (r == 0)
		r = open_daemon(service, &fault);
	if (r == 0)
		r = open_bus(service, &fault);
	if (r == 0)
		r = open_watchdog(service, &fault);
	if (r < 0)
		return complain(status_of_start(r), &fault);
	service->is_notifying = getenv("NOTIFY_SOCKET") != NULL;
	tell_ready(service);
	(void)sd_notify(0, "READY=1");
	keep_slot(service);
	r = sd_event_loop(service->event);
	(void)sd_notify(0, "STOPPING=1");
	if (r < 0) {
		tell("gave-up", DAEMON_NOBODY, "event loop: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	journal_tell_left_out(/* is_end= */ true);
	tell_ending(service);
	return EXIT_SUCCESS;
}

/* The command line's word, else the environment's: that is for all programs of a unit. */
static void set_up_log_level(const struct options *options)
{
	const char *text = getenv("SYSTEMD_LOG_LEVEL");
	struct fault fault = FAULT_INIT;
	int level = LOG_INFO;

	if (options->has_log_level)
		level = options->log_level;
	else if (text && log_level_parse(text, &level, &fault) < 0)
		tell_ignored("SYSTEMD_LOG_LEVEL: %s (ignored)", fault.text);
	journal_set_level(level);
}

static int load(struct service *service, const struct options *options)
{
	struct fault fault = FAULT_INIT;
	int r;

	set_up_log_level(options);
	service->config_setup = options->config;
	service->config_setup.say = options->is_check ? say : tell_ignored;
	service->budget = options->budget;
	service->has_budget = options->has_budget;
	/* What is below another root is for another machine. */
	if (!options->config.root &&
		machine_capacity(&service->config_setup.machine_cpus, &fault) < 0)
		return complain(EX_UNAVAILABLE, &fault);
	r = config_load(&service->config, &service->config_setup, &fault);
	if (r < 0)
		return complain(r == -EACCES || r == -EPERM ? EX_NOPERM : EX_DATAERR, &fault);
	return 0;
}

int main(int argc, char *argv[])
{
	struct options options = {0};
	struct service service = {0};
	int status = parse(argc, argv, &options);

	if (status == 0)
		status = load(&service, &options);
	if (status == 0 && !options.is_check)
		status = serve(&service);
	service.watchdog = watchdog_free(service.watchdog);
	/* The bus listens to the daemon. */
	service.bus = governor_bus_free(service.bus);
	service.daemon = daemon_free(service.daemon);
	service.fd_store = fd_store_free(service.fd_store);
	(void)sd_event_source_disable_unref(service.bus_timer);
	(void)sd_event_source_disable_unref(service.left_out_timer);
	(void)sd_event_unref(service.event);
	(void)config_free(service.config);
	return status;
}
