// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* A ring of bytes. head and tail count bytes since the beginning and never wrap back (a size_t of
 * 64 bits lasts); their lower bits are the place in the ring. A record lies in one piece, so that
 * both sides can use it where it is: when it does not fit before the end of the ring, the rest of
 * the ring becomes a filler and the record starts at the front. Every record is a multiple of
 * HEADER_BYTES, so the rest always has room for a filler's header.
 *
 *	bytes  | ......... | rec | rec | rec | filler |
 *	        ^head       ^tail                      ^size
 *
 * One producer and one consumer: each writes only its own counter, with release order after the
 * bytes are written (or read), and reads the other's with acquire order. */

struct record_header {
	_Alignas(max_align_t) size_t size_bytes; /* header included, a multiple of HEADER_BYTES */
	bool is_filler;
};
#define HEADER_BYTES sizeof(struct record_header)
static_assert((HEADER_BYTES & (HEADER_BYTES - 1)) == 0, "divides the size of the ring");

static struct record_header *header_at(const struct trace_queue *queue, size_t position_bytes)
{
	return (struct record_header *)(queue->bytes + (position_bytes & (queue->size_bytes - 1)));
}

int trace_queue_init(struct trace_queue *queue, size_t size_bytes)
{
	size_t rounded = 4096;

	while (rounded < size_bytes)
		rounded *= 2;
	queue->bytes = aligned_alloc(_Alignof(struct record_header), rounded);
	if (!queue->bytes)
		return -ENOMEM;
	queue->size_bytes = rounded;
	queue->reserved_bytes = 0;
	atomic_init(&queue->head_bytes, 0);
	atomic_init(&queue->tail_bytes, 0);
	return 0;
}

void trace_queue_done(struct trace_queue *queue)
{
	free(queue->bytes);
	queue->bytes = NULL;
}

void *trace_queue_reserve(struct trace_queue *queue, size_t size_bytes)
{
	size_t head = atomic_load_explicit(&queue->head_bytes, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&queue->tail_bytes, memory_order_acquire);
	size_t to_end = queue->size_bytes - (head & (queue->size_bytes - 1));
	size_t needed;
	struct record_header *header;

	if (size_bytes > queue->size_bytes / 2 - HEADER_BYTES)
		return NULL;
	needed = HEADER_BYTES + (size_bytes + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
	if (needed > to_end) {
		if (head - tail + to_end + needed > queue->size_bytes)
			return NULL;
		header = header_at(queue, head);
		*header = (struct record_header){.size_bytes = to_end, .is_filler = true};
		/* The filler goes out on its own: the consumer may skip it at any time. */
		head += to_end;
		atomic_store_explicit(&queue->head_bytes, head, memory_order_release);
	} else if (head - tail + needed > queue->size_bytes) {
		return NULL;
	}
	header = header_at(queue, head);
	*header = (struct record_header){.size_bytes = needed};
	queue->reserved_bytes = needed;
	return header + 1;
}

void trace_queue_push(struct trace_queue *queue)
{
	size_t head = atomic_load_explicit(&queue->head_bytes, memory_order_relaxed);

	assert(queue->reserved_bytes > 0);
	atomic_store_explicit(
		&queue->head_bytes, head + queue->reserved_bytes, memory_order_release);
	queue->reserved_bytes = 0;
}

const void *trace_queue_front(struct trace_queue *queue)
{
	size_t head = atomic_load_explicit(&queue->head_bytes, memory_order_acquire);
	size_t tail = atomic_load_explicit(&queue->tail_bytes, memory_order_relaxed);
	const struct record_header *header;

	while (tail != head) {
		header = header_at(queue, tail);
		if (!header->is_filler)
			return header + 1;
		tail += header->size_bytes;
		atomic_store_explicit(&queue->tail_bytes, tail, memory_order_release);
	}
	return NULL;
}

void trace_queue_pop(struct trace_queue *queue)
{
	size_t tail = atomic_load_explicit(&queue->tail_bytes, memory_order_relaxed);

	assert(tail != atomic_load_explicit(&queue->head_bytes, memory_order_relaxed));
	tail += header_at(queue, tail)->size_bytes;
	atomic_store_explicit(&queue->tail_bytes, tail, memory_order_release);
}

size_t trace_queue_used_bytes(const struct trace_queue *queue)
{
	size_t tail = atomic_load_explicit(&queue->tail_bytes, memory_order_acquire);

	return atomic_load_explicit(&queue->head_bytes, memory_order_acquire) - tail;
}
