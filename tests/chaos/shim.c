/* Preloaded into every process of a chaos run (LD_PRELOAD): a clock that is wrong and a disk that is full, each for one
 * process and switched while it runs. Stands in for libfaketime, which knows no full disk and is no package of ours.
 *
 * AUPSTREAM_CHAOS_TABLE names a file that is mapped: a count of entries, then {pid, nanoseconds to add, full}. A disk
 * is full for regular files but standard output and error, where the process tells what it thinks of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES 64
#define BILLION 1000000000LL

struct entry { int64_t pid, clock_ns, full; };
struct table { volatile int64_t used; volatile struct entry entries[ENTRIES]; };

static struct table *table;

__attribute__((constructor)) static void open_table(void)
{
    const char *path = getenv("AUPSTREAM_CHAOS_TABLE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct table), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED)
        table = mapped;
    close(fd);
}

static volatile struct entry *mine(void)
{
    if (!table || !table->used)
        return NULL;
    int64_t pid = getpid();
    for (int i = 0; i < table->used && i < ENTRIES; i++)
        if (table->entries[i].pid == pid)
            return &table->entries[i];
    return NULL;
}

static int64_t ahead(void)
{
    volatile struct entry *entry = mine();
    return entry ? entry->clock_ns : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real ? real(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = ahead();
        if (ns) {
            int64_t whole = (int64_t)now->tv_sec * BILLION + now->tv_nsec + ns;
            now->tv_sec = whole / BILLION;
            now->tv_nsec = whole % BILLION;
        }
    }
    return result;
}

int gettimeofday(struct timeval *now, void *zone)
{
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise))
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where)
{
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise))
        return (time_t)-1;
    if (where)
        *where = precise.tv_sec;
    return precise.tv_sec;
}

static int is_full(int fd)
{
    volatile struct entry *entry = mine();
    struct stat found;
    if (!entry || !entry->full || fd == 1 || fd == 2)
        return 0;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

#define REFUSE(fd) if (is_full(fd)) { errno = ENOSPC; return -1; }
#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count)
{
    REFUSE(fd)
    REAL(write);
    return real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    REFUSE(fd)
    REAL(pwrite);
    return real(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    REFUSE(fd)
    REAL(pwrite64);
    return real(fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REFUSE(fd)
    REAL(writev);
    return real(fd, parts, count);
}

int fallocate(int fd, int mode, off_t at, off_t length)
{
    REFUSE(fd)
    REAL(fallocate);
    return real(fd, mode, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length)
{
    if (is_full(fd))
        return ENOSPC;
    REAL(posix_fallocate);
    return real(fd, at, length);
}
