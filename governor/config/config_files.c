// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "config_internal.h"

/* Which files make up the configuration, as systemd does it.
 *
 * The directories in their order, the package's first, then the running system's, the
 * administrator's and, for a user's own governor, the user's. Of coregov.conf the one of the last
 * directory is read; of the drop-ins in coregov.conf.d/ each name once, from the last directory that
 * has it, and sorted by name wherever they are. So a file of the package is replaced by one of the
 * same name, and switched off by a link of that name to /dev/null. */

#define MAIN_FILE "coregov.conf"
#define DROP_INS "coregov.conf.d"
#define SUFFIX ".conf"
#define DIRECTORIES_MAX 5

static const char *const system_directories[] = {
	"/usr/lib/coregov",
	"/usr/local/lib/coregov",
	"/run/coregov",
	"/etc/coregov",
};

struct drop_in {
	char *name, *path;
};

struct search {
	char *directories[DIRECTORIES_MAX]; /* below the root, the first that counts least */
	size_t n_directories;
	char *main_path; /* NULL: there is none */
	struct drop_in drop_ins[CONFIG_FILES_MAX];
	size_t n_drop_ins;
};

char **config_files_free(char **paths)
{
	for (char **path = paths; path && *path; path++)
		free(*path);
	free(paths);
	return NULL;
}

static struct search *search_free(struct search *search)
{
	if (!search)
		return NULL;
	for (size_t i = 0; i < search->n_directories; i++)
		free(search->directories[i]);
	for (size_t i = 0; i < search->n_drop_ins; i++) {
		free(search->drop_ins[i].name);
		free(search->drop_ins[i].path);
	}
	free(search->main_path);
	free(search);
	return NULL;
}

DEFINE_CLEANUP_FUNC(struct search, search_free)
DEFINE_CLEANUP_FUNC(char *, config_files_free)

/* The parts make one path; NULL: no memory. */
static char *joined(const char *first, const char *second, const char *third)
{
	char *path;

	return asprintf(&path, "%s%s%s", first, second, third) < 0 ? NULL : path;
}

static int no_memory(struct fault *fault)
{
	return fault_errno(fault, -ENOMEM, "look for the configuration");
}

static int add_directory(struct search *search, const char *root, const char *directory,
	const char *below, struct fault *fault)
{
	char *path = joined(root, directory, below);

	if (!path)
		return no_memory(fault);
	search->directories[search->n_directories++] = path;
	return 0;
}

/* A relative XDG_CONFIG_HOME does not count, as its specification says. */
static int add_user_directory(struct search *search, const char *root, struct fault *fault)
{
	const char *config = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");

	if (config && *config == '/')
		return add_directory(search, root, config, "/coregov", fault);
	if (home && *home == '/')
		return add_directory(search, root, home, "/.config/coregov", fault);
	return fault_set(fault, -ENOENT,
		"neither XDG_CONFIG_HOME nor HOME is an absolute path; set one of them to say "
		"where the user's configuration is");
}

static int find_directories(
	struct search *search, const struct config_setup *setup, struct fault *fault)
{
	_cleanup_free_ char *root = strdup(setup->root ? setup->root : "");
	struct stat info;
	size_t length;
	int r = 0;

	if (!root)
		return no_memory(fault);
	if (setup->root && stat(setup->root, &info) < 0)
		return fault_errno(fault, -errno, "cannot read '%s'", setup->root);
	if (setup->root && !S_ISDIR(info.st_mode))
		return fault_errno(fault, -ENOTDIR, "cannot read '%s'", setup->root);
	for (length = strlen(root); length > 0 && root[length - 1] == '/';)
		root[--length] = '\0';
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(system_directories); i++)
		r = add_directory(search, root, system_directories[i], "", fault);
	return r == 0 && setup->is_user ? add_user_directory(search, root, fault) : r;
}

static int find_main(struct search *search, struct fault *fault)
{
	for (size_t i = search->n_directories; i > 0; i--) {
		_cleanup_free_ char *path = joined(search->directories[i - 1], "/", MAIN_FILE);
		struct stat info;

		if (!path)
			return no_memory(fault);
		if (lstat(path, &info) == 0) {
			search->main_path = TAKE_PTR(path);
			return 0;
		}
		if (errno != ENOENT)
			return fault_errno(fault, -errno, "cannot read '%s'", path);
	}
	return 0;
}

static bool is_drop_in(const char *name)
{
	size_t length = strlen(name);

	return *name != '.' && length > strlen(SUFFIX) &&
		strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static int add_drop_in(
	struct search *search, const char *directory, const char *name, struct fault *fault)
{
	_cleanup_free_ char *path = joined(directory, "/", name);
	struct drop_in *added = &search->drop_ins[search->n_drop_ins];

	if (!path)
		return no_memory(fault);
	for (struct drop_in *drop_in = search->drop_ins; drop_in < added; drop_in++) {
		if (strcmp(drop_in->name, name) != 0)
			continue;
		free(drop_in->path);
		drop_in->path = TAKE_PTR(path);
		return 0;
	}
	if (search->n_drop_ins == CONFIG_FILES_MAX)
		return fault_set(fault, -E2BIG, "'%s': more than %d files of configuration",
			directory, CONFIG_FILES_MAX);
	added->name = strdup(name);
	if (!added->name)
		return no_memory(fault);
	added->path = TAKE_PTR(path);
	search->n_drop_ins++;
	return 0;
}

static int find_drop_ins(struct search *search, const char *directory, struct fault *fault)
{
	_cleanup_free_ char *path = joined(directory, "/", DROP_INS);
	_cleanup_closedir_ DIR *dir = path ? opendir(path) : NULL;
	const struct dirent *entry;
	int r = 0;

	if (!path)
		return no_memory(fault);
	if (!dir)
		return errno == ENOENT ? 0 : fault_errno(fault, -errno, "cannot read '%s'", path);
	while (r == 0) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno == 0 ? 0
					  : fault_errno(fault, -errno, "cannot read '%s'", path);
		if (is_drop_in(entry->d_name))
			r = add_drop_in(search, path, entry->d_name, fault);
	}
	return r;
}

static int compare_drop_ins(const void *a, const void *b)
{
	return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

/* 1: it is to be read; 0: it is masked; or a negative errno. What is no file is not opened: a pipe
 * would wait for its writer. */
static int is_read(const char *path, struct fault *fault)
{
	struct stat info;

	if (stat(path, &info) < 0)
		return fault_errno(fault, -errno, "cannot read '%s'", path);
	if (S_ISCHR(info.st_mode) && info.st_rdev == makedev(1, 3))
		return 0;
	if (S_ISDIR(info.st_mode))
		return fault_errno(fault, -EISDIR, "cannot read '%s'", path);
	if (!S_ISREG(info.st_mode))
		return fault_set(fault, -EINVAL,
			"cannot read '%s': it is neither a file nor a link to /dev/null", path);
	return 1;
}

static int take_path(char **path, char **paths, size_t *n_paths, struct fault *fault)
{
	int r = is_read(*path, fault);

	if (r == 1)
		paths[(*n_paths)++] = TAKE_PTR(*path);
	return r < 0 ? r : 0;
}

int config_files_find(const struct config_setup *setup, char ***ret_paths, struct fault *fault)
{
	_cleanup_(cleanup_search_free) struct search *search = calloc(1, sizeof(*search));
	_cleanup_(cleanup_config_files_free) char **paths = NULL;
	size_t n_paths = 0;
	int r;

	if (!search)
		return no_memory(fault);
	r = find_directories(search, setup, fault);
	if (r == 0)
		r = find_main(search, fault);
	for (size_t i = 0; r == 0 && i < search->n_directories; i++)
		r = find_drop_ins(search, search->directories[i], fault);
	if (r < 0)
		return r;
	qsort(search->drop_ins, search->n_drop_ins, sizeof(search->drop_ins[0]), compare_drop_ins);
	paths = calloc(search->n_drop_ins + 2, sizeof(*paths));
	if (!paths)
		return no_memory(fault);
	if (search->main_path)
		r = take_path(&search->main_path, paths, &n_paths, fault);
	for (size_t i = 0; r == 0 && i < search->n_drop_ins; i++)
		r = take_path(&search->drop_ins[i].path, paths, &n_paths, fault);
	if (r == 0)
		*ret_paths = TAKE_PTR(paths);
	return r;
}
