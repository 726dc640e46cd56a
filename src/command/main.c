/* command/main.c: the command, and where its subcommands begin. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/system.h"
#include "base/tame.h"
#include "base/text.h"
#include "command/arguments.h"
#include "command/batch.h"
#include "command/guard.h"
#include "command/sandbox.h"
#include "command/tool.h"
#include "command/wildcard.h"

#define COMMAND_LINE(name, purpose) "  " #name "\t" purpose "\n"

static const char usage[] =
    "usage: onnx-repvgg-fuse [OPTIONS] IN OUT\n"
    "       onnx-repvgg-fuse [OPTIONS] IN -o OUT\n"
    "       onnx-repvgg-fuse [OPTIONS] --batch FOLDER IN...\n"
    "       onnx-repvgg-fuse COMMAND ...\n"
    "\n"
    "Fuses the parallel branches of RepVGG and similar networks into single Convs.\n"
    "The fused model computes the same results. IN and OUT are ONNX files and may be\n"
    "the same file; - is standard input or output.\n"
    "\n"
    "Reports:\n"
    "      --explain        list each fusion, and each refusal with its reason\n"
    "      --json FILE      write that list as JSON (- is standard output)\n"
    "      --report FILE    write it as an HTML page with pictures\n"
    "      --dry-run        do everything but write the model\n"
    "  -q, --quiet          print errors only\n"
    "      --list-passes    list the passes in the order they run\n"
    "      --debug WHAT     show what each pass does (passes), each op as a form\n"
    "                       (steps) or the final list of fusions (plan)\n"
    "\n"
    "Output:\n"
    "  -o, --output OUT     write to OUT, and replace whatever is there\n"
    "      --batch FOLDER   fuse many models into FOLDER; IN may be folders\n"
    "      --external-data WHERE\n"
    "                       keep the weights where they were (auto, the default),\n"
    "                       put them into the model (inline), or into the file\n"
    "                       WHERE beside OUT\n"
    "      --no-sync        return before the result is safely on the disk\n"
    "\n"
    "Fusions:\n"
    "      --only PASS      run only this pass (repeat it, or separate by commas)\n"
    "      --skip PASS      run all passes but this one (likewise)\n"
    "      --max-growth R   let a fusion cost up to R times as much as the ops that\n"
    "                       it replaces (default 1)\n"
    "      --equalize GRAIN also prepare for INT8 quantisation with one weight\n"
    "                       scale per tensor or per channel (GRAIN)\n"
    "      --statistics FILE\n"
    "                       measured value ranges for --equalize, JSON or NPZ\n"
    "\n"
    "Changes before fusing:\n"
    "      --freeze NAME    turn an input with a default value into a constant\n"
    "                       (all: every such input)\n"
    "      --outputs NAME   keep only these outputs (separate them by commas)\n"
    "      --input-shape NAME:SIZE,SIZE,...\n"
    "                       give an input a fixed shape\n"
    "\n"
    "Self-check:\n"
    "      --tolerance T    drop a fusion whose result differs by more than this\n"
    "                       fraction (default: depends on the number type)\n"
    "      --no-check       keep fusions without evaluating them\n"
    "      --strict         exit with 1 when the check dropped a fusion\n"
    "\n"
    "Other:\n"
    "      --jobs N         use N threads (default 0: one per core)\n"
    "      --follow-symlinks\n"
    "                       read external data through symbolic links\n"
    "      --no-sandbox     run without first giving up access to the network and to\n"
    "                       other files\n"
    "      --version        print the version\n"
    "  -h, --help           print this text\n"
    "\n"
    "Commands, each with its own --help (write ./NAME for a model of that name):\n" COMMANDS(
        COMMAND_LINE) "\n"
                      "Exit status: 0 done, 1 a warning under --strict, 2 an error; OUT is then as "
                      "it was.\n";

struct command {
    const char *input, *output, *json, *batch; /* batch: the folder results go to */
    char *const *inputs;                       /* of a batch */
    int input_count;
    bool explain, strict, quiet, no_sandbox;
    bool by_place; /* OUT was not given by -o */
    struct names {
        const char **items;
        size_t count;
    } only, skip, freeze, outputs, input_shapes;
    struct onnx_fuse_options options;
};

/* ---- arguments ---- */

static int list_passes(void)
{
    const char *name;
    for (size_t i = 0; (name = onnx_fuse_pass_name(i)); i++)
        printf("%-16s %s\n", name, onnx_fuse_pass_purpose(i));
    return DONE;
}

enum {
    EXPLAIN = 256,
    JSON,
    REPORT,
    ONLY,
    SKIP,
    FREEZE,
    OUTPUTS,
    INPUT_SHAPE,
    LIST_PASSES,
    MAX_GROWTH,
    EQUALIZE,
    STATISTICS,
    DEBUG,
    NO_CHECK,
    TOLERANCE,
    STRICT,
    BATCH,
    DRY_RUN,
    EXTERNAL_DATA,
    FOLLOW_SYMLINKS,
    NO_SYNC,
    NO_SANDBOX,
    JOBS,
    VERSION
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"explain", no_argument, NULL, EXPLAIN},
    {"json", required_argument, NULL, JSON},
    {"report", required_argument, NULL, REPORT},
    {"only", required_argument, NULL, ONLY},
    {"skip", required_argument, NULL, SKIP},
    {"freeze", required_argument, NULL, FREEZE},
    {"outputs", required_argument, NULL, OUTPUTS},
    {"input-shape", required_argument, NULL, INPUT_SHAPE},
    {"list-passes", no_argument, NULL, LIST_PASSES},
    {"max-growth", required_argument, NULL, MAX_GROWTH},
    {"equalize", required_argument, NULL, EQUALIZE},
    {"statistics", required_argument, NULL, STATISTICS},
    {"debug", required_argument, NULL, DEBUG},
    {"no-check", no_argument, NULL, NO_CHECK},
    {"tolerance", required_argument, NULL, TOLERANCE},
    {"strict", no_argument, NULL, STRICT},
    {"batch", required_argument, NULL, BATCH},
    {"dry-run", no_argument, NULL, DRY_RUN},
    {"external-data", required_argument, NULL, EXTERNAL_DATA},
    {"follow-symlinks", no_argument, NULL, FOLLOW_SYMLINKS},
    {"no-sync", no_argument, NULL, NO_SYNC},
    {"no-sandbox", no_argument, NULL, NO_SANDBOX},
    {"jobs", required_argument, NULL, JOBS},
    {"quiet", no_argument, NULL, 'q'},
    {"version", no_argument, NULL, VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* empty: what to say of a list without a name; NULL: it is none too little. */
static int take_names(struct names *names, const char *empty)
{
    if (!add_names(&names->items, &names->count, optarg))
        return trouble("%s", "out of memory");
    return empty && !names->items ? trouble(empty, optarg) : -1;
}

/* Returns -1 to go on, or the exit status. */
static int parse_option(struct command *command, char *const *arguments, int option)
{
    double number;
    switch (option) {
    case 'o': command->output = optarg; return -1;
    case EXPLAIN: command->explain = true; return -1;
    case JSON: command->json = optarg; return -1;
    case REPORT: command->options.html_report = optarg; return -1;
    case ONLY: return take_names(&command->only, "--only: '%s' holds no pass name; --list-passes lists them");
    case SKIP: return take_names(&command->skip, NULL);
    case FREEZE: return take_names(&command->freeze, "--freeze: '%s' holds no name of an initializer");
    case OUTPUTS: return take_names(&command->outputs, "--outputs: '%s' holds no name of an output");
    case INPUT_SHAPE:
        if (!strchr(optarg, ':')) /* as in "--input model.onnx", which getopt takes for a short form */
            return trouble("--input-shape: '%s' is not NAME:SIZE,SIZE,...; IN and OUT need no option", optarg);
        return add_name(&command->input_shapes.items, &command->input_shapes.count, optarg)
                   ? -1
                   : trouble("%s", "out of memory");
    case LIST_PASSES: return list_passes();
    case MAX_GROWTH:
        if (!parse_number(optarg, &number) || number <= 0)
            return trouble("--max-growth: '%s' is not a number above 0", optarg);
        command->options.max_growth = number;
        return -1;
    case EQUALIZE:
        command->options.equalize = strcmp(optarg, "tensor") == 0    ? ONNX_FUSE_EQUALIZE_TENSOR
                                    : strcmp(optarg, "channel") == 0 ? ONNX_FUSE_EQUALIZE_CHANNEL
                                                                     : ONNX_FUSE_EQUALIZE_OFF;
        return command->options.equalize ? -1 : trouble("--equalize: '%s' is neither tensor nor channel", optarg);
    case STATISTICS: command->options.statistics = optarg; return -1;
    case DEBUG: command->options.debug = optarg; return -1;
    case NO_CHECK: command->options.no_check = true; return -1;
    case TOLERANCE:
        if (!parse_number(optarg, &number) || number <= 0)
            return trouble("--tolerance: '%s' is not a number above 0", optarg);
        command->options.tolerance = number;
        return -1;
    case STRICT: command->strict = true; return -1;
    case DRY_RUN: command->options.dry_run = true; return -1;
    case BATCH: command->batch = optarg; return -1;
    case EXTERNAL_DATA: command->options.external_data = optarg; return -1;
    case FOLLOW_SYMLINKS: command->options.follow_symlinks = true; return -1;
    case NO_SYNC: command->options.no_sync = true; return -1;
    case NO_SANDBOX: command->no_sandbox = true; return -1;
    case JOBS:
        if (!parse_number(optarg, &number) || number < 0 || number > 1024 || number != floor(number))
            return trouble("--jobs: '%s' is not a whole number from 0 to 1024", optarg);
        command->options.jobs = (int)number;
        return -1;
    case 'q': command->quiet = true; return -1;
    case VERSION:
        printf("onnx-repvgg-fuse %s\n%s", onnx_fuse_version(), sandbox_is_built() ? "" : "built without a sandbox\n");
        return DONE;
    case 'h': fputs(usage, stdout); return DONE;
    default: return unknown_option(arguments, long_options, "--help");
    }
}

/* The library knows more of them; these are what people write. */
static bool is_standard_output(const char *path)
{
    static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; path && i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

static int check_reports(const struct command *command)
{
    const char *html = command->options.html_report, *json = command->json;
    bool taken = is_standard_output(command->output) && !command->options.dry_run;
    if (is_standard_output(html) && taken)
        return trouble("%s", "--report and OUT cannot both be standard output");
    if (is_standard_output(json) && taken)
        return trouble("%s", "--json and OUT cannot both be standard output");
    if (html && json && (strcmp(html, json) == 0 || (is_standard_output(html) && is_standard_output(json))))
        return trouble("--report and --json cannot both be '%s'", html);
    return -1;
}

static int parse_arguments(struct command *command, int count, char **arguments)
{
    int option, status;
    while ((option = getopt_long(count, arguments, "o:qh", long_options, NULL)) != -1)
        if ((status = parse_option(command, arguments, option)) >= 0)
            return status;
    int left = count - optind;
    if (command->batch && !command->batch[0])
        return trouble("%s", "--batch: the folder's name is empty");
    if (command->batch) {
        command->inputs = arguments + optind;
        command->input_count = left;
        if (left < 1)
            return trouble("--batch %s: IN is missing: expected models or folders", command->batch);
        if (command->output || command->json || command->explain || command->options.html_report ||
            command->options.debug)
            return trouble("--batch %s cannot be combined with -o, --json, --report, --explain or --debug",
                           command->batch);
        return -1;
    }
    if (left >= 1)
        command->input = arguments[optind];
    command->by_place = left == 2 && !command->output;
    if (command->by_place)
        command->output = arguments[optind + 1];
    else if (left == 2)
        return trouble("OUT is given twice, the second time as '%s'", arguments[optind + 1]);
    if (left > 2)
        return trouble("'%s' is one file too many: use --batch FOLDER to fuse several models", arguments[optind + 2]);
    if (!command->input)
        return trouble("%s", "no model is given: expected IN and OUT; try --help");
    if (!command->output && !command->options.dry_run)
        return trouble("OUT is missing: write onnx-repvgg-fuse '%s' OUT", command->input);
    return check_reports(command);
}

/* ---- progress ---- */

struct progress {
    double start, last; /* seconds */
    bool wanted, shown;
};

/* Silent for the first second, then a line that overwrites itself. Ends the run when a part of a
 * file could not be read. */
static bool show_progress(void *closure, const char *step, double fraction)
{
    struct progress *progress = closure;
    if (guard_faults())
        return false;
    double now = system_seconds();
    if (!progress->wanted || now - progress->start < 1 || (progress->shown && now - progress->last < 0.1))
        return true;
    fprintf(stderr, "\r%-10s %3.0f %%", step, 100 * fraction);
    (void)fflush(stderr);
    progress->shown = true;
    progress->last = now;
    return true;
}

static void clear_progress(const struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%20s\r", "");
}

/* ---- sandbox ---- */

static void confine_run(const struct command *command)
{
    struct sandbox sandbox;
    if (command->no_sandbox)
        return;
    sandbox_open(&sandbox);
    sandbox_allow_model(&sandbox, command->input);
    if (command->output && !command->options.dry_run)
        sandbox_allow_output(&sandbox, command->output);
    if (command->json)
        sandbox_allow_output(&sandbox, command->json);
    if (command->options.html_report)
        sandbox_allow_output(&sandbox, command->options.html_report);
    if (command->options.follow_symlinks)
        sandbox_allow_reading(&sandbox);
    if (command->options.statistics)
        sandbox_allow_model(&sandbox, command->options.statistics);
    sandbox_close(&sandbox);
}

static void show_trace(void *closure, const char *text)
{
    (void)closure;
    fputs(text, stderr);
}

/* The last line of a run: what was done, and where it is. */
static void tell_end(const struct command *command, const char *output, const struct onnx_fuse_report *report)
{
    bool changed = onnx_fuse_report_changed(report), piped = is_standard_output(output);
    char *copy = plain_text(piped ? "standard output" : output);
    const char *place = copy ? copy : "the output", *sentence = onnx_fuse_report_sentence(report);
    if (command->options.dry_run)
        fprintf(stderr, "%s; a dry run writes nothing\n", sentence);
    else if (changed)
        fprintf(stderr, "%s, wrote %s\n", sentence, place);
    else
        fprintf(stderr, "%s; %s is %s\n", sentence, place,
                !piped && strcmp(command->input, output) == 0 ? "as it was" : "a copy");
    free(copy);
}

static int run(const struct command *command)
{
    struct onnx_fuse_report *report = NULL;
    struct progress progress = {.start = system_seconds(), .wanted = !command->quiet && system_is_terminal(stderr)};
    struct onnx_fuse_options options = command->options;
    options.progress = show_progress;
    options.closure = &progress;
    options.trace = show_trace;
    /* A dry run without OUT is planned as if it went in place. */
    const char *output = command->output ? command->output : command->input;
    options.json_report = command->json;
    confine_run(command);
    if (command->by_place && wildcard_takes(command->input, output, &command->options))
        return trouble(
            "'%s' already holds another model: use -o to replace it, or --batch FOLDER to fuse several models", output);
    enum onnx_fuse_status status = onnx_fuse_file(command->input, output, &options, &report);
    clear_progress(&progress);
    int result = DONE;
    if (status != ONNX_FUSE_OK) {
        result = trouble("%s", guard_faults() ? guard_message
                               : report       ? onnx_fuse_report_error(report)
                                              : "out of memory");
    } else {
        /* If a model or report goes to standard output, everything else goes to standard error. */
        bool taken = (is_standard_output(output) && !options.dry_run) || is_standard_output(options.html_report) ||
                     is_standard_output(options.json_report);
        FILE *talk = taken ? stderr : stdout;
        size_t warnings = onnx_fuse_report_warnings(report);
        if (command->explain && !command->quiet)
            fputs(onnx_fuse_report_explanation(report), talk);
        else if (warnings && !command->quiet)
            fprintf(stderr,
                    "onnx-repvgg-fuse: %s: %zu warnings: the self-check or lack of memory dropped "
                    "rewrites, or the model is not valid ONNX; --explain lists them\n",
                    command->input, warnings);
        if (!command->quiet && (command->explain || system_is_terminal(talk)))
            fputs(onnx_fuse_report_table(report), talk);
        if (command->strict && warnings)
            result = WARNED;
        if (fflush(talk) != 0)
            result = trouble(options.dry_run ? "%s: cannot write the report"
                                             : "%s: cannot write the report; the model is written",
                             talk == stdout ? "standard output" : "standard error");
        else if (!command->quiet)
            tell_end(command, output, report);
    }
    onnx_fuse_report_free(report);
    return result;
}

/* Every row of the table. */
static const struct subcommand {
    const char *name;
    int (*run)(int count, char **arguments);
} subcommands[] = {
#define COMMAND_ROW(name, purpose) {#name, command_##name},
    COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

static const struct subcommand *find_subcommand(const char *name)
{
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    return NULL;
}

/* The first word looks like a command: the exit status if it is neither that nor a file, else -1. */
static int refuse_word(const char *word)
{
    static const char *const names[] = {
#define COMMAND_NAME(name, purpose) #name,
        COMMANDS(COMMAND_NAME)
#undef COMMAND_NAME
    };
    struct looked looked;
    bool is_option = strcmp(word, "help") == 0 || strcmp(word, "version") == 0;
    if (strpbrk(word, "./-") || system_look(word, true, &looked))
        return -1;
    if (strcmp(word, "fuse") == 0)
        return trouble("'%s' is not a command: fusing needs none, write onnx-repvgg-fuse IN OUT", word);
    const char *near = is_option ? word : text_near(word, names, sizeof(names) / sizeof(*names));
    if (!near)
        return trouble("'%s' is neither a file nor a command; --help lists the commands", word);
    char text[256];
    snprintf(text, sizeof(text), "'%s' is neither a file nor a command; did you mean %s%s?", word,
             is_option ? "--" : "", near);
    return trouble("%s", text);
}

int main(int given, char **values)
{
    struct arguments taken = arguments_take(given, values);
    int count = taken.count;
    char **arguments = taken.values;
    struct command command = {0};
    static char name[] = "onnx-repvgg-fuse"; /* messages begin with it, however we were called */
    if (count > 0)
        arguments[0] = name;
    system_keeps_memory(); /* buffers of a few hundred kilobytes come and go with each block of weights */
    guard_install();
    const struct subcommand *subcommand = count > 1 ? find_subcommand(arguments[1]) : NULL;
    if (subcommand) {
        arguments[1] = name;
        return subcommand->run(count - 1, arguments + 1);
    }
    onnx_fuse_options_init(&command.options);
    int status = count > 1 ? refuse_word(arguments[1]) : -1;
    if (status < 0)
        status = parse_arguments(&command, count, arguments);
    command.options.only = command.only.items;
    command.options.skip = command.skip.items;
    command.options.freeze = command.freeze.items;
    command.options.outputs = command.outputs.items;
    command.options.input_shapes = command.input_shapes.items;
    if (status < 0 && command.batch) {
        status = batch_run(command.batch, command.inputs, command.input_count, &command.options, command.strict,
                           command.quiet, !command.no_sandbox);
    } else if (status < 0) {
        status = run(&command);
    }
    if (status == DONE && fflush(stdout) != 0)
        status = trouble("%s", "cannot write to standard output");
    free(command.only.items);
    free(command.skip.items);
    free(command.freeze.items);
    free(command.outputs.items);
    free(command.input_shapes.items);
    return status;
}
