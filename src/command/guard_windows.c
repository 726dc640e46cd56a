/* command/guard_windows.c: files are read here and not mapped, so none can become shorter under us. */
#include "command/guard.h"

#include <windows.h>

const char guard_message[] = "a part of the model or of its external data could not be read";

void guard_install(void)
{
    /* A drive without a disk is an error, and no dialog that waits for one. */
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOOPENFILEERRORBOX);
}

unsigned guard_faults(void)
{
    return 0;
}
