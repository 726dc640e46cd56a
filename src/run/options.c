/* run/options.c: the caller's options, checked. */
#include "run/options.h"

#include <math.h>

#include "base/decimal.h"
#include "base/system.h"
#include "base/text.h"
#include "passes/passes.h"

static void check_names(struct run *run, const char *const *names)
{
    const char **known = NEW_ARRAY(&run->arena, const char *, pass_count), *all = "";
    for (size_t i = 0; i < pass_count; i++) {
        known[i] = passes[i].name;
        all = arena_format(&run->arena, "%s %s", all, passes[i].name);
    }
    for (; names && *names; names++) {
        const char *nearest = text_nearest(*names, known, pass_count);
        if (strcmp(nearest, *names) != 0)
            fail(&run->landing, ONNX_FUSE_ARGUMENT, "there is no pass '%s'; the nearest name is '%s'; the passes are%s",
                 *names, nearest, all);
    }
}

void options_default(struct onnx_fuse_options *options)
{
    *options = (struct onnx_fuse_options){.struct_size = sizeof(*options), .max_growth = 1};
}

void options_take(struct landing *landing, void *own, size_t size, const void *given, size_t least, const char *init)
{
    size_t given_size;
    if (!given)
        return;
    memcpy(&given_size, given, sizeof(given_size));
    if (given_size < least || given_size > size)
        fail(landing, ONNX_FUSE_ARGUMENT, "options of %zu bytes, expected %zu: call %s first", given_size, size, init);
    memcpy(own, given, given_size);
}

void options_not_negative(struct landing *landing, const char *name, double number)
{
    if (!(number >= 0) || !isfinite(number))
        fail(landing, ONNX_FUSE_ARGUMENT, "%s is %s, expected a number that is not negative", name,
             decimal_rounded(number, 6).text);
}

void run_options(struct run *run, const struct onnx_fuse_options *given)
{
    struct onnx_fuse_options *options = &run->options;
    options_default(options);
    options_take(&run->landing, options, sizeof(*options), given, offsetof(struct onnx_fuse_options, jobs),
                 "onnx_fuse_options_init");
    check_names(run, options->only);
    check_names(run, options->skip);
    if (!(options->max_growth > 0) || !isfinite(options->max_growth))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "max_growth is %s, expected a number above 0",
             decimal_rounded(options->max_growth, 6).text);
    options_not_negative(&run->landing, "tolerance", options->tolerance);
    if (options->equalize < ONNX_FUSE_EQUALIZE_OFF || options->equalize > ONNX_FUSE_EQUALIZE_CHANNEL)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "equalize is %d, expected 0, 1 or 2", (int)options->equalize);
    if (options->statistics && !options->equalize)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "statistics '%s' need equalize, which is off", options->statistics);
    if (options->jobs < 0)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "jobs is %d, expected 0 or more", options->jobs);
    if (options->jobs == 0) {
        int cores = thread_cores();
        options->jobs = cores > BUDGET_THREADS ? BUDGET_THREADS : cores;
    }
    if (options->jobs > 1)
        arena_run_ahead(&run->arena);
    run->progress = (struct progress){options->progress, options->closure};
    run->source.external_folder = options->external_folder;
    run->source.follow_symlinks = options->follow_symlinks;
    run->source.no_map = options->no_map;
}
