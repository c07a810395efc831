/* A clock that somebody else sets: the real one, so many seconds ahead as the file in SIMULATED_CLOCK says.

   To be preloaded. Only the time of day goes ahead; waiting takes as long as ever. (libfaketime shifts what
   Python waits by as well, and hangs.) With SIMULATED_WAITS a Python thread that waits for another is woken
   after so many milliseconds as the file's second number says, if that is not 0: a loop that waits for
   the next minute then sees a clock that was set meanwhile. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *ahead, *longest_wait_ms, never = 0;
static int (*real)(clockid_t, struct timespec *);
static int (*real_wait)(sem_t *, clockid_t, const struct timespec *);

__attribute__((constructor)) static void find(void) {
    if (real) return;
    int file = open(getenv("SIMULATED_CLOCK"), O_RDONLY | O_CLOEXEC);
    ahead = mmap(0, 2 * sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    longest_wait_ms = getenv("SIMULATED_WAITS") ? ahead + 1 : &never;
    real_wait = (int (*)(sem_t *, clockid_t, const struct timespec *))dlsym(RTLD_NEXT, "sem_clockwait");
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    find();
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *ahead;
    return failed;
}

/* Python waits for its locks by the monotonic clock. */
int sem_clockwait(sem_t *lock, clockid_t clock, const struct timespec *until) {
    find();
    struct timespec soon;
    if (*longest_wait_ms && !real(clock, &soon)) {
        int64_t ns = soon.tv_nsec + *longest_wait_ms * 1000000;
        soon.tv_sec += ns / 1000000000;
        soon.tv_nsec = ns % 1000000000;
        if (soon.tv_sec < until->tv_sec || (soon.tv_sec == until->tv_sec && soon.tv_nsec < until->tv_nsec)) until = &soon;
    }
    return real_wait(lock, clock, until);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}
