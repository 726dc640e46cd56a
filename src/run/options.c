/* run/options.c: the caller's options, checked. */
#define _POSIX_C_SOURCE 200809L

#include "run/options.h"

#include <math.h>
#include <unistd.h>

#include "base/decimal.h"
#include "passes/passes.h"

static bool pass_exists(const char *name)
{
    for (size_t i = 0; i < pass_count; i++)
        if (strcmp(passes[i].name, name) == 0)
            return true;
    return false;
}

static void check_names(struct run *run, const char *const *names)
{
    const char *known = passes[0].name;
    for (size_t i = 1; i < pass_count; i++)
        known = arena_format(&run->arena, "%s %s", known, passes[i].name);
    for (; names && *names; names++)
        if (!pass_exists(*names))
            fail(&run->landing, ONNX_FUSE_ARGUMENT, "there is no pass '%s'; there are %s", *names,
                 known);
}

void options_default(struct onnx_fuse_options *options)
{
    *options = (struct onnx_fuse_options){.struct_size = sizeof(*options), .max_growth = 1};
}

void run_options(struct run *run, const struct onnx_fuse_options *options)
{
    options_default(&run->options);
    if (options) {
        /* A caller built against an older header knows a shorter struct. */
        size_t size = options->struct_size;
        if (size < offsetof(struct onnx_fuse_options, jobs) || size > sizeof(run->options))
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "options of %zu bytes, expected %zu: call onnx_fuse_options_init first", size,
                 sizeof(run->options));
        memcpy(&run->options, options, size);
    }
    check_names(run, run->options.only);
    check_names(run, run->options.skip);
    if (!(run->options.max_growth > 0) || !isfinite(run->options.max_growth))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "max_growth is %s, expected a number above 0",
             decimal_rounded(run->options.max_growth, 6).text);
    if (!(run->options.tolerance >= 0) || !isfinite(run->options.tolerance))
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "tolerance is %s, expected a number that is not negative",
             decimal_rounded(run->options.tolerance, 6).text);
    if (run->options.equalize < ONNX_FUSE_EQUALIZE_OFF ||
        run->options.equalize > ONNX_FUSE_EQUALIZE_CHANNEL)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "equalize is %d, expected 0, 1 or 2",
             (int)run->options.equalize);
    if (run->options.statistics && !run->options.equalize)
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "statistics '%s' are for equalize, which is not asked for", run->options.statistics);
    if (run->options.jobs < 0)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "jobs is %d, expected 0 or more",
             run->options.jobs);
    if (run->options.jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        run->options.jobs = cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
    }
    if (run->options.jobs > 1)
        arena_run_ahead(&run->arena);
}
