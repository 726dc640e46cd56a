/* command/dump.c: onnx-repvgg-fuse dump. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "base/xxh64.h"
#include "command/tool.h"
#include "onnx_repvgg_fuse.h"

static const char usage[] = "usage: onnx-repvgg-fuse dump [OPTIONS] MODEL\n"
                            "\n"
                            "Prints an ONNX model (- is standard input) as text, one node a line; the same\n"
                            "model gives the same text. onnx.parser.parse_model reads it back. Comments that\n"
                            "begin with '# not held:' list what the syntax cannot express.\n"
                            "\n"
                            "  -o, --output FILE    write to FILE instead of standard output\n"
                            "      --elide N        print only type, shape and hash of tensors with more than N\n"
                            "                       elements; such text cannot be read back\n"
                            "      --no-metadata    leave out the comments with doc strings and metadata\n"
                            "      --keep-external  print the location of external data, not its content\n"
                            "      --strict         exit with 1 when the text does not hold the whole model\n"
                            "      --git            for git's textconv: if the file is not a model, print one\n"
                            "                       line and exit with 0\n"
                            "      --follow-symlinks\n"
                            "                       read external data through symbolic links\n"
                            "      --no-sandbox     run without first giving up access to the network and to\n"
                            "                       other files\n"
                            "  -h, --help           print this text\n"
                            "\n"
                            "For git diff: git config diff.onnx.textconv 'onnx-repvgg-fuse dump --git --elide 16 "
                            "--no-metadata'\n"
                            "              echo '*.onnx diff=onnx' >> .gitattributes\n"
                            "\n"
                            "Exit status: 0 done, 1 the text is incomplete under --strict, 2 an error.\n";

enum { ELIDE = 256, NO_METADATA, KEEP_EXTERNAL, STRICT, GIT, FOLLOW_SYMLINKS, NO_SANDBOX };

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"elide", required_argument, NULL, ELIDE},
    {"no-metadata", no_argument, NULL, NO_METADATA},
    {"keep-external", no_argument, NULL, KEEP_EXTERNAL},
    {"strict", no_argument, NULL, STRICT},
    {"git", no_argument, NULL, GIT},
    {"follow-symlinks", no_argument, NULL, FOLLOW_SYMLINKS},
    {"no-sandbox", no_argument, NULL, NO_SANDBOX},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool write_text(void *closure, const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, closure) == size;
}

static bool parse_count(const char *text, int64_t *count)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *count = number;
    return end != text && *end == 0 && errno == 0 && number >= 0;
}

/* git stops at the first file for which textconv fails. So one line replaces a file that is not a model; its hash
 * shows changes. */
static int tell_git(const char *path, const char *message)
{
    unsigned char bytes[4096];
    size_t got, size = 0;
    struct xxh64 hash;
    FILE *file = system_open(path);
    char *plain = plain_text(message);
    xxh64_start(&hash);
    for (; file && (got = fread(bytes, 1, sizeof(bytes), file)) > 0; size += got)
        xxh64_add(&hash, bytes, got);
    printf("# %s (%zu bytes, xxh64 %016" PRIx64 ")\n", plain ? plain : "out of memory", size, xxh64_end(&hash));
    free(plain);
    if (file)
        (void)fclose(file);
    return fflush(stdout) ? TROUBLE : DONE;
}

int command_dump(int count, char **arguments)
{
    struct onnx_fuse_dump_options options;
    bool strict = false, confined = true, for_git = false;
    int option;
    onnx_fuse_dump_options_init(&options);
    while ((option = getopt_long(count, arguments, "o:h", long_options, NULL)) != -1)
        switch (option) {
        case 'o': options.output = optarg; break;
        case ELIDE:
            if (!parse_count(optarg, &options.elide))
                return trouble("--elide: '%s' is not a whole number from 0 on", optarg);
            break;
        case NO_METADATA: options.no_metadata = true; break;
        case KEEP_EXTERNAL: options.keep_external = true; break;
        case STRICT: strict = true; break;
        case GIT: for_git = true; break;
        case FOLLOW_SYMLINKS: options.follow_symlinks = true; break;
        case NO_SANDBOX: confined = false; break;
        case 'h': fputs(usage, stdout); return DONE;
        default: return unknown_option(arguments, long_options, "dump --help");
        }
    if (count - optind != 1)
        return trouble("dump: expected one MODEL%s; try dump --help", count - optind ? ", found several" : "");
    options.write = write_text;
    options.closure = stdout;
    if (for_git) /* which uses a separate folder for each version */
        options.name = path_name(arguments[optind]);
    struct onnx_fuse_view *view = NULL;
    int result = DONE;
    if (confined)
        confine((const char *[]){arguments[optind], NULL}, options.output, options.follow_symlinks);
    enum onnx_fuse_status status = onnx_fuse_dump(arguments[optind], &options, &view);
    if (status == ONNX_FUSE_IO && ferror(stdout))
        result = trouble("%s", "cannot write to standard output");
    else if (status != ONNX_FUSE_OK && for_git && view)
        result = tell_git(arguments[optind], onnx_fuse_view_error(view));
    else if (status != ONNX_FUSE_OK)
        result = check_faults(DONE) ? TROUBLE : trouble("%s", view ? onnx_fuse_view_error(view) : "out of memory");
    else if (fflush(stdout) != 0)
        result = trouble("%s", "cannot write to standard output");
    else if (check_faults(DONE) != DONE)
        result = TROUBLE;
    else if (strict && onnx_fuse_view_not_held(view))
        result = WARNED;
    onnx_fuse_view_free(view);
    return result;
}
