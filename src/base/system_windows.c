/* base/system_windows.c: Windows 10 and later. */
#define _CRT_RAND_S

#include "base/system_windows.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdlib.h>
#include <string.h>

#include "base/system_error.h"

/* ---- errors ---- */

/* In the words of the system, whatever its language. Of several with one errno the first has the text. */
static const struct {
    DWORD code;
    int number;
    const char *text;
} errors[] = {
    {ERROR_FILE_NOT_FOUND, ENOENT, "The system cannot find the file specified"},
    {ERROR_PATH_NOT_FOUND, ENOENT, NULL},
    {ERROR_INVALID_DRIVE, ENOENT, NULL},
    {ERROR_BAD_NETPATH, ENOENT, NULL},
    {ERROR_BAD_NET_NAME, ENOENT, NULL},
    {ERROR_ACCESS_DENIED, EACCES, "Access is denied"},
    {ERROR_SHARING_VIOLATION, EBUSY, "The process cannot access the file because it is being used by another process"},
    {ERROR_LOCK_VIOLATION, EBUSY, NULL},
    {ERROR_USER_MAPPED_FILE, EBUSY, NULL},
    {ERROR_FILE_EXISTS, EEXIST, "The file exists"},
    {ERROR_ALREADY_EXISTS, EEXIST, NULL},
    {ERROR_DISK_FULL, ENOSPC, "There is not enough space on the disk"},
    {ERROR_HANDLE_DISK_FULL, ENOSPC, NULL},
    {1295 /* of the disk quota */, ENOSPC, NULL},
    {ERROR_NOT_ENOUGH_MEMORY, ENOMEM, "Not enough memory resources are available to process this command"},
    {ERROR_OUTOFMEMORY, ENOMEM, NULL},
    {ERROR_NO_SYSTEM_RESOURCES, ENOMEM, NULL},
    {ERROR_COMMITMENT_LIMIT, ENOMEM, NULL},
    {ERROR_INVALID_NAME, EINVAL, "The filename, directory name, or volume label syntax is incorrect"},
    {ERROR_BAD_PATHNAME, EINVAL, NULL},
    {ERROR_INVALID_PARAMETER, EINVAL, NULL},
    {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG, "The filename or extension is too long"},
    {ERROR_BUFFER_OVERFLOW, ENAMETOOLONG, NULL},
    {ERROR_DIRECTORY, ENOTDIR, "The directory name is invalid"},
    {ERROR_WRITE_PROTECT, EROFS, "The media is write protected"},
    {ERROR_NOT_SAME_DEVICE, EXDEV, "The system cannot move the file to a different disk drive"},
    {ERROR_BROKEN_PIPE, EPIPE, "The pipe has been ended"},
    {ERROR_NO_DATA, EPIPE, NULL},
    {ERROR_PIPE_NOT_CONNECTED, EPIPE, NULL},
    {ERROR_TOO_MANY_OPEN_FILES, EMFILE, "The system cannot open the file"},
    {ERROR_CANT_RESOLVE_FILENAME, ELOOP, "The name of the file cannot be resolved by the system"},
    {ERROR_INVALID_HANDLE, EBADF, "The handle is invalid"},
    {ERROR_FILE_TOO_LARGE, EFBIG, "The file size exceeds the limit allowed and cannot be saved"},
    {ERROR_NOT_SUPPORTED, ENOTSUP, "The request is not supported"},
    {ERROR_INVALID_FUNCTION, ENOTSUP, NULL},
    {ERROR_NOT_READY, ENODEV, "The device is not ready"},
    {ERROR_NO_UNICODE_TRANSLATION, EILSEQ,
     "No mapping for the Unicode character exists in the target multi-byte code page"},
    {ERROR_IO_DEVICE, EIO, "The request could not be performed because of an I/O device error"},
};

int windows_error(void)
{
    DWORD code = GetLastError();
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].code == code)
            return errors[i].number;
    return EIO;
}

const char *system_error(int number)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].number == number && errors[i].text)
            return errors[i].text;
    return "unknown error";
}

/* ---- threads ---- */

_Static_assert(sizeof(SRWLOCK) <= sizeof(struct mutex), "too small");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(struct condition), "too small");

/* As much as a first thread has. */
enum { STACK = 8 << 20 };

bool mutex_open(struct mutex *mutex)
{
    InitializeSRWLock((SRWLOCK *)mutex);
    return true;
}

void mutex_close(struct mutex *mutex)
{
    (void)mutex; /* it holds nothing */
}

void mutex_lock(struct mutex *mutex)
{
    AcquireSRWLockExclusive((SRWLOCK *)mutex);
}

void mutex_unlock(struct mutex *mutex)
{
    ReleaseSRWLockExclusive((SRWLOCK *)mutex);
}

bool condition_open(struct condition *condition)
{
    InitializeConditionVariable((CONDITION_VARIABLE *)condition);
    return true;
}

void condition_close(struct condition *condition)
{
    (void)condition; /* it holds nothing */
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    SleepConditionVariableSRW((CONDITION_VARIABLE *)condition, (SRWLOCK *)mutex, INFINITE, 0);
}

void condition_tell(struct condition *condition)
{
    WakeConditionVariable((CONDITION_VARIABLE *)condition);
}

static unsigned __stdcall run_thread(void *closure)
{
    struct thread *thread = closure;
    thread->work(thread->closure);
    return 0;
}

bool thread_start(struct thread *thread, void (*work)(void *closure), void *closure)
{
    *thread = (struct thread){.work = work, .closure = closure};
    thread->id = _beginthreadex(NULL, STACK, run_thread, thread, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    return thread->id != 0;
}

void thread_join(struct thread *thread)
{
    WaitForSingleObject((HANDLE)thread->id, INFINITE);
    CloseHandle((HANDLE)thread->id);
}

int thread_cores(void)
{
    DWORD cores = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return cores < 1 ? 1 : (int)cores;
}

/* ---- clock and chance ---- */

double system_seconds(void)
{
    LARGE_INTEGER ticks, rate;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&rate);
    return (double)ticks.QuadPart / (double)rate.QuadPart;
}

bool system_random(void *bytes, size_t size)
{
    unsigned word;
    for (size_t at = 0, some; at < size; at += some) {
        some = size - at < sizeof(word) ? size - at : sizeof(word);
        if (rand_s(&word) != 0)
            return false;
        memcpy((char *)bytes + at, &word, some);
    }
    return true;
}

/* ---- memory ---- */

size_t page_size(void)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    return system.dwPageSize;
}

void *pages_map(size_t size)
{
    return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void pages_unmap(void *pages, size_t size)
{
    (void)size; /* it goes as it came */
    VirtualFree(pages, 0, MEM_RELEASE);
}

void pages_large(void *pages, size_t size)
{
    (void)pages, (void)size; /* that takes a privilege */
}

/* A page is there once it was read. Somebody else may be writing to it already. */
void pages_fill(void *pages, size_t size)
{
    for (size_t at = 0, page = page_size(); at < size; at += page)
        (void)((volatile const char *)pages)[at];
}

void system_keeps_memory(void)
{
    /* Its heap does. */
}

/* ---- paths ---- */

bool path_separates(char letter)
{
    return letter == '/' || letter == '\\';
}

/* Through the next two names, and what sets them apart. */
static size_t share_root(const char *path)
{
    size_t at = 2;
    for (int names = 0; names < 2 && path[at]; names++) {
        at += strcspn(path + at, "/\\");
        at += path[at] != 0;
    }
    return at;
}

/* "C:\", "C:", "\\server\share\", "\". */
size_t path_root(const char *path)
{
    bool is_letter = (path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z');
    if (is_letter && path[1] == ':')
        return path_separates(path[2]) ? 3 : 2;
    if (!path_separates(path[0]))
        return 0;
    return path_separates(path[1]) ? share_root(path) : 1;
}

static wchar_t *wide_text(const char *text)
{
    int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = size ? malloc((size_t)size * sizeof(*wide)) : NULL;
    if (wide)
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, size);
    else
        errno = size ? ENOMEM : EILSEQ;
    return wide;
}

char *narrow_text(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *narrow = malloc((size_t)size + 1);
    if (narrow)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, size, NULL, NULL);
    else
        errno = ENOMEM;
    return narrow;
}

static void turn(wchar_t *path)
{
    for (; *path; path++)
        if (*path == '/')
            *path = '\\';
}

int path_order(const char *a, const char *b)
{
    wchar_t *x = wide_text(a), *y = wide_text(b);
    int order = strcmp(a, b);
    if (x && y) {
        turn(x);
        turn(y);
        order = CompareStringOrdinal(x, -1, y, -1, TRUE) - CSTR_EQUAL;
    }
    free(x);
    free(y);
    return order;
}

static wchar_t *join(const wchar_t *first, const wchar_t *second)
{
    wchar_t *both = malloc((wcslen(first) + wcslen(second) + 1) * sizeof(*both));
    if (both)
        wcscat(wcscpy(both, first), second);
    else
        errno = ENOMEM;
    return both;
}

/* Paths of more than about 260 letters are taken where they begin with \\?\, and then must be absolute. */
wchar_t *wide_path(const char *path)
{
    enum { LONG = MAX_PATH - 12 }; /* a folder has room for a name of 8.3 */
    wchar_t *wide = wide_text(path);
    DWORD size = wide ? GetFullPathNameW(wide, 0, NULL, NULL) : 0;
    if (size < LONG || wcsncmp(wide, L"\\\\?\\", 4) == 0)
        return wide;
    wchar_t *full = malloc(size * sizeof(*full));
    wchar_t *result = NULL;
    if (!full)
        errno = ENOMEM;
    else if (GetFullPathNameW(wide, size, full, NULL) < size)
        result = full[0] == '\\' ? join(L"\\\\?\\UNC", full + 1) : join(L"\\\\?\\", full);
    else
        errno = EINVAL;
    free(full);
    free(wide);
    return result;
}

wchar_t *wide_final(HANDLE handle)
{
    DWORD size = GetFinalPathNameByHandleW(handle, NULL, 0, 0);
    wchar_t *path = size ? malloc(((size_t)size + 1) * sizeof(*path)) : NULL;
    if (path && GetFinalPathNameByHandleW(handle, path, size + 1, 0) <= size)
        return path;
    errno = size && !path ? ENOMEM : windows_error();
    free(path);
    return NULL;
}

wchar_t *wide_below(HANDLE folder, const char *location)
{
    wchar_t *base = wide_final(folder), *names = base ? wide_text(location) : NULL, *path = NULL;
    if (names && (path = malloc((wcslen(base) + wcslen(names) + 2) * sizeof(*path)))) {
        wchar_t *end = path + wcslen(wcscpy(path, base));
        if (end[-1] == '\\') /* a drive */
            end--;
        for (const wchar_t *at = names; *at;) {
            size_t length = wcscspn(at, L"/");
            if (length && !(length == 1 && *at == '.')) {
                *end++ = '\\';
                memcpy(end, at, length * sizeof(*at));
                end += length;
            }
            at += length + (at[length] != 0);
        }
        *end = 0;
    } else if (names) {
        errno = ENOMEM;
    }
    free(base);
    free(names);
    return path;
}

/* ---- files ---- */

int windows_take(HANDLE handle, int *descriptor)
{
    *descriptor = -1;
    if (handle == INVALID_HANDLE_VALUE)
        return windows_error();
    *descriptor = _open_osfhandle((intptr_t)handle, _O_BINARY);
    if (*descriptor >= 0)
        return 0;
    CloseHandle(handle);
    return EMFILE;
}

HANDLE windows_open(const wchar_t *path, bool follow)
{
    return CreateFileW(path, FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                       OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | (follow ? 0 : FILE_FLAG_OPEN_REPARSE_POINT), NULL);
}

enum look windows_look(HANDLE handle, BY_HANDLE_FILE_INFORMATION *about)
{
    FILE_ATTRIBUTE_TAG_INFO tag = {0};
    *about = (BY_HANDLE_FILE_INFORMATION){0};
    if (GetFileType(handle) != FILE_TYPE_DISK)
        return LOOK_OTHER;
    if (!GetFileInformationByHandle(handle, about)) {
        errno = windows_error();
        return LOOK_NOTHING;
    }
    /* Of the files that are more than their bytes some only lie elsewhere, as in a cloud. */
    if ((about->dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) &&
        GetFileInformationByHandleEx(handle, FileAttributeTagInfo, &tag, sizeof(tag)) &&
        IsReparseTagNameSurrogate(tag.ReparseTag))
        return LOOK_LINK;
    return about->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? LOOK_FOLDER : LOOK_FILE;
}

struct looked windows_looked(const BY_HANDLE_FILE_INFORMATION *about)
{
    return (struct looked){.device = about->dwVolumeSerialNumber,
                           .inode = (uint64_t)about->nFileIndexHigh << 32 | about->nFileIndexLow};
}

enum look system_look(const char *path, bool follow, struct looked *looked)
{
    BY_HANDLE_FILE_INFORMATION about;
    enum look look = LOOK_NOTHING;
    wchar_t *wide = wide_path(path);
    HANDLE handle = wide ? windows_open(wide, follow) : INVALID_HANDLE_VALUE;
    *looked = (struct looked){.error = wide ? windows_error() : errno};
    free(wide);
    if (handle == INVALID_HANDLE_VALUE)
        return LOOK_NOTHING;
    look = windows_look(handle, &about);
    *looked = windows_looked(&about);
    looked->error = look ? 0 : errno;
    CloseHandle(handle);
    return look;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int system_list(const char *folder, void (*name)(void *closure, const char *name), void *closure)
{
    WIN32_FIND_DATAW found;
    char **names = NULL;
    size_t count = 0;
    wchar_t *wide = wide_path(folder), *all = wide ? join(wide, L"\\*") : NULL;
    int error = all ? 0 : errno;
    HANDLE search = all ? FindFirstFileW(all, &found) : INVALID_HANDLE_VALUE;
    if (all && search == INVALID_HANDLE_VALUE)
        error = windows_error();
    free(wide);
    free(all);
    if (error)
        return error;
    do {
        char **grown = realloc(names, (count + 1) * sizeof(*names));
        names = grown ? grown : names;
        if (!grown || !(names[count] = narrow_text(found.cFileName)))
            error = ENOMEM;
        else
            count++;
    } while (!error && FindNextFileW(search, &found));
    FindClose(search);
    if (count)
        qsort(names, count, sizeof(*names), by_bytes);
    for (size_t i = 0; i < count; i++) {
        if (!error && strcmp(names[i], ".") != 0 && strcmp(names[i], "..") != 0)
            name(closure, names[i]);
        free(names[i]);
    }
    free(names);
    return error;
}

int system_make_folder(const char *path)
{
    wchar_t *wide = wide_path(path);
    int error = !wide ? errno : CreateDirectoryW(wide, NULL) ? 0 : windows_error();
    free(wide);
    return error == EEXIST ? 0 : error;
}

FILE *system_open(const char *path)
{
    wchar_t *wide = wide_path(path);
    FILE *file = wide ? _wfopen(wide, L"rb") : NULL;
    free(wide);
    return file;
}

/* One that heeds escape sequences, which older ones do when they are told to. */
bool system_is_terminal(FILE *stream)
{
    DWORD mode;
    HANDLE handle = (HANDLE)_get_osfhandle(_fileno(stream));
    return GetConsoleMode(handle, &mode) && SetConsoleMode(handle, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}
