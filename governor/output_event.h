/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "fault.h"

/* An output on an sd-event loop: polls what is to be polled (output.h) and stops by itself at the
 * end of both streams. */

struct output;
struct output_event;
struct sd_event;

/* Call after output_launched(). Stamps are CLOCK_MONOTONIC, read once per turn of the loop. The
 * output is kept by pointer: free the event first. 0 or a negative errno. */
int output_event_new(struct output_event **ret_event, struct output *output, struct sd_event *loop,
	int64_t priority, struct fault *fault);
struct output_event *output_event_free(struct output_event *event);
