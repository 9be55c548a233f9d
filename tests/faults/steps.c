/* Counts the file-system calls of a process below one folder, and kills it, or fails the call, at the n-th.

   Loaded by LD_PRELOAD, it stands before the C library, so that what Python, SQLite and other libraries do is seen
   alike. A step is a call that changes something (open to write, write, sync, rename, unlink, mkdir, ...), or, where
   readers are watched, an open to read. Not seen: what goes through mapped memory, and buffers that the C library
   flushes by itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD, KILL, TEAR, FAIL_ONCE, FAIL_ON };
enum { CHANGES, READS };

static char root[PATH_MAX];
static int armed, action, watched, failure, log_handle = -1;
static long at;
static long counted;

/* From now on: below `folder`, steps of the kind `what` (CHANGES or READS) are counted from 1, and written to the file
   descriptor `log`, and the `n`-th is where `act` happens. error: errno of what fails. */
void steps_arm(const char *folder, int what, long n, int act, int error, int log)
{
    snprintf(root, sizeof root, "%s", folder);
    watched = what, at = n, action = act, failure = error, log_handle = log;
    counted = 0;
    armed = 1;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t raw_write(int handle, const void *data, size_t size)
{
    REAL(write);
    return real(handle, data, size);
}

static _Noreturn void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* The whole path of a name relative to a folder's handle, or of a handle (name NULL). */
static void whole(int folder, const char *name, char *path)
{
    char link[64], place[PATH_MAX] = "";
    ssize_t length = 0;
    if (name && name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (folder == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    length = readlink(link, place, sizeof place - 1);
    place[length < 0 ? 0 : length] = 0;
    if (name)
        snprintf(path, PATH_MAX, "%.2000s/%.2000s", place, name);
    else
        snprintf(path, PATH_MAX, "%s", place);
}

/* GO; FAILED: fail with errno; TORN: do half, then die; SHORT: do half and say so, as the last write to a full disk.
   needs: 0: a full disk does not refuse it; 1: it may; 2: it may take half of it. */
enum { GO, FAILED, TORN, SHORT };
static int step(int kind, const char *call, int folder, const char *name, int needs)
{
    char path[PATH_MAX];
    int before = errno;
    size_t length = strlen(root);
    if (!armed || kind != watched)
        return 0;
    whole(folder, name, path);
    if (strncmp(path, root, length) || (path[length] && path[length] != '/')) {
        errno = before;
        return 0;
    }
    long number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (log_handle >= 0) {
        char line[PATH_MAX + 32];
        int size = snprintf(line, sizeof line, "%s %.4000s\n", call, path + length + (path[length] == '/'));
        raw_write(log_handle, line, size);
    }
    errno = before;
    if (number == at && action == KILL)
        die();
    if (number == at && action == TEAR)
        return TORN;
    if (number == at && action == FAIL_ON && failure == ENOSPC && needs == 2)
        return SHORT;
    if ((number == at && action == FAIL_ONCE) || (number >= at && action == FAIL_ON && (needs || failure != ENOSPC))) {
        errno = failure;
        return FAILED;
    }
    return GO;
}

#define STOP(kind, call, folder, name, needs, failed) \
    switch (step(kind, call, folder, name, needs)) { \
    case FAILED: return failed; \
    case TORN: die(); \
    }

#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))
#define MODE(flags, mode) \
    if ((flags) & O_CREAT) { \
        va_list list; \
        va_start(list, flags); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        mode_t mode = 0; \
        REAL(name); \
        MODE(flags, mode) \
        STOP(WRITES(flags) ? CHANGES : READS, "open", AT_FDCWD, path, flags & O_CREAT, -1) \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) \
    { \
        mode_t mode = 0; \
        REAL(name); \
        MODE(flags, mode) \
        STOP(WRITES(flags) ? CHANGES : READS, "open", folder, path, flags & O_CREAT, -1) \
        return real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *mode) \
    { \
        REAL(name); \
        STOP(strpbrk(mode, "wa+") ? CHANGES : READS, "open", AT_FDCWD, path, 1, NULL) \
        return real(path, mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int handle, const void *data, size_t size)
{
    REAL(write);
    switch (step(CHANGES, "write", handle, NULL, 2)) {
    case FAILED: return -1;
    case TORN: real(handle, data, size / 2), die();
    case SHORT: size /= 2;
    }
    return real(handle, data, size);
}

ssize_t writev(int handle, const struct iovec *parts, int count)
{
    REAL(writev);
    switch (step(CHANGES, "write", handle, NULL, 2)) {
    case FAILED: return -1;
    case TORN: real(handle, parts, count / 2), die();
    case SHORT: count = (count + 1) / 2;
    }
    return real(handle, parts, count);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int handle, const void *data, size_t size, offset_type offset) \
    { \
        REAL(name); \
        switch (step(CHANGES, "write", handle, NULL, 2)) { \
        case FAILED: return -1; \
        case TORN: real(handle, data, size / 2, offset), die(); \
        case SHORT: size /= 2; \
        } \
        return real(handle, data, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

size_t fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    REAL(fwrite);
    int handle = armed ? fileno(file) : -1;
    switch (handle < 0 ? GO : step(CHANGES, "write", handle, NULL, 2)) {
    case FAILED: return 0;
    case TORN: real(data, size, count / 2, file), fflush(file), die();
    case SHORT: count /= 2;
    }
    return real(data, size, count, file);
}

#define SEND(name, offset_type) \
    ssize_t name(int to, int from, offset_type *offset, size_t size) \
    { \
        REAL(name); \
        STOP(CHANGES, "write", to, NULL, 1, -1) \
        return real(to, from, offset, size); \
    }
extern ssize_t sendfile(int, int, off_t *, size_t);
extern ssize_t sendfile64(int, int, off64_t *, size_t);
SEND(sendfile, off_t)
SEND(sendfile64, off64_t)

int rename(const char *from, const char *to)
{
    REAL(rename);
    STOP(CHANGES, "rename", AT_FDCWD, to, 1, -1)
    return real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    REAL(renameat);
    STOP(CHANGES, "rename", to_folder, to, 1, -1)
    return real(from_folder, from, to_folder, to);
}

int unlink(const char *path)
{
    REAL(unlink);
    STOP(CHANGES, "unlink", AT_FDCWD, path, 0, -1)
    return real(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    REAL(unlinkat);
    STOP(CHANGES, "unlink", folder, path, 0, -1)
    return real(folder, path, flags);
}

int rmdir(const char *path)
{
    REAL(rmdir);
    STOP(CHANGES, "rmdir", AT_FDCWD, path, 0, -1)
    return real(path);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    STOP(CHANGES, "mkdir", AT_FDCWD, path, 1, -1)
    return real(path, mode);
}

#define TRUNCATE(name, length_type) \
    int name(int handle, length_type length) \
    { \
        REAL(name); \
        STOP(CHANGES, "truncate", handle, NULL, 1, -1) \
        return real(handle, length); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ALLOCATE(name, length_type) \
    int name(int handle, length_type offset, length_type length) \
    { \
        REAL(name); \
        STOP(CHANGES, "allocate", handle, NULL, 1, failure) \
        return real(handle, offset, length); \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

#define SYNC(name) \
    int name(int handle) \
    { \
        REAL(name); \
        STOP(CHANGES, "sync", handle, NULL, 0, -1) \
        return real(handle); \
    }
SYNC(fsync)
SYNC(fdatasync)
