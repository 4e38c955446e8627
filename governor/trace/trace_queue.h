/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

/* A bounded queue of records of any size from one thread to one other, in memory that was reserved
 * before. Neither side ever waits for the other, and neither allocates. */
struct trace_queue {
	unsigned char *bytes;      /* owned */
	size_t size_bytes;         /* a power of two */
	size_t reserved_bytes;     /* producer: of the record in the making, header included */
	_Atomic size_t head_bytes; /* ever pushed; only the producer writes it */
	_Atomic size_t tail_bytes; /* ever popped; only the consumer writes it */
};

/* At least size_bytes (rounded up to a power of two). 0 or -ENOMEM. */
int trace_queue_init(struct trace_queue *queue, size_t size_bytes);
void trace_queue_done(struct trace_queue *queue); /* a zeroed one is fine */

/* Producer: room for a record of size_bytes, aligned for any type, or NULL where it does not fit
 * now. It becomes visible by trace_queue_push(); a reservation that is not pushed is forgotten. */
void *trace_queue_reserve(struct trace_queue *queue, size_t size_bytes);
void trace_queue_push(struct trace_queue *queue);

/* Consumer: the oldest record, valid until trace_queue_pop(), or NULL where there is none. */
const void *trace_queue_front(struct trace_queue *queue);
void trace_queue_pop(struct trace_queue *queue);

/* How much of the queue is taken, from 0 to size_bytes. Either side; a moment old. */
size_t trace_queue_used_bytes(const struct trace_queue *queue);
