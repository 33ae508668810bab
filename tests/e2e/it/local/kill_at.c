/* A library for LD_PRELOAD. It kills the process with SIGKILL right before the KILL_AT-th call that changes a file, so
   that a test can crash the process between any two steps. It makes fsync of the file FAIL_FSYNC_OF fail. */
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
#include <unistd.h>

static long calls;

static void step(void) {
    const char *at = getenv("KILL_AT");
    if (at && __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == atol(at)) kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int mkdir(const char *path, mode_t mode) { step(); return REAL(mkdir)(path, mode); }
int rmdir(const char *path) { step(); return REAL(rmdir)(path); }
int unlink(const char *path) { step(); return REAL(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) { step(); return REAL(unlinkat)(folder, path, flags); }
int rename(const char *from, const char *to) { step(); return REAL(rename)(from, to); }

int fsync(int file) {
    const char *failing = getenv("FAIL_FSYNC_OF");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = failing ? readlink(link, path, sizeof path - 1) : -1;
    if (length > 0) {
        path[length] = 0;
        if (!strcmp(path, failing)) return errno = EIO, -1;
    }
    step();
    return REAL(fsync)(file);
}

int fdatasync(int file) { step(); return REAL(fdatasync)(file); }
int flock(int file, int operation) { step(); return REAL(flock)(file, operation); }

ssize_t write(int file, const void *bytes, size_t length) {
    if (file > 2) step();
    return REAL(write)(file, bytes, length);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t length, unsigned flags) {
    step();
    return REAL(copy_file_range)(from, at, to, there, length, flags);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    if (flags & O_CREAT) step();
    return REAL(open64)(path, flags, mode);
}
