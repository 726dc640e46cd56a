/* base/system_windows.h: what the files for Windows share: paths as UTF-16, what is behind a handle, errors as errno. */
#ifndef BASE_SYSTEM_WINDOWS_H
#define BASE_SYSTEM_WINDOWS_H

#include "base/system.h"

#include <windows.h>

/* errno for GetLastError(). */
int windows_error(void);

/* All by malloc. NULL: errno says why. */
/* A path as the system takes it, however long. */
wchar_t *wide_path(const char *path);
char *narrow_text(const wchar_t *text);
/* Where what is open lies, links resolved: \\?\C:\folder\name. */
wchar_t *wide_final(HANDLE handle);
/* wide_final of a folder, and names below it, which '/' sets apart. Of these the system takes none for more than the name
 * of a file: no device, no "..". */
wchar_t *wide_below(HANDLE folder, const char *location);

/* A descriptor that owns the handle that a call gave. Returns 0 or errno. */
int windows_take(HANDLE handle, int *descriptor);
/* Opens what is there to be looked at; a link itself, or what it leads to. */
HANDLE windows_open(const wchar_t *path, bool follow);
/* What it is, and its numbers. LOOK_NOTHING: errno says why. */
enum look windows_look(HANDLE handle, BY_HANDLE_FILE_INFORMATION *about);
struct looked windows_looked(const BY_HANDLE_FILE_INFORMATION *about);

#endif
