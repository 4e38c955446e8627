/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A submission as a message; a part of client_bus.c. */

struct sd_bus;
struct sd_bus_message;
struct submission;

/* 0 or more and *ret_call, or a negative errno. */
int submission_call(
	struct sd_bus *bus, const struct submission *submission, struct sd_bus_message **ret_call);
