/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "daemon.h"

/* What has happened, into the journal: a sentence, and its facts as fields of their own, by which
 * journalctl finds them (coregovd(8)). Where standard error is not the journal's it gets the sentence.
 *
 * Lines of the whole that come again and again (excess, foreign, ...) are told every ten seconds, with how many
 * there were; those that a user causes are limited (journal_limit.h). False: it was left out. */
bool journal_event(const struct daemon_event *event);

/* How many were left out for that is told by journal_tell_left_out(), which wants to be called then, on
 * CLOCK_MONOTONIC; UINT64_MAX: not at all. is_end: of all, also of those that are not due. */
uint64_t journal_due_ns(void);
void journal_tell_left_out(bool is_end);

/* Lines of a level above are not wanted; LOG_INFO at first. */
void journal_set_level(int level);
int journal_level(void);
/* Is standard error the journal's? */
bool journal_is_there(void);

/* The MESSAGE_ID of a kind of event, or NULL. For the test of the catalog. */
const char *journal_message_id(const char *kind);
