/* test_locale.c: in a process whose locale is German, the library says to the byte what it says in C.
 * Arguments: models that fold. Where de_DE.UTF-8 is not installed, localedef makes it. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <libintl.h>
#endif

#include "bytes.h"
#include "onnx_repvgg_fuse.h"
#include "tap.h"

static char folder[] = "/tmp/onnx-repvgg-fuse-locale-XXXXXX";

static const char *place(const char *name)
{
    static char path[4][256];
    static int next;
    char *at = path[next++ % 4];
    snprintf(at, sizeof(path[0]), "%s/%s", folder, name);
    return at;
}

static bool become_german(void)
{
    char command[512];
    const char *german = place("de_DE.UTF-8");
    if (setlocale(LC_ALL, "de_DE.UTF-8"))
        return true;
    snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 '%s' >&2", german);
    bool made = system(command) == 0 && setenv("LOCPATH", folder, 1) == 0 && setlocale(LC_ALL, "de_DE.UTF-8");
    if (!made)
        printf("# no locale de_DE.UTF-8, and localedef cannot make it: install Debian's `locales`\n");
    return made;
}

/* Messages of the C library in another language, as language packs bring them: a catalogue of gettext
 * with one of them. libintl's own of glibc lies where bindtextdomain says. */
static void translate(void)
{
#ifdef __GLIBC__
    static const char from[] = "No such file or directory", to[] = "Datei oder Verzeichnis nicht gefunden";
    const uint32_t head[] = {0x950412de,
                             0,
                             1,
                             28,
                             36,
                             0,
                             0, /* one text, and its translation */
                             sizeof(from) - 1,
                             44,
                             sizeof(to) - 1,
                             44 + sizeof(from)};
    char path[300];
    snprintf(path, sizeof(path), "%s/de", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/de/LC_MESSAGES", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/de/LC_MESSAGES/libc.mo", folder);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(head, 1, sizeof(head), file) != sizeof(head) ||
        fwrite(from, 1, sizeof(from), file) != sizeof(from) || fwrite(to, 1, sizeof(to), file) != sizeof(to) ||
        fclose(file) != 0)
        abort();
    unsetenv("LANGUAGE");
    bindtextdomain("libc", folder);
    expect(strcmp(strerror(ENOENT), to) == 0, "the C library speaks German: %s", strerror(ENOENT));
#endif
}

/* ---- what the library says ---- */

/* All of it, one text behind the other. How long something took is left out. */
static void say(FILE *said, const char *what, const char *words)
{
    static const char *const times[] = {"\"seconds\": ", "time: "};
    fprintf(said, "\n== %s\n", what);
    for (const char *at = words ? words : "(none)"; *at; at++) {
        fputc(*at, said);
        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
            if (strncmp(at, times[i], strlen(times[i])) == 0) {
                fputs(times[i] + 1, said);
                at += strlen(times[i]);
                at += strspn(at, "0123456789");
                at += *at == '.'; /* a comma stays, and is found */
                at += strspn(at, "0123456789") - 1;
                break;
            }
    }
}

static bool take(void *closure, const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, closure) == size;
}

static void say_fuse(FILE *said, const char *model, const struct onnx_fuse_options *options)
{
    struct onnx_fuse_report *report;
    onnx_fuse_file(model, place("fused.onnx"), options, &report);
    say(said, "error", onnx_fuse_report_error(report));
    say(said, "json", onnx_fuse_report_json(report));
    say(said, "html", onnx_fuse_report_html(report));
    say(said, "explanation", onnx_fuse_report_explanation(report));
    say(said, "table", onnx_fuse_report_table(report));
    onnx_fuse_report_free(report);
}

static void say_view(FILE *said, const char *model)
{
    struct onnx_fuse_view *view;
    struct onnx_fuse_dump_options options;
    onnx_fuse_info(model, NULL, &view);
    say(said, "info", onnx_fuse_view_error(view));
    say(said, "text", onnx_fuse_view_text(view));
    say(said, "json", onnx_fuse_view_json(view));
    onnx_fuse_view_free(view);
    onnx_fuse_dump_options_init(&options);
    options.write = take;
    options.closure = said;
    fprintf(said, "\n== dump, status %d\n", onnx_fuse_dump(model, &options, NULL));
}

static void say_formats(FILE *said, struct onnx_fuse_comparison *comparison)
{
    static const char *const formats[] = {"text", "json", "github", "sarif", "html"};
    fprintf(said, "\n== verdict %d\n", onnx_fuse_comparison_verdict(comparison));
    say(said, "error", onnx_fuse_comparison_error(comparison));
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        say(said, formats[i], onnx_fuse_comparison_format(comparison, formats[i]));
    onnx_fuse_comparison_free(comparison);
}

static void say_comparison(FILE *said, const char *a, const char *b, double rtol)
{
    struct onnx_fuse_comparison *comparison;
    struct onnx_fuse_diff_options diff;
    struct onnx_fuse_verify_options verify;
    onnx_fuse_diff_options_init(&diff);
    onnx_fuse_verify_options_init(&verify);
    diff.rtol = verify.rtol = rtol;
    onnx_fuse_diff(a, b, &diff, &comparison);
    say_formats(said, comparison);
    onnx_fuse_verify(a, b, &verify, &comparison);
    say_formats(said, comparison);
}

/* ---- models ---- */

static void add_value(struct bytes *graph, unsigned field, const char *name)
{
    struct bytes dim = {0}, shape = {0}, tensor = {0}, type = {0}, value = {0};
    number(&dim, 1, 2);
    inside(&shape, 1, &dim);
    inside(&shape, 1, &dim);
    number(&tensor, 1, 1);
    inside(&tensor, 2, &shape);
    inside(&type, 1, &tensor);
    text(&value, 1, name);
    inside(&value, 2, &type);
    inside(graph, field, &value);
}

/* y = LeakyRelu(x) * factor; alpha: of the LeakyRelu, NULL: left out. */
static const char *leaky_model(const char *name, const float *alpha, float factor)
{
    struct bytes node = {0}, attribute = {0}, graph = {0}, opset = {0}, model = {0}, tensor = {0};
    text(&node, 1, "x");
    text(&node, 2, "t");
    text(&node, 4, "LeakyRelu");
    if (alpha) {
        text(&attribute, 1, "alpha");
        tag(&attribute, 2, FOUR);
        raw(&attribute, alpha, sizeof(*alpha));
        number(&attribute, 20, 1);
        inside(&node, 5, &attribute);
    }
    inside(&graph, 1, &node);
    node.size = 0;
    text(&node, 1, "t");
    text(&node, 1, "factor");
    text(&node, 2, "y");
    text(&node, 4, "Mul");
    inside(&graph, 1, &node);
    text(&graph, 2, "main");
    number(&tensor, 2, 1);
    text(&tensor, 8, "factor");
    sized(&tensor, 9, &factor, sizeof(factor));
    inside(&graph, 5, &tensor);
    add_value(&graph, 11, "x");
    add_value(&graph, 12, "y");
    number(&model, 1, 8);
    inside(&model, 7, &graph);
    number(&opset, 2, 16);
    inside(&model, 8, &opset);
    const char *path = place(name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(model.data, 1, model.size, file) != model.size || fclose(file) != 0)
        abort();
    return path;
}

static bool is_same(const char *a, const char *b)
{
    struct onnx_fuse_comparison *comparison;
    onnx_fuse_diff(a, b, NULL, &comparison);
    bool same = onnx_fuse_comparison_verdict(comparison) == ONNX_FUSE_SAME;
    onnx_fuse_comparison_free(comparison);
    return same;
}

struct words {
    char *bytes;
    size_t size;
};

static struct words say_all(char **models, int count)
{
    struct words words;
    struct onnx_fuse_options options;
    FILE *said = open_memstream(&words.bytes, &words.size);
    if (!said)
        abort();
    onnx_fuse_options_init(&options);
    for (int i = 0; i < count; i++) {
        say_fuse(said, models[i], NULL);
        say_view(said, models[i]);
        say_comparison(said, models[i], place("fused.onnx"), 1e-12);
    }
    const float slope = 0.125f;
    const char *plain = leaky_model("plain.onnx", NULL, 0.1f);
    const char *other = leaky_model("other.onnx", &slope, 1.5f);
    say_comparison(said, plain, other, 0);
    say_comparison(said, plain, other, -0.5);
    say_fuse(said, leaky_model("nan.onnx", NULL, NAN), NULL);
    options.tolerance = -0.25;
    say_fuse(said, plain, &options);
    options.tolerance = 1e-30;
    say_fuse(said, models[0], &options);
    say_fuse(said, place("absent.onnx"), NULL);
    options.max_growth = -1.5;
    say_fuse(said, plain, &options);
    if (fclose(said) != 0)
        abort();
    return words;
}

int main(int count, char **arguments)
{
    const float slope = 0.01f;
    if (count < 2 || !mkdtemp(folder)) {
        fprintf(stderr, "expected models as arguments, and a writable /tmp\n");
        return 2;
    }
    struct words plain = say_all(arguments + 1, count - 1);
    bool german = become_german();
    char sample[8];
    snprintf(sample, sizeof(sample), "%.1f", 0.5);
    expect(german && strcmp(sample, "0,5") == 0, "the locale is German: a half is %s", sample);
    translate();
    struct words again = say_all(arguments + 1, count - 1);
    size_t at = 0, line = 0;
    for (; at < plain.size && at < again.size && plain.bytes[at] == again.bytes[at]; at++)
        line = plain.bytes[at] == '\n' ? at + 1 : line;
    bool same = plain.size == again.size && at == plain.size;
    expect(same, "%zu bytes are the same in both", plain.size);
    if (!same)
        printf("# C:     %.*s\n# de_DE: %.*s\n", (int)strcspn(plain.bytes + line, "\n"), plain.bytes + line,
               (int)strcspn(again.bytes + line, "\n"), again.bytes + line);
    expect(is_same(leaky_model("a.onnx", NULL, 1), leaky_model("b.onnx", &slope, 1)),
           "LeakyRelu with and without its default");
    free(plain.bytes);
    free(again.bytes);
    char command[300];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command) != 0 || unit_finish();
}
