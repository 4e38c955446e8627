// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <math.h>
#include <string.h>

#include "share_told.h"

/* What has changed about an object since it was told last: all that its vtable declares to emit a change, and
 * nothing else, by comparing what was told with what is. So it does not matter who has changed it, or how: a call,
 * a signal, a slot, a clock. */

/* What is no news below that much. */
#define DEADLINE_NOISE_US 100000 /* read off two clocks, one after the other */

static size_t size_of(char type)
{
	switch (type) {
	case 's':
		return sizeof(const char *);
	case 'd':
	case 't':
		return sizeof(uint64_t);
	default: /* 'u', 'i', 'b' */
		return sizeof(uint32_t);
	}
}

static bool is_same_number(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	return !(a < b || a > b);
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same(const struct sd_bus_vtable *property, const void *told, const void *now)
{
	const char *a = (const char *)told + property->x.property.offset;
	const char *b = (const char *)now + property->x.property.offset;

	switch (property->x.property.signature[0]) {
	case 's':
		return is_same_text(*(const char *const *)a, *(const char *const *)b);
	case 'd':
		return is_same_number(*(const double *)a, *(const double *)b);
	default:
		return memcmp(a, b, size_of(property->x.property.signature[0])) == 0;
	}
}

/* A deadline that was given on another clock is not the same to the microsecond twice. */
static bool is_noise(const struct sd_bus_vtable *property, const void *told, const void *now)
{
	uint64_t a, b;

	if (strcmp(property->x.property.member, "DeadlineRealtime") != 0)
		return false;
	memcpy(&a, (const char *)told + property->x.property.offset, sizeof(a));
	memcpy(&b, (const char *)now + property->x.property.offset, sizeof(b));
	return (a > b ? a - b : b - a) < DEADLINE_NOISE_US;
}

/* A little of a share is told with what else there is. */
static bool is_news(const struct sd_bus_vtable *property, const void *told, const void *now)
{
	double a, b;

	if (strcmp(property->x.property.member, "ShareCPUs") != 0)
		return true;
	memcpy(&a, (const char *)told + property->x.property.offset, sizeof(a));
	memcpy(&b, (const char *)now + property->x.property.offset, sizeof(b));
	return shares_differ(a, b);
}

static bool emits_change(const struct sd_bus_vtable *entry)
{
	return (entry->type == _SD_BUS_VTABLE_PROPERTY ||
		       entry->type == _SD_BUS_VTABLE_WRITABLE_PROPERTY) &&
		(entry->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);
}

bool told_differs(const struct sd_bus_vtable *vtable, const void *told, const void *now,
	const char *ret_names[static TOLD_NAMES_MAX])
{
	bool has_news = false;
	size_t n = 0;

	for (const struct sd_bus_vtable *entry = vtable; entry->type != _SD_BUS_VTABLE_END;
		entry++) {
		if (!emits_change(entry) || n + 1 == TOLD_NAMES_MAX)
			continue;
		if (told && (is_same(entry, told, now) || is_noise(entry, told, now)))
			continue;
		ret_names[n++] = entry->x.property.member;
		has_news |= !told || is_news(entry, told, now);
	}
	ret_names[n] = NULL;
	return has_news;
}

/* What was not told, since it was noise, stays as it was told: many little changes are a change. */
void told_take(const struct sd_bus_vtable *vtable, void *told, const void *now)
{
	for (const struct sd_bus_vtable *entry = vtable; entry->type != _SD_BUS_VTABLE_END;
		entry++) {
		size_t offset = entry->x.property.offset;

		if (emits_change(entry) && !is_noise(entry, told, now))
			memcpy((char *)told + offset, (const char *)now + offset,
				size_of(entry->x.property.signature[0]));
	}
}
