/* Fails one file operation below a folder, for tools/disk_faults.py, which compiles it and has the loader put it before
 * the C library (LD_PRELOAD). Environment:
 *   FAULT_DIR    operations on files below it are counted, all others left alone
 *   FAULT_AT     number of the operation that fails, from 1; 0: none
 *   FAULT_KIND   the errno, or "short": a write writes half, and the rest fails for lack of room
 *   FAULT_STAYS  1: whatever needs room fails from then on, as on a disk that is full
 *   FAULT_LOG    file for a line an operation: number, name, path
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MOST_FILES 4096

static char *open_path[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count;
static int is_full, is_half;

static int is_below(const char *path) {
  const char *dir = getenv("FAULT_DIR");
  return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static const char *path_of(int fd) {
  return fd >= 0 && fd < MOST_FILES ? open_path[fd] : NULL;
}

/* Counts an operation. 0: go on; an errno: fail; -1: write half. */
static int fault(const char *name, const char *path, int needs_room) {
  if (!is_below(path)) return 0;
  pthread_mutex_lock(&lock);
  long number = ++count;
  const char *log = getenv("FAULT_LOG"), *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
  const char *stays = getenv("FAULT_STAYS");
  if (log) {
    int fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dprintf(fd, "%ld %s %s\n", number, name, path);
    REAL(close)(fd);
  }
  int found = 0;
  if (at && kind && number == atol(at)) {
    int is_short = strcmp(kind, "short") == 0;
    found = is_short ? -1 : atoi(kind);
    is_half = is_short;
    is_full = stays && *stays == '1';
  } else if ((is_full && needs_room) || (is_half && strcmp(name, "write") == 0)) {
    found = ENOSPC;
    is_half = 0;
  }
  pthread_mutex_unlock(&lock);
  return found;
}

static int fails(const char *name, const char *path, int needs_room) {
  int found = fault(name, path, needs_room);
  if (found > 0) errno = found;
  return found > 0;
}

static int remember(int fd, const char *path) {
  if (fd >= 0 && fd < MOST_FILES && is_below(path)) {
    free(open_path[fd]);
    open_path[fd] = strdup(path);
  }
  return fd;
}

static int open_or_fail(const char *path, int flags, mode_t mode) {
  int is_new = (flags & O_CREAT) && access(path, F_OK) != 0;
  if (fails(flags & O_CREAT ? "create" : "open", path, is_new)) return -1;
  return remember(REAL(open)(path, flags, mode), path);
}

#define OPEN(name)                                        \
  int name(const char *path, int flags, ...) {            \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    mode_t mode = flags & O_CREAT ? va_arg(rest, int) : 0; \
    va_end(rest);                                         \
    return open_or_fail(path, flags, mode);               \
  }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t len) {
  int found = path_of(fd) ? fault("write", path_of(fd), 1) : 0;
  if (found > 0) {
    errno = found;
    return -1;
  }
  return REAL(write)(fd, bytes, found < 0 ? len / 2 : len);
}

int close(int fd) {
  if (fd >= 0 && fd < MOST_FILES && open_path[fd]) {
    free(open_path[fd]);
    open_path[fd] = NULL;
  }
  return REAL(close)(fd);
}

int fsync(int fd) { return path_of(fd) && fails("fsync", path_of(fd), 0) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return path_of(fd) && fails("fdatasync", path_of(fd), 0) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t len) {
  return path_of(fd) && fails("ftruncate", path_of(fd), 0) ? -1 : REAL(ftruncate)(fd, len);
}
int ftruncate64(int fd, off64_t len) {
  return path_of(fd) && fails("ftruncate", path_of(fd), 0) ? -1 : REAL(ftruncate64)(fd, len);
}
int rename(const char *from, const char *to) { return fails("rename", from, 0) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) { return fails("unlink", path, 0) ? -1 : REAL(unlink)(path); }
int rmdir(const char *path) { return fails("rmdir", path, 0) ? -1 : REAL(rmdir)(path); }
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path, 1) ? -1 : REAL(mkdir)(path, mode); }
