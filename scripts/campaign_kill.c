/* Preloaded into a daemon: kills it with SIGKILL right before its n-th call that changes files or syncs them.

   CAMPAIGN_COUNTER names a file of 8 bytes, which holds the number of calls so far; CAMPAIGN_KILL_AT is n, 0 for never. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long *counter;
static long kill_at;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CAMPAIGN_COUNTER"), *at = getenv("CAMPAIGN_KILL_AT");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *shared = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared == MAP_FAILED) return;
    kill_at = at ? atol(at) : 0;
    counter = shared;
}

static void boundary(void) {
    if (counter && atomic_fetch_add(counter, 1) + 1 == kill_at) kill(getpid(), SIGKILL);
}

#define KILLED(type, name, parameters, arguments)                      \
    type name parameters {                                             \
        static type(*next) parameters;                                 \
        if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name);          \
        boundary();                                                    \
        return next arguments;                                         \
    }

KILLED(int, fsync, (int file), (file))
KILLED(int, fdatasync, (int file), (file))
KILLED(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
KILLED(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
KILLED(int, ftruncate, (int file, off_t size), (file, size))
KILLED(int, ftruncate64, (int file, off64_t size), (file, size))
KILLED(int, rename, (const char *from, const char *to), (from, to))
KILLED(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
KILLED(int, unlink, (const char *path), (path))
KILLED(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
