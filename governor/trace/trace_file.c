// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

/* The file of a trace.
 *
 * A new trace is made under a name of its own beside the old one, complete with everything that is
 * known at the start, and then renamed over it: whoever looks sees the old trace or the new one.
 * mkstemp() gives it mode 0600 from birth, and SQLite gives its -wal and -shm files the mode of the
 * database.
 *
 * Only a trace or an empty file is replaced: a wrong argument must not cost a user's other
 * database. A trace that is being written is not replaced either; its writer holds flock(2) on it.
 *
 * While the run lasts the journal is a write-ahead log: readers (a live view, a copy) then never
 * keep the writer waiting, nor it them. At the end the log goes back into the file, which can be
 * read from anywhere after that, also where the reader may not write. A log that a killed run left
 * is removed before the rename, because SQLite would apply it to the new database. */

/* From https://www.sqlite.org/fileformat.html, 1.3: "The Database Header". */
#define SQLITE_HEADER_BYTES 100
#define SQLITE_MAGIC "SQLite format 3"
#define SQLITE_APPLICATION_ID_OFFSET 68

static int errno_of(sqlite3 *db, int code)
{
	int system = db ? sqlite3_system_errno(db) : 0;

	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return system > 0 ? -system : -EIO;
	default:
		return -EIO;
	}
}

int trace_sql_fault(sqlite3 *db, int code, struct fault *fault, const char *doing)
{
	int error = errno_of(db, code);

	if ((code & 0xff) == SQLITE_IOERR && error != -EIO)
		return fault_errno(fault, error, "%s: %s", doing, sqlite3_errstr(code));
	return fault_set(fault, error, "%s: %s", doing, db ? sqlite3_errmsg(db) : "no memory");
}

int trace_sql(sqlite3 *db, const char *sql, struct fault *fault)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : trace_sql_fault(db, code, fault, "write");
}

/* 1 where the file holds a trace or nothing at all, 0 where it holds something else. */
static int is_replaceable(int fd)
{
	unsigned char header[SQLITE_HEADER_BYTES];
	const unsigned char *id = header + SQLITE_APPLICATION_ID_OFFSET;
	ssize_t length = pread(fd, header, sizeof(header), 0);

	if (length < 0)
		return -errno;
	if (length == 0)
		return 1;
	return length == sizeof(header) &&
		memcmp(header, SQLITE_MAGIC, sizeof(SQLITE_MAGIC)) == 0 &&
		((uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]) ==
		TRACE_APPLICATION_ID;
}

/* Looks at what is at `path` now. Returns 1 and a descriptor that holds its lock, 0 where nothing
 * is there, or a negative errno. */
static int claim_old(const char *path, int *ret_fd, struct fault *fault)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat status;
	int r;

	if (stat(path, &status) < 0)
		return errno == ENOENT ? 0 : fault_errno(fault, -errno, "look at it");
	if (S_ISDIR(status.st_mode))
		return fault_set(fault, -EISDIR, "this is a directory");
	if (!S_ISREG(status.st_mode))
		return fault_set(fault, -EINVAL, "this is not a regular file");
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fault_errno(fault, -errno, "open for writing");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return fault_errno(fault, -errno, "lock");
		return fault_set(fault, -EBUSY, "another run is writing this trace");
	}
	r = is_replaceable(fd);
	if (r < 0)
		return fault_errno(fault, r, "read");
	if (r == 0)
		return fault_set(
			fault, -EEXIST, "a file that is not a trace is there; it is left as it is");
	*ret_fd = TAKE_FD(fd);
	return 1;
}

static int fill(const char *path, const struct trace_setup *setup, struct fault *fault)
{
	sqlite3 *db = NULL;
	int code, r;

	code = sqlite3_open_v2(
		path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, /* vfs= */ NULL);
	if (code != SQLITE_OK)
		r = trace_sql_fault(db, code, fault, "open");
	else
		r = trace_schema_write(db, setup, fault);
	code = sqlite3_close(db);
	assert(code == SQLITE_OK); /* nothing is prepared any more */
	return r;
}

static void remove_journals(const char *path)
{
	static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
	char name[PATH_MAX + 16];

	for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name); /* rarely there */
	}
}

static void remove_all(const char *path)
{
	remove_journals(path);
	(void)unlink(path);
}

/* The name under which the trace is seen from now on. */
static int put_in_place(const char *from, const char *to, bool is_replaced, struct fault *fault)
{
	if (is_replaced)
		remove_journals(to);
	else if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	else if (errno != EINVAL && errno != ENOSYS) /* those: this file system cannot */
		return fault_errno(fault, -errno, "rename '%s'", from);
	if (rename(from, to) < 0)
		return fault_errno(fault, -errno, "rename '%s'", from);
	return 0;
}

/* Opens the database in its place, for the run. */
static int open_in_place(const char *path, sqlite3 **ret_db, struct fault *fault)
{
	sqlite3 *db = NULL;
	int code, r;

	code = sqlite3_open_v2(
		path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, /* vfs= */ NULL);
	if (code != SQLITE_OK) {
		r = trace_sql_fault(db, code, fault, "open");
	} else {
		/* A reader holds up the writer only where it recovers or closes the log. */
		(void)sqlite3_busy_timeout(db, 1000);
		r = trace_sql(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", fault);
	}
	if (r < 0) {
		(void)sqlite3_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

/* Where the symbolic links of `path` lead: the file is replaced, the links stay. */
static char *resolve(const char *path)
{
	char *resolved = realpath(path, NULL);

	return resolved ? resolved : strdup(path);
}

static int create(struct trace_file *ret_file, const char *path, const struct trace_setup *setup,
	struct fault *fault)
{
	_cleanup_close_ int old_fd = -EBADF, fd = -EBADF;
	char draft[PATH_MAX + 16];
	sqlite3 *db;
	int r, was_there;

	if (strlen(path) >= PATH_MAX)
		return fault_errno(fault, -ENAMETOOLONG, "open");
	was_there = claim_old(path, &old_fd, fault);
	if (was_there < 0)
		return was_there;
	(void)snprintf(draft, sizeof(draft), "%s.XXXXXX", path);
	fd = mkostemp(draft, O_CLOEXEC);
	if (fd < 0)
		return fault_errno(fault, -errno, "cannot create a file there");
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? fault_errno(fault, -errno, "lock") : 0;
	if (r == 0)
		r = fill(draft, setup, fault);
	if (r == 0)
		r = put_in_place(draft, path, was_there, fault);
	if (r < 0) {
		(void)unlink(draft);
		return r;
	}
	r = open_in_place(path, &db, fault);
	if (r < 0) {
		remove_all(path);
		return r;
	}
	ret_file->lock_fd = TAKE_FD(fd);
	ret_file->db = db;
	return 0;
}

int trace_file_create(struct trace_file *ret_file, const char *path,
	const struct trace_setup *setup, struct fault *fault)
{
	_cleanup_free_ char *resolved = resolve(path);
	int r;

	if (!resolved)
		return fault_errno(fault, -ENOMEM, "trace '%s'", path);
	r = create(ret_file, resolved, setup, fault);
	if (r < 0)
		return fault_wrap(fault, r, "trace '%s'", path);
	ret_file->path = TAKE_PTR(resolved);
	return 0;
}

void trace_file_discard(struct trace_file *file)
{
	remove_all(file->path);
	(void)sqlite3_close(file->db);
	(void)close(file->lock_fd);
	free(file->path);
	*file = (struct trace_file){.lock_fd = -EBADF};
}

int trace_file_close(struct trace_file *file, struct fault *fault)
{
	struct fault late = FAULT_INIT;
	int r, code;

	/* With a reader about, the log stays until the last of them closes: nothing is lost then,
	 * and SQLite answers with the mode that is in force, not with an error. */
	r = trace_sql(
		file->db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE", &late);
	if (r == -EBUSY)
		r = 0;
	code = sqlite3_close(file->db);
	assert(code == SQLITE_OK);
	(void)close(file->lock_fd);
	if (r < 0)
		r = fault_set(fault, r, "trace '%s': close: %s", file->path, late.text);
	free(file->path);
	*file = (struct trace_file){.lock_fd = -EBADF};
	return r;
}
