// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"

/* Who may. Root, and whoever the governor itself runs as, may all. Everybody else is asked about at
 * polkit where there is one, else may what concerns their own tasks. The answer may take as long as
 * a person takes to type a password: the message is kept, the loop goes on, and when the answer is
 * there the message is begun with anew, since the task may have ended meanwhile. How many can wait is
 * bounded, in all and for each user.
 *
 * What costs a decision is bounded for each user, too, before anybody is asked.
 *
 * The sender is what the bus says it is: never anything in the message. */

#define POLKIT "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define ALLOW_USER_INTERACTION 1u
#define QUESTION_TIMEOUT_US (60 * USEC_PER_SEC)

DEFINE_CLEANUP_FUNC(sd_bus_creds, sd_bus_creds_unref)
DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)

static const struct {
	const char *id; /* as in org.coregov.policy */
	const char *what;
	bool is_for_all; /* who may without polkit: everybody, or root only */
	const char *error;
} actions[_ACTION_MAX] = {
	[ACTION_SUBMIT] = {"org.coregov.submit", "submit tasks", true, SD_BUS_ERROR_ACCESS_DENIED},
	[ACTION_CHANGE_OWN] = {"org.coregov.change-own", "change their own tasks", true,
		SD_BUS_ERROR_ACCESS_DENIED},
	[ACTION_CHANGE_OTHERS] = {"org.coregov.change-others", "change the tasks of others", false,
		GOVERNOR_ERROR_NOT_YOURS},
	[ACTION_SET_BUDGET] = {"org.coregov.set-budget", "change the governor's budget and state",
		false, SD_BUS_ERROR_ACCESS_DENIED},
};

static const struct sender *find_sender(const struct governor_bus *bus, const char *name)
{
	for (size_t i = 0; i < SENDERS_KEPT; i++)
		if (strcmp(bus->senders[i].name, name) == 0)
			return &bus->senders[i];
	return NULL;
}

static void keep_sender(struct governor_bus *bus, const char *name, uid_t uid)
{
	struct sender *sender = &bus->senders[bus->next_sender];

	if (strlen(name) >= sizeof(sender->name))
		return;
	strcpy(sender->name, name);
	sender->uid = uid;
	bus->next_sender = (bus->next_sender + 1) % SENDERS_KEPT;
}

int sender_of(
	struct governor_bus *bus, sd_bus_message *message, uid_t *ret_uid, sd_bus_error *error)
{
	_cleanup_(cleanup_sd_bus_creds_unref) sd_bus_creds *creds = NULL;
	const char *name = sd_bus_message_get_sender(message);
	const struct sender *known = name && *name ? find_sender(bus, name) : NULL;
	int r;

	if (known) {
		*ret_uid = known->uid;
		return 0;
	}
	r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, ret_uid);
	if (r < 0)
		return sd_bus_error_set(
			error, SD_BUS_ERROR_ACCESS_DENIED, "the bus does not say who you are");
	if (name && *name)
		keep_sender(bus, name, *ret_uid);
	return 0;
}

static int refuse(enum action action, uid_t sender, sd_bus_error *error)
{
	return sd_bus_error_setf(error, actions[action].error, "user %u may not %s",
		(unsigned)sender, actions[action].what);
}

static int decide_without_polkit(struct governor_bus *bus, sd_bus_message *message,
	enum action action, uid_t sender, allowed_fn allowed, sd_bus_error *error)
{
	return actions[action].is_for_all ? allowed(bus, message, sender, error)
					  : refuse(action, sender, error);
}

/* Not an answer: polkit is not there. */
static bool is_absent(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

static void say_no_polkit(struct governor_bus *bus)
{
	if (bus->setup.no_polkit && !bus->has_said_no_polkit)
		bus->setup.no_polkit(bus->setup.userdata,
			"polkit is not on the bus: the owner of a task and root may change it, and "
			"root alone the budget");
	bus->has_said_no_polkit = true;
}

static int go_on(struct question *question, sd_bus_message *answer, sd_bus_error *error)
{
	const sd_bus_error *failure = sd_bus_message_get_error(answer);
	enum action action = (enum action)question->action;
	int is_authorized, is_challenge, r;

	if (failure && is_absent(failure)) {
		say_no_polkit(question->bus);
		return decide_without_polkit(question->bus, question->message, action,
			question->sender, question->allowed, error);
	}
	if (failure)
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
			"polkit does not say whether user %u may %s: %s",
			(unsigned)question->sender, actions[action].what, failure->message);
	r = sd_bus_message_enter_container(answer, 'r', "bba{ss}");
	if (r >= 0)
		r = sd_bus_message_read(answer, "bb", &is_authorized, &is_challenge);
	if (r < 0)
		return sd_bus_error_set(
			error, SD_BUS_ERROR_ACCESS_DENIED, "polkit's answer cannot be read");
	return is_authorized
		? question->allowed(question->bus, question->message, question->sender, error)
		: refuse(action, question->sender, error);
}

static void question_done(struct question *question)
{
	question->slot = sd_bus_slot_unref(question->slot);
	question->message = sd_bus_message_unref(question->message);
}

static int answered(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
	struct question *question = userdata;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = go_on(question, answer, &error);

	(void)ignored;
	if (r < 0)
		(void)sd_bus_reply_method_errno(question->message, r, &error);
	question_done(question);
	return 1;
}

static struct question *find_place(struct governor_bus *bus, uid_t sender)
{
	struct question *place = NULL;
	size_t n_own = 0;

	for (size_t i = 0; i < QUESTIONS_MAX; i++) {
		if (!bus->questions[i].message)
			place = &bus->questions[i];
		else
			n_own += bus->questions[i].sender == sender;
	}
	return n_own < QUESTIONS_PER_USER ? place : NULL;
}

static int build_question(struct governor_bus *bus, sd_bus_message *about, enum action action,
	sd_bus_message **ret_call)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	bool is_patient = sd_bus_message_get_allow_interactive_authorization(about) > 0;
	int r = sd_bus_message_new_method_call(
		bus->bus, &call, POLKIT, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");

	if (r >= 0)
		r = sd_bus_message_append(call, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name",
			"s", sd_bus_message_get_sender(about), actions[action].id, 0,
			is_patient ? ALLOW_USER_INTERACTION : 0, "");
	if (r >= 0)
		*ret_call = TAKE_PTR(call);
	return r;
}

static int ask(struct governor_bus *bus, sd_bus_message *message, enum action action, uid_t sender,
	allowed_fn allowed, sd_bus_error *error)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	struct question *question = find_place(bus, sender);
	int r;

	if (!question)
		return sd_bus_error_setf(error, GOVERNOR_ERROR_OVER_LIMIT,
			"user %u waits for too many answers of polkit already (at most %d at a "
			"time); try again later",
			(unsigned)sender, QUESTIONS_PER_USER);
	r = build_question(bus, message, action, &call);
	if (r >= 0)
		r = sd_bus_call_async(
			bus->bus, &question->slot, call, answered, question, QUESTION_TIMEOUT_US);
	if (r < 0)
		return r;
	question->bus = bus;
	question->message = sd_bus_message_ref(message);
	question->sender = sender;
	question->action = (int)action;
	question->allowed = allowed;
	return 1;
}

static bool may_all(uid_t user)
{
	return user == 0 || user == geteuid();
}

int allow(struct governor_bus *bus, sd_bus_message *message, enum action action, allowed_fn allowed,
	sd_bus_error *error)
{
	uid_t sender;
	int r = sender_of(bus, message, &sender, error);

	if (r < 0)
		return r;
	if (may_all(sender))
		return allowed(bus, message, sender, error);
	if (!bus->setup.asks_polkit)
		return decide_without_polkit(bus, message, action, sender, allowed, error);
	return ask(bus, message, action, sender, allowed, error);
}

static int keep_pace(struct governor_bus *bus, uid_t sender, sd_bus_error *error)
{
	uint64_t now_us = 0;
	int r = sd_event_now(bus->setup.event, CLOCK_MONOTONIC, &now_us);

	if (r < 0)
		return r;
	if (pace_take(&bus->pace, sender, now_us * NSEC_PER_USEC))
		return 0;
	return sd_bus_error_setf(error, GOVERNOR_ERROR_OVER_LIMIT,
		"user %u changes tasks too often (%d times at once, then %d a second); try again "
		"in a moment",
		(unsigned)sender, PACE_BURST, PACE_PER_SECOND);
}

int allow_change(struct governor_bus *bus, sd_bus_message *message, uid_t owner, bool is_paced,
	allowed_fn allowed, sd_bus_error *error)
{
	uid_t sender;
	int r = sender_of(bus, message, &sender, error);

	if (r >= 0 && is_paced && !may_all(sender))
		r = keep_pace(bus, sender, error);
	if (r < 0)
		return r;
	return allow(bus, message, sender == owner ? ACTION_CHANGE_OWN : ACTION_CHANGE_OTHERS,
		allowed, error);
}

void questions_done(struct governor_bus *bus)
{
	for (size_t i = 0; i < QUESTIONS_MAX; i++)
		question_done(&bus->questions[i]);
}
