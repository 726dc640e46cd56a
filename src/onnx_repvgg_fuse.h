/* onnx_repvgg_fuse.h: fuse re-parameterisation branches of ONNX models, exactly.
 *
 * The library never prints, exits or aborts, and has no global state: calls on different models may run in different
 * threads at once. So may calls that read the same report, comparison or view, until it is freed. Strings are UTF-8,
 * NUL-terminated; in names that are not UTF-8, a replacement mark stands for each bad byte. Nothing depends on the
 * locale of the process. */
#ifndef ONNX_REPVGG_FUSE_H
#define ONNX_REPVGG_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(ONNX_FUSE_BUILD)
#define ONNX_FUSE_API __declspec(dllexport)
#elif defined(__GNUC__)
#define ONNX_FUSE_API __attribute__((visibility("default")))
#else
#define ONNX_FUSE_API
#endif

#define ONNX_FUSE_VERSION_MAJOR 0
#define ONNX_FUSE_VERSION_MINOR 2
#define ONNX_FUSE_VERSION_PATCH 0

/* Numbers are stable: a new status gets a new number. */
enum onnx_fuse_status {
    ONNX_FUSE_OK = 0,
    ONNX_FUSE_OUT_OF_MEMORY = 1,
    ONNX_FUSE_IO = 2,            /* open, read, write, sync or rename failed, or a file changed during the run */
    ONNX_FUSE_NOT_ONNX = 3,      /* not the protobuf encoding of a ModelProto */
    ONNX_FUSE_INVALID_MODEL = 4, /* decodes, but breaks a rule of ONNX that the library needs */
    ONNX_FUSE_LIMIT = 5,         /* exceeds a limit */
    ONNX_FUSE_ARGUMENT = 6,      /* an option does not exist or is out of range */
    ONNX_FUSE_CANCELLED = 7      /* the progress function returned false */
};

/* How the INT8 quantiser will scale weights. */
enum onnx_fuse_equalize {
    ONNX_FUSE_EQUALIZE_OFF = 0,
    ONNX_FUSE_EQUALIZE_TENSOR = 1, /* one scale per weight */
    ONNX_FUSE_EQUALIZE_CHANNEL = 2 /* one scale per output channel of a weight */
};

struct onnx_fuse_options {
    size_t struct_size;          /* sizeof(struct onnx_fuse_options); set by onnx_fuse_options_init */
    const char *const *only;     /* pass names, NULL-terminated; NULL: all */
    const char *const *skip;     /* pass names, NULL-terminated; NULL: none */
    double max_growth;           /* a rewrite may cost up to this many times the ops that it replaces; 1 */
    double tolerance;            /* of the self-check: largest difference of a channel, relative to its
                                largest output; 0: by type */
    bool no_check;               /* keep rewrites without evaluating them */
    bool dry_run;                /* plan, check and report, write nothing */
    int jobs;                    /* threads that check and compute weights; 0: one per core */
    const char *external_folder; /* for a model in memory: the folder of its external data; NULL: external tensors
                                    never fuse */
    /* Called many times from the thread of the call, the last time with "finishing" before the output appears; may
     * be NULL. If it returns false, the run ends with ONNX_FUSE_CANCELLED. */
    bool (*progress)(void *closure, const char *step, double fraction);
    void *closure;
    /* Where to store the weights. NULL or "auto": where they were, or in a new file beside the output if the output
     * could not reach them or would exceed 2 GiB. "inline": in the model. Any other string: the name of a new file
     * in the output's folder. */
    const char *external_data;
    /* Follow symbolic links to external data, wherever they lead, for caches that consist of links (Hugging Face
     * hub). By default no link is followed, so that a model cannot name a file outside its folder. A model that is
     * itself a link is always read; its data lies beside the link. */
    bool follow_symlinks;
    /* Do not wait for the disk. By default, the call syncs the output and its folder (fsync) before it returns, so
     * that the output survives a power failure. */
    bool no_sync;
    /* Read files instead of mapping them. If another process shortens a mapped file during the call, the reading
     * thread gets SIGBUS, and a library cannot catch that without a handler for the whole process. A file that is
     * read instead gives ONNX_FUSE_IO, but needs its size in memory. */
    bool no_map;
    /* Where to write the report as an HTML page, even with dry_run; may be NULL. It is written to a temporary file
     * before the output appears, and renamed afterwards: if the path cannot be written, the run fails and leaves the
     * output unchanged. "-" is standard output. */
    const char *html_report;
    /* For a model in memory: allocates the result, for languages that own their memory. Called from the thread of
     * the call, and again with another size if the plan changes; the library then drops the earlier memory, as it
     * does if the run fails. NULL: malloc. If it returns NULL, the run ends with ONNX_FUSE_OUT_OF_MEMORY. */
    void *(*allocate)(void *closure, size_t size);
    /* Like html_report, for the report as JSON (onnx_fuse_report_json); may be NULL. */
    const char *json_report;
    /* Changes of the model's inputs and outputs before any rewrite. NULL-terminated; NULL: none. An unknown name is an
     * error that suggests the nearest one.
     * freeze: initializers that are also graph inputs (a caller may override them) become constants and are no longer
     * inputs; the single name "all" means all of them.
     * outputs: these outputs stay; the others are removed, with the ops that only they need.
     * input_shapes: "NAME:1,3,224,224" fixes the shape of an input; a size replaces a declared symbol in every shape.
     * Sizes must agree with all declared sizes. */
    const char *const *freeze, *const *outputs, *const *input_shapes;
    /* After all fusions, scale channels between ops by powers of two, so that quantising the model loses less. The
     * outputs keep every bit (docs/equalize.md). */
    enum onnx_fuse_equalize equalize;
    /* A file of measured statistics by value name, JSON or NPZ (docs/equalize.md), for models that are already
     * fused; it overrides the statistics of BatchNormalizations. May be NULL. */
    const char *statistics;
    /* For developers of passes: what to show of the planning, "passes" (the nodes that each pass made and removed),
     * "steps" (each node as a form, or why it has none), "plan" (the final rewrites), or several of them, separated
     * by commas. `trace` receives the text, in whole lines, from the thread of the call. May be NULL. The format of
     * the text may change in any version. */
    const char *debug;
    void (*trace)(void *closure, const char *text);
};

/* The report of one run. Opaque; owned by the caller, freed by onnx_fuse_report_free. */
struct onnx_fuse_report;

/* Fills in the defaults. Never fails. */
ONNX_FUSE_API void onnx_fuse_options_init(struct onnx_fuse_options *options);

/* Reads the model at `input`, fuses it, writes it to `output` (a temporary file in the same
 * folder, renamed at the end; the two paths may be the same). "-" is standard input or output; so
 * are /dev/stdout and /dev/fd/N as outputs. A replaced file keeps its permissions; a link is followed and stays a
 * link. options: NULL for the defaults. report: if not NULL, receives a report that the caller frees. It is also set
 * on failure, and then holds only the error; it is NULL if memory ran out. Returns ONNX_FUSE_OK, or a status with
 * the message onnx_fuse_report_error(). On failure `output` is unchanged, with one exception that the message
 * states: the output is complete and in place, but its folder could not be synced. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_file(const char *input, const char *output,
                                                   const struct onnx_fuse_options *options,
                                                   struct onnx_fuse_report **report);

/* The same for a model in memory. `model` is borrowed for the call and only read. *result comes from
 * options->allocate, or else from malloc, and belongs to the caller (free or onnx_fuse_free); its size is
 * *result_size. With dry_run, *result is NULL. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_memory(const void *model, size_t size, void **result, size_t *result_size,
                                                     const struct onnx_fuse_options *options,
                                                     struct onnx_fuse_report **report);

/* free, for callers in another language or with another C library. */
ONNX_FUSE_API void onnx_fuse_free(void *result);

ONNX_FUSE_API void onnx_fuse_report_free(struct onnx_fuse_report *report);

/* The error of a failed run, "" after a good one. Borrowed from the report. */
ONNX_FUSE_API const char *onnx_fuse_report_error(const struct onnx_fuse_report *report);

/* True when the output differs from the input. */
ONNX_FUSE_API bool onnx_fuse_report_changed(const struct onnx_fuse_report *report);

/* The number of rewrites that were dropped because their self-check exceeded the tolerance. */
ONNX_FUSE_API size_t onnx_fuse_report_warnings(const struct onnx_fuse_report *report);

/* The number of ops before or after, without Constants, and the time of the run. */
ONNX_FUSE_API size_t onnx_fuse_report_ops(const struct onnx_fuse_report *report, bool after);
ONNX_FUSE_API double onnx_fuse_report_seconds(const struct onnx_fuse_report *report);

/* The whole report as JSON (docs/report.md describes the schema), as the lines of --explain, and
 * as the before -> after table. Each is made on the first request, and borrowed from the report; "" after a failed
 * run, or if memory runs out. */
ONNX_FUSE_API const char *onnx_fuse_report_json(const struct onnx_fuse_report *report);
ONNX_FUSE_API const char *onnx_fuse_report_explanation(const struct onnx_fuse_report *report);
ONNX_FUSE_API const char *onnx_fuse_report_table(const struct onnx_fuse_report *report);
/* The run in one sentence: "22 blocks fused, 169 -> 47 ops", or "nothing to fuse" and why. Made and borrowed like
 * the others. */
ONNX_FUSE_API const char *onnx_fuse_report_sentence(const struct onnx_fuse_report *report);
/* The report as one self-contained HTML page: every fused block before and after, refusals by reason, the table
 * (docs/html.md). The same run gives the same bytes. Made and borrowed like the others. */
ONNX_FUSE_API const char *onnx_fuse_report_html(const struct onnx_fuse_report *report);

/* ---- comparing two models ---- */

/* Numbers are stable. They are the exit statuses of the commands. */
enum onnx_fuse_verdict {
    ONNX_FUSE_SAME = 0,
    ONNX_FUSE_DIFFERENT = 1,
    ONNX_FUSE_UNDECIDED = 2 /* verify: an operator cannot be evaluated; or the run failed */
};

struct onnx_fuse_diff_options {
    size_t struct_size;        /* set by onnx_fuse_diff_options_init */
    double rtol, atol;         /* numbers a and b of weights count as equal if |a - b| <= atol + rtol * |a|; 0, 0 */
    const char *const *ignore; /* kinds of change to ignore, NULL-terminated; NULL: none */
    bool strict;               /* also count changes that do not affect the results */
    bool colour;               /* use escape codes of a terminal in the text */
    bool (*progress)(void *closure, const char *step, double fraction); /* as for fusing */
    void *closure;
    bool follow_symlinks, no_map; /* as for fusing */
    bool all;                     /* list every change separately, and all weights */
    const char *name_a, *name_b;  /* names of the models in texts and messages; NULL: their paths */
};

struct onnx_fuse_verify_options {
    size_t struct_size; /* set by onnx_fuse_verify_options_init */
    double rtol;        /* accepted difference, relative to the largest element; 0: by type */
    int trials;         /* random inputs for each part that differs; 2 */
    uint64_t seed;
    bool (*progress)(void *closure, const char *step, double fraction);
    void *closure;
    bool follow_symlinks, no_map; /* as for fusing */
    bool common_outputs;          /* b may have outputs that a lacks */
    double atol;                  /* accepted absolute difference; 0 */
    bool layers;                  /* list the differences of values with the same name, on one random input */
    const char *inputs; /* path of an archive from numpy.savez, with one array per input name: used besides random
                           inputs; may be NULL */
};

/* The result of a comparison. Opaque; owned by the caller, freed by onnx_fuse_comparison_free. */
struct onnx_fuse_comparison;

ONNX_FUSE_API void onnx_fuse_diff_options_init(struct onnx_fuse_diff_options *options);
ONNX_FUSE_API void onnx_fuse_verify_options_init(struct onnx_fuse_verify_options *options);

/* What changed from the model at path `a` to the one at `b`; one of the two may be "-". options:
 * NULL for the defaults. *comparison is also set on failure, unless memory ran out, and then holds only the error. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_diff(const char *a, const char *b,
                                                   const struct onnx_fuse_diff_options *options,
                                                   struct onnx_fuse_comparison **comparison);

/* Whether the two models compute the same: compares structure, and evaluates differing parts on random input. Inputs
 * and outputs are paired by name, or else by position. */
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
    /* Receives the text in order, about 64 KiB at a time. If it returns false, the call ends with ONNX_FUSE_IO. */
    bool (*write)(void *closure, const char *bytes, size_t size);
    void *closure;
    int64_t elide;                /* print only the hash of tensors with more elements; negative: print all; -1 */
    bool no_metadata;             /* omit doc strings and metadata that the syntax does not have */
    bool keep_external;           /* print the location of external data, not its content */
    const char *external_folder;  /* for a model in memory: the folder of its external data; NULL: as with
                                     keep_external */
    bool follow_symlinks, no_map; /* as for fusing */
    const char *output;           /* a file for the text instead of `write`; it appears whole or not at all; may be
                                     NULL */
    const char *name;             /* name of the model in messages; NULL: its path */
};

/* The result of a dump or an info. Opaque; owned by the caller, freed by onnx_fuse_view_free. */
struct onnx_fuse_view;

ONNX_FUSE_API void onnx_fuse_dump_options_init(struct onnx_fuse_dump_options *options);

/* Writes the model at path `input` ("-": standard input) in ONNX's text syntax (docs/git.md).
 * options->write or options->output must be set. view: may be NULL; it is also set on failure, unless memory ran
 * out, and then holds only the error. After a failure, discard the text. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_dump(const char *input, const struct onnx_fuse_dump_options *options,
                                                   struct onnx_fuse_view **view);
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_dump_memory(const void *model, size_t size,
                                                          const struct onnx_fuse_dump_options *options,
                                                          struct onnx_fuse_view **view);

/* What a model contains, and what fusing with these options would change. Writes nothing. options: as for fusing,
 * NULL for the defaults. */
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_info(const char *input, const struct onnx_fuse_options *options,
                                                   struct onnx_fuse_view **view);
ONNX_FUSE_API enum onnx_fuse_status onnx_fuse_info_memory(const void *model, size_t size,
                                                          const struct onnx_fuse_options *options,
                                                          struct onnx_fuse_view **view);

ONNX_FUSE_API void onnx_fuse_view_free(struct onnx_fuse_view *view);
/* The error of a failed call, "" after a good one. Borrowed. */
ONNX_FUSE_API const char *onnx_fuse_view_error(const struct onnx_fuse_view *view);
/* Of a dump: the number of things in the model that the text does not hold; 0: it reads back completely. */
ONNX_FUSE_API size_t onnx_fuse_view_not_held(const struct onnx_fuse_view *view);
/* Of an info: the text, and the JSON (docs/info.md describes the schema). Borrowed. "" for a dump, and after a
 * failed call. */
ONNX_FUSE_API const char *onnx_fuse_view_text(const struct onnx_fuse_view *view);
ONNX_FUSE_API const char *onnx_fuse_view_json(const struct onnx_fuse_view *view);
/* The page of `info --report` (docs/html.md), made when it is asked for the first time: one thread at a time. As the others;
 * "" also when there is no memory for it. */
ONNX_FUSE_API const char *onnx_fuse_view_html(struct onnx_fuse_view *view);

/* Name and one-line purpose of pass number `index`, in the order in which passes run; NULL past the last. */
ONNX_FUSE_API const char *onnx_fuse_pass_name(size_t index);
ONNX_FUSE_API const char *onnx_fuse_pass_purpose(size_t index);

/* "MAJOR.MINOR.PATCH" of the running library. */
ONNX_FUSE_API const char *onnx_fuse_version(void);

#ifdef __cplusplus
}
#endif

#endif
