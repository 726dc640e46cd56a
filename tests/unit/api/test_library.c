/* test_library.c: the shared library through its public header, on the models given as arguments. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"
#include "bytes.h"
#include "onnx_repvgg_fuse.h"
#include "tap.h"

static char folder[] = "/tmp/onnx-repvgg-fuse-test-XXXXXX";

static const char *place(const char *name)
{
    static char path[4][256];
    static int next;
    char *at = path[next++ % 4];
    snprintf(at, sizeof(path[0]), "%s/%s", folder, name);
    return at;
}

static struct blob fuse(struct blob model, const struct onnx_fuse_options *options, enum onnx_fuse_status *status,
                        struct onnx_fuse_report **report)
{
    void *result = &result; /* must be set whatever happens */
    size_t size = 12345;
    *status = onnx_fuse_memory(model.data, model.size, &result, &size, options, report);
    return (struct blob){result, size};
}

/* ---- models ---- */

static void test_model(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    enum onnx_fuse_status status;
    struct onnx_fuse_report *report = NULL;
    struct blob model = load(path), fused = fuse(model, NULL, &status, &report);
    expect(status == ONNX_FUSE_OK && onnx_fuse_report_changed(report) && onnx_fuse_report_warnings(report) == 0 &&
               !*onnx_fuse_report_error(report),
           "%s: fuses without a warning: %s", name, onnx_fuse_report_error(report));
    const char *json = onnx_fuse_report_json(report);
    expect(strstr(json, "\"schema\": 1") && strstr(json, "\"changed\": true") &&
               strstr(onnx_fuse_report_table(report), "Conv") && strstr(onnx_fuse_report_explanation(report), "Conv") &&
               strstr(onnx_fuse_report_sentence(report), "fused, "),
           "%s: the report has its four forms", name);
    onnx_fuse_report_free(report);

    const char *out = place("out.onnx");
    status = onnx_fuse_file(path, out, NULL, &report);
    struct blob written = load(out);
    expect(status == ONNX_FUSE_OK && same(written, fused), "%s: the same bytes by file", name);
    onnx_fuse_report_free(report);
    free(written.data);
    unlink(out);

    const char *both = place("both.onnx");
    save(both, model.data, model.size);
    status = onnx_fuse_file(both, both, NULL, NULL);
    written = load(both);
    expect(status == ONNX_FUSE_OK && same(written, fused), "%s: the same bytes in place", name);
    free(written.data);
    unlink(both);

    struct blob again = fuse(fused, NULL, &status, &report);
    expect(status == ONNX_FUSE_OK && same(again, fused) && !onnx_fuse_report_changed(report),
           "%s: fused once more it stays as it is", name);
    onnx_fuse_report_free(report);
    free(again.data);

    struct onnx_fuse_options options;
    onnx_fuse_options_init(&options);
    options.jobs = 3;
    again = fuse(model, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && same(again, fused), "%s: the same bytes from three jobs", name);
    free(again.data);

    const char *none[] = {NULL};
    options.only = none;
    again = fuse(model, &options, &status, &report);
    expect(status == ONNX_FUSE_OK && same(again, model) && !onnx_fuse_report_changed(report),
           "%s: comes out as it went in when no pass runs", name);
    onnx_fuse_report_free(report);
    free(again.data);
    free(fused.data);
    free(model.data);
}

/* Strings of 8 bytes, as Pad's mode is, lie in the caller's model, which may be gone by then. */
static void test_page(const char *path)
{
    enum onnx_fuse_status status;
    struct onnx_fuse_report *report = NULL;
    struct blob model = load(path), fused = fuse(model, NULL, &status, &report);
    memset(model.data, 0, model.size);
    free(model.data);
    const char *page = onnx_fuse_report_html(report);
    expect(status == ONNX_FUSE_OK && strncmp(page, "<!DOCTYPE html>", 15) == 0 && strstr(page, "\"after\"") &&
               page == onnx_fuse_report_html(report),
           "a page is made after the model is gone");
    onnx_fuse_report_free(report);
    onnx_fuse_free(fused.data);

    struct onnx_fuse_options options;
    onnx_fuse_options_init(&options);
    options.html_report = place("absent/page.html");
    model = load(path);
    fused = fuse(model, &options, &status, &report);
    expect(status == ONNX_FUSE_IO && !fused.data && !*onnx_fuse_report_html(report),
           "a page that cannot be written fails the run: %s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
    options.html_report = place("page.html");
    fused = fuse(model, &options, &status, &report);
    struct blob written = load(options.html_report);
    page = onnx_fuse_report_html(report);
    expect(status == ONNX_FUSE_OK && written.size == strlen(page) && memcmp(written.data, page, written.size) == 0,
           "the page that is written is the page that is returned");
    unlink(options.html_report);
    free(written.data);
    free(model.data);
    onnx_fuse_report_free(report);
    onnx_fuse_free(fused.data);
}

static void test_dry_run(const char *path)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report;
    enum onnx_fuse_status status;
    struct blob model = load(path);
    onnx_fuse_options_init(&options);
    options.dry_run = true;
    struct blob result = fuse(model, &options, &status, &report);
    expect(status == ONNX_FUSE_OK && !result.data && result.size == 0 && onnx_fuse_report_changed(report) &&
               *onnx_fuse_report_json(report),
           "a dry run reports and gives nothing");
    onnx_fuse_report_free(report);
    const char *out = place("dry.onnx");
    status = onnx_fuse_file(path, out, &options, NULL);
    expect(status == ONNX_FUSE_OK && access(out, F_OK) != 0, "a dry run writes nothing");
    free(model.data);
}

/* ---- options ---- */

struct steps {
    int calls, last; /* last: the call that asks to stop, 0: none */
    bool bad;
};

static bool count_step(void *closure, const char *step, double fraction)
{
    struct steps *steps = closure;
    steps->calls++;
    steps->bad = steps->bad || !*step || !(fraction >= 0 && fraction <= 1);
    return steps->calls != steps->last;
}

/* Stopping at any call leaves nothing: no result, no file, and a report that says so. */
static void test_stop(const char *path)
{
    struct onnx_fuse_options options;
    enum onnx_fuse_status status;
    struct onnx_fuse_report *report;
    struct blob model = load(path), result;
    struct steps all = {0};
    onnx_fuse_options_init(&options);
    options.jobs = 1; /* several threads call as often or less */
    options.progress = count_step;
    options.closure = &all;
    result = fuse(model, &options, &status, NULL);
    free(result.data);
    for (int call = 1; call <= all.calls; call++) {
        const char *out = place("stopped.onnx");
        struct steps memory = {.last = call}, file = {.last = call};
        options.closure = &memory;
        result = fuse(model, &options, &status, &report);
        bool good = status == ONNX_FUSE_CANCELLED && !result.data && memory.calls == call &&
                    strstr(onnx_fuse_report_error(report), "stopped");
        onnx_fuse_report_free(report);
        options.closure = &file;
        status = onnx_fuse_file(path, out, &options, NULL);
        expect(good && status == ONNX_FUSE_CANCELLED && access(out, F_OK) != 0,
               "stopped at call %d of %d: nothing is left", call, all.calls);
    }
    free(model.data);
}

static void refuses_options(struct blob model, const struct onnx_fuse_options *options, const char *part)
{
    enum onnx_fuse_status status;
    struct onnx_fuse_report *report;
    struct blob result = fuse(model, options, &status, &report);
    expect(status == ONNX_FUSE_ARGUMENT && !result.data && result.size == 0 &&
               strstr(onnx_fuse_report_error(report), part),
           "refused: %s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
}

static void test_options(const char *path)
{
    struct onnx_fuse_options options, good;
    enum onnx_fuse_status status;
    struct blob model = load(path), fused = fuse(model, NULL, &status, NULL), result;
    onnx_fuse_options_init(&good);
    expect(good.struct_size == sizeof(good) && good.max_growth == 1 && good.tolerance == 0 && !good.only &&
               !good.skip && !good.no_check && !good.dry_run && good.jobs == 0 && !good.external_folder &&
               !good.progress,
           "the defaults");

    /* A caller built against a shorter struct: what lies behind it is not read. */
    options = good;
    options.struct_size = offsetof(struct onnx_fuse_options, jobs);
    options.jobs = -1;
    options.external_folder = (const char *)16;
    result = fuse(model, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && same(result, fused), "a shorter struct");
    free(result.data);
    options.struct_size = sizeof(options) + 8;
    refuses_options(model, &options, "onnx_fuse_options_init");
    options.struct_size = 0;
    refuses_options(model, &options, "onnx_fuse_options_init");

    const char *unknown[] = {"fold_after", "fold_everything", NULL};
    options = good;
    options.only = unknown;
    refuses_options(model, &options, "'fold_everything'");
    options = good;
    options.skip = unknown;
    refuses_options(model, &options, "'fold_everything'");
    const char *nothing[] = {"nothing", NULL}, *shapes[] = {"nothing:1", NULL};
    options = good;
    options.freeze = nothing;
    refuses_options(model, &options, "freeze: there is no overridable initializer 'nothing'");
    options = good;
    options.outputs = nothing;
    refuses_options(model, &options, "outputs: there is no output 'nothing'; the nearest is");
    options.outputs = &nothing[1];
    refuses_options(model, &options, "outputs: the list is empty");
    options = good;
    options.input_shapes = shapes;
    refuses_options(model, &options, "input_shapes: there is no input 'nothing'; the nearest is");
    options.input_shapes = nothing;
    refuses_options(model, &options, "input_shapes: 'nothing' is not NAME:SIZE");
    options.struct_size = offsetof(struct onnx_fuse_options, freeze);
    result = fuse(model, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && same(result, fused), "a struct that ends before them");
    free(result.data);
    const double growths[] = {0, -1, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < sizeof(growths) / sizeof(growths[0]); i++) {
        options = good;
        options.max_growth = growths[i];
        refuses_options(model, &options, "max_growth");
    }
    const double tolerances[] = {-1e-9, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < sizeof(tolerances) / sizeof(tolerances[0]); i++) {
        options = good;
        options.tolerance = tolerances[i];
        refuses_options(model, &options, "tolerance");
    }
    options = good;
    options.jobs = -1;
    refuses_options(model, &options, "jobs");

    struct steps steps = {0};
    options = good;
    options.progress = count_step;
    options.closure = &steps;
    result = fuse(model, &options, &status, NULL);
    expect(steps.calls > 2 && !steps.bad, "progress is told %d times", steps.calls);
    free(result.data);

    /* Skipping all passes is running none. */
    const char *names[32] = {NULL};
    size_t count = 0;
    for (; count < 31 && onnx_fuse_pass_name(count); count++) {
        names[count] = onnx_fuse_pass_name(count);
        expect(onnx_fuse_pass_purpose(count) && *onnx_fuse_pass_purpose(count), "%s: %s", names[count],
               onnx_fuse_pass_purpose(count));
    }
    expect(!onnx_fuse_pass_name(SIZE_MAX) && !onnx_fuse_pass_purpose(count), "no pass more");
    options = good;
    options.skip = names;
    result = fuse(model, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && same(result, model), "all passes skipped");
    free(result.data);
    options = good;
    options.only = names;
    result = fuse(model, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && same(result, fused), "all passes asked for");
    free(result.data);
    free(fused.data);
    free(model.data);

    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", ONNX_FUSE_VERSION_MAJOR, ONNX_FUSE_VERSION_MINOR,
             ONNX_FUSE_VERSION_PATCH);
    expect(strcmp(version, onnx_fuse_version()) == 0, "version %s", onnx_fuse_version());
}

/* ---- errors ---- */

static void fails(const void *data, size_t size, enum onnx_fuse_status expected, const char *what)
{
    enum onnx_fuse_status status;
    struct onnx_fuse_report *report;
    struct blob exact = {malloc(size + 1), size};
    if (size)
        memcpy(exact.data, data, size);
    struct blob result = fuse(exact, NULL, &status, &report);
    const char *error = onnx_fuse_report_error(report);
    expect(status == expected && !result.data && *error && !strchr(error, '\n') && !onnx_fuse_report_changed(report) &&
               !*onnx_fuse_report_json(report),
           "%s: %s", what, error);
    onnx_fuse_report_free(report);

    const char *in = place("broken.onnx"), *out = place("kept.onnx");
    save(in, data, size);
    save(out, "kept", 4);
    status = onnx_fuse_file(in, out, NULL, NULL);
    struct blob kept = load(out);
    expect(status == expected && same(kept, (struct blob){(unsigned char *)"kept", 4}),
           "%s: by file, what was there is kept", what);
    free(kept.data);
    free(exact.data);
    unlink(in);
    unlink(out);
}

static void test_errors(const char *path)
{
    struct onnx_fuse_report *report;
    const char *out = place("never.onnx");
    enum onnx_fuse_status status = onnx_fuse_file(place("absent.onnx"), out, NULL, &report);
    expect(status == ONNX_FUSE_IO && strstr(onnx_fuse_report_error(report), "absent.onnx") && access(out, F_OK) != 0,
           "a missing file: %s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
    status = onnx_fuse_file(path, place("no/such/folder.onnx"), NULL, &report);
    expect(status == ONNX_FUSE_IO, "a missing folder: %s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
    status = onnx_fuse_file(path, folder, NULL, &report);
    expect(status == ONNX_FUSE_IO, "a folder: %s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
    onnx_fuse_report_free(NULL);

    struct blob model = load(path);
    fails(model.data, 0, ONNX_FUSE_NOT_ONNX, "nothing");
    fails(model.data, model.size - 1, ONNX_FUSE_NOT_ONNX, "cut by one byte");
    fails("GIF89a is not a model", 21, ONNX_FUSE_NOT_ONNX, "a picture");
    free(model.data);

    struct bytes bytes = {0};
    for (int i = 0; i < 1000; i++)
        tag(&bytes, 3000, GROUP);
    fails(bytes.data, bytes.size, ONNX_FUSE_LIMIT, "very deep");
    struct bytes node = {0}, graph = {0}, cycle = {0};
    text(&node, 1, "y");
    text(&node, 2, "y");
    text(&node, 4, "Relu");
    inside(&graph, 1, &node);
    inside(&cycle, 7, &graph);
    fails(cycle.data, cycle.size, ONNX_FUSE_INVALID_MODEL, "an op that reads itself");
}

/* ---- external data ---- */

static void add_value(struct bytes *graph, unsigned field, const char *name)
{
    struct bytes dim = {0}, shape = {0}, tensor = {0}, type = {0}, value = {0};
    number(&dim, 1, 1);
    for (int i = 0; i < 4; i++)
        inside(&shape, 1, &dim);
    number(&tensor, 1, 1);
    inside(&tensor, 2, &shape);
    inside(&type, 1, &tensor);
    text(&value, 1, name);
    inside(&value, 2, &type);
    inside(graph, field, &value);
}

static void add_node(struct bytes *graph, const char *op, const char *x, const char *w, const char *y)
{
    struct bytes node = {0};
    text(&node, 1, x);
    text(&node, 1, w);
    text(&node, 2, y);
    text(&node, 4, op);
    inside(graph, 1, &node);
}

/* y = x * w * c, the Conv's w outside. */
static void external_model(struct bytes *model, float factor)
{
    struct bytes graph = {0}, tensor = {0}, entry = {0}, opset = {0};
    add_node(&graph, "Conv", "x", "w", "t");
    add_node(&graph, "Mul", "t", "c", "y");
    text(&graph, 2, "main");
    for (int i = 0; i < 4; i++)
        number(&tensor, 1, 1);
    number(&tensor, 2, 1);
    text(&tensor, 8, "w");
    text(&entry, 1, "location");
    text(&entry, 2, "w.bin");
    inside(&tensor, 13, &entry);
    number(&tensor, 14, 1);
    inside(&graph, 5, &tensor);
    tensor.size = 0;
    number(&tensor, 2, 1);
    text(&tensor, 8, "c");
    sized(&tensor, 9, &factor, sizeof(factor));
    inside(&graph, 5, &tensor);
    add_value(&graph, 11, "x");
    add_value(&graph, 12, "y");
    *model = (struct bytes){0};
    number(model, 1, 8);
    inside(model, 7, &graph);
    number(&opset, 2, 13);
    inside(model, 8, &opset);
}

static bool holds(struct blob blob, const void *part, size_t size)
{
    for (size_t i = 0; i + size <= blob.size; i++)
        if (memcmp(blob.data + i, part, size) == 0)
            return true;
    return false;
}

static void test_external(void)
{
    struct bytes model;
    struct onnx_fuse_options options;
    enum onnx_fuse_status status;
    const float weight = 3.25f, factor = 1.75f, product = 3.25f * 1.75f;
    external_model(&model, factor);
    struct blob blob = {model.data, model.size};
    onnx_fuse_options_init(&options);
    struct blob result = fuse(blob, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && same(result, blob), "without a folder it is left alone");
    free(result.data);
    options.external_folder = folder;
    result = fuse(blob, &options, &status, NULL);
    expect(status == ONNX_FUSE_IO && !result.data, "a weight that is not there");
    save(place("w.bin"), &weight, sizeof(weight));
    result = fuse(blob, &options, &status, NULL);
    expect(status == ONNX_FUSE_OK && holds(result, &product, sizeof(product)) && !holds(result, "Mul", 3),
           "with a folder it folds");
    free(result.data);
    save(place("w.bin"), &weight, 3);
    result = fuse(blob, &options, &status, NULL);
    expect(status == ONNX_FUSE_INVALID_MODEL && !result.data, "a weight cut short");
    unlink(place("w.bin"));
}

/* ---- threads ---- */

enum { THREADS = 8 };

struct work {
    struct blob model, expected;
    bool good;
};

static void *work_on(void *closure)
{
    struct work *work = closure;
    struct onnx_fuse_options options;
    onnx_fuse_options_init(&options);
    options.jobs = 2;
    work->good = true;
    for (int i = 0; i < 3; i++) {
        enum onnx_fuse_status status;
        struct blob result = fuse(work->model, &options, &status, NULL);
        work->good = work->good && status == ONNX_FUSE_OK && same(result, work->expected);
        free(result.data);
    }
    return NULL;
}

static void test_threads(char **paths, int count)
{
    pthread_t threads[THREADS];
    struct work work[THREADS];
    for (int i = 0; i < THREADS; i++) {
        enum onnx_fuse_status status;
        work[i].model = load(paths[i % count]);
        work[i].expected = fuse(work[i].model, NULL, &status, NULL);
    }
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work_on, &work[i]) != 0)
            abort();
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        expect(work[i].good, "thread %d: the bytes of a serial run", i);
        free(work[i].model.data);
        free(work[i].expected.data);
    }
}

/* A thread as musl starts it. Sanitizers need more. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SMALL_STACK = 8 << 20 };
#else
enum { SMALL_STACK = 128 << 10 };
#endif

static bool take_text(void *closure, const char *bytes, size_t size)
{
    (void)closure;
    return bytes && size;
}

static void *call_all(void *closure)
{
    char *const *paths = closure;
    struct onnx_fuse_dump_options options;
    struct onnx_fuse_comparison *diff = NULL, *verify = NULL;
    struct onnx_fuse_view *info = NULL, *dump = NULL;
    enum onnx_fuse_status status;
    struct blob model = load(paths[0]), result = fuse(model, NULL, &status, NULL);
    onnx_fuse_dump_options_init(&options);
    options.write = take_text;
    bool good = status == ONNX_FUSE_OK && onnx_fuse_diff(paths[0], paths[1], NULL, &diff) == ONNX_FUSE_OK &&
                onnx_fuse_comparison_format(diff, "html") &&
                onnx_fuse_verify(paths[0], paths[0], NULL, &verify) == ONNX_FUSE_OK &&
                onnx_fuse_info(paths[0], NULL, &info) == ONNX_FUSE_OK &&
                onnx_fuse_dump(paths[0], &options, &dump) == ONNX_FUSE_OK;
    onnx_fuse_comparison_free(diff);
    onnx_fuse_comparison_free(verify);
    onnx_fuse_view_free(info);
    onnx_fuse_view_free(dump);
    free(model.data);
    free(result.data);
    return good ? closure : NULL;
}

static void test_small_stack(char **paths, int count)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    expect(pthread_attr_setstacksize(&attributes, SMALL_STACK) == 0, "a small stack");
    for (int i = 0; i + 1 < count; i++) {
        pthread_t thread;
        void *result = NULL;
        if (pthread_create(&thread, &attributes, call_all, paths + i) != 0)
            abort();
        pthread_join(thread, &result);
        expect(result, "%s in a thread of %d KiB", paths[i], SMALL_STACK >> 10);
    }
    pthread_attr_destroy(&attributes);
}

/* One report and one comparison, and threads that ask both for their texts at once: all of them get the
 * same text at the same place, as one thread gets it. */
struct reader {
    const struct onnx_fuse_report *report;
    struct onnx_fuse_comparison *comparison;
    pthread_barrier_t *start;
    const char *texts[6];
    bool has_error;
};

static void *read_texts(void *closure)
{
    struct reader *reader = closure;
    pthread_barrier_wait(reader->start);
    reader->texts[0] = onnx_fuse_report_json(reader->report);
    reader->texts[1] = onnx_fuse_report_html(reader->report);
    reader->texts[2] = onnx_fuse_report_explanation(reader->report);
    reader->texts[3] = onnx_fuse_report_table(reader->report);
    reader->texts[4] = onnx_fuse_comparison_format(reader->comparison, "json");
    reader->texts[5] = onnx_fuse_comparison_format(reader->comparison, "html");
    reader->has_error = *onnx_fuse_report_error(reader->report) || *onnx_fuse_comparison_error(reader->comparison);
    return NULL;
}

static void test_readers(const char *path)
{
    pthread_t threads[THREADS];
    struct reader readers[THREADS];
    pthread_barrier_t start;
    struct onnx_fuse_report *report;
    struct onnx_fuse_comparison *comparison;
    const char *out = place("read.onnx");
    onnx_fuse_file(path, out, NULL, &report);
    onnx_fuse_diff(path, out, NULL, &comparison);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.report = report, .comparison = comparison, .start = &start};
        if (pthread_create(&threads[i], NULL, read_texts, &readers[i]) != 0)
            abort();
    }
    bool good = true;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        good = good && !readers[i].has_error;
        for (size_t k = 0; k < sizeof(readers[i].texts) / sizeof(readers[i].texts[0]); k++)
            good = good && readers[i].texts[k] && *readers[i].texts[k] && readers[i].texts[k] == readers[0].texts[k];
    }
    expect(good, "%d threads that read one report and one comparison", THREADS);
    pthread_barrier_destroy(&start);
    onnx_fuse_report_free(report);
    onnx_fuse_comparison_free(comparison);
    unlink(out);
}

/* ---- text ---- */

static bool is_utf8(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int more = *s < 0x80 ? 0 : *s >= 0xc2 && *s < 0xe0 ? 1 : *s >= 0xe0 && *s < 0xf0 ? 2 : -1;
        if (more < 0)
            return false;
        for (s++; more > 0; more--, s++)
            if ((*s & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* Names of any bytes, and messages that are cut where they get too long: what comes out is UTF-8. */
static void test_utf8(void)
{
    struct onnx_fuse_report *report;
    char name[4000] = "x";
    for (size_t at = 1; at + 3 < sizeof(name); at += 2)
        memcpy(name + at, "\xc3\xa9", 3);
    for (int shift = 0; shift < 2; shift++) {
        onnx_fuse_file(name + !shift, "unused.onnx", NULL, &report);
        const char *error = onnx_fuse_report_error(report);
        expect(strlen(error) > 1000 && is_utf8(error), "a message of %zu bytes", strlen(error));
        onnx_fuse_report_free(report);
    }
    onnx_fuse_file("latin\xe9.onnx", "unused.onnx", NULL, &report);
    expect(is_utf8(onnx_fuse_report_error(report)), "%s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);

    /* The value y by another name. */
    struct bytes model;
    struct onnx_fuse_options options;
    enum onnx_fuse_status status;
    const float weight = 3.25f;
    external_model(&model, 2);
    for (size_t at = 0; at < model.size; at++)
        if (model.data[at] == 'y')
            model.data[at] = 0xe9;
    save(place("w.bin"), &weight, sizeof(weight));
    onnx_fuse_options_init(&options);
    options.external_folder = folder;
    struct blob result = fuse((struct blob){model.data, model.size}, &options, &status, &report);
    const char *told = onnx_fuse_report_explanation(report);
    expect(status == ONNX_FUSE_OK && strstr(told, "\\xe9") && is_utf8(told) && is_utf8(onnx_fuse_report_json(report)) &&
               is_utf8(onnx_fuse_report_html(report)),
           "a name of other bytes");
    onnx_fuse_report_free(report);
    free(result.data);
    unlink(place("w.bin"));
}

int main(int count, char **arguments)
{
    if (count < 2 || !mkdtemp(folder)) {
        fprintf(stderr, "expected models as arguments, and a writable /tmp\n");
        return 2;
    }
    for (int i = 1; i < count; i++)
        test_model(arguments[i]);
    for (int i = 1; i < count; i++)
        test_page(arguments[i]);
    test_dry_run(arguments[1]);
    test_options(arguments[1]);
    test_errors(arguments[1]);
    test_stop(arguments[1]);
    test_external();
    test_threads(arguments + 1, count - 1);
    test_small_stack(arguments + 1, count - 1);
    for (int i = 1; i < count; i++)
        test_readers(arguments[i]);
    test_utf8();
    expect(rmdir(folder) == 0, "no file is left behind in %s", folder);
    return unit_finish();
}
