/* faults.c: every allocation made to fail once, one after another, in every public call.
 *
 * usage: faults MODEL...
 * The arenas are built so that each of their allocations is one of the system's (ARENA_APART). After
 * each failure: the status is OUT_OF_MEMORY (IO where a file could not be mapped), or OK where the
 * call can do without; nothing is leaked; the output is the old file or the whole new one; no other
 * file is in its folder. Prints TAP. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap.h"
#include "onnx_repvgg_fuse.h"

enum call { FUSE_MEMORY, FUSE_FILE, FUSE_THREADS, INFO, DUMP, DIFF, VERIFY, CALLS };
static const char *const call_names[] = {"fuse in memory", "fuse",  "fuse in two threads", "info", "dump",
                                         "diff",           "verify"};

struct bench {
    const char *model;
    unsigned char *bytes;
    size_t size;
    char folder[64], out[96];
    const char *fault; /* what went wrong */
};

static bool swallow(void *closure, const char *bytes, size_t size)
{
    (void)closure;
    (void)bytes;
    (void)size;
    return true;
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    *size = 0;
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    bytes = malloc((size_t)length + 1);
    if (bytes)
        *size = fread(bytes, 1, (size_t)length, file);
    fclose(file);
    return bytes;
}

/* The output before each call: what must be left of it when the call fails. */
static void put_old(const struct bench *bench)
{
    FILE *file = fopen(bench->out, "wb");
    if (!file || fputs("old", file) < 0 || fclose(file) != 0)
        abort();
}

static const char *check_folder(const struct bench *bench, bool good)
{
    size_t size, files = 0;
    unsigned char *bytes = read_all(bench->out, &size);
    bool old = bytes && size == 3 && memcmp(bytes, "old", 3) == 0;
    free(bytes);
    DIR *folder = opendir(bench->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        files += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(folder);
    if (files != 1)
        return "another file was left in the folder";
    if (!good && !old)
        return "the output changed though the call failed";
    if (good && (old || size < 100))
        return "the output is not the new one";
    return NULL;
}

static enum onnx_fuse_status fuse(struct bench *bench, enum call call)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report = NULL;
    enum onnx_fuse_status status;
    void *result = NULL;
    size_t size = 0;
    onnx_fuse_options_init(&options);
    options.jobs = call == FUSE_THREADS ? 2 : 1;
    if (call == FUSE_MEMORY)
        status = onnx_fuse_memory(bench->bytes, bench->size, &result, &size, &options, &report);
    else
        status = onnx_fuse_file(bench->model, bench->out, &options, &report);
    if (status == ONNX_FUSE_OK && call == FUSE_MEMORY && !result)
        bench->fault = "no result";
    if (report) {
        onnx_fuse_report_json(report);
        onnx_fuse_report_explanation(report);
        onnx_fuse_report_table(report);
        onnx_fuse_report_html(report);
        if (status == ONNX_FUSE_OK && onnx_fuse_report_error(report)[0])
            bench->fault = "an error of a good run";
        if (status != ONNX_FUSE_OK && (onnx_fuse_report_changed(report) || onnx_fuse_report_warnings(report) ||
                                       onnx_fuse_report_ops(report, false) || onnx_fuse_report_seconds(report) > 0))
            bench->fault = "a failed run that tells more than its error";
        if (status != ONNX_FUSE_OK && !onnx_fuse_report_error(report)[0])
            bench->fault = "an error without a text";
    }
    onnx_fuse_free(result);
    onnx_fuse_report_free(report);
    return status;
}

static enum onnx_fuse_status look(struct bench *bench, enum call call)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_dump_options dump;
    struct onnx_fuse_view *view = NULL;
    enum onnx_fuse_status status;
    onnx_fuse_options_init(&options);
    options.jobs = 1;
    onnx_fuse_dump_options_init(&dump);
    dump.write = swallow;
    status = call == INFO ? onnx_fuse_info(bench->model, &options, &view) : onnx_fuse_dump(bench->model, &dump, &view);
    if (view)
        onnx_fuse_view_html(view);
    if (view && status != ONNX_FUSE_OK && !onnx_fuse_view_error(view)[0])
        bench->fault = "an error without a text";
    if (view && status != ONNX_FUSE_OK &&
        (onnx_fuse_view_text(view)[0] || onnx_fuse_view_json(view)[0] || onnx_fuse_view_html(view)[0] ||
         onnx_fuse_view_not_held(view)))
        bench->fault = "a failed call that tells more than its error";
    onnx_fuse_view_free(view);
    return status;
}

static enum onnx_fuse_status compare(struct bench *bench, enum call call)
{
    struct onnx_fuse_comparison *comparison = NULL;
    enum onnx_fuse_status status = call == DIFF ? onnx_fuse_diff(bench->model, bench->model, NULL, &comparison)
                                                : onnx_fuse_verify(bench->model, bench->model, NULL, &comparison);
    if (comparison && status == ONNX_FUSE_OK) {
        onnx_fuse_comparison_format(comparison, "text");
        onnx_fuse_comparison_format(comparison, "json");
        if (onnx_fuse_comparison_error(comparison)[0])
            bench->fault = "an error of a good comparison";
        if (onnx_fuse_comparison_verdict(comparison) == ONNX_FUSE_DIFFERENT)
            bench->fault = "a model differs from itself";
    } else if (comparison && (!onnx_fuse_comparison_error(comparison)[0] ||
                              onnx_fuse_comparison_verdict(comparison) != ONNX_FUSE_UNDECIDED ||
                              onnx_fuse_comparison_format(comparison, "text"))) {
        bench->fault = "a failed comparison that tells more than its error";
    }
    onnx_fuse_comparison_free(comparison);
    return status;
}

/* One call with request number `refused` failing. Returns how many requests there were. */
static size_t run(struct bench *bench, enum call call, size_t refused, enum onnx_fuse_status *status)
{
    bool to_file = call == FUSE_FILE || call == FUSE_THREADS;
    bench->fault = NULL;
    put_old(bench);
    heap_begin(refused);
    *status = call <= FUSE_THREADS           ? fuse(bench, call)
              : call == INFO || call == DUMP ? look(bench, call)
                                             : compare(bench, call);
    size_t left = heap_left(), requests = heap_end();
    if (!bench->fault && left)
        bench->fault = "memory is left";
    if (!bench->fault && *status != ONNX_FUSE_OK && *status != ONNX_FUSE_OUT_OF_MEMORY && *status != ONNX_FUSE_IO)
        bench->fault = "another status than out of memory";
    if (!bench->fault && to_file)
        bench->fault = check_folder(bench, *status == ONNX_FUSE_OK);
    return requests;
}

static bool run_all(struct bench *bench, enum call call, size_t *count, size_t *survived)
{
    enum onnx_fuse_status status;
    for (size_t refused = 1;; refused++) {
        size_t requests = run(bench, call, refused, &status);
        if (bench->fault) {
            printf("# %s, %s: request %zu refused: status %d: %s\n", bench->model, call_names[call], refused,
                   (int)status, bench->fault);
            return false;
        }
        if (requests < refused)
            return status == ONNX_FUSE_OK;
        ++*count;
        *survived += status == ONNX_FUSE_OK;
    }
}

int main(int argument_count, char **arguments)
{
    struct bench bench = {.folder = "/tmp/faults.XXXXXX"};
    int number = 0;
    bool all_good = true;
    if (!mkdtemp(bench.folder))
        return 2;
    snprintf(bench.out, sizeof(bench.out), "%s/out.onnx", bench.folder);
    printf("1..%d\n", (argument_count - 1) * CALLS);
    for (int i = 1; i < argument_count; i++) {
        bench.model = arguments[i];
        bench.bytes = read_all(bench.model, &bench.size);
        for (enum call call = 0; call < CALLS; call++) {
            size_t count = 0, survived = 0;
            bool good = bench.bytes && run_all(&bench, call, &count, &survived);
            const char *name = strrchr(bench.model, '/');
            printf("%sok %d - %s of %s: %zu allocations refused, %zu of them could be done "
                   "without\n",
                   good ? "" : "not ", ++number, call_names[call], name ? name + 1 : bench.model, count, survived);
            all_good = all_good && good;
            fflush(stdout);
        }
        free(bench.bytes);
    }
    unlink(bench.out);
    rmdir(bench.folder);
    return all_good ? 0 : 1;
}
