/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* Presets: data files that say how a training program prints its progress. Read from the preset
 * directories (NAME.preset), each with its metrics and its test lines; users can add theirs.
 *
 *   [preset]
 *   summary = XGBoost
 *   loss    = *                ; what "loss" means: names in order of preference, `*` is a wildcard,
 *                              ; `a+b` a sum; of several on a line the last.  Default: loss
 *   raised  = *auc*, *acc*     ; never meant by "loss"
 *   trust   = 50               ; 1 .. 99, default 50; a line of higher trust wins
 *
 *   [line round]               ; one kind of line; several are tried in the order of the file
 *   match = '^\[(?<step0>\d+)\]\t'
 *   pair  = '\t(?<set>[^\t:]+?)-(?<name>[^\t:-]+):(?<value>(?&number))'
 *
 *   [test 1]
 *   line     = "[0]\ttrain-auc:0.91\teval-logloss:0.57"
 *   step     = 1
 *   loss     = 0.57            ; any metric that must be found
 *   [test 2]
 *   line     = "[0] nothing"
 *   matches  = no
 *
 * A line without the wanted metric still says how far the training is, unless it has
 * `needs = metric` (or no `match`): then it is no hit.
 *
 * Regexes are PCRE2 on bytes, in single quotes (or in double quotes with \" and \\). `match` tells
 * the line; `pair` then finds each name and value in it; at least one of them is there. (?&number)
 * is a number, nan or inf. Named groups of `match`: step (counted from 1) or step0 (from 0), total;
 * epoch or epoch0, epochs; batch or batch0, batches (within the epoch); samples (seen so far);
 * percent (done); any other name is a metric. Groups of `pair`: value, name, and set, which together
 * make the name "SET-NAME"; the plain name finds the last set's.
 *
 * Built in: `core` (trust 100), the project's own line `{"core":1,"step":120,"loss":0.532}`, and
 * `json` (45), any line that is a JSON object with the wanted metric. */

struct preset_set;

/* What a line said. */
struct preset_hit {
	const char *preset; /* name, owned by the set */
	unsigned trust;
	double value;            /* of the wanted metric; may be nan or inf */
	bool has_value;          /* false: a progress line without the wanted metric */
	uint64_t step, total;    /* 0 where not said */
	uint64_t batch, batches; /* within the epoch, 0 where not said */
	bool has_epoch;
	double epoch;        /* as printed */
	unsigned epoch_from; /* the number of the first epoch: 0 or 1 */
	uint64_t epochs;     /* 0 where not said */
	uint64_t samples;    /* seen so far, 0 where not said */
	double percent;      /* done, 0 where not said */
};

/* Reads all presets of the directories (NULL-ended; a later one's file replaces an earlier one's of
 * the same name; a directory that is not there, or not for us, is skipped). Malformed: -EBADMSG with file:line. */
int preset_set_read(
	struct preset_set **ret_set, const char *const directories[], struct fault *fault);
struct preset_set *preset_set_free(struct preset_set *set);

/* Where presets are looked for, NULL-ended, lowest precedence first: `own` (coregov's, see locate.h);
 * /etc/coregov/presets; $XDG_CONFIG_HOME/coregov/presets (~/.config without it); `more` (the
 * configuration's; NULL-ended, copied; NULL: none). -ENOMEM. */
int preset_directories(const char *own, char *const more[], char ***ret_directories);
char **preset_directories_free(char **directories);

/* The NULL-ended names, sorted; owned by the set. */
const char *const *preset_set_names(const struct preset_set *set);
bool preset_set_has(const struct preset_set *set, const char *name);

/* Matches one cleaned line (no ANSI, no \r, no \n) against one preset, or against all where
 * `preset` is NULL: the one of the highest trust that has the metric, else the first that knows the
 * line. `metric` is the target's metric: "loss" finds the preset's own loss, any other its name as
 * printed (metric_is_same()). Bounded work for any line: regexes see its first 8 KiB and give up at
 * a match limit. The set's scratch memory is used: one thread at a time. */
bool preset_match(const struct preset_set *set, const char *preset, const char *metric,
	const char *line, size_t length, struct preset_hit *ret_hit);

/* Runs the test lines of every preset; 0, or -EBADMSG with a sentence naming file:line. A test line
 * that a preset tried earlier would take is wrong too. */
int preset_set_check(const struct preset_set *set, struct fault *fault);
