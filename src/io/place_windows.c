/* io/place_windows.c: a temporary file that nobody else can open is renamed over its place by its handle. */
#include "io/place.h"

#include <errno.h>
#include <io.h>
#include <stdlib.h>

#include "base/system_windows.h"
#include "io/open.h"

static HANDLE handle_of(int descriptor)
{
    return (HANDLE)_get_osfhandle(descriptor);
}

/* ---- folders ---- */

int place_resolve(struct arena *arena, const char *path, char **resolved)
{
    wchar_t *wide = wide_path(path);
    HANDLE handle = wide ? windows_open(wide, true) : INVALID_HANDLE_VALUE;
    wchar_t *final = handle != INVALID_HANDLE_VALUE ? wide_final(handle) : NULL;
    char *narrow = final ? narrow_text(final) : NULL;
    int reason = narrow ? 0 : wide && handle == INVALID_HANDLE_VALUE ? windows_error() : errno;
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    if (narrow)
        *resolved = arena_copy(arena, narrow);
    free(wide);
    free(final);
    free(narrow);
    return reason;
}

int place_open_folder(const char *path, int *folder)
{
    return open_folder(path, folder);
}

bool place_is_one(int folder, int other)
{
    struct opened a, b;
    return open_look(folder, &a) == 0 && open_look(other, &b) == 0 && a.mark.device == b.mark.device &&
           a.mark.inode == b.mark.inode;
}

enum look place_look(int folder, const char *name, struct looked *looked)
{
    BY_HANDLE_FILE_INFORMATION about = {0};
    wchar_t *path = wide_below(handle_of(folder), name);
    HANDLE handle = path ? windows_open(path, true) : INVALID_HANDLE_VALUE;
    enum look look = handle != INVALID_HANDLE_VALUE ? windows_look(handle, &about) : LOOK_NOTHING;
    *looked = windows_looked(&about);
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    free(path);
    return look;
}

/* ---- streams ---- */

int place_stream(const char *path)
{
    (void)path; /* "-" alone */
    return -1;
}

int place_open_device(const char *path, int *descriptor)
{
    wchar_t *wide = wide_path(path);
    HANDLE handle =
        wide ? CreateFileW(wide, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL)
             : INVALID_HANDLE_VALUE;
    int reason = wide ? windows_take(handle, descriptor) : errno;
    free(wide);
    return !reason && GetFileType(handle) == FILE_TYPE_DISK ? EEXIST : reason;
}

int place_is_open(int descriptor)
{
    return GetFileType(handle_of(descriptor)) == FILE_TYPE_UNKNOWN ? EBADF : 0;
}

int place_close(int descriptor)
{
    return _close(descriptor) == 0 ? 0 : errno;
}

/* ---- temporary files ---- */

/* One that is being written is not to be opened by anybody, so not to be removed. */
void place_sweep(int folder, const char *name)
{
    wchar_t *path = wide_below(handle_of(folder), name);
    if (path)
        DeleteFileW(path);
    free(path);
}

/* Who may read and write the file that will be replaced, by malloc. Returns 0 or errno. */
static int permissions_of(const char *replaced, void **permissions)
{
    DWORD size = 0;
    wchar_t *wide = wide_path(replaced);
    int reason = wide ? 0 : errno;
    if (wide)
        GetFileSecurityW(wide, DACL_SECURITY_INFORMATION, NULL, 0, &size);
    *permissions = wide ? malloc(size + 1) : NULL;
    if (wide && !*permissions)
        reason = ENOMEM;
    else if (wide && !GetFileSecurityW(wide, DACL_SECURITY_INFORMATION, *permissions, size, &size))
        reason = windows_error();
    free(wide);
    return reason;
}

int place_make(struct output *output, const char *replaced, const char **what)
{
    char name[OUTPUT_NAME + 1];
    SECURITY_ATTRIBUTES security = {.nLength = sizeof(security)};
    int reason = EINVAL;
    *what = "cannot make a temporary file beside it";
    if (strchr(output->name, ':')) /* a stream of another file */
        return reason;
    if (replaced && (reason = permissions_of(replaced, &security.lpSecurityDescriptor)) != 0)
        *what = "cannot find out its permissions";
    else
        reason = EEXIST;
    for (unsigned i = 0; i < TEMPORARIES && reason == EEXIST; i++) {
        temporary_name(output, i, name);
        wchar_t *path = wide_below(handle_of(output->folder), name);
        HANDLE handle = path ? CreateFileW(path, GENERIC_READ | GENERIC_WRITE | DELETE, 0, &security, CREATE_NEW,
                                           FILE_ATTRIBUTE_NORMAL, NULL)
                             : INVALID_HANDLE_VALUE;
        reason = path ? windows_take(handle, &output->descriptor) : errno;
        free(path);
    }
    if (!reason)
        memcpy(output->temporary, name, sizeof(name));
    free(security.lpSecurityDescriptor);
    return reason;
}

void place_discard(const struct output *output)
{
    FILE_DISPOSITION_INFO gone = {TRUE};
    SetFileInformationByHandle(handle_of(output->descriptor), FileDispositionInfo, &gone, sizeof(gone));
}

/* ---- bytes ---- */

/* Its blocks are set aside either way. */
int place_size(const struct output *output, uint64_t size, bool at_once)
{
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size};
    (void)at_once;
    if (size > INT64_MAX)
        return EFBIG;
    return SetFileInformationByHandle(handle_of(output->descriptor), FileEndOfFileInfo, &end, sizeof(end))
               ? 0
               : windows_error();
}

int place_write(const struct output *output, uint64_t offset, const void *data, size_t size, size_t *done)
{
    enum { MOST = 1 << 30, MOST_OF_A_STREAM = 1 << 15 }; /* a console takes no more */
    DWORD count = 0, most = output->name ? MOST : MOST_OF_A_STREAM;
    OVERLAPPED place = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
    bool good = WriteFile(handle_of(output->descriptor), data, size < most ? (DWORD)size : most, &count,
                          output->name ? &place : NULL);
    *done = count;
    return good ? 0 : windows_error();
}

size_t place_copy(const struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data,
                  size_t size)
{
    (void)output, (void)offset, (void)from, (void)data, (void)size;
    return 0; /* what was read is written */
}

void place_hint(const struct output *output, uint64_t offset, size_t size)
{
    (void)output, (void)offset, (void)size; /* it starts by itself */
}

/* ---- the end ---- */

int place_sync(const struct output *output)
{
    if (output->no_sync || FlushFileBuffers(handle_of(output->descriptor)))
        return 0;
    int reason = windows_error();
    return reason == ENOTSUP ? 0 : reason; /* where nothing is kept */
}

/* The new name is written with what else is known of the file. */
int place_sync_folder(const struct output *output)
{
    return place_sync(output);
}

int place_appear(struct output *output)
{
    wchar_t *path = wide_below(handle_of(output->folder), output->name);
    size_t length = path ? wcslen(path) * sizeof(*path) : 0;
    FILE_RENAME_INFO *change = path ? calloc(1, sizeof(*change) + length) : NULL;
    int reason = path ? ENOMEM : errno;
    if (change) {
        change->ReplaceIfExists = !output->fresh;
        change->FileNameLength = (DWORD)length;
        memcpy(change->FileName, path, length);
        reason = SetFileInformationByHandle(handle_of(output->descriptor), FileRenameInfo, change,
                                            (DWORD)(sizeof(*change) + length))
                     ? 0
                     : windows_error();
    }
    if (!reason)
        output->temporary[0] = 0;
    free(change);
    free(path);
    return reason;
}
