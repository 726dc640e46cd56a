/* memcheck.c: stands for the program in the suites and runs it under valgrind's memcheck; see
 * scripts/valgrind. Linked statically and without a shell, so that what a test loads into the
 * program (tests/faults/shim.c) meets the program alone.
 *
 * MEMCHECK, PROGRAM and LOGS are paths, given when this is compiled. Each run has a log of its own,
 * which is empty when there is nothing to say. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **given)
{
    static char log[4096];
    const char *const options[] = {MEMCHECK,
                                   "-q",
                                   "--error-exitcode=99",
                                   "--leak-check=full",
                                   "--read-inline-info=no",
                                   "--errors-for-leak-kinds=definite,indirect",
                                   "--show-leak-kinds=definite,indirect",
                                   "--child-silent-after-fork=yes",
                                   log,
                                   PROGRAM};
    const size_t own = sizeof(options) / sizeof(options[0]);
    char **arguments = calloc(own + (size_t)count + 1, sizeof(*arguments));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(log, sizeof(log), "--log-file=%s/%lld.%09ld.%ld", LOGS, (long long)now.tv_sec, now.tv_nsec,
             (long)getpid());
    if (!arguments)
        return 98;
    for (size_t i = 0; i < own; i++)
        arguments[i] = (char *)options[i];
    for (int i = 1; i < count; i++)
        arguments[own + (size_t)i - 1] = given[i];
    setenv("VALGRIND_LAUNCHER", "/usr/bin/valgrind.bin", 1);
    execv(MEMCHECK, arguments);
    perror(MEMCHECK);
    return 98;
}
