/* api/view.c: the public functions that tell of one model. Errors land here. */
#include <stdlib.h>

#include "model/external.h"
#include "model/load.h"
#include "passes/passes.h"
#include "run/options.h"
#include "run/run.h"
#include "run/source.h"
#include "view/dump.h"
#include "view/info.h"

/* The run it tells of, its files closed. The texts are in the run's arena. */
struct onnx_fuse_view {
    struct run run;
    struct arena scratch; /* of the dump */
    struct dump_result dump;
    const char *text, *json;
};

static struct onnx_fuse_view *view_new(const char *input, const void *model, size_t size)
{
    struct onnx_fuse_view *view = calloc(1, sizeof(*view));
    if (!view)
        return NULL;
    view->text = view->json = "";
    view->run.input = input;
    view->run.memory = model;
    view->run.memory_size = size;
    run_init(&view->run);
    arena_init(&view->scratch, &view->run.landing);
    return view;
}

/* Closes the files and hands the view over or frees it. */
static enum onnx_fuse_status finish(struct onnx_fuse_view *view, struct onnx_fuse_view **wanted)
{
    enum onnx_fuse_status status = view->run.landing.status;
    run_close(&view->run);
    arena_free(&view->scratch);
    if (status != ONNX_FUSE_OK) { /* it holds only the error */
        view->text = view->json = "";
        view->dump = (struct dump_result){0};
    }
    if (wanted)
        *wanted = view;
    else
        onnx_fuse_view_free(view);
    return status;
}

/* ---- dump ---- */

void onnx_fuse_dump_options_init(struct onnx_fuse_dump_options *options)
{
    *options = (struct onnx_fuse_dump_options){.struct_size = sizeof(*options), .elide = -1};
}

static void check_dump_options(struct run *run, const struct onnx_fuse_dump_options *options)
{
    if (!options ||
        options->struct_size < offsetof(struct onnx_fuse_dump_options, follow_symlinks) ||
        options->struct_size > sizeof(*options))
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "options of %zu bytes, expected %zu: call onnx_fuse_dump_options_init first",
             options ? options->struct_size : 0, sizeof(*options));
    if (!options->write)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "options without a function that takes the text");
}

/* The model without the files beside it. */
static void load_alone(struct run *run)
{
    struct model *model = &run->model;
    model->arena = &run->arena;
    model->path = !run->input                    ? "model in memory"
                  : strcmp(run->input, "-") == 0 ? "standard input"
                                                 : run->input;
    if (run->input)
        mapping_open(&run->landing, run->input, run->options.no_map, &model->bytes);
    else
        model->bytes =
            (struct mapping){.data = run->memory, .size = run->memory_size, .descriptor = -1};
    model_load(model);
}

/* Everything below may land here. The view lives on the heap, so no local is clobbered. */
static void dump_guarded(struct onnx_fuse_view *view, const struct onnx_fuse_dump_options *options)
{
    struct run *run = &view->run;
    if (setjmp(run->landing.jump) == 0) {
        run_options(run, NULL);
        check_dump_options(run, options);
        struct onnx_fuse_dump_options own; /* a caller of an older header knows a shorter one */
        onnx_fuse_dump_options_init(&own);
        memcpy(&own, options, options->struct_size);
        run->options.external_folder = own.external_folder;
        run->options.follow_symlinks = own.follow_symlinks;
        run->options.no_map = own.no_map;
        if (own.keep_external)
            load_alone(run);
        else
            run_load(run);
        dump_model(&run->model, &own, &view->scratch, &view->dump);
        model_check_files(&run->model);
    }
}

static enum onnx_fuse_status dump(struct onnx_fuse_view *view,
                                  const struct onnx_fuse_dump_options *options,
                                  struct onnx_fuse_view **wanted)
{
    if (wanted)
        *wanted = NULL;
    if (!view)
        return ONNX_FUSE_OUT_OF_MEMORY;
    dump_guarded(view, options);
    return finish(view, wanted);
}

enum onnx_fuse_status onnx_fuse_dump(const char *input,
                                     const struct onnx_fuse_dump_options *options,
                                     struct onnx_fuse_view **view)
{
    return dump(view_new(input, NULL, 0), options, view);
}

enum onnx_fuse_status onnx_fuse_dump_memory(const void *model, size_t size,
                                            const struct onnx_fuse_dump_options *options,
                                            struct onnx_fuse_view **view)
{
    return dump(view_new(NULL, model, size), options, view);
}

/* ---- info ---- */

static void info_guarded(struct onnx_fuse_view *view, const struct onnx_fuse_options *options)
{
    struct run *run = &view->run;
    if (setjmp(run->landing.jump) == 0) {
        struct info info;
        run_options(run, options);
        run->options.dry_run = true;
        run->output_path = run->input; /* as if in place: external data stays where it is */
        run_fuse(run);
        foresee_equalize(&run->plan);
        info_collect(&run->plan, &info);
        view->text = info_text(&run->plan, &run->summary, &info);
        view->json = info_json(&run->plan, &run->summary, &info);
    }
}

static enum onnx_fuse_status info(struct onnx_fuse_view *view,
                                  const struct onnx_fuse_options *options,
                                  struct onnx_fuse_view **wanted)
{
    if (wanted)
        *wanted = NULL;
    if (!view)
        return ONNX_FUSE_OUT_OF_MEMORY;
    info_guarded(view, options);
    if (run_again(&view->run))
        info_guarded(view, options);
    return finish(view, wanted);
}

enum onnx_fuse_status onnx_fuse_info(const char *input, const struct onnx_fuse_options *options,
                                     struct onnx_fuse_view **view)
{
    return info(view_new(input, NULL, 0), options, view);
}

enum onnx_fuse_status onnx_fuse_info_memory(const void *model, size_t size,
                                            const struct onnx_fuse_options *options,
                                            struct onnx_fuse_view **view)
{
    return info(view_new(NULL, model, size), options, view);
}

/* ---- the view ---- */

void onnx_fuse_view_free(struct onnx_fuse_view *view)
{
    if (!view)
        return;
    arena_free(&view->run.arena);
    free(view);
}

const char *onnx_fuse_view_error(const struct onnx_fuse_view *view)
{
    return view->run.landing.message;
}

size_t onnx_fuse_view_not_held(const struct onnx_fuse_view *view)
{
    return view->dump.not_held + view->dump.elided + view->dump.unreadable;
}

const char *onnx_fuse_view_text(const struct onnx_fuse_view *view)
{
    return view->text;
}

const char *onnx_fuse_view_json(const struct onnx_fuse_view *view)
{
    return view->json;
}
