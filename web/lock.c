/* web/lock.c: emscripten's flock pretends to succeed, and a run would take the files of another for what a killed one left. */
#include <errno.h>
#include <sys/file.h>

int flock(int descriptor, int operation)
{
    (void)descriptor, (void)operation;
    errno = ENOSYS;
    return -1;
}
