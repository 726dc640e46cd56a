/* fuzz_files.c: a model that is a file, among files it may read, may not read, and cannot read.
 *
 * What is fused loads and is not different by verify, in and out of reach of the data; nothing of the file
 * outside the model's folder gets into an output; no other file is left beside OUT, and none at all
 * when the call fails. */
#define _POSIX_C_SOURCE 200809L
#include "target.h"

#include <dirent.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx_repvgg_fuse.h"

enum { DATA = 1 << 16, MOST = 1 << 22 };
static const char secret[] = "\x13\x71 not for those who fuse \x8e\xd5";

/* Removed when the process ends of itself. */
static char home[256], model[300], out[300], data[300], target[300];

/* Not memmem, whose needle libFuzzer puts into its inputs. */
static bool tells(const void *bytes, size_t size)
{
    static const char part[] = "not for those who fuse";
    const char *at = bytes, *end = at + size;
    while (end - at >= (ptrdiff_t)sizeof(part) && (at = memchr(at, part[0], (size_t)(end - at)))) {
        size_t same = 0;
        while (same < sizeof(part) - 1 && at + same < end && at[same] == part[same])
            same++;
        if (same == sizeof(part) - 1)
            return true;
        at++;
    }
    return false;
}

static const char *below(char *path, const char *name)
{
    snprintf(path, sizeof(model), "%s/%s", home, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || (size && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0)
        abort();
}

static size_t read_file(const char *path, uint8_t *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(bytes, 1, room, file) : 0;
    if (file)
        fclose(file);
    return size;
}

static void clean(void)
{
    static const char *const names[] = {
        "in/model.onnx", "in/w.bin", "in/sub/w.bin", "in/link.bin", "in/hard.bin", "in/pipe", "in/out",
        "in/up",         "in/sub",   "in",           "secret.bin",  "out",         ""};
    char path[sizeof(model)];
    for (size_t i = 0; i < COUNT_OF(names); i++)
        remove(below(path, names[i]));
}

static void prepare(void)
{
    static uint8_t bytes[DATA];
    char path[sizeof(model)];
    const char *folder = getenv("TMPDIR");
    snprintf(home, sizeof(home), "%s/fuzz-files-XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(home))
        abort();
    atexit(clean);
    for (size_t i = 0; i + sizeof(float) <= DATA; i += sizeof(float)) {
        float number = (float)((int)(i * 7 % 33) - 16) / 8;
        memcpy(bytes + i, &number, sizeof(number));
    }
    mkdir(below(path, "in"), 0700);
    mkdir(below(path, "in/sub"), 0700);
    mkdir(below(path, "out"), 0700);
    write_file(below(path, "in/w.bin"), bytes, DATA);
    write_file(below(path, "in/sub/w.bin"), bytes, DATA / 2);
    for (size_t i = 0; i + sizeof(secret) <= DATA; i += sizeof(secret))
        memcpy(bytes + i, secret, sizeof(secret));
    write_file(below(path, "secret.bin"), bytes, DATA);
    below(model, "in/hard.bin");
    bool good = link(path, model) == 0;
    good = good && symlink("../secret.bin", below(path, "in/link.bin")) == 0;
    good = good && symlink("..", below(path, "in/up")) == 0;
    good = good && mkfifo(below(path, "in/pipe"), 0600) == 0;
    if (!good)
        abort();
    below(model, "in/model.onnx");
    below(target, "out");
    below(out, "out/fused.onnx");
    below(data, "out/fused.data");
}

/* The files beside OUT go; there may be those the call was to make and no others. */
static size_t sweep(bool good)
{
    char path[2 * sizeof(model)];
    size_t total = 0;
    DIR *folder = opendir(target);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct stat status;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", target, name);
        bool known =
            strcmp(name, "fused.onnx") == 0 || strcmp(name, "fused.data") == 0 || strcmp(name, "fused.onnx.data") == 0;
        PROMISE(good && known, "'%s' was left beside the output", name);
        total += stat(path, &status) == 0 ? (size_t)status.st_size : 0;
        if (status.st_size <= MOST) {
            uint8_t *bytes = malloc(MOST);
            size_t size = read_file(path, bytes, MOST);
            PROMISE(!tells(bytes, size), "'%s' holds what it must not", name);
            free(bytes);
        }
        remove(path);
    }
    closedir(folder);
    return total;
}

/* Not different, with a tolerance of 0, verify's own, is promised. */
static enum answer compare(const char *other, double rtol)
{
    struct onnx_fuse_verify_options options;
    struct onnx_fuse_comparison *comparison = NULL;
    enum answer answer = SAME;
    onnx_fuse_verify_options_init(&options);
    options.rtol = rtol;
    enum onnx_fuse_status status = onnx_fuse_verify(model, other, &options, &comparison);
    const char *error = onnx_fuse_comparison_error(comparison);
    PROMISE(!error[0] || status == ONNX_FUSE_INVALID_MODEL, "verify failed: %s", error);
    if (error[0])
        answer = REFUSED;
    else if (onnx_fuse_comparison_verdict(comparison) == ONNX_FUSE_DIFFERENT)
        answer = DIFFERENT;
    PROMISE(rtol > 0 || answer != DIFFERENT, "%s", onnx_fuse_comparison_format(comparison, "text"));
    onnx_fuse_comparison_free(comparison);
    return answer;
}

static bool swallow(void *closure, const char *bytes, size_t size)
{
    PROMISE(!tells(bytes, size), "the text holds what it must not");
    *(size_t *)closure += size;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const placements[] = {NULL, "inline", "fused.data", "auto"};
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report = NULL;
    size_t text = 0, read = size + 2 * (size_t)DATA;
    if (tells(bytes, size))
        return 0; /* an input that holds it already proves nothing */
    if (!home[0])
        prepare();
    write_file(model, bytes, size);
    onnx_fuse_options_init(&options);
    options.jobs = 1;
    options.no_sync = true;
    options.external_data = placements[size % COUNT_OF(placements)];
    options.no_map = size >> 2 & 1;
    target_begin();
    enum onnx_fuse_status status = onnx_fuse_file(model, out, &options, &report);
    target_end("fuse", read);
    PROMISE(report && (status == ONNX_FUSE_OK) == !onnx_fuse_report_error(report)[0], "status %d", (int)status);
    PROMISE(status != ONNX_FUSE_OUT_OF_MEMORY, "%s", onnx_fuse_report_error(report));
    bool changed = status == ONNX_FUSE_OK && onnx_fuse_report_changed(report);
    enum answer answer = changed ? compare(out, 1e-3) : SAME;
    if (answer == DIFFERENT)
        compare(out, 0);
    onnx_fuse_report_free(report);
    sweep(status == ONNX_FUSE_OK);
    struct onnx_fuse_dump_options dump;
    onnx_fuse_dump_options_init(&dump);
    dump.write = swallow;
    dump.closure = &text;
    dump.no_map = options.no_map;
    if (status == ONNX_FUSE_OK)
        status = onnx_fuse_dump(model, &dump, NULL);
    PROMISE(answer != REFUSED || status != ONNX_FUSE_OK,
            "a constant of the output cannot be read, all of the input can");
    return 0;
}
