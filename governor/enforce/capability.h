/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The capabilities that eBPF needs, in force for no longer than it takes to load and attach. */

/* Puts CAP_BPF and CAP_PERFMON into force for this thread, where it may have them. CAP_SYS_ADMIN
 * that is in force stands for both. What is not permitted is left out; the kernel refuses what
 * needs it. */
void capability_raise_bpf(void);

/* And out of force. They stay permitted, to be raised again. */
void capability_lower_bpf(void);
