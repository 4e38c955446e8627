// SPDX-License-Identifier: GPL-2.0-or-later
#include "glpk_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The name under which the interface is what the header says. */
#define LIBRARY "libglpk.so.40"

/* POSIX has functions be had as pointers to data (dlsym); in C only their bytes may be the same. */
static bool find(void *library, const char *name, void *ret_function)
{
	void *symbol = dlsym(library, name);

	memcpy(ret_function, &symbol, sizeof(symbol));
	return symbol;
}

const struct glpk *glpk_load(struct fault *fault)
{
	static struct glpk glpk;
	static bool is_loaded;
	void *library;

	if (is_loaded)
		return &glpk;
	library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		(void)fault_set(fault, -ENOENT, "%s; install GLPK (libglpk40)", dlerror());
		return NULL;
	}
#define GLPK_FIND(name)                                                          \
	if (!find(library, #name, &glpk.name)) {                                 \
		(void)fault_set(fault, -ENOENT, "%s has no %s", LIBRARY, #name); \
		(void)dlclose(library);                                          \
		return NULL;                                                     \
	}
	GLPK_FUNCTIONS(GLPK_FIND)
#undef GLPK_FIND
	is_loaded = true;
	return &glpk;
}
