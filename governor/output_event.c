// SPDX-License-Identifier: GPL-2.0-or-later
#include "output_event.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "cleanup.h"
#include "nsec.h"
#include "output.h"

/* The loop's side of an output.
 *
 * A stream is polled either for input or, while its bytes wait for a destination, for output there,
 * never for both: an input that is not read would wake a level-triggered loop without end. So after
 * every turn the sources are arranged anew: the input's is switched, the destination's is made and
 * dropped, since it is rare and may be one of two descriptors. */

struct watched {
	struct output_event *event;
	int which;
	sd_event_source *input, *destination;
};

struct output_event {
	struct output *output;
	sd_event *loop;
	int64_t priority;
	struct watched streams[2];
};

static int on_destination(sd_event_source *source, int fd, uint32_t events, void *userdata);

static int arrange(struct watched *watched)
{
	struct output_event *event = watched->event;
	int write_fd = output_write_fd(event->output, watched->which);
	int r = 0;

	watched->destination = sd_event_source_disable_unref(watched->destination);
	if (write_fd >= 0) {
		r = sd_event_add_io(event->loop, &watched->destination, write_fd, EPOLLOUT,
			on_destination, watched);
		if (r >= 0)
			r = sd_event_source_set_priority(watched->destination, event->priority);
	}
	if (r >= 0 && watched->input)
		r = sd_event_source_set_enabled(
			watched->input, write_fd >= 0 ? SD_EVENT_OFF : SD_EVENT_ON);
	return r < 0 ? r : 0;
}

/* After a turn: `alive` as of output_readable(). Errors end the stream, as its end does. */
static int turned(struct watched *watched, int alive)
{
	if (alive <= 0 || output_poll_fd(watched->event->output, watched->which) < 0)
		watched->input = sd_event_source_disable_unref(watched->input);
	if (alive <= 0) {
		watched->destination = sd_event_source_disable_unref(watched->destination);
		return 0;
	}
	return arrange(watched);
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct watched *watched = userdata;
	uint64_t now_us;
	int r;

	(void)source;
	(void)fd;
	(void)events;
	r = sd_event_now(watched->event->loop, CLOCK_MONOTONIC, &now_us);
	if (r < 0)
		return r;
	return turned(watched,
		output_readable(watched->event->output, watched->which, now_us * NSEC_PER_USEC));
}

static int on_destination(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct watched *watched = userdata;

	(void)source;
	(void)fd;
	(void)events;
	return turned(watched, output_writable(watched->event->output, watched->which));
}

int output_event_new(struct output_event **ret_event, struct output *output, struct sd_event *loop,
	int64_t priority, struct fault *fault)
{
	struct output_event *event = calloc(1, sizeof(*event));
	int r = 0;

	if (!event)
		return fault_errno(fault, -ENOMEM, "poll a task's output");
	event->output = output;
	event->loop = sd_event_ref(loop);
	event->priority = priority;
	for (int which = 1; which <= 2 && r >= 0; which++) {
		struct watched *watched = &event->streams[which - 1];
		int fd = output_poll_fd(output, which);

		watched->event = event;
		watched->which = which;
		if (fd < 0)
			continue;
		r = sd_event_add_io(loop, &watched->input, fd, EPOLLIN, on_input, watched);
		if (r >= 0)
			r = sd_event_source_set_priority(watched->input, priority);
	}
	if (r < 0) {
		(void)output_event_free(event);
		return fault_errno(fault, r, "poll a task's output");
	}
	*ret_event = event;
	return 0;
}

struct output_event *output_event_free(struct output_event *event)
{
	if (!event)
		return NULL;
	for (size_t i = 0; i < ARRAY_LENGTH(event->streams); i++) {
		(void)sd_event_source_disable_unref(event->streams[i].input);
		(void)sd_event_source_disable_unref(event->streams[i].destination);
	}
	(void)sd_event_unref(event->loop);
	free(event);
	return NULL;
}
