/* command/diff.c: onnx-repvgg-fuse diff A B, also called by git with seven arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "command/tool.h"
#include "onnx_repvgg_fuse.h"

static const char usage[] = "usage: onnx-repvgg-fuse diff [OPTIONS] A B\n"
                            "\n"
                            "Shows what changed from one ONNX model to another. It matches nodes by what they\n"
                            "compute: renaming values, reordering nodes or storing constants in another way\n"
                            "does not count as a change.\n"
                            "\n"
                            "      --strict         also count changes that do not affect the results: names,\n"
                            "                       order, storage, explicit defaults, doc strings, metadata\n"
                            "      --rtol R         ignore weight differences up to R times A's value (default 0)\n"
                            "      --atol A         ignore weight differences up to A (default 0)\n"
                            "      --ignore KIND    ignore this kind of change (repeat it, or separate by commas)\n"
                            "      --all            list every change; by default, similar ones share a line\n"
                            "      --format F       text (default), json, github (workflow annotations), sarif,\n"
                            "                       or html (a page for a browser)\n"
                            "      --color WHEN     auto (default: on a terminal, unless NO_COLOR is set),\n"
                            "                       always or never\n"
                            "      --exit-zero      exit with 0 even when the models differ\n"
                            "      --follow-symlinks\n"
                            "                       read external data through symbolic links\n"
                            "      --no-sandbox     run without first giving up access to the network and to\n"
                            "                       other files\n"
                            "  -q, --quiet          print errors only\n"
                            "  -h, --help           print this text\n"
                            "\n"
                            "Kinds: region attribute edge weight input output opset function; with --strict\n"
                            "also ir_version dead name order storage spelling shape doc metadata.\n"
                            "git calls it with seven arguments (GIT_EXTERNAL_DIFF, diff.onnx.command); then it\n"
                            "always exits with 0.\n"
                            "\n"
                            "Exit status: 0 the same, 1 different, 2 an error.\n";

enum { STRICT = 256, RTOL, ATOL, IGNORE, ALL, FORMAT, COLOR, EXIT_ZERO, FOLLOW_SYMLINKS, NO_SANDBOX };

static const struct option long_options[] = {
    {"strict", no_argument, NULL, STRICT},
    {"rtol", required_argument, NULL, RTOL},
    {"atol", required_argument, NULL, ATOL},
    {"ignore", required_argument, NULL, IGNORE},
    {"all", no_argument, NULL, ALL},
    {"format", required_argument, NULL, FORMAT},
    {"color", required_argument, NULL, COLOR},
    {"colour", required_argument, NULL, COLOR},
    {"exit-zero", no_argument, NULL, EXIT_ZERO},
    {"follow-symlinks", no_argument, NULL, FOLLOW_SYMLINKS},
    {"no-sandbox", no_argument, NULL, NO_SANDBOX},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct call {
    struct onnx_fuse_diff_options options;
    const char **ignore;
    size_t ignore_count;
    const char *format, *color;
    bool quiet, exit_zero, no_sandbox;
    bool for_git; /* which takes any status but 0 for a broken driver, and ends there */
};

/* Returns -1 to go on, or the exit status. */
static int parse_option(struct call *call, char *const *arguments, int option)
{
    static const char *const formats[] = {"text", "json", "github", "sarif", "html", NULL};
    static const char *const colors[] = {"auto", "always", "never", NULL};
    switch (option) {
    case STRICT: call->options.strict = true; return -1;
    case RTOL:
        if (!parse_number(optarg, &call->options.rtol) || call->options.rtol < 0)
            return trouble("--rtol: '%s' is not a number from 0 on", optarg);
        return -1;
    case ATOL:
        if (!parse_number(optarg, &call->options.atol) || call->options.atol < 0)
            return trouble("--atol: '%s' is not a number from 0 on", optarg);
        return -1;
    case IGNORE: return add_names(&call->ignore, &call->ignore_count, optarg) ? -1 : trouble("%s", "out of memory");
    case FORMAT:
        if (!is_one_of(optarg, formats))
            return trouble("--format: '%s' is not one of text, json, github, sarif, html", optarg);
        call->format = optarg;
        return -1;
    case COLOR:
        if (!is_one_of(optarg, colors))
            return trouble("--color: '%s' is not one of auto, always, never", optarg);
        call->color = optarg;
        return -1;
    case ALL: call->options.all = true; return -1;
    case EXIT_ZERO: call->exit_zero = true; return -1;
    case FOLLOW_SYMLINKS: call->options.follow_symlinks = true; return -1;
    case NO_SANDBOX: call->no_sandbox = true; return -1;
    case 'q': call->quiet = true; return -1;
    case 'h': fputs(usage, stdout); return fflush(stdout) ? TROUBLE : DONE;
    default: return unknown_option(arguments, long_options, "diff --help");
    }
}

static bool wants_color(const struct call *call)
{
    const char *refused = getenv("NO_COLOR");
    if (strcmp(call->color, "auto") != 0)
        return strcmp(call->color, "always") == 0;
    bool paged = call->for_git && getenv("GIT_PAGER_IN_USE");
    return (system_is_terminal(stdout) || paged) && !(refused && refused[0]);
}

/* An error in a model becomes a line of git's output, so that git continues. */
static int tell_error(const struct call *call, const char *message)
{
    if (!call->for_git)
        return trouble("%s", message);
    char *plain = plain_text(message);
    printf("%s\n", plain ? plain : "out of memory");
    free(plain);
    return fflush(stdout) ? TROUBLE : DONE;
}

/* git shows a file whose bytes differ: where nothing counts, it says what does differ. */
static int tell_uncounted(struct onnx_fuse_comparison *comparison)
{
    const char *others = onnx_fuse_comparison_format(comparison, "uncounted");
    printf("no change in what the model computes%s%s\n", others && *others ? ", only " : "", others ? others : "");
    return fflush(stdout) ? TROUBLE : DONE;
}

static int compare(struct call *call, const char *a, const char *b)
{
    struct onnx_fuse_comparison *comparison = NULL;
    call->options.ignore = call->ignore;
    call->options.colour = wants_color(call);
    if (!call->no_sandbox)
        confine((const char *[]){a, b, NULL}, NULL, call->options.follow_symlinks);
    enum onnx_fuse_status failed = onnx_fuse_diff(a, b, &call->options, &comparison);
    int status;
    if (failed) {
        status = check_faults(DONE)
                     ? TROUBLE
                     : tell_error(call, comparison ? onnx_fuse_comparison_error(comparison) : "out of memory");
    } else {
        const char *text = call->quiet ? "" : onnx_fuse_comparison_format(comparison, call->format);
        status = (int)onnx_fuse_comparison_verdict(comparison);
        if (!text)
            status = trouble("%s", "out of memory");
        else if (check_faults(DONE) != DONE)
            status = TROUBLE;
        else if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
            status = trouble("%s", "cannot write to standard output");
        else if (call->for_git && !*text && !call->quiet)
            status = tell_uncounted(comparison);
    }
    onnx_fuse_comparison_free(comparison);
    return status == WARNED && call->exit_zero ? DONE : status;
}

/* git gives: path, old file, old hash, old mode, new file, new hash, new mode; and, for a rename,
 * the new path and a description. It takes any exit status but 0 for a failure of the driver. A side
 * that does not exist is /dev/null. */
static int compare_for_git(struct call *call, char **arguments, bool is_renamed)
{
    const char *old_file = arguments[1], *new_file = arguments[4];
    bool is_new = strcmp(old_file, "/dev/null") == 0, is_gone = strcmp(new_file, "/dev/null") == 0;
    enum { LONGEST = 4096 }; /* what is beyond it is left out of the title */
    char left[LONGEST], right[LONGEST];
    call->exit_zero = call->for_git = true;
    if (!call->quiet && strcmp(call->format, "text") == 0)
        printf("onnx-repvgg-fuse diff %s\n", arguments[0]);
    if (is_new || is_gone) {
        printf("%s %s\n", arguments[0], is_new ? "is new" : "was removed");
        return fflush(stdout) ? TROUBLE : DONE;
    }
    snprintf(left, sizeof(left), "a/%s", arguments[0]);
    snprintf(right, sizeof(right), "b/%s", arguments[is_renamed ? 7 : 0]);
    call->options.name_a = left;
    call->options.name_b = right;
    return compare(call, old_file, new_file);
}

int command_diff(int count, char **arguments)
{
    struct call call = {.format = "text", .color = "auto"};
    int option, status = -1;
    onnx_fuse_diff_options_init(&call.options);
    while (status < 0 && (option = getopt_long(count, arguments, "qh", long_options, NULL)) != -1)
        status = parse_option(&call, arguments, option);
    int left = count - optind;
    if (status >= 0)
        ;
    else if (left == 7 || left == 9)
        status = compare_for_git(&call, arguments + optind, left == 9);
    else if (left != 2)
        status =
            trouble("%s", left < 2 ? "diff: expected two models, A and B" : "diff: expected two models, found more");
    else
        status = compare(&call, arguments[optind], arguments[optind + 1]);
    free(call.ignore);
    return status;
}
