/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes TensorBoard event files in memory, for tests of what reads them. Shares no code with the
 * reader: its checksum goes bit by bit. A zeroed struct is an empty file. */
struct event_file {
	uint8_t *bytes; /* owned */
	size_t n, room;
};

void event_file_done(struct event_file *events);
void event_file_record(struct event_file *events, const void *data, size_t length);
/* The record every event file begins with. */
void event_file_version(struct event_file *events);
/* As PyTorch's SummaryWriter writes a scalar. */
void event_file_scalar(struct event_file *events, uint64_t step, const char *tag, float value);
/* As TensorFlow 2's tf.summary writes one. */
void event_file_tensor(struct event_file *events, uint64_t step, const char *tag, float value);
