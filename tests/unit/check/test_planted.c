/* test_planted.c: faults planted in the algebra, which the self-check must find.
 *
 * The linker hands the calls of three functions to the wrappers below. The check gets nothing of them but the
 * new ops and their weights, so each rewrite with the fault is dropped. */
#include <stdlib.h>
#include <string.h>

#include "affine/rows.h"
#include "onnx_repvgg_fuse.h"
#include "passes/sum_tree.h"
#include "tap.h"

enum fault { NONE, RANK, TAP, BIAS };
static enum fault planted;

bool __real_sum_takes_constant(const struct tree *tree, const struct leaf *constant, const struct value *source,
                               const struct affine *form);
bool __wrap_sum_takes_constant(const struct tree *tree, const struct leaf *constant, const struct value *source,
                               const struct affine *form);
bool __wrap_sum_takes_constant(const struct tree *tree, const struct leaf *constant, const struct value *source,
                               const struct affine *form)
{
    return planted == RANK || __real_sum_takes_constant(tree, constant, source, form);
}

bool __real_affine_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                        int64_t count, double *out);
bool __wrap_affine_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                        int64_t count, double *out);
/* Drops the last tap of every kernel, the farthest from the first. */
bool __wrap_affine_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                        int64_t count, double *out)
{
    bool good = __real_affine_rows(form, dense, width, first, count, out);
    int64_t taps = affine_taps(form), numbers = count * affine_row_length(form);
    for (int64_t i = taps - 1; good && planted == TAP && taps > 1 && i < numbers; i += taps)
        out[i] = 0;
    return good;
}

const double *__real_affine_bias(struct arena *arena, const struct affine *form, int64_t width);
const double *__wrap_affine_bias(struct arena *arena, const struct affine *form, int64_t width);
/* Makes the bias of one channel a thousandth larger. */
const double *__wrap_affine_bias(struct arena *arena, const struct affine *form, int64_t width)
{
    const double *bias = __real_affine_bias(arena, form, width);
    if (planted != BIAS || !bias || width < 2)
        return bias;
    double *wrong = NEW_ARRAY(arena, double, width);
    memcpy(wrong, bias, (size_t)width * sizeof(double));
    wrong[1] *= 1.001;
    return wrong;
}

/* float[1,2,2,1] x, float[2,2,1] z: y = ((x + Conv(z)) + k) + Conv(z), where k, of shape [1,2,1,1], has its
 * channels on x's axis 1, which is z's axis 0. */
static const unsigned char sum_of_ranks[] = {
    0x08, 0x08, 0x3a, 0xe8, 0x01, 0x0a, 0x10, 0x0a, 0x01, 0x7a, 0x0a, 0x01, 0x77, 0x12, 0x02, 0x63, 0x31, 0x22, 0x04,
    0x43, 0x6f, 0x6e, 0x76, 0x0a, 0x10, 0x0a, 0x01, 0x7a, 0x0a, 0x01, 0x77, 0x12, 0x02, 0x63, 0x32, 0x22, 0x04, 0x43,
    0x6f, 0x6e, 0x76, 0x0a, 0x10, 0x0a, 0x01, 0x78, 0x0a, 0x02, 0x63, 0x31, 0x12, 0x02, 0x73, 0x31, 0x22, 0x03, 0x41,
    0x64, 0x64, 0x0a, 0x10, 0x0a, 0x02, 0x73, 0x31, 0x0a, 0x01, 0x6b, 0x12, 0x02, 0x73, 0x32, 0x22, 0x03, 0x41, 0x64,
    0x64, 0x0a, 0x10, 0x0a, 0x02, 0x73, 0x32, 0x0a, 0x02, 0x63, 0x32, 0x12, 0x01, 0x79, 0x22, 0x03, 0x41, 0x64, 0x64,
    0x12, 0x01, 0x67, 0x2a, 0x1d, 0x08, 0x02, 0x08, 0x02, 0x08, 0x01, 0x10, 0x01, 0x42, 0x01, 0x77, 0x4a, 0x10, 0x00,
    0x00, 0x80, 0x3f, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x80, 0x3f, 0x2a, 0x17, 0x08, 0x01,
    0x08, 0x02, 0x08, 0x01, 0x08, 0x01, 0x10, 0x01, 0x42, 0x01, 0x6b, 0x4a, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x20, 0x41, 0x5a, 0x1b, 0x0a, 0x01, 0x78, 0x12, 0x16, 0x0a, 0x14, 0x08, 0x01, 0x12, 0x10, 0x0a, 0x02, 0x08, 0x01,
    0x0a, 0x02, 0x08, 0x02, 0x0a, 0x02, 0x08, 0x02, 0x0a, 0x02, 0x08, 0x01, 0x5a, 0x17, 0x0a, 0x01, 0x7a, 0x12, 0x12,
    0x0a, 0x10, 0x08, 0x01, 0x12, 0x0c, 0x0a, 0x02, 0x08, 0x02, 0x0a, 0x02, 0x08, 0x02, 0x0a, 0x02, 0x08, 0x01, 0x62,
    0x1b, 0x0a, 0x01, 0x79, 0x12, 0x16, 0x0a, 0x14, 0x08, 0x01, 0x12, 0x10, 0x0a, 0x02, 0x08, 0x01, 0x0a, 0x02, 0x08,
    0x02, 0x0a, 0x02, 0x08, 0x02, 0x0a, 0x02, 0x08, 0x01, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x11,
};

struct outcome {
    enum onnx_fuse_status status;
    size_t warnings;
    bool changed, differs;
};

static struct outcome fuse(const void *model, size_t size, enum fault fault)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_report *report;
    void *output;
    size_t output_size;
    onnx_fuse_options_init(&options);
    planted = fault;
    struct outcome outcome = {.status = onnx_fuse_memory(model, size, &output, &output_size, &options, &report)};
    planted = NONE;
    outcome.warnings = onnx_fuse_report_warnings(report);
    outcome.changed = onnx_fuse_report_changed(report);
    const char *text = onnx_fuse_report_explanation(report);
    if (getenv("SHOW"))
        puts(text);
    outcome.differs = text && strstr(text, "the self-check") != NULL;
    onnx_fuse_report_free(report);
    free(output);
    return outcome;
}

static void *load(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);
    *size = file && bytes ? fread(bytes, 1, 1 << 20, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

static void finds(const void *model, size_t size, enum fault fault, const char *what)
{
    struct outcome right = fuse(model, size, NONE), wrong = fuse(model, size, fault);
    expect(right.status == ONNX_FUSE_OK && right.changed && right.warnings == 0,
           "%s: without the fault, the model folds", what);
    expect(wrong.status == ONNX_FUSE_OK && wrong.differs, "%s: the self-check drops the rewrite", what);
}

int main(int count, char **arguments)
{
    size_t size = 0;
    void *model = count > 1 ? load(arguments[1], &size) : NULL;
    expect(size > 0, "a model to fold was given");
    finds(sum_of_ranks, sizeof(sum_of_ranks), RANK, "a constant of another rank");
    finds(model, size, TAP, "a lost tap");
    finds(model, size, BIAS, "a bias that is wrong in one channel");
    free(model);
    return unit_finish();
}
