/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

/* When something about a task's outlook is worth telling. Pure: what is seen of it goes in, once a slot,
 * and what is to be told comes out. */

/* A prospect counts once it has been the same in so many looks, and a task is told of once in so long:
 * one on the edge changes with each report. */
#define OUTLOOK_STEADY_LOOKS 3
#define OUTLOOK_PAUSE_NS (60 * UINT64_C(1000000000))

/* A task that has a target is expected to have reported before it has used so much CPU time: an interpreter
 * and its libraries are there by then, and a first step has been made. Or when it has been there for so
 * long, and has used a third of that: one with a small share is not waited for until it is too late. */
#define OUTLOOK_UNHEARD_CPU_NS (30 * UINT64_C(1000000000))
#define OUTLOOK_UNHEARD_AGE_NS (60 * UINT64_C(1000000000))

enum outlook_news {
	OUTLOOK_NOTHING,
	OUTLOOK_UNLIKELY, /* it will not make it, as things are */
	OUTLOOK_LIKELY,   /* it will make it after all: only after the former */
	OUTLOOK_UNHEARD,  /* nothing was reported: once in its life */
};

/* What was told of one task; all zero at first. */
struct outlook {
	bool is_told_unlikely;
	uint64_t told_ns;   /* when a prospect was told last; 0: never */
	uint32_t n_steady;  /* looks in a row with the prospect that follows */
	enum prospect seen; /* in the last look */
	bool is_unheard;    /* was told to be */
};

struct outlook_look {
	uint64_t now_ns, age_ns, cpu_ns;
	bool is_expected; /* to report: it has a target and no outcome */
	uint64_t n_reports;
	enum prospect prospect;
	uint64_t unheard_cpu_ns; /* OUTLOOK_UNHEARD_CPU_NS, but for tests */
};

enum outlook_news outlook_look(struct outlook *outlook, const struct outlook_look *look);
