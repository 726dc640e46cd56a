/* command/batch.c: finds models, hands them to threads, prints what became of each. */
#include "command/batch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/system.h"
#include "base/system_error.h"
#include "base/tame.h"
#include "command/guard.h"
#include "command/sandbox.h"
#include "command/tool.h"

struct job {
    char *input, *output;
    char *line;   /* what to print; NULL: there was no memory for it */
    int unlisted; /* not a model but a folder that could not be searched: errno */
    enum { GOES_ALONE, GOES_AS_ANOTHER, GOES_OVER_A_MODEL } place; /* where it would go */
    bool failed, warned, changed, is_done;
};

struct batch {
    struct job *jobs;
    size_t count, room;
    bool out_of_memory;
    struct looked place; /* of the folder that results go to */
    const struct onnx_fuse_options *options;
    atomic_size_t next;
    struct mutex mutex; /* guards line and is_done of the jobs */
    struct condition done;
};

enum { DEEPEST = 64 }; /* folders inside folders */

/* ---- finding ---- */

static char *join_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static void add_job(struct batch *batch, const char *input, const char *folder, const char *name, int unlisted)
{
    if (batch->count == batch->room) {
        size_t room = batch->room ? batch->room * 2 : 64;
        struct job *grown = realloc(batch->jobs, room * sizeof(*grown));
        if (!grown) {
            batch->out_of_memory = true;
            return;
        }
        batch->jobs = grown;
        batch->room = room;
    }
    struct job job = {.input = copy_text(input), .output = join_path(folder, name), .unlisted = unlisted};
    batch->out_of_memory = batch->out_of_memory || !job.input || !job.output;
    batch->jobs[batch->count++] = job;
}

static bool is_model(const char *name)
{
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".onnx") == 0;
}

/* A folder to search: its path, the folder for its results, its depth. */
struct search {
    struct batch *batch;
    const char *folder, *output;
    int depth;
};

static void search(const struct search *search);

static void found(void *closure, const char *name)
{
    const struct search *at = closure;
    struct looked looked;
    char *path = join_path(at->folder, name), *below = join_path(at->output, name);
    enum look look = path ? system_look(path, false, &looked) : LOOK_NOTHING;
    if (!path || !below)
        at->batch->out_of_memory = true;
    else if (!look && !is_model(name)) {
        if (looked.error != ENOENT) /* it may be a folder */
            add_job(at->batch, path, at->output, name, looked.error);
    } else if (look == LOOK_FOLDER) {
        /* Skip earlier results. */
        const struct looked *place = &at->batch->place;
        if (looked.device != place->device || looked.inode != place->inode)
            search(&(struct search){at->batch, path, below, at->depth + 1});
    }
    /* An unreadable path reports its error when its turn comes. */
    else if (is_model(name) && ((look = system_look(path, true, &looked)) == LOOK_FILE || !look))
        add_job(at->batch, path, at->output, name, 0);
    free(path);
    free(below);
}

/* Models of a folder in the order of their names; what it holds keeps its place below `output`.
 * Links to folders are not followed: they can lead around in circles. */
static void search(const struct search *search)
{
    int error = search->depth < DEEPEST ? system_list(search->folder, found, (void *)search) : ELOOP;
    if (error)
        add_job(search->batch, search->folder, search->output, "", error);
}

static bool is_folder(const char *path)
{
    struct looked looked;
    return system_look(path, true, &looked) == LOOK_FOLDER;
}

static void add_input(struct batch *batch, const char *input, const char *output)
{
    if (is_folder(input))
        search(&(struct search){batch, input, output, 0});
    else /* what cannot be read says so when its turn comes */
        add_job(batch, input, output, path_name(input), 0);
}

/* ---- fusing ---- */

/* Those that a path leads through. Returns 0 or errno. */
static int make_folders(char *path)
{
    int error = 0;
    for (char *at = path + path_root(path); *at && !error; at++) {
        char letter = *at;
        if (!path_separates(letter))
            continue;
        *at = 0;
        error = system_make_folder(path);
        *at = letter;
    }
    return error;
}

/* A model that is a link lies elsewhere, and so may what is there of a result. */
static void allow_links(const struct sandbox *sandbox, const struct job *job)
{
    struct looked looked;
    if (system_look(job->input, false, &looked) == LOOK_LINK)
        sandbox_allow_model(sandbox, job->input);
    if (system_look(job->output, false, &looked) == LOOK_LINK)
        sandbox_allow_output(sandbox, job->output);
}

static void confine_batch(const struct batch *batch, const char *output, char *const *inputs, int count)
{
    struct sandbox sandbox;
    /* The folder must be there to be named; what is wrong with it, each model says. */
    char *folder = join_path(output, "");
    if (folder && !batch->options->dry_run)
        make_folders(folder);
    free(folder);
    sandbox_open(&sandbox);
    for (int i = 0; i < count; i++) {
        char *inside = is_folder(inputs[i]) ? join_path(inputs[i], "") : NULL;
        sandbox_allow_model(&sandbox, inside ? inside : inputs[i]);
        free(inside);
    }
    for (size_t i = 0; i < batch->count; i++)
        allow_links(&sandbox, &batch->jobs[i]);
    if (!batch->options->dry_run)
        sandbox_allow_folder(&sandbox, output);
    if (batch->options->statistics)
        sandbox_allow_model(&sandbox, batch->options->statistics);
    if (batch->options->follow_symlinks)
        sandbox_allow_reading(&sandbox);
    sandbox_close(&sandbox);
}

/* Called by the library; closure: how many faults there were when the model's turn came. */
static bool go_on(void *closure, const char *step, double fraction)
{
    (void)step;
    (void)fraction;
    return guard_faults() == *(const unsigned *)closure;
}

/* An unreadable page may belong to this model or to another one in work. Try again to find out. */
static enum onnx_fuse_status fuse_again(const struct job *job, const struct onnx_fuse_options *given,
                                        struct onnx_fuse_report **report)
{
    enum { TRIES = 3 };
    enum onnx_fuse_status status = ONNX_FUSE_OK;
    struct onnx_fuse_options options = *given;
    unsigned before;
    options.progress = go_on;
    options.closure = &before;
    for (int i = 0; i < TRIES; i++) {
        before = guard_faults();
        onnx_fuse_report_free(*report);
        status = onnx_fuse_file(job->input, job->output, &options, report);
        if (status == ONNX_FUSE_OK || guard_faults() == before)
            break;
    }
    return status;
}

static char *describe(const struct job *job, enum onnx_fuse_status status, const struct onnx_fuse_report *report)
{
    char text[2048];
    if (status != ONNX_FUSE_OK)
        snprintf(text, sizeof(text), "%s%s%s", status == ONNX_FUSE_CANCELLED ? job->input : "",
                 status == ONNX_FUSE_CANCELLED ? ": " : "",
                 status == ONNX_FUSE_CANCELLED ? guard_message
                 : report                      ? onnx_fuse_report_error(report)
                                               : "out of memory");
    else
        snprintf(text, sizeof(text), "%s: %s, %s s%s", job->input, onnx_fuse_report_sentence(report),
                 decimal_fixed(onnx_fuse_report_seconds(report), 3).text,
                 onnx_fuse_report_warnings(report) ? ", warnings" : "");
    return copy_text(text);
}

static void fuse_one(struct batch *batch, struct job *job)
{
    struct onnx_fuse_options options = *batch->options;
    struct onnx_fuse_report *report = NULL;
    char *line;
    options.jobs = 1; /* the models are what is spread over the cores */
    char text[1024];
    int error;
    if (job->unlisted) {
        snprintf(text, sizeof(text), "%s: cannot search the folder: %s", job->input, system_error(job->unlisted));
        line = copy_text(text);
        job->failed = true;
    } else if (job->place != GOES_ALONE) {
        snprintf(text, sizeof(text),
                 job->place == GOES_AS_ANOTHER ? "%s: another model goes to %s as well"
                                               : "%s: it would go to %s, which is itself a model of this batch",
                 job->input, job->output);
        line = copy_text(text);
        job->failed = true;
    } else if (!options.dry_run && (error = make_folders(job->output)) != 0) {
        snprintf(text, sizeof(text), "%s: cannot make its folder: %s", job->output, system_error(error));
        line = copy_text(text);
        job->failed = true;
    } else {
        enum onnx_fuse_status status = fuse_again(job, &options, &report);
        job->failed = status != ONNX_FUSE_OK;
        job->changed = !job->failed && onnx_fuse_report_changed(report);
        job->warned = !job->failed && onnx_fuse_report_warnings(report) > 0;
        line = describe(job, status, report);
        onnx_fuse_report_free(report);
    }
    if (line)
        tame(line);
    mutex_lock(&batch->mutex);
    job->line = line;
    job->is_done = true;
    condition_tell(&batch->done);
    mutex_unlock(&batch->mutex);
}

static void work(void *closure)
{
    struct batch *batch = closure;
    size_t index;
    while ((index = atomic_fetch_add(&batch->next, 1)) < batch->count)
        fuse_one(batch, &batch->jobs[index]);
}

/* ---- the command ---- */

static int by_output(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
    int order = path_order(x->output, y->output);
    return order ? order : (x > y) - (x < y);
}

/* Of inputs that would become one file, the first one does and the others are refused. */
static void refuse_doubles(struct batch *batch)
{
    struct job **sorted = calloc(batch->count + 1, sizeof(*sorted));
    batch->out_of_memory = batch->out_of_memory || !sorted;
    for (size_t i = 0; sorted && i < batch->count; i++)
        sorted[i] = &batch->jobs[i];
    if (sorted && batch->count)
        qsort(sorted, batch->count, sizeof(*sorted), by_output);
    for (size_t i = 1; sorted && i < batch->count; i++)
        if (path_order(sorted[i]->output, sorted[i - 1]->output) == 0)
            sorted[i]->place = GOES_AS_ANOTHER;
    free(sorted);
}

/* ---- files that are there already ---- */

struct place {
    uint64_t device, inode;
    struct job *job;
    bool is_output;
};

static int by_file(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    if (x->is_output != y->is_output)
        return x->is_output ? 1 : -1;
    return (x->job > y->job) - (x->job < y->job);
}

static void add_place(struct place *places, size_t *count, struct job *job, bool is_output)
{
    struct looked looked;
    if (system_look(is_output ? job->output : job->input, true, &looked) == LOOK_FILE)
        places[(*count)++] = (struct place){looked.device, looked.inode, job, is_output};
}

/* A result never takes the place of another model of the batch, or of another result under another name.
 * In its own place it may go. */
static void refuse_clashes(struct batch *batch)
{
    struct place *places = calloc(2 * batch->count + 1, sizeof(*places));
    size_t count = 0;
    batch->out_of_memory = batch->out_of_memory || !places;
    for (size_t i = 0; places && i < batch->count; i++) {
        add_place(places, &count, &batch->jobs[i], false);
        add_place(places, &count, &batch->jobs[i], true);
    }
    if (count)
        qsort(places, count, sizeof(*places), by_file);
    for (size_t first = 0, end; first < count; first = end) {
        const struct job *input = NULL, *output = NULL; /* of this file */
        bool several = false;                           /* inputs */
        for (end = first;
             end < count && places[end].device == places[first].device && places[end].inode == places[first].inode;
             end++) {
            struct job *job = places[end].job;
            if (!places[end].is_output) {
                several = several || input;
                input = job;
            } else if (job->place == GOES_ALONE && input && (several || input != job)) {
                job->place = GOES_OVER_A_MODEL;
            } else if (job->place == GOES_ALONE && output) {
                job->place = GOES_AS_ANOTHER;
            } else if (job->place == GOES_ALONE) {
                output = job;
            }
        }
    }
    free(places);
}

/* Prints lines in the order of the jobs, as soon as they are known. */
static void print_lines(struct batch *batch, bool quiet)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct job *job = &batch->jobs[i];
        mutex_lock(&batch->mutex);
        while (!job->is_done)
            condition_wait(&batch->done, &batch->mutex);
        mutex_unlock(&batch->mutex);
        const char *line = job->line ? job->line : "out of memory";
        if (job->failed)
            fprintf(stderr, "onnx-repvgg-fuse: %s\n", line);
        else if (!quiet)
            printf("%s\n", line);
        (void)fflush(stdout); /* asked once, at the end */
    }
}

enum { MOST_THREADS = 256 };

static int run_jobs(struct batch *batch, bool strict, bool quiet)
{
    struct thread threads[MOST_THREADS];
    int wanted = batch->options->jobs > 0 ? batch->options->jobs : thread_cores();
    int started = 0;
    while (started < wanted && started < MOST_THREADS && (size_t)started < batch->count &&
           thread_start(&threads[started], work, batch))
        started++;
    if (!started)
        work(batch);
    print_lines(batch, quiet);
    for (int i = 0; i < started; i++)
        thread_join(&threads[i]);
    size_t failed = 0, warned = 0, changed = 0;
    for (size_t i = 0; i < batch->count; i++) {
        failed += batch->jobs[i].failed;
        warned += batch->jobs[i].warned;
        changed += batch->jobs[i].changed;
    }
    if (!quiet)
        fprintf(stderr, "%zu model%s: %zu fused, %zu unchanged, %zu failed, %zu with warnings\n", batch->count,
                batch->count == 1 ? "" : "s", changed, batch->count - failed - changed, failed, warned);
    return failed ? 2 : strict && warned ? 1 : 0;
}

int batch_run(const char *output, char *const *inputs, int count, const struct onnx_fuse_options *options, bool strict,
              bool quiet, bool confined)
{
    struct batch batch = {.options = options};
    int status = 2;
    mutex_open(&batch.mutex);
    condition_open(&batch.done);
    system_look(output, true, &batch.place);
    for (int i = 0; i < count; i++)
        add_input(&batch, inputs[i], output);
    refuse_doubles(&batch);
    refuse_clashes(&batch);
    if (confined)
        confine_batch(&batch, output, inputs, count);
    if (batch.out_of_memory)
        fprintf(stderr, "onnx-repvgg-fuse: out of memory\n");
    else if (batch.count == 0)
        fprintf(stderr, "onnx-repvgg-fuse: %s: no model (*.onnx) in it\n", inputs[0]);
    else
        status = run_jobs(&batch, strict, quiet);
    for (size_t i = 0; i < batch.count; i++) {
        free(batch.jobs[i].input);
        free(batch.jobs[i].output);
        free(batch.jobs[i].line);
    }
    free(batch.jobs);
    mutex_close(&batch.mutex);
    condition_close(&batch.done);
    return status;
}
