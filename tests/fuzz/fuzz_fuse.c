/* fuzz_fuse.c: fusing, held against what it promises: the output loads, is as well-formed as the
 * input, computes the same, and fusing it again changes no status. */
#include "target.h"

#include <string.h>

#include "verify/report.h"

/* Names that are read and nobody in reach makes, and those with a reader before their maker. How many
 * read one, and in how many graphs, is of no concern: a fused node may read what is behind an
 * Identity, and a body what the dead code around it no longer reads. */
static size_t faults_of(struct arena *arena, const struct model *model, bool tell)
{
    struct map seen = {0};
    size_t faults = 0;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->node_count; i++) {
            const struct node *node = graph->nodes[i];
            for (size_t k = 0; k < node->input_count; k++) {
                struct value *value = node->inputs[k];
                if (!value || value->graph != graph || map_get(&seen, value->name))
                    continue;
                bool made = value->producer || value->is_input || value->is_initializer;
                if (made && (!value->producer || value->producer->position < node->position))
                    continue;
                map_put(arena, &seen, value->name, value);
                if (tell)
                    fprintf(stderr, "%s: '%s' %s\n", model->path, value->name,
                            made ? "is read too early" : "is made by nothing");
                faults++;
            }
        }
    }
    return faults;
}

/* What is of 16 bits differs by more than LOOSE, which is for numbers that float holds no better; verify's own
 * tolerances, by type, are told by 0. */
#define LOOSE 1e-3

/* Not different, with a tolerance of 0, is promised, but for what reads a value that nothing makes: it is drawn
 * as if it depended on nothing. */
static enum answer compare(struct loaded *loaded, struct arena *scratch, double rtol)
{
    struct verify_options options = {.trials = 2, .rtol = rtol};
    struct verify_result result = {0};
    jmp_buf jump;
    loaded->landing.jump = &jump;
    if (setjmp(jump) != 0) {
        PROMISE(loaded->landing.status == ONNX_FUSE_INVALID_MODEL, "verify failed: %s", loaded->landing.message);
        return REFUSED;
    }
    size_t before = faults_of(&loaded->arena, &loaded->models[0], false);
    size_t after = faults_of(&loaded->arena, &loaded->models[1], false);
    for (int i = 0; after > before && i < 2; i++)
        faults_of(&loaded->arena, &loaded->models[i], true);
    PROMISE(after <= before, "%zu faults of structure became %zu", before, after);
    verify_models(&loaded->arena, scratch, &loaded->models[0], &loaded->models[1], &options, &result);
    PROMISE(rtol > 0 || before > 0 || result.verdict != VERDICT_DIFFERENT, "%s",
            verify_text(&loaded->arena, &result, &options, "input", "output"));
    return result.verdict == VERDICT_DIFFERENT ? DIFFERENT : SAME;
}

static enum answer hold(const uint8_t *data, size_t size, const uint8_t *fused, size_t fused_size, double rtol)
{
    struct loaded loaded;
    struct arena scratch[VERIFY_ARENAS];
    const uint8_t *const both[] = {data, fused};
    const size_t sizes[] = {size, fused_size};
    target_begin();
    bool good = target_load(&loaded, both, sizes, 2);
    PROMISE(good, "the output does not load: %s", loaded.landing.message);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_init(&scratch[i], &loaded.landing);
    enum answer answer = compare(&loaded, scratch, rtol);
    target_end("verify", size + fused_size);
    for (int i = 0; i < VERIFY_ARENAS; i++)
        arena_free(&scratch[i]);
    target_close(&loaded);
    return answer;
}

static bool swallow(void *closure, const char *bytes, size_t size)
{
    (void)closure, (void)bytes, (void)size;
    return true;
}

/* Whether every constant can be read: verify of a model with itself reads none that has a twin. */
static bool reads_whole(const uint8_t *data, size_t size)
{
    struct onnx_fuse_dump_options options;
    onnx_fuse_dump_options_init(&options);
    options.write = swallow;
    return onnx_fuse_dump_memory(data, size, &options, NULL) == ONNX_FUSE_OK;
}

static enum onnx_fuse_status fuse(const uint8_t *data, size_t size, bool bold, void **result, size_t *result_size,
                                  bool *changed)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report = NULL;
    onnx_fuse_options_init(&options);
    options.jobs = 1;
    options.max_growth = bold ? 4 : 1;
    target_begin();
    enum onnx_fuse_status status = onnx_fuse_memory(data, size, result, result_size, &options, &report);
    PROMISE(report, "no report");
    const char *error = onnx_fuse_report_error(report);
    PROMISE((status == ONNX_FUSE_OK) == (error[0] == 0), "status %d, error '%s'", (int)status, error);
    PROMISE(status != ONNX_FUSE_OUT_OF_MEMORY, "%s", error);
    *changed = onnx_fuse_report_changed(report);
    onnx_fuse_report_json(report);
    onnx_fuse_report_explanation(report);
    onnx_fuse_report_table(report);
    if (size % 4 == 0) /* most of a page is the same for all */
        onnx_fuse_report_html(report);
    target_end("fuse", size);
    onnx_fuse_report_free(report);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *fused = NULL, *again = NULL;
    size_t fused_size = 0, again_size = 0;
    bool changed, changed_again;
    bool bold = size && data[size - 1] & 1;
    if (fuse(data, size, bold, &fused, &fused_size, &changed) == ONNX_FUSE_OK) {
        PROMISE(changed || (fused_size == size && memcmp(fused, data, size) == 0),
                "nothing changed, but the bytes did");
        enum answer answer = changed ? hold(data, size, fused, fused_size, LOOSE) : SAME;
        if (answer == DIFFERENT)
            hold(data, size, fused, fused_size, 0);
        PROMISE(answer != REFUSED || !reads_whole(data, size),
                "a constant of the output cannot be read, all of the input can");
        if (changed)
            PROMISE(fuse(fused, fused_size, bold, &again, &again_size, &changed_again) == ONNX_FUSE_OK,
                    "the output cannot be fused again");
    }
    free(fused);
    free(again);
    return 0;
}
