/* api/compare.c: the public functions that take two models. Errors land here. */
#include <stdlib.h>

#include "base/system.h"
#include "diff/group.h"
#include "diff/json.h"
#include "diff/model.h"
#include "diff/text.h"
#include "infer/call.h"
#include "model/contrib.h"
#include "model/external.h"
#include "model/inline.h"
#include "model/load.h"
#include "report/page_diff.h"
#include "report/page_verify.h"
#include "run/options.h"
#include "verify/report.h"

struct side {
    struct source source;
    struct model model;
};

/* Both models stay open until it is freed: the formats read them. A format that cannot be made lands,
 * too, so what is known of the comparison itself stands apart from the landing. */
struct onnx_fuse_comparison {
    struct landing landing;
    enum onnx_fuse_status status;
    const char *error;
    struct mutex mutex; /* guards what making a format changes */
    struct arena arena;
    struct arena scratch[VERIFY_ARENAS];
    struct side sides[2];
    bool is_diff;
    enum onnx_fuse_verdict verdict;
    struct diff_options diff_options;
    struct diff_result diff;
    struct verify_options verify_options;
    struct verify_result verify;
    struct map formats; /* texts that were asked for */
};

void onnx_fuse_diff_options_init(struct onnx_fuse_diff_options *options)
{
    *options = (struct onnx_fuse_diff_options){.struct_size = sizeof(*options)};
}

void onnx_fuse_verify_options_init(struct onnx_fuse_verify_options *options)
{
    *options = (struct onnx_fuse_verify_options){.struct_size = sizeof(*options), .trials = 2};
}

static struct onnx_fuse_comparison *comparison_new(const char *a, const char *b, bool is_diff)
{
    struct onnx_fuse_comparison *comparison = calloc(1, sizeof(*comparison));
    if (comparison && !mutex_open(&comparison->mutex)) {
        free(comparison);
        comparison = NULL;
    }
    if (!comparison)
        return NULL;
    comparison->is_diff = is_diff;
    comparison->verdict = ONNX_FUSE_UNDECIDED;
    comparison->sides[0].source.path = a;
    comparison->sides[1].source.path = b;
    arena_init(&comparison->arena, &comparison->landing);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_init(&comparison->scratch[i], &comparison->landing);
    for (int i = 0; i < 2; i++)
        comparison->sides[i].model.bytes.descriptor = -1;
    return comparison;
}

static void comparison_close(struct onnx_fuse_comparison *comparison)
{
    for (int i = 0; i < 2; i++)
        source_close(&comparison->sides[i].source, &comparison->sides[i].model);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_free(&comparison->scratch[i]);
}

void onnx_fuse_comparison_free(struct onnx_fuse_comparison *comparison)
{
    if (!comparison)
        return;
    comparison_close(comparison);
    arena_free(&comparison->arena);
    mutex_close(&comparison->mutex);
    free(comparison);
}

/* A function counts by the inputs and outputs of its calls: calls are inlined in both models, or in neither. */
static void inline_both(struct model *a, struct model *b)
{
    enum { INLINED_MOST = 40000 };
    bool has_functions = a->proto->n_functions || b->proto->n_functions;
    if (!has_functions || inline_count(a) > INLINED_MOST || inline_count(b) > INLINED_MOST)
        return;
    inline_functions(a);
    inline_functions(b);
}

static void load(struct onnx_fuse_comparison *comparison, bool follow_symlinks, bool no_map)
{
    struct arena *arena = &comparison->arena;
    bool both =
        strcmp(comparison->sides[0].source.path, "-") == 0 && strcmp(comparison->sides[1].source.path, "-") == 0;
    if (both)
        fail(&comparison->landing, ONNX_FUSE_ARGUMENT, "both models are standard input: give a file for one of them");
    for (int i = 0; i < 2; i++) {
        struct side *side = &comparison->sides[i];
        /* The caller's may be gone by the time of a format. */
        side->source.path = arena_copy(arena, side->source.path);
        side->source.name = arena_copy(arena, side->source.name ? side->source.name : side->source.path);
        side->source.follow_symlinks = follow_symlinks;
        side->source.no_map = no_map;
        source_open(&side->source, &side->model, arena);
        model_parse(&side->model);
    }
    if (!comparison->is_diff) {
        inline_both(&comparison->sides[0].model, &comparison->sides[1].model);
        contrib_expand(&comparison->sides[0].model);
        contrib_expand(&comparison->sides[1].model);
    }
    for (int i = 0; i < 2; i++)
        model_build(&comparison->sides[i].model);
    /* Both models get the folding limits of the larger one. */
    comparison->sides[0].model.folding = comparison->sides[1].model.folding;
    for (int i = 0; i < 2; i++)
        shape_infer(&comparison->sides[i].model);
}

static void check_files(const struct onnx_fuse_comparison *comparison)
{
    for (int i = 0; i < 2; i++)
        model_check_files(&comparison->sides[i].model);
}

static void run_diff(struct onnx_fuse_comparison *comparison, const struct onnx_fuse_diff_options *given)
{
    struct onnx_fuse_diff_options options;
    onnx_fuse_diff_options_init(&options);
    options_take(&comparison->landing, &options, sizeof(options), given,
                 offsetof(struct onnx_fuse_diff_options, follow_symlinks), "onnx_fuse_diff_options_init");
    options_not_negative(&comparison->landing, "rtol", options.rtol);
    options_not_negative(&comparison->landing, "atol", options.atol);
    comparison->diff_options = (struct diff_options){.rtol = options.rtol,
                                                     .atol = options.atol,
                                                     .strict = options.strict,
                                                     .colour = options.colour,
                                                     .all = options.all,
                                                     .progress = {options.progress, options.closure}};
    comparison->sides[0].source.name = options.name_a;
    comparison->sides[1].source.name = options.name_b;
    diff_ignore(&comparison->arena, &comparison->diff_options, options.ignore);
    load(comparison, options.follow_symlinks, options.no_map);
    diff_models(&comparison->arena, &comparison->sides[0].model, &comparison->sides[1].model, &comparison->diff_options,
                &comparison->diff);
    check_files(comparison);
    comparison->verdict = comparison->diff.counted ? ONNX_FUSE_DIFFERENT : ONNX_FUSE_SAME;
}

static void read_inputs(struct onnx_fuse_comparison *comparison, const char *path)
{
    struct given *given = &comparison->verify_options.given;
    size_t size;
    if (!path)
        return;
    const uint8_t *bytes = file_copy(&comparison->arena, path, &size);
    given->path = path;
    given_read(&comparison->arena, bytes, size, given);
}

static void run_verify(struct onnx_fuse_comparison *comparison, const struct onnx_fuse_verify_options *given)
{
    struct onnx_fuse_verify_options options;
    onnx_fuse_verify_options_init(&options);
    options_take(&comparison->landing, &options, sizeof(options), given,
                 offsetof(struct onnx_fuse_verify_options, follow_symlinks), "onnx_fuse_verify_options_init");
    options_not_negative(&comparison->landing, "rtol", options.rtol);
    options_not_negative(&comparison->landing, "atol", options.atol);
    if (options.trials < 1 || options.trials > 1000)
        fail(&comparison->landing, ONNX_FUSE_ARGUMENT, "trials is %d, expected 1 to 1000", options.trials);
    comparison->verify_options = (struct verify_options){.rtol = options.rtol,
                                                         .atol = options.atol,
                                                         .trials = options.trials,
                                                         .seed = options.seed,
                                                         .common_outputs = options.common_outputs,
                                                         .layers = options.layers,
                                                         .progress = {options.progress, options.closure}};
    read_inputs(comparison, options.inputs);
    load(comparison, options.follow_symlinks, options.no_map);
    verify_models(&comparison->arena, comparison->scratch, &comparison->sides[0].model, &comparison->sides[1].model,
                  &comparison->verify_options, &comparison->verify);
    check_files(comparison);
    comparison->verdict = (enum onnx_fuse_verdict)comparison->verify.verdict;
}

struct call {
    struct onnx_fuse_comparison *comparison;
    const struct onnx_fuse_diff_options *diff_options;
    const struct onnx_fuse_verify_options *verify_options;
};

static void compare(void *closure)
{
    const struct call *call = closure;
    if (call->comparison->is_diff)
        run_diff(call->comparison, call->diff_options);
    else
        run_verify(call->comparison, call->verify_options);
}

static enum onnx_fuse_status finish(struct call call, struct onnx_fuse_comparison **result)
{
    struct onnx_fuse_comparison *comparison = call.comparison;
    *result = comparison;
    if (!comparison)
        return ONNX_FUSE_OUT_OF_MEMORY;
    if (!landing_call(&comparison->landing, compare, &call)) {
        comparison->verdict = ONNX_FUSE_UNDECIDED;
        comparison_close(comparison);
    }
    comparison->status = comparison->landing.status;
    comparison->error = comparison->status == ONNX_FUSE_OK ? "" : comparison->landing.message;
    return comparison->status;
}

enum onnx_fuse_status onnx_fuse_diff(const char *a, const char *b, const struct onnx_fuse_diff_options *options,
                                     struct onnx_fuse_comparison **comparison)
{
    return finish((struct call){comparison_new(a, b, true), options, NULL}, comparison);
}

enum onnx_fuse_status onnx_fuse_verify(const char *a, const char *b, const struct onnx_fuse_verify_options *options,
                                       struct onnx_fuse_comparison **comparison)
{
    return finish((struct call){comparison_new(a, b, false), NULL, options}, comparison);
}

enum onnx_fuse_verdict onnx_fuse_comparison_verdict(const struct onnx_fuse_comparison *comparison)
{
    return comparison->verdict;
}

const char *onnx_fuse_comparison_error(const struct onnx_fuse_comparison *comparison)
{
    return comparison->error;
}

static const char *diff_format(struct onnx_fuse_comparison *comparison, const char *format, const char *left,
                               const char *right)
{
    struct arena *arena = &comparison->arena;
    const struct diff_result *result = &comparison->diff;
    const struct diff_options *options = &comparison->diff_options;
    if (strcmp(format, "text") == 0)
        return diff_text(arena, result, options, left, right);
    if (strcmp(format, "json") == 0)
        return diff_json(arena, result, left, right);
    if (strcmp(format, "github") == 0)
        return diff_github(arena, result, left, right);
    if (strcmp(format, "sarif") == 0)
        return diff_sarif(arena, result, left, right);
    if (strcmp(format, "html") == 0)
        return html_diff(arena, result, options, &comparison->sides[0].model, &comparison->sides[1].model, left, right);
    if (strcmp(format, "uncounted") == 0)
        return diff_headline(arena, result, false);
    return NULL;
}

static const char *make_format(struct onnx_fuse_comparison *comparison, const char *format)
{
    struct arena *arena = &comparison->arena;
    const char *a = comparison->sides[0].source.name, *b = comparison->sides[1].source.name;
    if (comparison->is_diff)
        return diff_format(comparison, format, a, b);
    if (strcmp(format, "text") == 0)
        return verify_text(arena, &comparison->verify, &comparison->verify_options, a, b);
    if (strcmp(format, "json") == 0)
        return verify_json(arena, &comparison->verify, &comparison->verify_options, a, b);
    if (strcmp(format, "html") == 0)
        return html_verify(arena, &comparison->verify, &comparison->verify_options, &comparison->sides[1].model, a, b);
    return NULL;
}

struct format_call {
    struct onnx_fuse_comparison *comparison;
    const char *format;
    const char *text;
};

static void format_once(void *closure)
{
    struct format_call *call = closure;
    struct arena *arena = &call->comparison->arena;
    const char *text = make_format(call->comparison, call->format);
    if (text)
        map_put(arena, &call->comparison->formats, arena_copy(arena, call->format), (void *)(uintptr_t)text);
    call->text = text;
}

/* A text may take as much memory again. NULL where it cannot be made: a comparison stays a good one. */
static const char *format_guarded(struct onnx_fuse_comparison *comparison, const char *format)
{
    struct format_call call = {comparison, format, NULL};
    const size_t most = comparison->landing.most;
    comparison->landing.most = most > SIZE_MAX / 2 ? SIZE_MAX : 2 * most;
    landing_call(&comparison->landing, format_once, &call);
    comparison->landing.most = most;
    return call.text;
}

const char *onnx_fuse_comparison_format(struct onnx_fuse_comparison *comparison, const char *format)
{
    if (comparison->status != ONNX_FUSE_OK)
        return NULL;
    mutex_lock(&comparison->mutex);
    const char *text = map_get(&comparison->formats, format);
    if (!text)
        text = format_guarded(comparison, format);
    mutex_unlock(&comparison->mutex);
    return text;
}
