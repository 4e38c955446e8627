// SPDX-License-Identifier: GPL-2.0-or-later
#include "failing_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Every file that SQLite opens is the system's own, in the bytes behind ours; our methods count,
 * fail where they are told to, and else call its. Reads are not counted: a trace is written. */

struct file {
	sqlite3_file base;
	sqlite3_file *real; /* in the same memory, behind this struct */
};

static sqlite3_vfs *real_vfs;
static _Atomic long n_calls, fail_at = -1;
static _Atomic enum failing_vfs_mode mode;

void failing_vfs_arm(enum failing_vfs_mode new_mode, long n)
{
	atomic_store(&mode, new_mode);
	atomic_store(&fail_at, n);
	atomic_store(&n_calls, 0);
}

long failing_vfs_count(void)
{
	return atomic_load(&n_calls);
}

/* The code that this call is to fail with, or SQLITE_OK. */
static int verdict(int code, bool is_write)
{
	long number = atomic_fetch_add(&n_calls, 1), at = atomic_load(&fail_at);

	if (at < 0 || number < at)
		return SQLITE_OK;
	switch (atomic_load(&mode)) {
	case FAILING_VFS_ONCE:
		return number == at ? code : SQLITE_OK;
	case FAILING_VFS_FULL:
		return is_write ? SQLITE_FULL : SQLITE_OK;
	case FAILING_VFS_FOREVER:
		return code;
	}
	abort();
}

#define REAL(file) (((struct file *)(file))->real)
#define PASS(file, method, ...) REAL(file)->pMethods->method(REAL(file), ##__VA_ARGS__)

static int file_close(sqlite3_file *file)
{
	return PASS(file, xClose);
}

static int file_read(sqlite3_file *file, void *bytes, int n_bytes, sqlite3_int64 at)
{
	return PASS(file, xRead, bytes, n_bytes, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int n_bytes, sqlite3_int64 at)
{
	int code = verdict(SQLITE_IOERR_WRITE, /* is_write= */ true);

	return code ? code : PASS(file, xWrite, bytes, n_bytes, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int code = verdict(SQLITE_IOERR_TRUNCATE, /* is_write= */ false);

	return code ? code : PASS(file, xTruncate, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	int code = verdict(SQLITE_IOERR_FSYNC, /* is_write= */ false);

	/* Not passed on: no test pulls the plug, and a busy disk takes its time. */
	(void)file;
	(void)flags;
	return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return PASS(file, xFileSize, ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
	int code = verdict(SQLITE_IOERR_LOCK, /* is_write= */ false);

	return code ? code : PASS(file, xLock, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return PASS(file, xUnlock, level);
}

static int file_check_reserved(sqlite3_file *file, int *ret_is_reserved)
{
	return PASS(file, xCheckReservedLock, ret_is_reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
	return PASS(file, xFileControl, operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
	return PASS(file, xSectorSize);
}

static int file_characteristics(sqlite3_file *file)
{
	return PASS(file, xDeviceCharacteristics);
}

static int file_shm_map(
	sqlite3_file *file, int region, int size, int is_extended, void volatile **ret_memory)
{
	int code = verdict(SQLITE_IOERR_SHMMAP, /* is_write= */ false);

	return code ? code : PASS(file, xShmMap, region, size, is_extended, ret_memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return PASS(file, xShmLock, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	PASS(file, xShmBarrier);
}

static int file_shm_unmap(sqlite3_file *file, int is_deleted)
{
	return PASS(file, xShmUnmap, is_deleted);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

static int vfs_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
	struct file *file = (struct file *)base;
	int code = verdict(SQLITE_CANTOPEN, /* is_write= */ false);

	(void)vfs;
	file->base.pMethods = NULL;
	if (code)
		return code;
	file->real = (sqlite3_file *)(file + 1);
	code = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
	if (file->real->pMethods)
		file->base.pMethods = &methods;
	return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int is_synced)
{
	int code = verdict(SQLITE_IOERR_DELETE, /* is_write= */ false);

	(void)vfs;
	return code ? code : real_vfs->xDelete(real_vfs, name, is_synced);
}

void failing_vfs_install(void)
{
	static sqlite3_vfs vfs;

	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "failing";
	vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	vfs.xOpen = vfs_open;
	vfs.xDelete = vfs_delete;
	if (sqlite3_vfs_register(&vfs, /* makeDflt= */ 1) != SQLITE_OK)
		abort();
}
