/* passes/passes.h: the one ordered table of rewrites. Each has a file of its own name. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include "passes/pass.h"

/* name, when it runs, purpose */
#define PASSES(X)                                                                                  \
    X(fold_constants, PASS_REWRITES, "store weights that operators compute from constants")        \
    X(join_branches, PASS_REWRITES,                                                                \
      "sum parallel affine branches of one source into one Conv or Gemm")                          \
    X(fold_after, PASS_REWRITES,                                                                   \
      "fold per-channel ops after Conv, ConvTranspose, Gemm or MatMul into it")                    \
    X(fold_before, PASS_REWRITES,                                                                  \
      "fold per-channel ops before Conv, ConvTranspose, Gemm or MatMul into it")                   \
    X(compose_chains, PASS_REWRITES,                                                               \
      "fold chains of Conv, Pad, Slice, AveragePool, Gemm, MatMul into one op")                    \
    X(equalize, PASS_ENDS, "scale channels by powers of two, for INT8; with --equalize only")      \
    X(remove_dead, PASS_CLEANS, "remove nodes, initializers and descriptions that nothing reads")

#define X(name, kind, purpose) void name(struct plan *plan);
PASSES(X)
#undef X

extern const struct pass passes[];
extern const size_t pass_count;

/* What equalisation would bring, once all else is done: fills plan->foreseen. */
void foresee_equalize(struct plan *plan);

/* Runs the passes to a fixpoint over a loaded model. */
void plan_run(struct plan *plan);

#endif
