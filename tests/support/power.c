/* Preloaded into a process: keeps, beside the files that it syncs, what a disk is sure to have of them.

   POWER_DISK names a folder. When a sync of a file has returned, <folder>/<inode> has the content that the file had when the
   sync was asked for. `events` there tells writes and syncs in their order. `promised` has the counters of POWER_PROGRESS as
   they were when the last sync of the spool's header but one had returned: what had been logged by then was committed before
   the last one began. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNTERS 512
static __thread unsigned long last_inode;
/* The flusher and a thread that rotates may sync the same file. */
static pthread_mutex_t syncing = PTHREAD_MUTEX_INITIALIZER;
static char seen[COUNTERS];
static int events = -1;

static ssize_t raw_write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(fd, data, size);
}

static const char *disk(void) { return getenv("POWER_DISK"); }

static void tell(const char *what, unsigned long inode, long number) {
    char line[200], name[4096];
    if (events < 0) {
        snprintf(name, sizeof name, "%s/events", disk());
        events = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
    raw_write(events, line, (size_t)snprintf(line, sizeof line, "%s %lu %ld\n", what, inode, number));
}

static unsigned long inode_of(int fd) {
    struct stat about;
    return disk() && fstat(fd, &about) == 0 && S_ISREG(about.st_mode) ? (unsigned long)about.st_ino : 0;
}

/* Holes stay holes. */
static void copy(int from, const char *name) {
    static char block[65536];
    static const char zeros[65536];
    char path[64];
    int to = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct stat about;
    snprintf(path, sizeof path, "/proc/self/fd/%d", from);
    from = open(path, O_RDONLY | O_CLOEXEC);
    fstat(from, &about);
    if (ftruncate(to, about.st_size)) abort();
    for (off_t at = 0; at < about.st_size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0) break;
        at = data & ~(off_t)65535;
        ssize_t n = pread(from, block, sizeof block, at);
        if (n <= 0) break;
        if (memcmp(block, zeros, (size_t)n) && pwrite(to, block, (size_t)n, at) != n) abort();
        at += n;
    }
    close(from);
    close(to);
}

static int sync_file(int fd, const char *call) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
    unsigned long inode = inode_of(fd);
    char made[4096], name[4096];
    int result;
    if (!inode) return real(fd);
    snprintf(made, sizeof made, "%s/%lu.new", disk(), inode);
    snprintf(name, sizeof name, "%s/%lu", disk(), inode);
    pthread_mutex_lock(&syncing);
    copy(fd, made);
    result = real(fd);
    if (rename(made, name)) abort();
    pthread_mutex_unlock(&syncing);
    tell("sync", inode, result);
    last_inode = inode;
    return result;
}

int fdatasync(int fd) { return sync_file(fd, "fdatasync"); }
int fsync(int fd) { return sync_file(fd, "fsync"); }

int msync(void *start, size_t size, int flags) {
    int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "msync");
    char name[4096], now[COUNTERS], *old = malloc(size);
    int result, fd;
    memcpy(old, start, size);
    result = real(start, size, flags);
    snprintf(name, sizeof name, "%s/%lu", disk(), last_inode);
    fd = open(name, O_WRONLY | O_CLOEXEC);
    if (pwrite(fd, old, size, 0) != (ssize_t)size) abort();
    close(fd);
    free(old);
    tell("header", last_inode, result);
    fd = getenv("POWER_PROGRESS") ? open(getenv("POWER_PROGRESS"), O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        char made[4096];
        if (read(fd, now, sizeof now) != sizeof now) abort();
        close(fd);
        snprintf(made, sizeof made, "%s/promised.new", disk());
        snprintf(name, sizeof name, "%s/promised", disk());
        fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (pwrite(fd, seen, sizeof seen, 0) != sizeof seen) abort();
        close(fd);
        if (rename(made, name)) abort();
        memcpy(seen, now, sizeof now);
    }
    return result;
}

ssize_t write(int fd, const void *data, size_t size) {
    unsigned long inode = inode_of(fd);
    ssize_t result = raw_write(fd, data, size);
    if (inode) tell("write", inode, (long)result);
    return result;
}
