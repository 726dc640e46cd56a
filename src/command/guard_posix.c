/* command/guard_posix.c: SIGBUS. */
#define _GNU_SOURCE      /* MAP_ANONYMOUS */
#define _DARWIN_C_SOURCE /* the same on macOS */

#include "command/guard.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

const char guard_message[] =
    "a part of the model or of its external data could not be read: the file became shorter while "
    "it was being read, or its disk failed; run again when nothing writes to it";

static atomic_uint faults;
static uintptr_t page_size;

/* mmap is not on POSIX's list of functions for handlers, but on Linux it is a plain system call. */
static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t page = (uintptr_t)info->si_addr & ~(page_size - 1);
    if (info->si_code == BUS_ADRERR &&
        mmap((void *)page, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
        atomic_fetch_add(&faults, 1);
        return;
    }
    /* Something else: it happens again, and ends the process. */
    signal(signal_number, SIG_DFL);
}

void guard_install(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    action.sa_sigaction = on_bus_error;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

unsigned guard_faults(void)
{
    return atomic_load(&faults);
}
