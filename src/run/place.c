/* run/place.c: where a run writes: the file of new data, and that nothing it writes takes the place of
 * what it reads. */
#include "run/place.h"

#include "base/system.h"
#include "base/utf8.h"

static bool is_utf8(const char *name)
{
    for (size_t left = strlen(name), length; left; left -= length, name += length)
        if (!(length = utf8_length((const unsigned char *)name, left)))
            return false;
    return true;
}

const char *run_free_name(struct run *run)
{
    struct arena *arena = &run->arena;
    const char *base = path_name(run->output_path);
    if (!is_utf8(base)) /* the model contains the name, and strings of protobuf are UTF-8 */
        base = "model";
    const char *name = arena_format(arena, "%s.data", base);
    for (unsigned number = 1; output_exists(arena, run->output_path, name); number++)
        name = arena_format(arena, "%s.%u.data", base, number);
    return name;
}

bool run_names_data(const char *external_data)
{
    return external_data && strcmp(external_data, "auto") != 0 && strcmp(external_data, "inline") != 0;
}

struct emit_placement run_place(struct run *run)
{
    const char *wanted = run->options.external_data;
    bool to_file = run->output_path && output_is_file(run->output_path);
    bool apart =
        !to_file || (run->source.has_folder && !folder_is_same(&run->arena, &run->source.folder, run->output_path));
    struct emit_placement placement = {0};
    if (run_names_data(wanted)) {
        if (!to_file)
            fail(&run->landing, ONNX_FUSE_ARGUMENT, "external data '%s' needs an output that is a file", wanted);
        if (path_name(wanted) != wanted || strcmp(wanted, ".") == 0 || strcmp(wanted, "..") == 0)
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "external data '%s': expected a file name without a folder: the file goes into the output's folder",
                 wanted);
        if (!is_utf8(wanted))
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "external data '%s': the name is not UTF-8, as names in a model must be", wanted);
        if (path_order(wanted, path_name(run->output_path)) == 0)
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "external data '%s' is the name of the output itself: name another file", wanted);
        if (!run->options.dry_run && output_exists(&run->arena, run->output_path, wanted))
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "external data '%s' exists beside the output: name another file or remove it", wanted);
        placement = (struct emit_placement){true, true, true, wanted};
    } else if (wanted && strcmp(wanted, "inline") == 0) {
        placement.move_external = run->model.has_external;
    } else if (run->model.has_external && apart) {
        placement.move_external = true;
        placement.location = to_file ? run_free_name(run) : NULL;
        placement.move_new = to_file;
    }
    placement.move_external = placement.move_external && run->model.folder;
    return placement;
}

/* ---- apart from what is read ---- */

/* Nothing that is written takes the place of what the model calls its data: neither it nor what is
 * written would be whole. */
static void refuse_data(struct run *run, const char *path, const struct external_file *file)
{
    fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: holds data of the model ('%s'): write to another file", path,
         file->location);
}

static const struct external_file *files_of(const struct run *run)
{
    return run->source.has_folder ? run->source.folder.files : NULL;
}

void run_check_data(struct run *run, const struct output *output)
{
    for (const struct external_file *file = files_of(run); file; file = file->next)
        if (output_takes(output, file->mapping.mark.device, file->mapping.mark.inode))
            refuse_data(run, output->path, file);
}

void run_check_dry(struct run *run)
{
    struct looked looked;
    if (!run->output_path || !system_look(run->output_path, true, &looked))
        return;
    for (const struct external_file *file = files_of(run); file; file = file->next)
        if (looked.device == file->mapping.mark.device && looked.inode == file->mapping.mark.inode)
            refuse_data(run, run->output_path, file);
}

bool run_reads_temporary(const struct run *run)
{
    bool reads = run->source.path && output_sweeps(run->source.path);
    for (const struct external_file *file = files_of(run); file && !reads; file = file->next)
        reads = output_sweeps(file->location);
    return reads;
}

void run_check_apart(struct run *run, const struct output *output)
{
    run_check_data(run, output);
    if (output_is_same(&run->page, output) || output_is_same(&run->json, output))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: the model goes there, expected another file for the report",
             output->path);
}
