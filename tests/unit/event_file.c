// SPDX-License-Identifier: GPL-2.0-or-later
#include "event_file.h"

#include <stdlib.h>
#include <string.h>

/* The format is told in governor/feeds/tfevents.c; this is its other direction. */

static void append(struct event_file *events, const void *bytes, size_t n_bytes)
{
	if (events->n + n_bytes > events->room) {
		events->room = (events->n + n_bytes) * 2;
		events->bytes = realloc(events->bytes, events->room);
		if (!events->bytes)
			abort();
	}
	memcpy(events->bytes + events->n, bytes, n_bytes);
	events->n += n_bytes;
}

void event_file_done(struct event_file *events)
{
	free(events->bytes);
	*events = (struct event_file){.n = 0};
}

static uint32_t masked_crc(const uint8_t *bytes, size_t n_bytes)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < n_bytes * 8; i++) {
		uint32_t bit = (crc ^ (uint32_t)(bytes[i / 8] >> i % 8)) & 1;

		crc = crc >> 1 ^ (bit ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

void event_file_record(struct event_file *events, const void *data, size_t length)
{
	uint64_t head = length;
	uint32_t crc = masked_crc((const uint8_t *)&head, sizeof(head));

	append(events, &head, sizeof(head));
	append(events, &crc, sizeof(crc));
	append(events, data, length);
	crc = masked_crc(data, length);
	append(events, &crc, sizeof(crc));
}

/* A field of bytes, shorter than 128. */
static void append_field(struct event_file *message, uint8_t number, const void *bytes, size_t n)
{
	uint8_t head[2] = {(uint8_t)(number << 3 | 2), (uint8_t)n};

	if (n > 127)
		abort();
	append(message, head, sizeof(head));
	append(message, bytes, n);
}

static void append_varint(struct event_file *message, uint64_t value)
{
	for (; value > 127; value >>= 7)
		append(message, &(uint8_t){(uint8_t)(value | 128)}, 1);
	append(message, &(uint8_t){(uint8_t)value}, 1);
}

static void append_time(struct event_file *message)
{
	double wall_time = 1700000000.25;

	append(message, "\x09", 1);
	append(message, &wall_time, sizeof(wall_time));
}

void event_file_version(struct event_file *events)
{
	struct event_file event = {.n = 0};

	append_time(&event);
	append_field(&event, 3, "brain.Event:2", 13);
	event_file_record(events, event.bytes, event.n);
	event_file_done(&event);
}

/* Takes the value message. */
static void add_value(struct event_file *events, uint64_t step, struct event_file *value)
{
	struct event_file event = {.n = 0}, summary = {.n = 0};

	append_field(&summary, 1, value->bytes, value->n);
	append_time(&event);
	append(&event, "\x10", 1);
	append_varint(&event, step);
	append_field(&event, 5, summary.bytes, summary.n);
	event_file_record(events, event.bytes, event.n);
	event_file_done(&event);
	event_file_done(&summary);
	event_file_done(value);
}

void event_file_scalar(struct event_file *events, uint64_t step, const char *tag, float number)
{
	struct event_file value = {.n = 0};

	append_field(&value, 1, tag, strlen(tag));
	append(&value, "\x15", 1);
	append(&value, &number, sizeof(number));
	add_value(events, step, &value);
}

void event_file_tensor(struct event_file *events, uint64_t step, const char *tag, float number)
{
	struct event_file value = {.n = 0}, tensor = {.n = 0};

	append(&tensor, "\x08\x01", 2);       /* dtype: float */
	append_field(&tensor, 2, "", 0);      /* tensor_shape: scalar */
	append_field(&tensor, 4, &number, 4); /* tensor_content */
	append_field(&value, 1, tag, strlen(tag));
	append_field(&value, 8, tensor.bytes, tensor.n);
	append_field(&value, 9, "\x0a\x00", 2); /* metadata */
	event_file_done(&tensor);
	add_value(events, step, &value);
}
