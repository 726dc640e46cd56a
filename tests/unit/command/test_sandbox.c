/* test_sandbox.c: what a confined process can do, and what it can't: each tried in a child. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/sandbox.h"
#include "tap.h"

static char base[] = "/tmp/onnx-repvgg-fuse-sandbox-XXXXXX";
static char model[256], other[256], output[256], outside[256];

static void make(const char *path)
{
    int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
    if (descriptor < 0 || write(descriptor, "x", 1) != 1)
        abort();
    close(descriptor);
}

static void make_files(void)
{
    char path[256];
    static const char *const folders[] = {"in", "out", "else"};
    if (!mkdtemp(base))
        abort();
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", base, folders[i]);
        mkdir(path, 0700);
    }
    snprintf(model, sizeof(model), "%s/in/m.onnx", base);
    snprintf(other, sizeof(other), "%s/in/w.bin", base);
    snprintf(output, sizeof(output), "%s/out/o.onnx", base);
    snprintf(outside, sizeof(outside), "%s/else/secret", base);
    make(model);
    make(other);
    make(outside);
}

static int confine(void)
{
    struct sandbox sandbox;
    sandbox_open(&sandbox);
    sandbox_allow_model(&sandbox, model);
    sandbox_allow_output(&sandbox, output);
    return sandbox_close(&sandbox);
}

/* Each returns 0 or errno. */
static int result(bool done)
{
    return done ? 0 : errno ? errno : -1;
}

static int do_socket(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

static int do_unix_socket(void)
{
    int pair[2];
    return result(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
}

static int do_exec(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL};
    execv("/bin/true", arguments);
    return errno;
}

static int do_fork(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return result(child > 0);
}

static int do_ptrace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
}

static int do_kill_parent(void)
{
    return result(kill(getppid(), 0) == 0);
}

static int do_limit(void)
{
    struct rlimit limit = {1, 1};
    return result(setrlimit(RLIMIT_CORE, &limit) == 0);
}

static int do_read_model(void)
{
    char byte;
    int descriptor = open(model, O_RDONLY);
    return result(descriptor >= 0 && read(descriptor, &byte, 1) == 1);
}

static int do_read_beside(void)
{
    return result(open(other, O_RDONLY) >= 0);
}

static int do_read_outside(void)
{
    return result(open(outside, O_RDONLY) >= 0);
}

static int do_read_passwords(void)
{
    return result(open("/etc/passwd", O_RDONLY) >= 0);
}

static int do_list_root(void)
{
    return result(open("/", O_RDONLY | O_DIRECTORY) >= 0);
}

static int do_write_model(void)
{
    return result(open(model, O_WRONLY) >= 0);
}

static int do_remove_model(void)
{
    return result(unlink(model) == 0);
}

static int do_make_outside(void)
{
    char path[300];
    snprintf(path, sizeof(path), "%s.new", outside);
    return result(open(path, O_WRONLY | O_CREAT, 0600) >= 0);
}

static int do_link_outside(void)
{
    return result(symlink("/etc", output) == 0);
}

static int do_write_output(void)
{
    char path[300];
    snprintf(path, sizeof(path), "%s.tmp", output);
    int descriptor = open(path, O_RDWR | O_CREAT, 0600);
    return result(descriptor >= 0 && ftruncate(descriptor, 10) == 0 && write(descriptor, "a", 1) == 1 &&
                  fsync(descriptor) == 0 && rename(path, output) == 0 && unlink(output) == 0);
}

static int do_map(void)
{
    int descriptor = open(model, O_RDONLY);
    return result(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, descriptor, 0) != MAP_FAILED);
}

static void *fill(void *room)
{
    memset(room, 1, 8 << 20);
    return room;
}

static int do_thread(void)
{
    pthread_t thread;
    void *room = malloc(8 << 20);
    int failed = pthread_create(&thread, NULL, fill, room);
    if (!failed)
        pthread_join(thread, NULL);
    free(room);
    return failed;
}

static int do_nothing(void)
{
    return 0;
}

/* The errno of an action in a child, confined or not. */
static int in_child(int (*action)(void), bool confined)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (confined)
            confine();
        errno = 0;
        _exit(action());
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int means_of_child(void)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(confine());
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum { ALWAYS = 0 };

static const struct {
    const char *what;
    int (*action)(void);
    int needs;      /* the means that forbids it; ALWAYS: it stays possible */
    bool sanitized; /* LeakSanitizer needs it too */
} cases[] = {
    {"nothing", do_nothing, ALWAYS, false},
    {"the model is read", do_read_model, ALWAYS, false},
    {"its data is read", do_read_beside, ALWAYS, false},
    {"files are mapped", do_map, ALWAYS, false},
    {"threads and memory", do_thread, ALWAYS, false},
    {"the output is written", do_write_output, ALWAYS, false},
    {"a socket", do_socket, SANDBOX_SECCOMP, false},
    {"a pair of sockets", do_unix_socket, SANDBOX_SECCOMP, false},
    {"another program", do_exec, SANDBOX_SECCOMP, false},
    {"another process", do_fork, SANDBOX_SECCOMP, true},
    {"tracing", do_ptrace, SANDBOX_SECCOMP, true},
    {"a signal to another process", do_kill_parent, SANDBOX_SECCOMP, false},
    {"a limit", do_limit, SANDBOX_SECCOMP, false},
    {"a symbolic link", do_link_outside, SANDBOX_SECCOMP, false},
    {"reading elsewhere", do_read_outside, SANDBOX_LANDLOCK, false},
    {"reading the system", do_read_passwords, SANDBOX_LANDLOCK, false},
    {"listing folders", do_list_root, SANDBOX_LANDLOCK, false},
    {"writing the model", do_write_model, SANDBOX_LANDLOCK, false},
    {"removing the model", do_remove_model, SANDBOX_LANDLOCK, false},
    {"making files elsewhere", do_make_outside, SANDBOX_LANDLOCK, false},
};

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#if !defined(SANITIZED)
#define SANITIZED false
#endif

static void clean(void)
{
    char command[300];
    snprintf(command, sizeof(command), "rm -rf '%s'", base);
    if (system(command) != 0)
        fprintf(stderr, "# cannot remove %s\n", base);
}

int main(void)
{
    make_files();
    int means = means_of_child();
#ifdef __x86_64__
    expect(means >= 0 && (means & SANDBOX_SECCOMP), "seccomp is in force");
#endif
    printf("# Landlock is %s\n", means & SANDBOX_LANDLOCK ? "in force" : "not there");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int needs = cases[i].needs;
        if (needs && (!(means & needs) || (cases[i].sanitized && SANITIZED)))
            continue;
        int failed = in_child(cases[i].action, true);
        if (needs)
            expect(failed != 0, "forbidden: %s (%s)", cases[i].what, strerror(failed));
        else
            expect(failed == 0, "possible: %s (%s)", cases[i].what, strerror(failed));
    }
    /* Without the sandbox each of them works, so it is the sandbox that forbids them. */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].needs && !(means & cases[i].needs))
            continue;
        make(model);
        int failed = in_child(cases[i].action, false);
        expect(failed == 0, "possible without it: %s (%s)", cases[i].what, strerror(failed));
        unlink(output);
    }
    clean();
    return unit_finish();
}
