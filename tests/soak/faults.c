/* Preloaded into a process: one of its file-system calls below a directory fails, or ends it.

   arm(root, at, what, log) counts the calls from then on, in all threads, and strikes the one
   numbered `at`, from 1. `what` is an errno that it fails with once, or one of those below. With
   `log`, a descriptor, the name and path of each is written there. Relative paths are taken to lie
   below the root, from where the process is run.

   The headers that declare these functions are left out: they have other parameter types. */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#define CWD (-100)
enum { SHORT = -1, VANISH = -2, SIGNAL = -100 };  /* -100 - N sends itself the signal N */

long syscall(long number, ...);
static char root[PATH_MAX];
static size_t root_length;
static int at, what, log_to = -1;
static atomic_int calls;

void arm(const char *below, int at_call, int with, int descriptor) {
    strncpy(root, below, sizeof root - 1);
    atomic_store(&calls, 0);
    at = at_call, what = with, log_to = descriptor;
    root_length = strlen(root);
}

static int is_below(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* Where a descriptor's file lies, or nothing. */
static const char *place(int descriptor, char *path) {
    char link[32] = "/proc/self/fd/", digits[12];
    int length = 0, end = 14;
    if (descriptor < 0) return "";
    do digits[length++] = '0' + descriptor % 10; while (descriptor /= 10);
    while (length) link[end++] = digits[--length];
    long size = syscall(SYS_readlinkat, CWD, link, path, PATH_MAX - 1);
    path[size < 0 ? 0 : size] = 0;
    return path;
}

static void note(const char *name, const char *path) {
    char line[PATH_MAX + 64];
    size_t end = strlen(name), length = strlen(path);
    memcpy(line, name, end);
    line[end++] = '\t';
    memcpy(line + end, path, length);
    line[end + length] = '\n';
    syscall(SYS_write, log_to, line, end + length + 1);
}

static void vanish(void) {
    char from[PATH_MAX + 8], to[PATH_MAX + 8];
    memcpy(from, root, root_length), memcpy(to, root, root_length);
    strcpy(from + root_length, "/out"), strcpy(to + root_length, "/gone");
    syscall(SYS_renameat2, CWD, from, CWD, to, 0);
}

/* Count a call; tell whether it is to fail, or with SHORT to do half of it. */
static int struck(const char *name, int directory, const char *path) {
    char found[PATH_MAX];
    int before = errno;
    if (!root_length) return 0;
    int is_relative = path && *path != '/' && directory == CWD;
    if (!path || (*path != '/' && directory != CWD)) path = place(directory, found);
    if (!is_relative && !is_below(path)) { errno = before; return 0; }
    int number = atomic_fetch_add(&calls, 1) + 1;
    if (log_to >= 0) note(name, path);
    errno = before;
    if (number != at) return 0;
    if (what == VANISH) return vanish(), errno = before, 0;
    if (what <= SIGNAL) return syscall(SYS_kill, syscall(SYS_getpid), SIGNAL - what), 0;
    if (what > 0) errno = what;
    return what;
}

#define REAL(type, name, parameters) \
    static type (*real) parameters; \
    if (!real) real = (type (*) parameters)dlsym(RTLD_NEXT, #name)
#define CALL(type, name, parameters, arguments, directory, path, failed) \
    type name parameters { \
        REAL(type, name, parameters); \
        return struck(#name, directory, path) > 0 ? failed : real arguments; \
    }
#define NAMED(name, parameters, arguments, path) CALL(int, name, parameters, arguments, CWD, path, -1)
#define IN(name, parameters, arguments) CALL(int, name, parameters, arguments, directory, path, -1)
#define OPEN(name, parameters, arguments) CALL(int, name, parameters, arguments, file, NULL, -1)
/* What is given or taken may be less than asked for. */
#define MOVE(name, parameters, arguments) \
    long name parameters { \
        REAL(long, name, parameters); \
        int hit = struck(#name, file, NULL); \
        if (hit == SHORT && count > 1) count /= 2; \
        return hit > 0 ? -1 : real arguments; \
    }

NAMED(open, (const char *path, int flags, int mode), (path, flags, mode), path)
NAMED(open64, (const char *path, int flags, int mode), (path, flags, mode), path)
IN(openat, (int directory, const char *path, int flags, int mode), (directory, path, flags, mode))
IN(openat64, (int directory, const char *path, int flags, int mode), (directory, path, flags, mode))
CALL(void *, fopen, (const char *path, const char *mode), (path, mode), CWD, path, NULL)
CALL(void *, fopen64, (const char *path, const char *mode), (path, mode), CWD, path, NULL)
CALL(void *, opendir, (const char *path), (path), CWD, path, NULL)
CALL(void *, fdopendir, (int file), (file), file, NULL, NULL)
NAMED(stat, (const char *path, void *to), (path, to), path)
NAMED(stat64, (const char *path, void *to), (path, to), path)
NAMED(lstat, (const char *path, void *to), (path, to), path)
NAMED(lstat64, (const char *path, void *to), (path, to), path)
OPEN(fstat, (int file, void *to), (file, to))
OPEN(fstat64, (int file, void *to), (file, to))
IN(fstatat, (int directory, const char *path, void *to, int flags), (directory, path, to, flags))
IN(fstatat64, (int directory, const char *path, void *to, int flags), (directory, path, to, flags))
IN(statx, (int directory, const char *path, int flags, unsigned mask, void *to),
   (directory, path, flags, mask, to))
NAMED(access, (const char *path, int mode), (path, mode), path)
IN(faccessat, (int directory, const char *path, int mode, int flags), (directory, path, mode, flags))
CALL(long, readlink, (const char *path, char *to, size_t count), (path, to, count), CWD, path, -1)
MOVE(read, (int file, void *to, size_t count), (file, to, count))
MOVE(pread, (int file, void *to, size_t count, long offset), (file, to, count, offset))
MOVE(pread64, (int file, void *to, size_t count, long offset), (file, to, count, offset))
MOVE(write, (int file, const void *from, size_t count), (file, from, count))
MOVE(pwrite, (int file, const void *from, size_t count, long offset), (file, from, count, offset))
MOVE(pwrite64, (int file, const void *from, size_t count, long offset), (file, from, count, offset))
MOVE(writev, (int file, const void *from, int count), (file, from, count))
CALL(long, lseek, (int file, long offset, int from), (file, offset, from), file, NULL, -1)
CALL(long, lseek64, (int file, long offset, int from), (file, offset, from), file, NULL, -1)
CALL(void *, mmap, (void *address, size_t size, int may, int flags, int file, long offset),
     (address, size, may, flags, file, offset), file, NULL, (void *)-1)
CALL(void *, mmap64, (void *address, size_t size, int may, int flags, int file, long offset),
     (address, size, may, flags, file, offset), file, NULL, (void *)-1)
OPEN(ftruncate, (int file, long size), (file, size))
OPEN(ftruncate64, (int file, long size), (file, size))
OPEN(fallocate64, (int file, int mode, long offset, long size), (file, mode, offset, size))
OPEN(fsync, (int file), (file))
OPEN(fdatasync, (int file), (file))
OPEN(flock, (int file, int how), (file, how))
OPEN(fchmod, (int file, unsigned mode), (file, mode))
OPEN(fchown, (int file, unsigned user, unsigned group), (file, user, group))
NAMED(mkdir, (const char *path, unsigned mode), (path, mode), path)
NAMED(rmdir, (const char *path), (path), path)
NAMED(unlink, (const char *path), (path), path)
IN(unlinkat, (int directory, const char *path, int flags), (directory, path, flags))
NAMED(rename, (const char *path, const char *to), (path, to), path)
IN(renameat, (int directory, const char *path, int other, const char *to),
   (directory, path, other, to))
IN(renameat2, (int directory, const char *path, int other, const char *to, unsigned flags),
   (directory, path, other, to, flags))

/* A descriptor is gone, whatever its closing tells. */
int close(int file) {
    REAL(int, close, (int));
    int hit = struck("close", file, NULL), code = errno, failed = real(file);
    if (hit > 0) errno = code;
    return hit > 0 ? -1 : failed;
}
