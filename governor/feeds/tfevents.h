/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* TensorBoard event files: records of framed protobuf, of which the scalars are read. Pure. */

#define TFEVENTS_FRAME (8 + 4 + 4) /* bytes around the data of a record */

enum tfevents_found {
	TFEVENTS_RECORD,
	TFEVENTS_MORE,     /* the record is not whole yet; *ret_length tells its data's length where
	                    * the frame's head is there and sound, else 0 */
	TFEVENTS_BAD_DATA, /* the data's checksum is wrong; the record can be stepped over */
	TFEVENTS_BAD_HEAD, /* no record begins here: the framing is lost */
};

/* The record at the start of bytes. The data is bytes + 12, *ret_length long; the next record is
 * TFEVENTS_FRAME + *ret_length further on. */
enum tfevents_found tfevents_record(const uint8_t *bytes, size_t n_bytes, uint64_t *ret_length);

/* Called for each scalar of an event. The tag is not NUL-terminated. */
typedef void tfevents_scalar_fn(
	void *context, const char *tag, size_t tag_length, uint64_t step, double value);

/* Finds the scalars in the data of a record: simple values, and tensors of one float or double.
 * False: malformed; scalars before the fault may have been called for. */
bool tfevents_event(const uint8_t *data, size_t length, tfevents_scalar_fn *scalar, void *context);
