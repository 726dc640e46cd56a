/* test_file.c: what is read: files that cannot be read, that change, and data that may not be read.
 *
 * System calls of io/file.c go through the linker's --wrap, so that each can be made to fail. What may
 * be read below a folder is asked twice: with openat2, and walked as on a kernel that has none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/file.h"
#include "unit.h"

/* ---- system calls that fail ---- */

/* Calls number `from` to `to`, from 1 on, of the one named fail with `error`. */
static struct {
    const char *call;
    int from, to, error, seen;
} fault;
static bool without_openat2;
static int64_t stated_size; /* that fstat tells, unless 0 */
static int writer = -1;     /* of a pipe: closed by the first poll that does not fail */
static size_t supply;       /* zeros that read gives before it goes to the file */

static void fail_call(const char *call, int from, int to, int error)
{
    fault.call = call;
    fault.from = from;
    fault.to = to;
    fault.error = error;
    fault.seen = 0;
}

static void fail_nothing(void)
{
    fault.call = NULL;
    stated_size = 0;
    supply = 0;
}

static bool strikes(const char *call)
{
    if (!fault.call || strcmp(fault.call, call) != 0)
        return false;
    fault.seen++;
    if (fault.seen < fault.from || fault.seen > fault.to)
        return false;
    errno = fault.error;
    return true;
}

int __real_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...)
{
    return strikes("openat") ? -1 : __real_openat64(folder, path, flags);
}

/* What FORTIFY calls instead. */
int __wrap___openat64_2(int folder, const char *path, int flags);
int __wrap___openat64_2(int folder, const char *path, int flags)
{
    return __wrap_openat64(folder, path, flags);
}

int __real_fstat64(int descriptor, struct stat *status);
int __wrap_fstat64(int descriptor, struct stat *status);
int __wrap_fstat64(int descriptor, struct stat *status)
{
    if (strikes("fstat"))
        return -1;
    int result = __real_fstat64(descriptor, status);
    if (stated_size)
        status->st_size = stated_size;
    return result;
}

int __real_stat64(const char *path, struct stat *status);
int __wrap_stat64(const char *path, struct stat *status);
int __wrap_stat64(const char *path, struct stat *status)
{
    return strikes("stat") ? -1 : __real_stat64(path, status);
}

ssize_t __real_read(int descriptor, void *bytes, size_t size);
ssize_t __wrap_read(int descriptor, void *bytes, size_t size);
ssize_t __wrap_read(int descriptor, void *bytes, size_t size)
{
    if (strikes("read"))
        return -1;
    if (!supply)
        return __real_read(descriptor, bytes, size);
    size_t some = size < supply ? size : supply;
    memset(bytes, 0, some);
    supply -= some;
    return (ssize_t)some;
}

int __wrap_poll(struct pollfd *wait, nfds_t count, int time);
int __wrap_poll(struct pollfd *wait, nfds_t count, int time)
{
    (void)wait;
    (void)time;
    if (strikes("poll"))
        return -1;
    if (writer >= 0)
        close(writer);
    writer = -1;
    return (int)count;
}

void *__real_mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    return strikes("mmap") ? MAP_FAILED : __real_mmap64(at, size, protection, flags, descriptor, offset);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return strikes("malloc") ? NULL : __real_malloc(size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
    return strikes("realloc") ? NULL : __real_realloc(memory, size);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_openat2) {
        if (strikes("openat2"))
            return -1;
        if (without_openat2) {
            errno = ENOSYS;
            return -1;
        }
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3]);
}

/* ---- files ---- */

static char place[] = "/tmp/onnx-repvgg-fuse-file-XXXXXX";

static const char *in(struct unit *unit, const char *name)
{
    return arena_format(&unit->arena, "%s/%s", place, name);
}

static void put(struct unit *unit, const char *name, const char *text)
{
    FILE *file = fopen(in(unit, name), "wb");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

/* ---- the model ---- */

/* mapping_open as it ends: ONNX_FUSE_OK, or the status it landed with. */
static enum onnx_fuse_status open_model(struct unit *unit, const char *path, bool read, struct mapping *mapping)
{
    struct landing *landing = &unit->landing;
    jmp_buf *outer = landing->jump;
    volatile enum onnx_fuse_status status = ONNX_FUSE_OK;
    jmp_buf jump;
    landing->jump = &jump;
    if (setjmp(jump) == 0)
        mapping_open(landing, path, read, mapping);
    else
        status = landing->status;
    landing->jump = outer;
    return status;
}

static void expect_open(struct unit *unit, const char *path, bool read, enum onnx_fuse_status status,
                        const char *message)
{
    struct mapping mapping = {.descriptor = -1};
    enum onnx_fuse_status got = open_model(unit, path, read, &mapping);
    int calls = fault.seen;
    const char *call = fault.call ? fault.call : "nothing";
    bool struck = !fault.call || calls >= fault.from;
    fail_nothing();
    expect(got == status && struck && (!message || ends_with(unit->landing.message, message)),
           "open %s, %s fails: status %d, %s", read ? "and read" : "and map", call, (int)got,
           got ? unit->landing.message : "opened");
    mapping_close(&mapping);
}

static void test_open(struct unit *unit)
{
    put(unit, "model", "twelve bytes");
    const char *model = in(unit, "model");
    struct mapping mapping;
    for (int read = 0; read < 2; read++) {
        expect(open_model(unit, model, read, &mapping) == ONNX_FUSE_OK && mapping.size == 12 &&
                   memcmp(mapping.data, "twelve bytes", 12) == 0 && (mapping.address == NULL) == (read != 0),
               "a file is %s", read ? "read" : "mapped");
        mapping_done(&mapping, mapping.data, mapping.size);
        expect(memcmp(mapping.data, "twelve bytes", 12) == 0, "pages given back are still there");
        mapping_close(&mapping);
        fail_call("openat", 1, 2, EINTR);
        expect_open(unit, model, read, ONNX_FUSE_OK, NULL);
        fail_call("openat", 1, 1, EMFILE);
        expect_open(unit, model, read, ONNX_FUSE_IO, "model: cannot open: Too many open files");
        fail_call("fstat", 1, 1, EIO);
        expect_open(unit, model, read, ONNX_FUSE_IO, "model: cannot read: Input/output error");
        stated_size = -1;
        expect_open(unit, model, read, ONNX_FUSE_IO, "model: cannot read: File too large");
        expect_open(unit, place, read, ONNX_FUSE_IO, ": is a folder, expected an ONNX file");
        put(unit, "empty", "");
        expect_open(unit, in(unit, "empty"), read, ONNX_FUSE_OK, NULL);
    }
    fail_call("mmap", 1, 1, ENODEV);
    expect_open(unit, model, false, ONNX_FUSE_IO, "model: cannot read: No such device");
    fail_call("mmap", 1, 1, ENOMEM);
    expect_open(unit, model, false, ONNX_FUSE_OUT_OF_MEMORY, "model: out of memory after 12 bytes");
    fail_call("malloc", 1, 1, ENOMEM);
    expect_open(unit, model, true, ONNX_FUSE_OUT_OF_MEMORY, "model: out of memory after 0 bytes");
    fail_call("read", 1, 1, EIO);
    expect_open(unit, model, true, ONNX_FUSE_IO, "model: cannot read: Input/output error");
    fail_call("read", 1, 3, EINTR);
    expect_open(unit, model, true, ONNX_FUSE_OK, NULL);
    fail_call("read", 2, 2, EIO);
    expect_open(unit, model, true, ONNX_FUSE_IO, "model: cannot read: Input/output error");
}

/* A pipe has no size, and may have nothing yet. */
static void test_stream(struct unit *unit)
{
    struct mapping mapping;
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[0], STDIN_FILENO) < 0)
        abort();
    close(ends[0]);
    close(ends[1]); /* its end is reached when `supply` is */
    const size_t much = 5 << 20;
    supply = much;
    expect(open_model(unit, "-", false, &mapping) == ONNX_FUSE_OK && mapping.size == much && mapping.owned,
           "a pipe is read to its end, more than the first room");
    mapping_check(&unit->landing, "standard input", &mapping);
    mapping_close(&mapping);
    supply = much;
    fail_call("realloc", 2, 2, ENOMEM);
    expect_open(unit, "-", false, ONNX_FUSE_OUT_OF_MEMORY, "standard input: out of memory after 2097152 bytes");
    fail_call("read", 1, 2, EAGAIN);
    expect_open(unit, "-", false, ONNX_FUSE_OK, NULL);
    fail_call("read", 1, 1, EBADF);
    expect_open(unit, "-", false, ONNX_FUSE_IO, "standard input: cannot read: Bad file descriptor");
}

/* Nothing to read yet, and the wait ends early: a signal is no reason to give up. */
static void test_waiting(struct unit *unit)
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0 || dup2(ends[0], STDIN_FILENO) < 0)
        abort();
    close(ends[0]);
    writer = ends[1];
    fail_call("poll", 1, 1, EBADF);
    expect_open(unit, "-", false, ONNX_FUSE_IO, "standard input: cannot read: Bad file descriptor");
    expect(writer >= 0, "the writer was still there");
    fail_call("poll", 1, 3, EINTR);
    expect_open(unit, "-", false, ONNX_FUSE_OK, NULL);
    expect(writer < 0, "it was waited for");
}

/* mapping_check, or where there is no mapping folder_check, as it ends: NULL, or the message it
 * landed with. */
static const char *check(struct unit *unit, const struct mapping *mapping, const struct folder *folder)
{
    struct landing *landing = &unit->landing;
    jmp_buf *outer = landing->jump;
    const char *volatile message = NULL;
    jmp_buf jump;
    landing->jump = &jump;
    if (setjmp(jump) != 0)
        message = landing->message;
    else if (mapping)
        mapping_check(landing, "model", mapping);
    else
        folder_check(landing, folder);
    landing->jump = outer;
    fail_nothing();
    return message;
}

static void expect_check(struct unit *unit, const struct mapping *mapping, const char *message, const char *what)
{
    const char *got = check(unit, mapping, NULL);
    expect(message ? got && strstr(got, message) : !got, "%s: %s", what, got ? got : "no change");
}

static void test_change(struct unit *unit)
{
    put(unit, "model", "twelve bytes");
    struct mapping mapping, other;
    if (open_model(unit, in(unit, "model"), false, &mapping))
        abort();
    expect_check(unit, &mapping, NULL, "a file that nobody touched");
    fail_call("fstat", 1, 1, EIO);
    expect_check(unit, &mapping, "model: cannot read: Input/output error", "fstat fails");
    const char *written = "was written to while it was being read";
    other = mapping;
    other.mark.device++;
    expect_check(unit, &other, written, "another device");
    other = mapping;
    other.mark.inode++;
    expect_check(unit, &other, written, "another inode");
    other = mapping;
    other.mark.seconds++;
    expect_check(unit, &other, written, "another time");
    other = mapping;
    other.mark.nanoseconds++;
    expect_check(unit, &other, written, "another moment");
    other = mapping;
    other.mark.size = 13;
    expect_check(unit, &other, "from 13 bytes to 12: run again", "another size");
    other.descriptor = -1;
    expect_check(unit, &other, NULL, "a file that is not open any more");
    other = mapping;
    other.mark = (struct file_mark){.is_file = false, .size = 13};
    expect_check(unit, &other, NULL, "what is no file");
    mapping_close(&mapping);

    /* It grew, or was cut, between the look at its size and the reading. */
    supply = 3;
    if (open_model(unit, in(unit, "model"), true, &mapping))
        abort();
    expect(mapping.size == 15, "what was read counts, not what was stated");
    expect_check(unit, &mapping, "from 15 bytes to 12", "read and stated size differ");
    mapping_close(&mapping);
}

/* ---- the folder ---- */

static void test_folder_of(struct unit *unit)
{
    const char *const pairs[][2] = {{"m.onnx", "."}, {"-", "."},   {"/m.onnx", "/"},   {"a/m", "a"},  {"a/b/m", "a/b"},
                                    {"/a/m", "/a"},  {"./-", "."}, {"../x/m", "../x"}, {"a//m", "a/"}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        const char *folder = folder_of(&unit->arena, pairs[i][0]);
        expect(strcmp(folder, pairs[i][1]) == 0, "%s lies in %s", pairs[i][0], folder);
    }
}

static void test_folder_is_same(struct unit *unit)
{
    struct folder folder, here, root;
    char *far = arena_alloc(&unit->arena, PATH_MAX + 10, 1);
    memset(far, 'a', PATH_MAX + 8);
    far[PATH_MAX + 5] = '/';
    mkdir(in(unit, "other"), 0700);
    folder_open(&unit->arena, in(unit, "m"), &folder);
    folder_open(&unit->arena, "m", &here);
    folder_open(&unit->arena, "/m", &root);
    expect(folder_is_same(&unit->arena, &folder, in(unit, "x.onnx")), "a folder is itself");
    expect(folder_is_same(&unit->arena, &folder, in(unit, "other/../x")), "by another name too");
    expect(!folder_is_same(&unit->arena, &folder, in(unit, "other/x")), "another is not");
    expect(!folder_is_same(&unit->arena, &folder, in(unit, "gone/x")), "one that is not there is not");
    expect(!folder_is_same(&unit->arena, &folder, far), "nor one whose name is too long");
    expect(folder_is_same(&unit->arena, &here, "-") && folder_is_same(&unit->arena, &here, "x"), "the current folder");
    expect(folder_is_same(&unit->arena, &root, "/x") && !folder_is_same(&unit->arena, &root, "x"), "the root");
    fail_call("fstat", 1, 1, EIO);
    expect(!folder_is_same(&unit->arena, &folder, in(unit, "x")), "not when fstat fails");
    fail_call("stat", 1, 1, EIO);
    expect(!folder_is_same(&unit->arena, &folder, in(unit, "x")), "not when stat fails");
    fail_nothing();
    folder_close(&folder);
    folder_close(&here);
    folder_close(&root);
    folder_close(&root);
    expect(root.descriptor == -1, "a folder may be closed twice");
    static struct folder gone;
    jmp_buf *outer = unit->landing.jump;
    jmp_buf jump;
    unit->landing.jump = &jump;
    if (setjmp(jump) == 0) {
        folder_open(&unit->arena, in(unit, "gone/m"), &gone);
        expect(false, "a folder that is not there was opened");
    } else {
        expect(unit->landing.status == ONNX_FUSE_IO &&
                   ends_with(unit->landing.message, "gone/m: cannot open its folder: No such file or directory"),
               "%s", unit->landing.message);
    }
    unit->landing.jump = outer;
}

static const char outside[] = "outside the model's folder";
static const char linked[] = "symbolic link or a file";
static const struct {
    const char *location, *reason; /* NULL: it may be read */
} locations[] = {
    {"data", NULL},
    {"sub/data", NULL},
    {"sub//data", NULL},
    {"./sub/./data", NULL},
    {"..data", NULL},
    {".d", NULL},
    {"empty", NULL},
    {"/etc/passwd", outside},
    {"..", outside},
    {"../data", outside},
    {"sub/../data", outside},
    {"sub/..", outside},
    {"", "it names no file"},
    {"sub/", "it names no file"},
    {"gone", "No such file"},
    {"gone/data", "No such file"},
    {"sub/gone", "No such file"},
    {"link", linked},
    {"loop", linked},
    {"out/passwd", linked},
    {"sublink/data", linked},
    {"data/data", linked},
    {"sub", "not a regular file"},
    {"fifo", "not a regular file"},
    {"twice", "several hard links"},
};

static void test_locations(struct unit *unit)
{
    put(unit, "data", "data");
    put(unit, "..data", "data");
    put(unit, ".d", "data");
    put(unit, "empty", "");
    put(unit, "hard", "data");
    mkdir(in(unit, "sub"), 0700);
    put(unit, "sub/data", "data");
    if (symlink("data", in(unit, "link")) || symlink("loop", in(unit, "loop")) || symlink("/etc", in(unit, "out")) ||
        symlink("sub", in(unit, "sublink")) || mkfifo(in(unit, "fifo"), 0600) ||
        link(in(unit, "hard"), in(unit, "twice")))
        abort();
    char *far = arena_alloc(&unit->arena, NAME_MAX + 2, 1);
    memset(far, 'a', NAME_MAX + 1);
    for (int walked = 0; walked < 2; walked++) {
        struct folder folder;
        struct external_file *file;
        without_openat2 = walked;
        const char *how = walked ? "walked" : "openat2";
        folder_open(&unit->arena, in(unit, "m"), &folder);
        for (size_t i = 0; i < COUNT_OF(locations); i++) {
            const char *wanted = locations[i].reason;
            const char *got = folder_map(&unit->arena, &folder, locations[i].location, &file);
            bool good = wanted ? got && strstr(got, wanted)
                               : !got && (file->mapping.size == 0 ||
                                          (file->mapping.size == 4 && memcmp(file->mapping.data, "data", 4) == 0));
            expect(good, "%s: '%s': %s", how, locations[i].location, got ? got : "read");
        }
        const char *got = folder_map(&unit->arena, &folder, far, &file);
        expect(got && strstr(got, "name in it is too long"), "%s: a name too long: %s", how, got);
        struct external_file *again;
        expect(!folder_map(&unit->arena, &folder, "data", &file) &&
                   !folder_map(&unit->arena, &folder, "data", &again) && file == again,
               "%s: a file is mapped once", how);
        folder_check(&unit->landing, &folder);
        folder_close(&folder);
    }
    without_openat2 = false;
}

/* Calls that fail on the way to a file below the folder. */
static void test_location_faults(struct unit *unit)
{
    static const struct {
        const char *call;
        int to, error;
        const char *reason;
    } cases[] = {{"openat2", 15, EINTR, NULL},          {"openat2", 15, EAGAIN, NULL},
                 {"openat2", 16, EAGAIN, NULL},         {"openat2", 1, EPERM, NULL}, /* it is walked then */
                 {"openat2", 1, EXDEV, linked},         {"openat2", 1, ENOTDIR, linked},
                 {"openat2", 1, ELOOP, linked},         {"openat2", 1, EACCES, "Permission denied"},
                 {"fstat", 1, EIO, "Input/output"},     {"mmap", 1, ENODEV, "No such device"},
                 {"mmap", 1, ENOMEM, "Cannot allocate"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct folder folder;
        struct external_file *file = NULL;
        folder_open(&unit->arena, in(unit, "m"), &folder);
        fail_call(cases[i].call, 1, cases[i].to, cases[i].error);
        const char *got = folder_map(&unit->arena, &folder, "sub/data", &file);
        bool struck = fault.seen >= cases[i].to;
        fail_nothing();
        expect(struck && (cases[i].reason ? got && strstr(got, cases[i].reason) && !folder.files
                                          : !got && file->mapping.size == 4),
               "%s fails %d times with %s: %s", cases[i].call, cases[i].to, strerror(cases[i].error),
               got ? got : "read all the same");
        folder_close(&folder);
    }
    struct folder folder;
    struct external_file *file;
    without_openat2 = true;
    folder_open(&unit->arena, in(unit, "m"), &folder);
    fail_call("openat", 1, 2, EINTR);
    expect(!folder_map(&unit->arena, &folder, "sub/data", &file), "walked in spite of signals");
    fail_call("openat", 2, 2, EMFILE);
    const char *got = folder_map(&unit->arena, &folder, "sub//data", &file);
    expect(got && strstr(got, "Too many open files"), "walked, no more descriptors: %s", got);
    fail_nothing();
    folder_close(&folder);
    without_openat2 = false;

    folder_open(&unit->arena, in(unit, "m"), &folder);
    folder.follow_links = true;
    folder.read_files = true;
    expect(!folder_map(&unit->arena, &folder, "link", &file) && file->mapping.owned &&
               memcmp(file->mapping.data, "data", 4) == 0,
           "links are followed where that is asked for");
    expect(!folder_map(&unit->arena, &folder, "sublink/data", &file), "of folders too");
    got = folder_map(&unit->arena, &folder, "loop", &file);
    expect(got && strstr(got, "Too many levels"), "a loop is an error still: %s", got);
    got = folder_map(&unit->arena, &folder, "sublink/../data", &file);
    expect(got && strstr(got, outside), "and so is '..': %s", got);
    folder_close(&folder);
}

/* Of many files not all stay open; those are looked at again by their names. */
static void test_many_files(struct unit *unit)
{
    struct folder folder;
    struct external_file *file, *last = NULL;
    char name[16];
    mkdir(in(unit, "many"), 0700);
    folder_open(&unit->arena, in(unit, "many/m"), &folder);
    for (int i = 0; i < 130; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        put(unit, arena_format(&unit->arena, "many/%s", name), "data");
        if (folder_map(&unit->arena, &folder, arena_copy(&unit->arena, name), &file))
            abort();
        last = file;
    }
    expect(last && last->mapping.descriptor < 0 && folder.kept == 128, "128 files stay open");
    const char *got = check(unit, NULL, &folder);
    expect(!got, "nothing changed: %s", got ? got : "");
    fail_call("fstat", 1, 1, EIO);
    got = check(unit, NULL, &folder);
    expect(got && ends_with(got, "d129: changed while it was being read: Input/output error"), "fstat fails: %s", got);
    struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    utimensat(AT_FDCWD, in(unit, "many/d129"), old, 0);
    got = check(unit, NULL, &folder);
    expect(got && strstr(got, "d129: was written to"), "another time: %s", got);
    put(unit, "many/d129", "more data");
    got = check(unit, NULL, &folder);
    expect(got && strstr(got, "d129: changed while it was being read, from 4 bytes to 9"), "another size: %s", got);
    unlink(in(unit, "many/d129"));
    got = check(unit, NULL, &folder);
    expect(got && ends_with(got, "d129: changed while it was being read: No such file or directory"), "it is gone: %s",
           got);
    folder_close(&folder);
}

int main(void)
{
    if (!mkdtemp(place))
        return 2;
    unit_run("opening", test_open);
    unit_run("streams", test_stream);
    unit_run("waiting", test_waiting);
    unit_run("changes", test_change);
    unit_run("folders of paths", test_folder_of);
    unit_run("the same folder", test_folder_is_same);
    unit_run("locations", test_locations);
    unit_run("calls that fail", test_location_faults);
    unit_run("many files", test_many_files);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", place);
    if (system(command) != 0)
        return 2;
    return unit_finish();
}
