/* api/view.c: the public functions that describe one model. Errors land here. */
#include <stdlib.h>

#include "model/external.h"
#include "model/load.h"
#include "passes/passes.h"
#include "report/page_fuse.h"
#include "run/options.h"
#include "run/run.h"
#include "view/dump.h"
#include "view/info.h"

/* The run, with its files closed. The texts are in the run's arena. */
struct onnx_fuse_view {
    struct run run;
    struct arena scratch; /* of the dump */
    struct dump_result dump;
    const char *text, *json, *html;
};

static struct onnx_fuse_view *view_new(const char *input, const void *model, size_t size)
{
    struct onnx_fuse_view *view = calloc(1, sizeof(*view));
    if (!view)
        return NULL;
    view->text = view->json = "";
    view->run.source.path = input;
    view->run.source.memory = model;
    view->run.source.size = size;
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

struct dump_call {
    struct onnx_fuse_view *view;
    const struct onnx_fuse_dump_options *options;
};

/* The file of a dump's text, and the present offset. */
struct text_file {
    struct output *output;
    uint64_t size;
};

static bool put_text(void *closure, const char *bytes, size_t size)
{
    struct text_file *file = closure;
    bool good = output_put(file->output, file->size, bytes, size) == 0;
    file->size += size;
    return good;
}

static void open_text(struct run *run, const char *path)
{
    output_open(&run->arena, &run->output, path);
    if (run->source.path && output_replaces(&run->output, run->source.path))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: is the model itself, expected another file for its text", path);
}

static void dump_once(void *closure)
{
    const struct dump_call *call = closure;
    struct run *run = &call->view->run;
    struct onnx_fuse_dump_options options;
    onnx_fuse_dump_options_init(&options);
    options_take(&run->landing, &options, sizeof(options), call->options,
                 offsetof(struct onnx_fuse_dump_options, follow_symlinks), "onnx_fuse_dump_options_init");
    struct text_file file = {&run->output, 0};
    if (options.output) {
        options.write = put_text;
        options.closure = &file;
    } else if (!options.write) {
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "options without a function that takes the text");
    }
    run->source.external_folder = options.external_folder;
    run->source.name = options.name;
    run->source.alone = options.keep_external;
    run->source.follow_symlinks = options.follow_symlinks;
    run->source.no_map = options.no_map;
    source_open(&run->source, &run->model, &run->arena);
    model_load(&run->model);
    if (options.output)
        open_text(run, options.output);
    dump_model(&run->model, &options, &call->view->scratch, &call->view->dump);
    model_check_files(&run->model);
    if (options.output) {
        output_commit(&run->output);
        output_settle(&run->output);
    }
}

static enum onnx_fuse_status dump(struct onnx_fuse_view *view, const struct onnx_fuse_dump_options *options,
                                  struct onnx_fuse_view **wanted)
{
    if (wanted)
        *wanted = NULL;
    if (!view)
        return ONNX_FUSE_OUT_OF_MEMORY;
    landing_call(&view->run.landing, dump_once, &(struct dump_call){view, options});
    return finish(view, wanted);
}

enum onnx_fuse_status onnx_fuse_dump(const char *input, const struct onnx_fuse_dump_options *options,
                                     struct onnx_fuse_view **view)
{
    return dump(view_new(input, NULL, 0), options, view);
}

enum onnx_fuse_status onnx_fuse_dump_memory(const void *model, size_t size,
                                            const struct onnx_fuse_dump_options *options, struct onnx_fuse_view **view)
{
    return dump(view_new(NULL, model, size), options, view);
}

/* ---- info ---- */

struct info_call {
    struct onnx_fuse_view *view;
    const struct onnx_fuse_options *options;
};

static void info_once(void *closure)
{
    const struct info_call *call = closure;
    struct onnx_fuse_view *view = call->view;
    struct run *run = &view->run;
    struct info info;
    run_options(run, call->options);
    run->options.dry_run = true;
    run->output_path = run->source.path; /* as if in place: external data stays where it is */
    run->foresees = true;
    run_fuse(run);
    info_collect(&run->plan, &info);
    view->text = info_text(&run->plan, &run->summary, &info);
    view->json = info_json(&run->plan, &run->summary, &info);
}

static enum onnx_fuse_status info(struct onnx_fuse_view *view, const struct onnx_fuse_options *options,
                                  struct onnx_fuse_view **wanted)
{
    if (wanted)
        *wanted = NULL;
    if (!view)
        return ONNX_FUSE_OUT_OF_MEMORY;
    struct info_call call = {view, options};
    landing_call(&view->run.landing, info_once, &call);
    while (run_again(&view->run))
        landing_call(&view->run.landing, info_once, &call);
    return finish(view, wanted);
}

enum onnx_fuse_status onnx_fuse_info(const char *input, const struct onnx_fuse_options *options,
                                     struct onnx_fuse_view **view)
{
    return info(view_new(input, NULL, 0), options, view);
}

enum onnx_fuse_status onnx_fuse_info_memory(const void *model, size_t size, const struct onnx_fuse_options *options,
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

static void html_once(void *closure)
{
    struct onnx_fuse_view *view = closure;
    view->html = html_fuse(&view->run.plan, &view->run.summary);
}

const char *onnx_fuse_view_html(struct onnx_fuse_view *view)
{
    if (!view->html && view->text[0]) {
        landing_extend(&view->run.landing);
        landing_call(&view->run.landing, html_once, view);
    }
    return view->html ? view->html : "";
}
