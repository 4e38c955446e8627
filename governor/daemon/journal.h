/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "daemon.h"

/* What has happened, into the journal: a sentence, and its facts as fields of their own, by which
 * journalctl finds them (coregovd(8)). Where standard error is not the journal's it gets the sentence. */

/* Lines of the whole that come again and again (excess, foreign, ...) are told every ten seconds, with how
 * many there were. */
void journal_event(const struct daemon_event *event);

/* The MESSAGE_ID of a kind of event, or NULL. For the test of the catalog. */
const char *journal_message_id(const char *kind);
