/* io/open_windows.c: what was opened is checked by where it lies in the end. */
#include "io/open.h"

#include <errno.h>
#include <io.h>
#include <stdlib.h>

#include "base/system_error.h"
#include "base/system_windows.h"

const bool open_blocks = true;

/* A folder too, of which the caller says that it is one. */
static HANDLE open_wide(const wchar_t *path, DWORD share)
{
    return CreateFileW(path, GENERIC_READ, share, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
}

enum { SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE };

int open_file(const char *path, int *descriptor)
{
    wchar_t *wide = wide_path(path);
    int reason = wide ? windows_take(open_wide(wide, SHARE_ALL), descriptor) : errno;
    free(wide);
    return reason;
}

/* While it is open nobody moves it, so that its path stays its own. */
int open_folder(const char *path, int *descriptor)
{
    struct opened opened;
    wchar_t *wide = wide_path(path);
    int reason = wide ? windows_take(open_wide(wide, FILE_SHARE_READ | FILE_SHARE_WRITE), descriptor) : errno;
    free(wide);
    if (reason || (open_look(*descriptor, &opened) == 0 && opened.look == LOOK_FOLDER))
        return reason;
    open_close(*descriptor);
    *descriptor = -1;
    return ENOTDIR;
}

int open_look(int descriptor, struct opened *opened)
{
    enum { TICKS = 10000000 }; /* in a second */
    BY_HANDLE_FILE_INFORMATION about;
    enum look look = windows_look((HANDLE)_get_osfhandle(descriptor), &about);
    struct looked looked = windows_looked(&about);
    uint64_t time = (uint64_t)about.ftLastWriteTime.dwHighDateTime << 32 | about.ftLastWriteTime.dwLowDateTime;
    *opened = (struct opened){.look = look,
                              .has_names = about.nNumberOfLinks > 1,
                              .mark = {.is_file = look == LOOK_FILE,
                                       .device = looked.device,
                                       .inode = looked.inode,
                                       .size = (uint64_t)about.nFileSizeHigh << 32 | about.nFileSizeLow,
                                       .seconds = (int64_t)(time / TICKS),
                                       .nanoseconds = (int64_t)(time % TICKS * 100)}};
    return look ? 0 : errno;
}

void open_close(int descriptor)
{
    _close(descriptor);
}

/* ---- below a folder ---- */

static const char is_link[] =
    "it leads through a link, or a name is a short form of another, and links are not followed; if "
    "you trust where they lead, use --follow-symlinks (in the library: follow_symlinks)";

const char *open_refuses(const char *name, size_t length)
{
    enum { LONGEST = 3 * 255 }; /* of 255 letters */
    if (length > LONGEST)
        return "a name in it is too long";
    for (size_t i = 0; i < length; i++)
        if (strchr("\\:*?\"<>|", name[i]) || (unsigned char)name[i] < ' ')
            return "it has one of \\ : * ? \" < > |, and data outside the model's folder is never read: expected names "
                   "with / between them";
    return NULL;
}

int open_below(int folder, const char *location, bool follow_links, const char **reason)
{
    int descriptor = -1, error = 0;
    wchar_t *path = wide_below((HANDLE)_get_osfhandle(folder), location), *final = NULL;
    HANDLE handle = path ? open_wide(path, SHARE_ALL) : INVALID_HANDLE_VALUE;
    if (!path || handle == INVALID_HANDLE_VALUE)
        error = path ? windows_error() : errno;
    else if (!follow_links && !(final = wide_final(handle)))
        error = errno;
    if (error)
        *reason = system_error(error);
    else if (!follow_links && CompareStringOrdinal(path, -1, final, -1, TRUE) != CSTR_EQUAL)
        *reason = is_link;
    else {
        if ((error = windows_take(handle, &descriptor)) != 0)
            *reason = system_error(error);
        handle = INVALID_HANDLE_VALUE; /* of the descriptor by now, or closed */
    }
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    free(path);
    free(final);
    return descriptor;
}

/* ---- bytes ---- */

int open_read(int descriptor, void *bytes, size_t size, size_t *got)
{
    enum { MOST = 1 << 30 };
    DWORD count = 0;
    HANDLE handle = (HANDLE)_get_osfhandle(descriptor);
    bool good = ReadFile(handle, bytes, (DWORD)(size < MOST ? size : MOST), &count, NULL);
    *got = count;
    return good || GetLastError() == ERROR_BROKEN_PIPE || GetLastError() == ERROR_HANDLE_EOF ? 0 : windows_error();
}

/* A mapped file cannot be replaced, not even by the one who has mapped it. */
int open_map(int descriptor, size_t size, void **address)
{
    (void)descriptor, (void)size, (void)address;
    return ENOTSUP;
}

void open_unmap(void *address, size_t size)
{
    (void)address, (void)size; /* nothing was mapped */
}

void open_done(const uint8_t *data, size_t size)
{
    (void)data, (void)size;
}
