/* command/verify.c: onnx-repvgg-fuse verify A B. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command/tool.h"
#include "onnx_repvgg_fuse.h"

static const char usage[] = "usage: onnx-repvgg-fuse verify [OPTIONS] A B\n"
                            "\n"
                            "Checks whether two ONNX models compute the same. It compares matching parts by\n"
                            "structure and weights, and evaluates the rest on random input. It pairs inputs\n"
                            "and outputs by name, or else by position. It needs no runtime.\n"
                            "\n"
                            "      --rtol R         accept differences up to R times the largest element\n"
                            "                       (default: float 1e-5, float16 1e-2, bfloat16 6e-2, double\n"
                            "                       1e-12, by the type of the weights)\n"
                            "      --atol A         accept differences up to A (default 0)\n"
                            "      --trials N       use N random inputs for each part that differs (default 2)\n"
                            "      --outputs WHICH  all (default), or common: B may have more outputs than A\n"
                            "      --inputs FILE    also run on these inputs: an archive from numpy.savez with\n"
                            "                       one array per input name\n"
                            "      --layers         list the differences of values with the same name\n"
                            "      --seed N         seed of the random inputs (default 0)\n"
                            "      --format F       text (default), json, or html (a page for a browser)\n"
                            "      --follow-symlinks\n"
                            "                       read external data through symbolic links\n"
                            "      --no-sandbox     run without first giving up access to the network and to\n"
                            "                       other files\n"
                            "  -q, --quiet          print errors only\n"
                            "  -h, --help           print this text\n"
                            "\n"
                            "Exit status: 0 equal, 1 not equal, 2 undecided, or an error.\n";

enum { RTOL = 256, ATOL, TRIALS, SEED, OUTPUTS, INPUTS, LAYERS, FORMAT, FOLLOW_SYMLINKS, NO_SANDBOX };

static const struct option long_options[] = {
    {"rtol", required_argument, NULL, RTOL},
    {"atol", required_argument, NULL, ATOL},
    {"trials", required_argument, NULL, TRIALS},
    {"seed", required_argument, NULL, SEED},
    {"outputs", required_argument, NULL, OUTPUTS},
    {"inputs", required_argument, NULL, INPUTS},
    {"layers", no_argument, NULL, LAYERS},
    {"format", required_argument, NULL, FORMAT},
    {"follow-symlinks", no_argument, NULL, FOLLOW_SYMLINKS},
    {"no-sandbox", no_argument, NULL, NO_SANDBOX},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Prints the result. Nothing but the models' difference may look like success. */
static int report(struct onnx_fuse_comparison *comparison, const char *format, bool quiet)
{
    int status = (int)onnx_fuse_comparison_verdict(comparison);
    const char *text = quiet ? "" : onnx_fuse_comparison_format(comparison, format);
    if (!text)
        return trouble("%s", "out of memory");
    if (check_faults(DONE) != DONE)
        return TROUBLE;
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return trouble("%s", "cannot write to standard output");
    return status;
}

int command_verify(int count, char **arguments)
{
    struct onnx_fuse_verify_options options;
    struct onnx_fuse_comparison *comparison = NULL;
    const char *format = "text";
    bool quiet = false, confined = true;
    double number;
    int option;
    onnx_fuse_verify_options_init(&options);
    while ((option = getopt_long(count, arguments, "qh", long_options, NULL)) != -1)
        switch (option) {
        case RTOL:
            if (!parse_number(optarg, &options.rtol) || options.rtol <= 0)
                return trouble("--rtol: '%s' is not a number above 0", optarg);
            break;
        case ATOL:
            if (!parse_number(optarg, &options.atol) || options.atol < 0)
                return trouble("--atol: '%s' is not a number from 0 on", optarg);
            break;
        case TRIALS:
            if (!parse_number(optarg, &number) || number < 1 || number > 1000 || number != floor(number))
                return trouble("--trials: '%s' is not a whole number from 1 to 1000", optarg);
            options.trials = (int)number;
            break;
        case SEED:
            if (!parse_number(optarg, &number) || number < 0 || number > 1e15 || number != floor(number))
                return trouble("--seed: '%s' is not a whole number", optarg);
            options.seed = (uint64_t)number;
            break;
        case OUTPUTS:
            options.common_outputs = strcmp(optarg, "common") == 0;
            if (!options.common_outputs && strcmp(optarg, "all") != 0)
                return trouble("--outputs: '%s' is neither all nor common", optarg);
            break;
        case INPUTS: options.inputs = optarg; break;
        case LAYERS: options.layers = true; break;
        case FORMAT:
            if (!is_one_of(optarg, (const char *const[]){"text", "json", "html", NULL}))
                return trouble("--format: '%s' is not one of text, json, html", optarg);
            format = optarg;
            break;
        case FOLLOW_SYMLINKS: options.follow_symlinks = true; break;
        case NO_SANDBOX: confined = false; break;
        case 'q': quiet = true; break;
        case 'h': fputs(usage, stdout); return fflush(stdout) ? TROUBLE : DONE;
        default: return unknown_option(arguments, long_options, "verify --help");
        }
    if (count - optind != 2)
        return trouble("%s", count - optind < 2 ? "verify: expected two models, A and B"
                                                : "verify: expected two models, found more");
    if (confined)
        confine((const char *[]){arguments[optind], arguments[optind + 1], options.inputs, NULL}, NULL,
                options.follow_symlinks);
    enum onnx_fuse_status failed = onnx_fuse_verify(arguments[optind], arguments[optind + 1], &options, &comparison);
    int status;
    if (check_faults(DONE) != DONE)
        status = TROUBLE;
    else if (failed)
        status = trouble("%s", comparison ? onnx_fuse_comparison_error(comparison) : "out of memory");
    else
        status = report(comparison, format, quiet);
    onnx_fuse_comparison_free(comparison);
    return status;
}
