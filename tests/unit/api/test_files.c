/* test_files.c: the library while others work on its files. Argument: a model that folds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob.h"
#include "onnx_repvgg_fuse.h"
#include "tap.h"

static char folder[] = "/tmp/onnx-repvgg-fuse-files-XXXXXX";
static char input[256], output[256], data[256], second[256];

static bool is(const char *path, const struct blob *wanted)
{
    struct blob found = load(path);
    bool is_wanted = same(found, *wanted);
    free(found.data);
    return is_wanted;
}

/* What happens, and at which step. */
struct event {
    const char *step;
    void (*act)(void);
    bool happened;
};

static bool on_progress(void *closure, const char *step, double fraction)
{
    struct event *event = closure;
    (void)fraction;
    if (!event->happened && strcmp(step, event->step) == 0) {
        event->happened = true;
        event->act();
    }
    return true;
}

static void nothing(void)
{
}

static void cut(void)
{
    if (truncate(input, 5000) != 0)
        abort();
}

static void touch(void)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    if (utimensat(AT_FDCWD, input, times, 0) != 0)
        abort();
}

static void take_name(void)
{
    save(data, "mine", 4);
}

static enum onnx_fuse_status run(struct onnx_fuse_options *options, struct event *event,
                                 struct onnx_fuse_report **report)
{
    options->progress = on_progress;
    options->closure = event;
    return onnx_fuse_file(input, output, options, report);
}

static void test_changes(const struct blob *model, const struct blob *fused)
{
    static const char *const steps[] = {"planning", "finishing"};
    for (int kind = 0; kind < 4; kind++) {
        bool no_map = kind / 2, cuts = kind % 2;
        for (size_t i = 0; i < 2; i++) {
            struct onnx_fuse_options options;
            struct onnx_fuse_report *report = NULL;
            struct event event = {steps[i], cuts ? cut : touch, false};
            /* A mapping of a shorter file is a signal: only a reader can take that from a library. */
            if (cuts && !no_map)
                continue;
            save(input, model->data, model->size);
            save(output, "old", 3);
            onnx_fuse_options_init(&options);
            options.no_map = no_map;
            options.no_sync = true;
            enum onnx_fuse_status status = run(&options, &event, &report);
            struct blob old = {(unsigned char[]){"old"}, 3};
            /* The files are compared before "finishing" is said. */
            bool late = i == 1;
            expect(event.happened && (late ? status == ONNX_FUSE_OK && is(output, fused)
                                           : status == ONNX_FUSE_IO && is(output, &old)),
                   "%s, %s, at %s: %d %s", no_map ? "read" : "mapped", cuts ? "cut" : "touched", steps[i], status,
                   onnx_fuse_report_error(report));
            expect(late || strstr(onnx_fuse_report_error(report), "while it was being read"), "the message says so");
            onnx_fuse_report_free(report);
        }
    }
}

static void test_no_map(const struct blob *model, const struct blob *fused)
{
    struct onnx_fuse_options options;
    struct event event = {"planning", nothing, false};
    save(input, model->data, model->size);
    unlink(output);
    onnx_fuse_options_init(&options);
    options.no_map = true;
    expect(run(&options, &event, NULL) == ONNX_FUSE_OK && is(output, fused),
           "a file that is read gives the bytes of one that is mapped");
}

/* Another run takes the name of the data file when this one has written its own. */
static void test_name_taken(const struct blob *model)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report = NULL;
    struct event event = {"finishing", take_name, false};
    struct blob mine = {(unsigned char[]){"mine"}, 4}, old = {(unsigned char[]){"old"}, 3};
    save(input, model->data, model->size);
    save(output, "old", 3);
    onnx_fuse_options_init(&options);
    options.external_data = "o.onnx.data";
    enum onnx_fuse_status status = run(&options, &event, &report);
    expect(status == ONNX_FUSE_IO && is(data, &mine) && is(output, &old) &&
               strstr(onnx_fuse_report_error(report), "o.onnx.data"),
           "a name that was asked for and is taken meanwhile: %s", onnx_fuse_report_error(report));
    onnx_fuse_report_free(report);
    unlink(data);

    /* A model with external data that moves gets another name by itself. */
    char moved[300];
    snprintf(moved, sizeof(moved), "%s/sub/m.onnx", folder);
    options.external_data = "weights.bin";
    event.act = nothing, event.happened = false;
    options.progress = NULL;
    snprintf(moved, sizeof(moved), "%s/sub", folder);
    mkdir(moved, 0700);
    snprintf(moved, sizeof(moved), "%s/sub/m.onnx", folder);
    expect(onnx_fuse_file(input, moved, &options, NULL) == ONNX_FUSE_OK, "a model with data");
    onnx_fuse_options_init(&options);
    event = (struct event){"finishing", take_name, false};
    options.progress = on_progress;
    options.closure = &event;
    report = NULL;
    status = onnx_fuse_file(moved, output, &options, &report);
    struct blob theirs = load(second);
    expect(status == ONNX_FUSE_OK && is(data, &mine) && theirs.size > 1000, "the data goes to the next name: %d %s",
           status, onnx_fuse_report_error(report));
    free(theirs.data);
    onnx_fuse_report_free(report);
}

int main(int count, char **arguments)
{
    if (count != 2 || !mkdtemp(folder))
        return 2;
    snprintf(input, sizeof(input), "%s/i.onnx", folder);
    snprintf(output, sizeof(output), "%s/o.onnx", folder);
    snprintf(data, sizeof(data), "%s/o.onnx.data", folder);
    snprintf(second, sizeof(second), "%s/o.onnx.1.data", folder);
    struct blob model = load(arguments[1]);
    save(input, model.data, model.size);
    expect(onnx_fuse_file(input, output, NULL, NULL) == ONNX_FUSE_OK, "a plain run");
    struct blob fused = load(output);
    test_no_map(&model, &fused);
    test_changes(&model, &fused);
    test_name_taken(&model);
    free(model.data);
    free(fused.data);
    char command[300];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "# cannot remove %s\n", folder);
    return unit_finish();
}
