/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "report.h"
#include "slot.h"

/* The last arrow of a slot: what happened, to whoever keeps or shows it (the trace, the live view).
 * Nothing handed over may be kept beyond the call. */

struct recorder_ops;

struct recorder {
	const struct recorder_ops *ops;
};

struct recorder_ops {
	void (*slot)(struct recorder *recorder, const struct slot_record *record);
	void (*report)(struct recorder *recorder, uint32_t task, const struct report *report);
	/* kind: "start", "learned", "stop", "end", "excess", "foreign", ...; text: a sentence. */
	void (*event)(struct recorder *recorder, uint64_t now_ns, uint32_t task, const char *kind,
		const char *text);
};

#define RECORD_NO_TASK UINT32_MAX
