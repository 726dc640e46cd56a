/* passes/passes.h: the ordered table of passes. Each has a file with its name. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H

#include "passes/pass.h"

/* name, when it runs, purpose */
#define PASSES(X)                                                                                                      \
    X(fold_constants, PASS_REWRITES, "store what operators compute from constants and known sizes")                    \
    X(share_duplicates, PASS_REWRITES, "merge ops that compute the same from the same inputs")                         \
    X(remove_neutral, PASS_REWRITES, "remove ops that change nothing")                                                 \
    X(drop_states, PASS_REWRITES, "drop initial states of zeros, the default of LSTM, GRU and RNN")                    \
    X(cancel_pairs, PASS_REWRITES, "replace two ops in a row by one op, or by none")                                   \
    X(unwrap_matmul, PASS_REWRITES, "remove the Reshapes around a MatMul")                                             \
    X(unwrap_conv, PASS_REWRITES, "remove the Unsqueeze and the Squeeze around a Conv")                                \
    X(move_shapes, PASS_REWRITES, "let Shape and Size read a value that no fold removes")                              \
    X(move_pads, PASS_REWRITES, "move a Pad behind a Transpose, to Convs into which it folds")                         \
    X(hoist_transposes, PASS_REWRITES, "transpose a sum once instead of each operand")                                 \
    X(share_transposes, PASS_REWRITES, "move per-channel ops behind an existing Transpose")                            \
    X(unstack_sums, PASS_REWRITES, "add values instead of stacking and summing them")                                  \
    X(join_branches, PASS_REWRITES, "join parallel linear branches with one source into one Conv or Gemm")             \
    X(fold_scales, PASS_REWRITES, "fold per-channel ops behind a dequantised weight into its scales")                  \
    X(fold_after, PASS_REWRITES, "fold per-channel ops after Conv, ConvTranspose, Gemm or MatMul into it")             \
    X(fold_before, PASS_REWRITES, "fold per-channel ops before Conv, ConvTranspose, Gemm or MatMul into it")           \
    X(slide_back, PASS_REWRITES, "move per-channel ops back to the weights before them")                               \
    X(slide_forward, PASS_REWRITES, "move per-channel ops on to the weights that read them")                           \
    X(compose_chains, PASS_REWRITES, "fold chains of Conv, Concat, Pad, Slice, AveragePool, Gemm, MatMul into one op") \
    X(group_convs, PASS_REWRITES, "merge Convs that each read a part of the channels into one with groups")            \
    X(merge_pads, PASS_REWRITES, "move a Pad with 0 into the padding of AveragePool, ConvInteger, Conv")               \
    X(merge_gemm, PASS_REWRITES, "merge MatMul and Add, and Transposes before Gemm, into one Gemm")                    \
    X(equalize, PASS_ENDS, "scale channels by powers of two, for INT8; only with --equalize")                          \
    X(remove_dead, PASS_CLEANS, "remove unused nodes, initializers and value descriptions")

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
