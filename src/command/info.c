/* command/info.c: onnx-repvgg-fuse info. */
#include <stdio.h>
#include <string.h>

#include "command/tool.h"
#include "onnx_repvgg_fuse.h"

static const char usage[] = "usage: onnx-repvgg-fuse info [OPTIONS] MODEL\n"
                            "\n"
                            "Prints what an ONNX model (- is standard input) holds: ops by type, inputs,\n"
                            "outputs, parameters, multiply-adds and bytes. It lists the blocks that fusing\n"
                            "would change, and how much the channels of each weight differ in range, because\n"
                            "a wide spread costs accuracy in INT8.\n"
                            "\n"
                            "      --format FORMAT  text (default) or json\n"
                            "      --report FILE    write an HTML page with pictures: the blocks, and the\n"
                            "                       channel ranges before and after --equalize\n"
                            "      --follow-symlinks\n"
                            "                       read external data through symbolic links\n"
                            "      --no-sandbox     run without first giving up access to the network and to\n"
                            "                       other files\n"
                            "  -h, --help           print this text\n"
                            "\n"
                            "Exit status: 0 done, 2 an error.\n";

enum { FORMAT = 256, REPORT, FOLLOW_SYMLINKS, NO_SANDBOX };

static const struct option long_options[] = {
    {"format", required_argument, NULL, FORMAT},
    {"report", required_argument, NULL, REPORT},
    {"follow-symlinks", no_argument, NULL, FOLLOW_SYMLINKS},
    {"no-sandbox", no_argument, NULL, NO_SANDBOX},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int command_info(int count, char **arguments)
{
    struct onnx_fuse_options options;
    bool json = false, confined = true;
    int option;
    onnx_fuse_options_init(&options);
    while ((option = getopt_long(count, arguments, "h", long_options, NULL)) != -1)
        switch (option) {
        case FORMAT:
            json = strcmp(optarg, "json") == 0;
            if (!json && strcmp(optarg, "text") != 0)
                return trouble("--format: '%s' is neither text nor json", optarg);
            break;
        case REPORT: options.html_report = optarg; break;
        case FOLLOW_SYMLINKS: options.follow_symlinks = true; break;
        case NO_SANDBOX: confined = false; break;
        case 'h': fputs(usage, stdout); return DONE;
        default: return unknown_option(arguments, long_options, "info --help");
        }
    if (count - optind != 1)
        return trouble("info: expected one MODEL%s; try info --help", count - optind ? ", found several" : "");
    if (options.html_report && strcmp(options.html_report, "-") == 0)
        return trouble("%s", "--report: - is where the text goes; expected a file");
    struct onnx_fuse_view *view = NULL;
    int result = DONE;
    if (confined)
        confine((const char *[]){arguments[optind], NULL}, options.html_report, options.follow_symlinks);
    enum onnx_fuse_status status = onnx_fuse_info(arguments[optind], &options, &view);
    if (check_faults(DONE) != DONE)
        result = TROUBLE;
    else if (status != ONNX_FUSE_OK)
        result = trouble("%s", view ? onnx_fuse_view_error(view) : "out of memory");
    else if (fputs(json ? onnx_fuse_view_json(view) : onnx_fuse_view_text(view), stdout) < 0 || fflush(stdout) != 0)
        result = trouble("%s", "cannot write to standard output");
    onnx_fuse_view_free(view);
    return result;
}
