/* command/batch.c: finds models, hands them to threads, prints what became of each. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* DT_ constants */

#include "command/batch.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/system_error.h"
#include "base/tame.h"
#include "command/guard.h"
#include "command/sandbox.h"

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
    struct stat place; /* of the folder that results go to */
    const struct onnx_fuse_options *options;
    atomic_size_t next;
    pthread_mutex_t mutex; /* guards line and is_done of the jobs */
    pthread_cond_t done;
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

static void add_job(struct batch *batch, const char *input, const char *folder, const char *name,
                    int unlisted)
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
    struct job job = {
        .input = strdup(input), .output = join_path(folder, name), .unlisted = unlisted};
    batch->out_of_memory = batch->out_of_memory || !job.input || !job.output;
    batch->jobs[batch->count++] = job;
}

static bool is_model(const char *name)
{
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".onnx") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Models of a folder in the order of their names; what it holds keeps its place below `output`.
 * Links to folders are not followed: they can lead around in circles. */
static void search(struct batch *batch, const char *folder, const char *output, int depth)
{
    struct dirent **entries;
    errno = ELOOP;
    int count = depth < DEEPEST ? scandir(folder, &entries, NULL, by_name) : -1;
    if (count < 0)
        add_job(batch, folder, output, "", errno);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char *path = join_path(folder, name), *below = join_path(output, name);
        struct stat status = {0};
        if (!path || !below)
            batch->out_of_memory = true;
        else if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            ;
        else if (lstat(path, &status) != 0 && !is_model(name)) {
            if (errno != ENOENT) /* it may be a folder */
                add_job(batch, path, output, name, errno);
        } else if (S_ISDIR(status.st_mode)) {
            /* Earlier results are no models of this batch. */
            if (status.st_dev != batch->place.st_dev || status.st_ino != batch->place.st_ino)
                search(batch, path, below, depth + 1);
        }
        /* What cannot be looked at says so when its turn comes. */
        else if (is_model(name) && (stat(path, &status) != 0 || S_ISREG(status.st_mode)))
            add_job(batch, path, output, name, 0);
        free(path);
        free(below);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void add_input(struct batch *batch, const char *input, const char *output)
{
    struct stat status;
    const char *slash = strrchr(input, '/');
    if (stat(input, &status) == 0 && S_ISDIR(status.st_mode))
        search(batch, input, output, 0);
    else /* what cannot be read says so when its turn comes */
        add_job(batch, input, output, slash ? slash + 1 : input, 0);
}

/* ---- fusing ---- */

static bool make_folders(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        bool good = mkdir(path, 0777) == 0 || errno == EEXIST;
        *at = '/';
        if (!good)
            return false;
    }
    return true;
}

/* A model that is a link lies elsewhere, and so may what is there of a result. */
static void allow_links(const struct sandbox *sandbox, const struct job *job)
{
    struct stat status;
    if (lstat(job->input, &status) == 0 && S_ISLNK(status.st_mode))
        sandbox_allow_model(sandbox, job->input);
    if (lstat(job->output, &status) == 0 && S_ISLNK(status.st_mode))
        sandbox_allow_output(sandbox, job->output);
}

static void confine_batch(const struct batch *batch, const char *output, char *const *inputs,
                          int count)
{
    struct sandbox sandbox;
    struct stat status;
    /* The folder must be there to be named; what is wrong with it, each model says. */
    char *folder = join_path(output, "");
    if (folder && !batch->options->dry_run)
        make_folders(folder);
    free(folder);
    sandbox_open(&sandbox);
    for (int i = 0; i < count; i++) {
        bool is_folder = stat(inputs[i], &status) == 0 && S_ISDIR(status.st_mode);
        char *inside = is_folder ? join_path(inputs[i], "") : NULL;
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

/* A page that could not be read is one of this model or of another that is in work. It is tried again
 * to tell. */
static enum onnx_fuse_status fuse_again(const struct job *job,
                                        const struct onnx_fuse_options *given,
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

static char *describe(const struct job *job, enum onnx_fuse_status status,
                      const struct onnx_fuse_report *report)
{
    char text[2048];
    if (status != ONNX_FUSE_OK)
        snprintf(text, sizeof(text), "%s%s%s", status == ONNX_FUSE_CANCELLED ? job->input : "",
                 status == ONNX_FUSE_CANCELLED ? ": " : "",
                 status == ONNX_FUSE_CANCELLED ? guard_message
                 : report                      ? onnx_fuse_report_error(report)
                                               : "out of memory");
    else
        snprintf(text, sizeof(text), "%s: %s, %s s%s", job->input,
                 onnx_fuse_report_sentence(report),
                 decimal_fixed(onnx_fuse_report_seconds(report), 3).text,
                 onnx_fuse_report_warnings(report) ? ", warnings" : "");
    return strdup(text);
}

static void fuse_one(struct batch *batch, struct job *job)
{
    struct onnx_fuse_options options = *batch->options;
    struct onnx_fuse_report *report = NULL;
    char *line;
    options.jobs = 1; /* the models are what is spread over the cores */
    char text[1024];
    if (job->unlisted) {
        snprintf(text, sizeof(text), "%s: cannot search the folder: %s", job->input,
                 system_error(job->unlisted));
        line = strdup(text);
        job->failed = true;
    } else if (job->place != GOES_ALONE) {
        snprintf(text, sizeof(text),
                 job->place == GOES_AS_ANOTHER
                     ? "%s: another model goes to %s as well"
                     : "%s: it would go to %s, which is itself a model of this batch",
                 job->input, job->output);
        line = strdup(text);
        job->failed = true;
    } else if (!options.dry_run && !make_folders(job->output)) {
        snprintf(text, sizeof(text), "%s: cannot make its folder: %s", job->output,
                 system_error(errno));
        line = strdup(text);
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
    pthread_mutex_lock(&batch->mutex);
    job->line = line;
    job->is_done = true;
    pthread_cond_signal(&batch->done);
    pthread_mutex_unlock(&batch->mutex);
}

static void *work(void *closure)
{
    struct batch *batch = closure;
    size_t index;
    while ((index = atomic_fetch_add(&batch->next, 1)) < batch->count)
        fuse_one(batch, &batch->jobs[index]);
    return NULL;
}

/* ---- the command ---- */

static int by_output(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;
    int order = strcmp(x->output, y->output);
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
        if (strcmp(sorted[i]->output, sorted[i - 1]->output) == 0)
            sorted[i]->place = GOES_AS_ANOTHER;
    free(sorted);
}

/* ---- files that are there already ---- */

struct place {
    dev_t device;
    ino_t inode;
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
    struct stat status;
    if (stat(is_output ? job->output : job->input, &status) == 0 && S_ISREG(status.st_mode))
        places[(*count)++] = (struct place){status.st_dev, status.st_ino, job, is_output};
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
        for (end = first; end < count && places[end].device == places[first].device &&
                          places[end].inode == places[first].inode;
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
        pthread_mutex_lock(&batch->mutex);
        while (!job->is_done)
            pthread_cond_wait(&batch->done, &batch->mutex);
        pthread_mutex_unlock(&batch->mutex);
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
    pthread_t threads[MOST_THREADS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int wanted = batch->options->jobs > 0 ? batch->options->jobs : (int)(cores > 0 ? cores : 1);
    int started = 0;
    while (started < wanted && started < MOST_THREADS && (size_t)started < batch->count &&
           pthread_create(&threads[started], NULL, work, batch) == 0)
        started++;
    if (!started)
        work(batch);
    print_lines(batch, quiet);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    size_t failed = 0, warned = 0, changed = 0;
    for (size_t i = 0; i < batch->count; i++) {
        failed += batch->jobs[i].failed;
        warned += batch->jobs[i].warned;
        changed += batch->jobs[i].changed;
    }
    if (!quiet)
        fprintf(stderr, "%zu model%s: %zu fused, %zu unchanged, %zu failed, %zu with warnings\n",
                batch->count, batch->count == 1 ? "" : "s", changed,
                batch->count - failed - changed, failed, warned);
    return failed ? 2 : strict && warned ? 1 : 0;
}

int batch_run(const char *output, char *const *inputs, int count,
              const struct onnx_fuse_options *options, bool strict, bool quiet, bool confined)
{
    struct batch batch = {.options = options};
    int status = 2;
    pthread_mutex_init(&batch.mutex, NULL);
    pthread_cond_init(&batch.done, NULL);
    if (stat(output, &batch.place) != 0)
        batch.place = (struct stat){0};
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
    pthread_mutex_destroy(&batch.mutex);
    pthread_cond_destroy(&batch.done);
    return status;
}
