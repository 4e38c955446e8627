/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <dirent.h>

#include "finding.h"
#include "scene.h"

/* The checks. Each looks at the scene, reads files below its root, and says what it has found; none
 * changes anything. `finding` is zeroed but for its name. */

/* check_kernel.c */
void check_kernel(const struct scene *scene, struct finding *finding);
void check_sched_ext(const struct scene *scene, struct finding *finding);
void check_btf(const struct scene *scene, struct finding *finding);
void check_pressure(const struct scene *scene, struct finding *finding);
void check_clock(const struct scene *scene, struct finding *finding);
void check_limits(const struct scene *scene, struct finding *finding);

/* check_groups.c */
void check_cgroups(const struct scene *scene, struct finding *finding);
void check_systemd(const struct scene *scene, struct finding *finding);
void check_delegation(const struct scene *scene, struct finding *finding);
void check_quota(const struct scene *scene, struct finding *finding);

/* check_choice.c */
void check_enforcer(const struct scene *scene, struct finding *finding);
void check_guarantee(const struct scene *scene, struct finding *finding);
void check_meter(const struct scene *scene, struct finding *finding);

/* check_runs.c */
void check_claims(const struct scene *scene, struct finding *finding);
void check_leftovers(const struct scene *scene, struct finding *finding);
void check_meddlers(const struct scene *scene, struct finding *finding);

/* check_threads.c */
void check_threads(const struct scene *scene, struct finding *finding);

/* check_governor.c */
void check_governor(const struct scene *scene, struct finding *finding);

/* check_files.c */
void check_learners(const struct scene *scene, struct finding *finding);
void check_library(const struct scene *scene, struct finding *finding);
void check_presets(const struct scene *scene, struct finding *finding);

/* The processes that there are. NULL, and that is the finding, where they cannot be seen. (check_runs.c) */
DIR *open_processes(const struct scene *scene, struct finding *finding);

/* What would give this user groups with the cpu controller: asked by several checks. (remedy.c) */
void remedy_of_groups(const struct scene *scene, struct finding *finding);
/* What would make the eBPF meter load. */
void remedy_of_bpf(const struct scene *scene, struct finding *finding);

/* "" for root, else "sudo ": before a command that is for root. */
const char *remedy_sudo(const struct scene *scene);
/* The kernel's command line has that word from the next boot on. */
void remedy_of_boot(const struct scene *scene, const char *word, struct finding *finding);
/* A unit of the system's has that line in its section [Service]; `then` comes after that. */
void remedy_of_unit(const struct scene *scene, const char *unit, const char *line, const char *then,
	struct finding *finding);
/* The service that we run in, of the system's manager: its name. NULL where it is none. */
const char *own_service(const struct scene *scene);

/* True where the kernel was told to do without the cpu controller. */
bool is_cpu_switched_off(const struct scene *scene);
/* True where the kernel lets no program read its memory. */
bool is_locked_down(const struct scene *scene);

#define BTF_PATH "/sys/kernel/btf/vmlinux"
