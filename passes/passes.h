/* passes/passes.h: the ordered table of passes. Each has a file with its name. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include "passes/pass.h"

/* name, when it runs, purpose */
#define PASSES(X)                                                                                                      \
    X(fold_constants, PASS_REWRITES, "store what operators compute from constants and known sizes")                    \
    X(share_duplicates, PASS_REWRITES, "make one op of ops that compute the same of the same")                         \
    X(remove_neutral, PASS_REWRITES, "remove ops that change nothing")                                                 \
    X(drop_states, PASS_REWRITES, "leave initial states of zeros to LSTM, GRU and RNN")                                \
    X(cancel_pairs, PASS_REWRITES, "make one op, or none, of two in a row")                                            \
    X(unwrap_matmul, PASS_REWRITES, "take the Reshapes around a MatMul away")                                          \
    X(unwrap_conv, PASS_REWRITES, "take the Unsqueeze and the Squeeze around a Conv away")                             \
    X(move_shapes, PASS_REWRITES, "let Shape and Size read a value that no fold takes away")                           \
    X(move_pads, PASS_REWRITES, "let a Pad come behind a Transpose, to the Convs that take it up")                     \
    X(hoist_transposes, PASS_REWRITES, "turn a sum once instead of each of its operands")                              \
    X(share_transposes, PASS_REWRITES, "let ops per channel stand behind a Transpose that is there anyway")            \
    X(unstack_sums, PASS_REWRITES, "add values instead of summing the stack of them")                                  \
    X(join_branches, PASS_REWRITES, "sum parallel affine branches of one source into one Conv or Gemm")                \
    X(fold_scales, PASS_REWRITES, "fold per-channel ops behind a dequantised weight into its scales")                  \
    X(fold_after, PASS_REWRITES, "fold per-channel ops after Conv, ConvTranspose, Gemm or MatMul into it")             \
    X(fold_before, PASS_REWRITES, "fold per-channel ops before Conv, ConvTranspose, Gemm or MatMul into it")           \
    X(slide_back, PASS_REWRITES, "move per-channel ops back to the weights that they come from")                       \
    X(slide_forward, PASS_REWRITES, "move per-channel ops on to the weights that take them up")                        \
    X(compose_chains, PASS_REWRITES, "fold chains of Conv, Concat, Pad, Slice, AveragePool, Gemm, MatMul into one op") \
    X(group_convs, PASS_REWRITES, "make one Conv with groups of Convs that take a part of the channels each")          \
    X(merge_pads, PASS_REWRITES, "take a Pad with 0 into the padding of AveragePool, ConvInteger, Conv")               \
    X(merge_gemm, PASS_REWRITES, "take an Add after MatMul, and Transposes before Gemm, into one Gemm")                \
    X(equalize, PASS_ENDS, "scale channels by powers of two, for INT8; with --equalize only")                          \
    X(remove_dead, PASS_CLEANS, "remove nodes, initializers and descriptions that nothing reads")

#define X(name, kind, purpose) void name(struct plan *plan);
PASSES(X)
#undef X

extern const struct pass passes[];
extern const size_t pass_count;

/* Predicts the gain of equalisation after all other passes: fills plan->foreseen. */
void foresee_equalize(struct plan *plan);

/* Runs the passes to a fixpoint over a loaded model. */
void plan_run(struct plan *plan);

#endif
