/* eval/matrix.c: Gemm and MatMul. */
#include "eval/matrix.h"

#include <math.h>

/* A matrix inside an array. */
struct matrix {
    const double *cells;
    int64_t rows, columns, row_step, column_step;
};

/* out += factor * a * b, with out dense. */
static void add_product(double factor, const struct matrix *a, const struct matrix *b, double *out)
{
    for (int64_t row = 0; row < a->rows; row++, out += b->columns) {
        for (int64_t k = 0; k < a->columns; k++) {
            double left = factor * a->cells[row * a->row_step + k * a->column_step];
            const double *right = b->cells + k * b->row_step;
            if (b->column_step == 1) {
                for (int64_t i = 0; i < b->columns; i++)
                    out[i] += left * right[i];
            } else {
                for (int64_t i = 0; i < b->columns; i++)
                    out[i] += left * right[i * b->column_step];
            }
        }
    }
}

static struct matrix matrix_of(const struct array *array, bool transposed)
{
    int64_t rows = array->dims[0], columns = array->dims[1];
    if (transposed)
        return (struct matrix){array->reals, columns, rows, 1, columns};
    return (struct matrix){array->reals, rows, columns, columns, 1};
}

const char *eval_gemm(struct evaluation *e)
{
    const struct array *left = e->inputs[0], *right = e->inputs[1], *added = eval_input(e, 2);
    if (left->rank != 2 || right->rank != 2 || !array_is_real(left) || !array_is_real(right) ||
        (added && !array_is_real(added)))
        return arena_format(e->arena, "factors %s %s and %s %s", type_name(left->type), array_shape(e->arena, left),
                            type_name(right->type), array_shape(e->arena, right));
    struct matrix a = matrix_of(left, node_integer(e->node, "transA", 0) != 0);
    struct matrix b = matrix_of(right, node_integer(e->node, "transB", 0) != 0);
    double alpha = node_float(e->node, "alpha", 1), beta = node_float(e->node, "beta", 1);
    if (a.columns != b.rows)
        return arena_format(e->arena, "factors %s and %s do not fit", array_shape(e->arena, left),
                            array_shape(e->arena, right));
    struct walk walk = {.rank = 2, .dims = {a.rows, b.columns}};
    struct array *out;
    const char *reason = eval_result(e, left->type, 2, walk.dims, &out);
    if (!reason)
        reason = eval_check_products(e, a.rows, a.columns, b.columns);
    if (reason)
        return reason;
    if (added) {
        int rank = 2;
        int64_t dims[EVAL_RANK] = {a.rows, b.columns};
        if (!broadcast_dims(&rank, dims, added) || rank != 2 || dims[0] != a.rows || dims[1] != b.columns)
            return arena_format(e->arena, "C of shape %s for a result of shape %s", array_shape(e->arena, added),
                                array_shape(e->arena, out));
        walk_broadcast(&walk, added);
        for (int64_t i = 0; i < out->count; i++, walk_next(&walk))
            out->reals[i] = beta * added->reals[walk.offsets[0]];
    }
    add_product(alpha, &a, &b, out->reals);
    return NULL;
}

const char *eval_matmul(struct evaluation *e)
{
    const struct array *left = e->inputs[0], *right = e->inputs[1];
    if (left->rank < 1 || right->rank < 1 || !array_is_real(left) || !array_is_real(right))
        return arena_format(e->arena, "factors %s %s and %s %s", type_name(left->type), array_shape(e->arena, left),
                            type_name(right->type), array_shape(e->arena, right));
    /* A vector is a row on the left, a column on the right; its 1 is dropped from the result. */
    struct array a = *left, b = *right;
    if (left->rank == 1) {
        a.rank = 2;
        a.dims[0] = 1;
        a.dims[1] = left->dims[0];
    }
    if (right->rank == 1) {
        b.rank = 2;
        b.dims[1] = 1;
    }
    int64_t rows = a.dims[a.rank - 2], depth = a.dims[a.rank - 1], columns = b.dims[b.rank - 1];
    struct array batch_a = a, batch_b = b;
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    struct walk walk = {.rank = 0};
    if (b.dims[b.rank - 2] != depth || !broadcast_dims(&walk.rank, walk.dims, &batch_a) ||
        !broadcast_dims(&walk.rank, walk.dims, &batch_b))
        return arena_format(e->arena, "factors %s and %s do not fit", array_shape(e->arena, left),
                            array_shape(e->arena, right));
    walk_broadcast(&walk, &batch_a);
    walk_broadcast(&walk, &batch_b);

    int rank = walk.rank;
    int64_t dims[EVAL_RANK];
    memcpy(dims, walk.dims, sizeof(dims));
    if (left->rank > 1)
        dims[rank++] = rows;
    if (right->rank > 1)
        dims[rank++] = columns;
    struct array *out;
    const char *reason = eval_result(e, left->type, rank, dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, depth, 1);
    if (reason || out->count == 0)
        return reason;
    for (int64_t i = 0; i < out->count / (rows * columns); i++, walk_next(&walk)) {
        struct matrix one = {a.reals + walk.offsets[0] * rows * depth, rows, depth, depth, 1};
        struct matrix other = {b.reals + walk.offsets[1] * depth * columns, depth, columns, columns, 1};
        add_product(1, &one, &other, out->reals + i * rows * columns);
    }
    return NULL;
}

/* The determinant of a square matrix, which is overwritten: rows are taken from each other until nothing is
 * left below the diagonal. */
static double determinant(double *cells, int64_t size)
{
    double product = 1;
    for (int64_t k = 0; k < size; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < size; i++)
            if (fabs(cells[i * size + k]) > fabs(cells[pivot * size + k]))
                pivot = i;
        for (int64_t j = 0; pivot != k && j < size; j++) {
            double held = cells[k * size + j];
            cells[k * size + j] = cells[pivot * size + j];
            cells[pivot * size + j] = held;
        }
        product *= pivot == k ? cells[k * size + k] : -cells[k * size + k];
        if (cells[k * size + k] == 0)
            return product;
        for (int64_t i = k + 1; i < size; i++) {
            double factor = cells[i * size + k] / cells[k * size + k];
            for (int64_t j = k; j < size; j++)
                cells[i * size + j] -= factor * cells[k * size + j];
        }
    }
    return product;
}

const char *eval_det(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    if (!array_is_real(in) || in->rank < 2 || in->dims[in->rank - 1] != in->dims[in->rank - 2])
        return arena_format(e->arena, "matrices %s %s", array_type_name(in->type), array_shape(e->arena, in));
    int64_t size = in->dims[in->rank - 1];
    struct array *out, *copy;
    const char *reason = eval_result(e, in->type, in->rank - 2, in->dims, &out);
    if (!reason)
        reason = array_copy(e->arena, e->pool, e->limit, in, &copy);
    if (!reason)
        reason = eval_check_products(e, in->count, size, 1);
    for (int64_t i = 0; !reason && i < out->count; i++)
        out->reals[i] = determinant(copy->reals + i * size * size, size);
    return reason;
}
