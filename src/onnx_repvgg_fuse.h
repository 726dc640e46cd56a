/* onnx_repvgg_fuse.h: fuse re-parameterisation branches of ONNX models, exactly.
 *
 * The library never prints, exits or aborts and holds no global state: calls on different
 * models may run in different threads at once. So may calls that read one report, comparison or view,
 * until it is freed. Strings are UTF-8, NUL-terminated; in what the library tells of names that are
 * not, a mark stands for each byte that does not fit. Nothing depends on the locale of the process. */
#ifndef ONNX_REPVGG_FUSE_H
#define ONNX_REPVGG_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ONNX_FUSE_API __attribute__((visibility("default")))
#else
#define ONNX_FUSE_API
#endif

#define ONNX_FUSE_VERSION_MAJOR 0
#define ONNX_FUSE_VERSION_MINOR 1
#define ONNX_FUSE_VERSION_PATCH 0

/* Numbers are stable: a new status gets a new number. */
enum onnx_fuse_status {
    ONNX_FUSE_OK = 0,
    ONNX_FUSE_OUT_OF_MEMORY = 1,
    ONNX_FUSE_IO = 2,            /* open, read, write, sync or rename failed, or a file changed meanwhile */
    ONNX_FUSE_NOT_ONNX = 3,      /* not the protobuf encoding of a ModelProto */
    ONNX_FUSE_INVALID_MODEL = 4, /* decodes, but breaks a rule of ONNX this tool relies on */
    ONNX_FUSE_LIMIT = 5,         /* larger or deeper than a stated limit */
    ONNX_FUSE_ARGUMENT = 6,      /* an option that does not exist or is out of range */
    ONNX_FUSE_CANCELLED = 7      /* the progress function said so */
};

/* How the INT8 quantiser will choose its steps that the model is made ready for. */
enum onnx_fuse_equalize {
    ONNX_FUSE_EQUALIZE_OFF = 0,
    ONNX_FUSE_EQUALIZE_TENSOR = 1, /* one for each weight */
    ONNX_FUSE_EQUALIZE_CHANNEL = 2 /* one for each output channel of a weight */
};

struct onnx_fuse_options {
    size_t struct_size;          /* sizeof(struct onnx_fuse_options); set by onnx_fuse_options_init */
    const char *const *only;     /* pass names, NULL-terminated; NULL: all */
    const char *const *skip;     /* pass names, NULL-terminated; NULL: none */
    double max_growth;           /* a rewrite may cost up to this many times what it replaces; 1 */
    double tolerance;            /* of the self-check: largest difference of a channel, relative to its
                                largest output; 0: by type */
    bool no_check;               /* keep rewrites without evaluating them */
    bool dry_run;                /* plan, check and report, write nothing */
    int jobs;                    /* threads that check and compute weights; 0: one per core */
    const char *external_folder; /* memory to memory: where external data lies; NULL: such tensors
                                    are left alone and never fused */
    /* Called from the thread of the call, many times, the last time with "finishing" before the
     * output appears; NULL: never. False ends the run with ONNX_FUSE_CANCELLED. */
    bool (*progress)(void *closure, const char *step, double fraction);
    void *closure;
    /* Where weights go. NULL or "auto": as in the input, and to a new file beside the output where
     * external data would be out of reach from there or the model would pass 2 GiB. "inline": all
     * into the model. Anything else: the name of a new file in the output's folder. */
    const char *external_data;
    /* Follow symbolic links to external data, wherever they lead: for caches that are made of links
     * (Hugging Face hub). By default none is followed, so that a model cannot name a file outside
     * its folder. A model that is itself a link is always read; its data lies beside the link. */
    bool follow_symlinks;
    /* Do not wait for the disk. By default the output and its folder are synced (fsync) before the
     * call returns, so that it outlasts a power failure. */
    bool no_sync;
    /* Read files instead of mapping them. A mapped file that someone shortens during the call raises
     * SIGBUS in the thread that reads it, which a library cannot catch without a say over the whole
     * process; a file that is read gives ONNX_FUSE_IO. It takes as much memory as the files have. */
    bool no_map;
    /* Where the report goes as an HTML page, also under dry_run; NULL: nowhere. It is written beside
     * its place before the output appears, and renamed after it: a path that cannot be written fails
     * the run and leaves the output as it was. "-" is standard output. */
    const char *html_report;
    /* Memory to memory: gives the room for the result, for callers whose language owns it. Called
     * from the thread of the call; again with another size when the plan had to change, and then,
     * or when the run fails, the earlier room is forgotten. NULL: malloc. Room of NULL ends the run
     * with ONNX_FUSE_OUT_OF_MEMORY. */
    void *(*allocate)(void *closure, size_t size);
    /* The same as html_report for the report as JSON (onnx_fuse_report_json); NULL: nowhere. */
    const char *json_report;
    /* What changes the model's inputs and outputs, before anything is rewritten; NULL-terminated, NULL: nothing.
     * A name that is none is an error, which tells the nearest one.
     * freeze: initializers that are graph inputs as well (a caller may override them) become constants and are
     * inputs no more; the one name "all": all of them.
     * outputs: these outputs stay, the others go, and with them the ops that only they needed.
     * input_shapes: "NAME:1,3,224,224" fixes the sizes of an input; a symbol that it was declared with becomes the
     * number wherever a shape has it. Sizes that are declared already, of whatever value, must agree. */
    const char *const *freeze, *const *outputs, *const *input_shapes;
    /* After all fusions, scale channels between ops by powers of two, so that quantising the model loses less. No
     * output changes by a bit (docs/equalize.md). */
    enum onnx_fuse_equalize equalize;
    /* A file of measured statistics by value name, JSON or NPZ (docs/equalize.md), for models that are fused already; what
     * it tells goes before what BatchNormalizations tell. NULL: none. */
    const char *statistics;
    /* For whoever works on a pass: what to show of the plan while it is made, "passes" (the nodes that each pass made and
     * removed), "steps" (what each node is as a form, or why it is none), "plan" (the rewrites that stand), or
     * several with commas between. `trace` takes the text, whole lines at a time, from the thread of the call.
     * NULL: nothing. The form of the text may change with any version. */
    const char *debug;
    void (*trace)(void *closure, const char *text);
};

/* What one run did. Opaque; owned by the caller, freed by onnx_fuse_report_free. */
struct onnx_fuse_report;

/* Fills in the defaults. Never fails. */
ONNX_FUSE_API void onnx_fuse_options_init(struct onnx_fuse_options *options);

/* Reads the model at `input`, fuses it, writes it to `output` (a temporary file in the same
 * folder, renamed at the end; the two paths may be the same). "-" is standard input or output; so
 * are /dev/stdout and /dev/fd/N as outputs. A file that takes the place of another keeps its
 * permissions; a link is followed, and stays.
 * options: NULL for the defaults. report: if not NULL, receives a report that the caller frees;
 * it is set on failure too, unless memory is out (then NULL), and then holds only the error.
 * Returns ONNX_FUSE_OK, or a status whose text is onnx_fuse_report_error(). On failure `output`
 * is what it was before the call, with one exception that the text tells of: the output is whole
 * and in its place, but its folder could not be synced. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_file(const char *input, const char *output,
                                                   const struct onnx_fuse_options *options,
                                                   struct onnx_fuse_report **report);

/* The same from memory to memory. `model` is borrowed for the call and only read. *result is what
 * options->allocate gave, else allocated with malloc, and belongs to the caller (free or
 * onnx_fuse_free); its size is *result_size. Under dry_run *result is NULL. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_memory(const void *model, size_t size, void **result, size_t *result_size,
                                                     const struct onnx_fuse_options *options,
                                                     struct onnx_fuse_report **report);

/* free, for callers in another language or of another C library. */
ONNX_FUSE_API void onnx_fuse_free(void *result);

ONNX_FUSE_API void onnx_fuse_report_free(struct onnx_fuse_report *report);

/* The error of a failed run, "" after a good one. Borrowed from the report. */
ONNX_FUSE_API const char *onnx_fuse_report_error(const struct onnx_fuse_report *report);

/* True when the output differs from the input. */
ONNX_FUSE_API bool onnx_fuse_report_changed(const struct onnx_fuse_report *report);

/* Rewrites that were dropped because their self-check missed the tolerance. */
ONNX_FUSE_API size_t onnx_fuse_report_warnings(const struct onnx_fuse_report *report);

/* Ops of the model before or after, Constant not counted, and the time the run took. */
ONNX_FUSE_API size_t onnx_fuse_report_ops(const struct onnx_fuse_report *report, bool after);
ONNX_FUSE_API double onnx_fuse_report_seconds(const struct onnx_fuse_report *report);

/* The whole report as JSON (docs/report.md describes the schema), as the lines of --explain, and
 * as the before -> after table. Each is made when it is asked for the first time, and borrowed from the
 * report; "" after a failed run, or where there is no memory for it. */
ONNX_FUSE_API const char *onnx_fuse_report_json(const struct onnx_fuse_report *report);
ONNX_FUSE_API const char *onnx_fuse_report_explanation(const struct onnx_fuse_report *report);
ONNX_FUSE_API const char *onnx_fuse_report_table(const struct onnx_fuse_report *report);
/* The run in one line without its end: "22 blocks fused, 169 -> 47 ops", or "nothing to fuse" and why. As the others. */
ONNX_FUSE_API const char *onnx_fuse_report_sentence(const struct onnx_fuse_report *report);
/* The report as one HTML page that needs nothing else: every fused block drawn before and after,
 * refusals by reason, the table (docs/html.md). The same run gives the same bytes. As the others. */
ONNX_FUSE_API const char *onnx_fuse_report_html(const struct onnx_fuse_report *report);

/* ---- comparing two models ---- */

/* Numbers are stable, and what the commands exit with. */
enum onnx_fuse_verdict {
    ONNX_FUSE_SAME = 0,
    ONNX_FUSE_DIFFERENT = 1,
    ONNX_FUSE_UNDECIDED = 2 /* verify: an operator that is not evaluated; or the run failed */
};

struct onnx_fuse_diff_options {
    size_t struct_size;        /* set by onnx_fuse_diff_options_init */
    double rtol, atol;         /* numbers of weights a and b are the same when
                                  |a - b| <= atol + rtol * |a|; 0, 0 */
    const char *const *ignore; /* kinds of change not to count, NULL-terminated; NULL: none */
    bool strict;               /* count what does not change what the model computes as well */
    bool colour;               /* escape codes of a terminal in the text */
    bool (*progress)(void *closure, const char *step, double fraction); /* as for fusing */
    void *closure;
    bool follow_symlinks, no_map; /* as for fusing */
    bool all;                     /* tell every change by itself: alike ones one by one, weights to the last */
    const char *name_a, *name_b;  /* what texts and messages call the models; NULL: by their paths */
};

struct onnx_fuse_verify_options {
    size_t struct_size; /* set by onnx_fuse_verify_options_init */
    double rtol;        /* largest difference, relative to the largest element; 0: by type */
    int trials;         /* random inputs for each part that differs; 2 */
    uint64_t seed;
    bool (*progress)(void *closure, const char *step, double fraction);
    void *closure;
    bool follow_symlinks, no_map; /* as for fusing */
    bool common_outputs;          /* b may have outputs that a has not */
    double atol;                  /* numbers no further apart are the same; 0 */
    bool layers;                  /* tell how far values of one name are apart, on one random input */
    const char *inputs; /* path of an archive as numpy.savez writes it, an array under the name of an input: tried
                           beside random ones; NULL: none */
};

/* What a comparison found. Opaque; owned by the caller, freed by onnx_fuse_comparison_free. */
struct onnx_fuse_comparison;

ONNX_FUSE_API void onnx_fuse_diff_options_init(struct onnx_fuse_diff_options *options);
ONNX_FUSE_API void onnx_fuse_verify_options_init(struct onnx_fuse_verify_options *options);

/* What changed from the model at path `a` to the one at `b`; one of the two may be "-". options:
 * NULL for the defaults. *comparison is set on failure too, unless memory is out, and then holds
 * only the error. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_diff(const char *a, const char *b,
                                                   const struct onnx_fuse_diff_options *options,
                                                   struct onnx_fuse_comparison **comparison);

/* Whether the two models compute the same, decided by structure and by evaluating what differs on
 * random input. Inputs and outputs are paired by name, the rest by position. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_verify(const char *a, const char *b,
                                                     const struct onnx_fuse_verify_options *options,
                                                     struct onnx_fuse_comparison **comparison);

ONNX_FUSE_API void onnx_fuse_comparison_free(struct onnx_fuse_comparison *comparison);
ONNX_FUSE_API enum onnx_fuse_verdict onnx_fuse_comparison_verdict(const struct onnx_fuse_comparison *comparison);
/* The error of a failed comparison, "" after a good one. Borrowed. */
ONNX_FUSE_API const char *onnx_fuse_comparison_error(const struct onnx_fuse_comparison *comparison);
/* The result as "text", "json" or "html" (a self-contained page, docs/html.md); of a diff also as "github" or
 * "sarif", and as "uncounted", the changes that do not count in one line ("20 names"; "" for none). Made on the first
 * request, and borrowed from the comparison. NULL: unknown format, out of memory, or a failed comparison. */
ONNX_FUSE_API const char *onnx_fuse_comparison_format(struct onnx_fuse_comparison *comparison, const char *format);

/* ---- one model as text ---- */

struct onnx_fuse_dump_options {
    size_t struct_size; /* set by onnx_fuse_dump_options_init */
    /* Takes the text, some 64 KiB at a time and in order. False ends the call with ONNX_FUSE_IO. */
    bool (*write)(void *closure, const char *bytes, size_t size);
    void *closure;
    int64_t elide;                /* tensors of more elements are given by their hash; negative: none; -1 */
    bool no_metadata;             /* leave out doc strings and metadata that the syntax has no place for */
    bool keep_external;           /* say where external data lies instead of reading it */
    const char *external_folder;  /* of a model in memory: where external data lies; NULL: as with
                                    keep_external */
    bool follow_symlinks, no_map; /* as for fusing */
    const char *output;           /* a file that takes the text instead of `write`, whole or not at all; NULL: none */
    const char *name;             /* what messages call the model; NULL: by its path */
};

/* What became of a dump, or what is known of a model. Opaque; owned by the caller, freed by
 * onnx_fuse_view_free. */
struct onnx_fuse_view;

ONNX_FUSE_API void onnx_fuse_dump_options_init(struct onnx_fuse_dump_options *options);

/* Writes the model at path `input` ("-": standard input) in ONNX's text syntax (docs/git.md).
 * options->write or options->output must be set. view: may be NULL; it is set on failure too, unless memory is out, and
 * then holds only the error. What was written before a failure is of no use. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_dump(const char *input, const struct onnx_fuse_dump_options *options,
                                                   struct onnx_fuse_view **view);
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_dump_memory(const void *model, size_t size,
                                                          const struct onnx_fuse_dump_options *options,
                                                          struct onnx_fuse_view **view);

/* What is in a model and what fusing it with these options would make of it; nothing is written.
 * options: as for fusing, NULL for the defaults. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_info(const char *input, const struct onnx_fuse_options *options,
                                                   struct onnx_fuse_view **view);
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_info_memory(const void *model, size_t size,
                                                          const struct onnx_fuse_options *options,
                                                          struct onnx_fuse_view **view);

ONNX_FUSE_API void onnx_fuse_view_free(struct onnx_fuse_view *view);
/* The error of a failed call, "" after a good one. Borrowed. */
ONNX_FUSE_API const char *onnx_fuse_view_error(const struct onnx_fuse_view *view);
/* Of a dump: how many things in the model the text does not hold; 0: it reads back as it is. */
ONNX_FUSE_API size_t onnx_fuse_view_not_held(const struct onnx_fuse_view *view);
/* Of an info: as lines, and as JSON (docs/info.md describes the schema). Borrowed. "" of a dump, and after
 * a failed call. */
ONNX_FUSE_API const char *onnx_fuse_view_text(const struct onnx_fuse_view *view);
ONNX_FUSE_API const char *onnx_fuse_view_json(const struct onnx_fuse_view *view);
/* The page of `info --report` (docs/html.md), made when it is asked for the first time: one thread at a time. As the others;
 * "" also when there is no memory for it. */
ONNX_FUSE_API const char *onnx_fuse_view_html(struct onnx_fuse_view *view);

/* Name and one-line purpose of pass number `index`, in the order they run; NULL past the last. */
ONNX_FUSE_API const char *onnx_fuse_pass_name(size_t index);
ONNX_FUSE_API const char *onnx_fuse_pass_purpose(size_t index);

/* "MAJOR.MINOR.PATCH" of the library that is running. */
ONNX_FUSE_API const char *onnx_fuse_version(void);

#ifdef __cplusplus
}
#endif

#endif
