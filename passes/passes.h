/* passes/passes.h: the one ordered table of rewrites. Each has a file of its own name. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include "passes/pass.h"

/* name, whether it cleans up: it runs after each change, and also when memory is short; purpose */
#define PASSES(X)                                                                                  \
    X(fold_constants, false, "store what operators compute from constants and known sizes")        \
    X(share_duplicates, false, "make one op of ops that compute the same of the same")             \
    X(remove_neutral, false, "remove ops that change nothing")                                     \
    X(cancel_pairs, false, "make one op, or none, of two in a row")                                \
    X(unwrap_matmul, false, "take the Reshapes around a MatMul away")                              \
    X(move_shapes, false, "let Shape and Size read a value that no fold takes away")               \
    X(hoist_transposes, false, "turn a sum once instead of each of its operands")                  \
    X(join_branches, false, "sum parallel affine branches of one source into one Conv or Gemm")    \
    X(fold_after, false, "fold per-channel ops after Conv, ConvTranspose, Gemm or MatMul into it") \
    X(fold_before, false,                                                                          \
      "fold per-channel ops before Conv, ConvTranspose, Gemm or MatMul into it")                   \
    X(slide_back, false, "move per-channel ops back to the weights that they come from")           \
    X(slide_forward, false, "move per-channel ops on to the weights that take them up")            \
    X(compose_chains, false,                                                                       \
      "fold chains of Conv, Pad, Slice, AveragePool, Gemm, MatMul into one op")                    \
    X(merge_pads, false, "take a Pad with 0 into the padding of AveragePool, ConvInteger, Conv")   \
    X(merge_gemm, false, "take an Add after MatMul, and Transposes before Gemm, into one Gemm")    \
    X(remove_dead, true, "remove nodes, initializers and descriptions that nothing reads")

#define X(name, cleans, purpose) void name(struct plan *plan);
PASSES(X)
#undef X

extern const struct pass passes[];
extern const size_t pass_count;

/* Runs the passes to a fixpoint over a loaded model. */
void plan_run(struct plan *plan);

#endif
