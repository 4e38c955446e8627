// SPDX-License-Identifier: GPL-2.0-or-later
#include "tfevents.h"

#include <string.h>

/* The format, as TensorFlow and TensorBoard document it (tensorflow/core/lib/io/record_writer.h,
 * tensorflow/core/util/event.proto, summary.proto, tensor.proto):
 *
 *   record:  u64 length, u32 masked CRC32C of these 8 bytes, data, u32 masked CRC32C of the data
 *   Event:   2 step (varint), 5 summary (message)
 *   Summary: 1 value (message, repeated)
 *   Value:   1 tag (string), 2 simple_value (float), 8 tensor (message)
 *   Tensor:  1 dtype (varint), 4 tensor_content (bytes), 5 float_val, 6 double_val (packed or not)
 *
 * all little-endian. PyTorch writes simple values, TensorFlow 2 tensors. A protobuf reader needs a
 * generated schema and a library; these few fields need a walk over tag and length, in which every
 * length is held against what is left. What is unknown is stepped over. */

#define LENGTH_MAX (UINT64_C(1) << 40) /* a longer record is a wrong head, whatever its CRC */
#define DT_FLOAT 1
#define DT_DOUBLE 2

static uint32_t read_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
		(uint32_t)bytes[3] << 24;
}

static uint64_t read_u64(const uint8_t *bytes)
{
	return (uint64_t)read_u32(bytes) | (uint64_t)read_u32(bytes + 4) << 32;
}

/* CRC32C (Castagnoli, reflected 0x82f63b78), four bits at a time. */
static uint32_t crc32c(const uint8_t *bytes, size_t n_bytes)
{
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6,
		0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n_bytes; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* A CRC over data that holds CRCs is weak, so the format stores them turned and shifted. */
static uint32_t masked_crc(const uint8_t *bytes, size_t n_bytes)
{
	uint32_t crc = crc32c(bytes, n_bytes);

	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

enum tfevents_found tfevents_record(const uint8_t *bytes, size_t n_bytes, uint64_t *ret_length)
{
	uint64_t length;

	*ret_length = 0;
	if (n_bytes < 12)
		return TFEVENTS_MORE;
	length = read_u64(bytes);
	if (length > LENGTH_MAX || masked_crc(bytes, 8) != read_u32(bytes + 8))
		return TFEVENTS_BAD_HEAD;
	*ret_length = length;
	if (n_bytes - 12 < length || n_bytes - 12 - length < 4)
		return TFEVENTS_MORE;
	if (masked_crc(bytes + 12, length) != read_u32(bytes + 12 + length))
		return TFEVENTS_BAD_DATA;
	return TFEVENTS_RECORD;
}

/* What is left of a message. */
struct message {
	const uint8_t *at, *end;
};

enum wire {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

struct field {
	uint64_t number;
	enum wire wire;
	uint64_t varint;      /* WIRE_VARINT */
	struct message bytes; /* the others: 8, any or 4 bytes */
};

static bool take_varint(struct message *message, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && message->at < message->end; shift += 7) {
		uint8_t byte = *message->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool take_bytes(struct message *message, uint64_t length, struct message *ret_bytes)
{
	if (length > (uint64_t)(message->end - message->at))
		return false;
	*ret_bytes = (struct message){message->at, message->at + length};
	message->at += length;
	return true;
}

/* The next field of a message that has bytes left. False: malformed. */
static bool take_field(struct message *message, struct field *ret_field)
{
	uint64_t key, length;

	if (!take_varint(message, &key))
		return false;
	ret_field->number = key >> 3;
	ret_field->wire = (enum wire)(key & 7);
	switch (ret_field->wire) {
	case WIRE_VARINT:
		return take_varint(message, &ret_field->varint);
	case WIRE_FIXED64:
		return take_bytes(message, 8, &ret_field->bytes);
	case WIRE_FIXED32:
		return take_bytes(message, 4, &ret_field->bytes);
	case WIRE_BYTES:
		return take_varint(message, &length) &&
			take_bytes(message, length, &ret_field->bytes);
	default:
		return false;
	}
}

static double read_float(const uint8_t *bytes)
{
	uint32_t bits = read_u32(bytes);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return (double)value;
}

static double read_double(const uint8_t *bytes)
{
	uint64_t bits = read_u64(bytes);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* One number of `size` bytes and nothing else. */
static bool take_number(struct message bytes, size_t size, double *ret_value)
{
	if ((size_t)(bytes.end - bytes.at) != size)
		return false;
	*ret_value = size == 4 ? read_float(bytes.at) : read_double(bytes.at);
	return true;
}

/* *has_value: it is one float or double. */
static bool read_tensor(struct message message, double *ret_value, bool *has_value)
{
	struct message content = {NULL, NULL};
	uint64_t type = 0;
	struct field field;

	while (message.at < message.end) {
		if (!take_field(&message, &field))
			return false;
		if (field.number == 1 && field.wire == WIRE_VARINT)
			type = field.varint;
		else if (field.number == 4 && field.wire == WIRE_BYTES)
			content = field.bytes;
		else if (field.number == 5 && field.wire != WIRE_VARINT)
			*has_value = take_number(field.bytes, 4, ret_value);
		else if (field.number == 6 && field.wire != WIRE_VARINT)
			*has_value = take_number(field.bytes, 8, ret_value);
	}
	if (!*has_value && content.at && (type == DT_FLOAT || type == DT_DOUBLE))
		*has_value = take_number(content, type == DT_FLOAT ? 4 : 8, ret_value);
	return true;
}

static bool read_value(
	struct message message, uint64_t step, tfevents_scalar_fn *scalar, void *context)
{
	struct message tag = {NULL, NULL};
	bool has_value = false;
	double value = 0;
	struct field field;

	while (message.at < message.end) {
		if (!take_field(&message, &field))
			return false;
		if (field.number == 1 && field.wire == WIRE_BYTES)
			tag = field.bytes;
		else if (field.number == 2 && field.wire == WIRE_FIXED32)
			has_value = take_number(field.bytes, 4, &value);
		else if (field.number == 8 && field.wire == WIRE_BYTES &&
			!read_tensor(field.bytes, &value, &has_value))
			return false;
	}
	if (has_value && tag.at)
		scalar(context, (const char *)tag.at, (size_t)(tag.end - tag.at), step, value);
	return true;
}

static bool read_summary(
	struct message message, uint64_t step, tfevents_scalar_fn *scalar, void *context)
{
	struct field field;

	while (message.at < message.end) {
		if (!take_field(&message, &field))
			return false;
		if (field.number == 1 && field.wire == WIRE_BYTES &&
			!read_value(field.bytes, step, scalar, context))
			return false;
	}
	return true;
}

bool tfevents_event(const uint8_t *data, size_t length, tfevents_scalar_fn *scalar, void *context)
{
	struct message message = {data, data + length}, summary = {NULL, NULL};
	uint64_t step = 0;
	struct field field;

	while (message.at < message.end) {
		if (!take_field(&message, &field))
			return false;
		if (field.number == 2 && field.wire == WIRE_VARINT)
			step = field.varint;
		else if (field.number == 5 && field.wire == WIRE_BYTES)
			summary = field.bytes;
	}
	return !summary.at || read_summary(summary, step, scalar, context);
}
