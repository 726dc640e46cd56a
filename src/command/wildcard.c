/* command/wildcard.c: distinguishes two models that a wildcard matched from a model and its earlier result. */
#include "command/wildcard.h"

#include <string.h>

#include "base/system.h"

/* Two names in one folder with one ending, the first before the second. */
static bool look_sorted(const char *first, const char *second)
{
    const char *a = path_name(first), *b = path_name(second);
    const char *end = strrchr(a, '.'), *other = strrchr(b, '.');
    return a - first == b - second && strncmp(first, second, (size_t)(a - first)) == 0 && end && other &&
           strcmp(end, other) == 0 && path_order(first, second) < 0;
}

enum kind { NO_MODEL, FUSES, IS_COPIED };

/* The result of a run: plans it, and reads only the weights that planning needs. */
static enum kind kind_of(const char *model, const struct onnx_fuse_options *given)
{
    struct onnx_fuse_options options = *given;
    struct onnx_fuse_report *report = NULL;
    options.dry_run = options.no_check = true;
    options.html_report = options.json_report = options.debug = NULL;
    enum kind kind = onnx_fuse_file(model, model, &options, &report) != ONNX_FUSE_OK ? NO_MODEL
                     : onnx_fuse_report_changed(report)                              ? FUSES
                                                                                     : IS_COPIED;
    onnx_fuse_report_free(report);
    return kind;
}

static bool differ(const char *a, const char *b)
{
    struct onnx_fuse_diff_options options;
    struct onnx_fuse_comparison *comparison = NULL;
    onnx_fuse_diff_options_init(&options);
    options.strict = true;
    bool different = onnx_fuse_diff(a, b, &options, &comparison) == ONNX_FUSE_OK &&
                     onnx_fuse_comparison_verdict(comparison) == ONNX_FUSE_DIFFERENT;
    onnx_fuse_comparison_free(comparison);
    return different;
}

bool wildcard_takes(const char *input, const char *output, const struct onnx_fuse_options *options)
{
    struct looked looked;
    if (options->dry_run || !look_sorted(input, output) || system_look(output, true, &looked) != LOOK_FILE)
        return false;
    enum kind kind = kind_of(output, options);
    return (kind == FUSES || (kind == IS_COPIED && kind_of(input, options) == IS_COPIED)) && differ(input, output);
}
