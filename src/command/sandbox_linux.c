/* command/sandbox_linux.c: Landlock and seccomp, without a library for either. */
#define _GNU_SOURCE /* O_PATH, syscall, realpath */

#include "command/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* LeakSanitizer examines the threads from a separate process. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED)
#define SANITIZED 0
#endif

/* ---- Landlock ---- */

/* The kernel's interface, said here: the headers of the machine that builds may be older than the
 * kernel that runs. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { RULE_PATH_BENEATH = 1, ASK_VERSION = 1 };

struct ruleset_attribute {
    uint64_t handled_files, handled_net, scoped;
};
struct path_attribute {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

#define RIGHT_EXECUTE (1ul << 0)
#define RIGHT_WRITE_FILE (1ul << 1)
#define RIGHT_READ_FILE (1ul << 2)
#define RIGHT_READ_DIR (1ul << 3)
#define RIGHT_REMOVE_FILE (1ul << 5)
#define RIGHT_MAKE_DIR (1ul << 7)
#define RIGHT_MAKE_REG (1ul << 8)
#define RIGHT_REFER (1ul << 13)
#define RIGHT_TRUNCATE (1ul << 14)

#define RIGHTS_READ (RIGHT_READ_FILE | RIGHT_READ_DIR)
#define RIGHTS_OF_A_FILE (RIGHT_EXECUTE | RIGHT_WRITE_FILE | RIGHT_READ_FILE | RIGHT_TRUNCATE)
#define RIGHTS_WRITE                                                                                                   \
    (RIGHTS_READ | RIGHT_WRITE_FILE | RIGHT_REMOVE_FILE | RIGHT_MAKE_DIR | RIGHT_MAKE_REG | RIGHT_REFER |              \
     RIGHT_TRUNCATE)

/* Rights by version of the interface: 1 has 13, 2 has refer, 3 truncate, 5 device control. */
static unsigned long known_rights(long version)
{
    int bits = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
    return (1ul << bits) - 1;
}

void sandbox_open(struct sandbox *sandbox)
{
    *sandbox = (struct sandbox){.ruleset = -1};
    long version = syscall(CREATE_RULESET, NULL, 0, ASK_VERSION);
    if (version < 1)
        return;
    struct ruleset_attribute attribute = {.handled_files = known_rights(version)};
    size_t size = offsetof(struct ruleset_attribute, handled_net);
    if (version >= 4) { /* no TCP */
        attribute.handled_net = 3;
        size = offsetof(struct ruleset_attribute, scoped);
    }
    if (version >= 6) { /* no abstract sockets, no signals to the outside */
        attribute.scoped = 3;
        size = sizeof(attribute);
    }
    sandbox->handled = attribute.handled_files;
    sandbox->ruleset = (int)syscall(CREATE_RULESET, &attribute, size, 0);
}

static void allow(const struct sandbox *sandbox, const char *path, unsigned long rights)
{
    struct stat status;
    if (sandbox->ruleset < 0)
        return;
    int descriptor;
    do
        descriptor = open(path, O_PATH | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return;
    if (fstat(descriptor, &status) == 0 && !S_ISDIR(status.st_mode))
        rights &= RIGHTS_OF_A_FILE;
    struct path_attribute attribute = {rights & sandbox->handled, descriptor};
    syscall(ADD_RULE, sandbox->ruleset, RULE_PATH_BENEATH, &attribute, 0);
    close(descriptor);
}

static void allow_folder_of(const struct sandbox *sandbox, const char *path, unsigned long rights)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof(folder))
        return;
    memcpy(folder, path, length);
    folder[length] = 0;
    allow(sandbox, length ? folder : ".", rights);
}

void sandbox_allow_model(const struct sandbox *sandbox, const char *path)
{
    if (strcmp(path, "-") != 0)
        allow(sandbox, path, RIGHTS_READ); /* where it is a link, it lies elsewhere */
    allow_folder_of(sandbox, path, RIGHTS_READ);
}

void sandbox_allow_reading(const struct sandbox *sandbox)
{
    allow(sandbox, "/", RIGHTS_READ);
}

void sandbox_allow_output(const struct sandbox *sandbox, const char *path)
{
    char resolved[PATH_MAX];
    if (strcmp(path, "-") == 0)
        return;
    allow_folder_of(sandbox, path, RIGHTS_WRITE);
    if (realpath(path, resolved)) {
        allow(sandbox, resolved, RIGHTS_WRITE); /* a pipe, a device */
        allow_folder_of(sandbox, resolved, RIGHTS_WRITE);
    }
}

void sandbox_allow_folder(const struct sandbox *sandbox, const char *path)
{
    allow(sandbox, path, RIGHTS_WRITE);
}

/* ---- seccomp ---- */

#if defined(__x86_64__) && !defined(__ILP32__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCH AUDIT_ARCH_RISCV64
#endif

#if defined(OWN_ARCH)

#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))
/* These machines are little-endian: the low half of an argument comes first. */
#define LOW(index) (DATA(args) + 8 * (index))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define REFUSE(error) RETURN(SECCOMP_RET_ERRNO | (error))
#define IF_EQUAL(number, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(number), then, otherwise)
#define IF_ANY(bits, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)(bits), then, otherwise)

#define ALLOW(name) IF_EQUAL(SYS_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define FORBID(name) IF_EQUAL(SYS_##name, 0, 1), REFUSE(EPERM)
/* The low half of an argument is one of two numbers. Leaves the call's number loaded. */
#define ALLOW_FOR(name, index, one, other)                                                                             \
    IF_EQUAL(SYS_##name, 0, 5), LOAD(LOW(index)), IF_EQUAL(one, 1, 0), IF_EQUAL(other, 0, 1),                          \
        RETURN(SECCOMP_RET_ALLOW), REFUSE(EPERM)
#define ALLOW_WITH(name, index, bits)                                                                                  \
    IF_EQUAL(SYS_##name, 0, 4), LOAD(LOW(index)), IF_ANY(bits, 0, 1), RETURN(SECCOMP_RET_ALLOW), REFUSE(EPERM)

/* Unlisted calls fail as on a kernel without them, so the C library falls back; harmful ones fail with EPERM. clone3
 * is unlisted, because a filter cannot see its flags. */
static int forbid_calls(void)
{
    const uint32_t own = (uint32_t)getpid();
    struct sock_filter filter[] = {
        LOAD(DATA(arch)),
        IF_EQUAL(OWN_ARCH, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(DATA(nr)),
        /* memory */
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mprotect),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(msync),
        ALLOW(mincore),
        /* threads and time */
        ALLOW(futex),
        ALLOW(exit),
        ALLOW(exit_group),
        ALLOW(set_robust_list),
#if defined(SYS_rseq)
        ALLOW(rseq),
#endif
#if defined(SYS_membarrier)
        ALLOW(membarrier),
#endif
        ALLOW(gettid),
        ALLOW(getpid),
        ALLOW(sched_yield),
        ALLOW(sched_getaffinity),
        ALLOW(getcpu),
        ALLOW(sysinfo),
        ALLOW(uname),
        ALLOW(clock_gettime),
        ALLOW(clock_getres),
        ALLOW(clock_nanosleep),
        ALLOW(nanosleep),
        ALLOW(gettimeofday),
        ALLOW(getrandom),
        ALLOW(restart_syscall),
        /* signals */
        ALLOW(rt_sigaction),
        ALLOW(rt_sigprocmask),
        ALLOW(rt_sigreturn),
        ALLOW(rt_sigtimedwait),
        ALLOW(sigaltstack),
        ALLOW_FOR(tgkill, 0, own, own),
        ALLOW_FOR(kill, 0, own, own),
        /* who am I */
        ALLOW(getuid),
        ALLOW(geteuid),
        ALLOW(getgid),
        ALLOW(getegid),
        ALLOW_FOR(prlimit64, 2, 0, 0), /* asked, not set */
        /* files: which ones, Landlock says */
        ALLOW(read),
        ALLOW(pread64),
        ALLOW(readv),
        ALLOW(write),
        ALLOW(pwrite64),
        ALLOW(writev),
        ALLOW(lseek),
        ALLOW(close),
        ALLOW(fstat),
#if defined(SYS_newfstatat)
        ALLOW(newfstatat),
#endif
#if defined(SYS_statx)
        ALLOW(statx),
#endif
        ALLOW(statfs),
        ALLOW(fstatfs),
        ALLOW(openat),
#if defined(SYS_openat2)
        ALLOW(openat2),
#endif
        ALLOW(faccessat),
#if defined(SYS_faccessat2)
        ALLOW(faccessat2),
#endif
        ALLOW(readlinkat),
        ALLOW(getcwd),
        ALLOW(getdents64),
        ALLOW(dup),
        ALLOW(fcntl),
        ALLOW(flock),
        ALLOW(copy_file_range),
        ALLOW(ftruncate),
        ALLOW(fallocate),
        ALLOW(fadvise64),
#if defined(SYS_sync_file_range)
        ALLOW(sync_file_range),
#endif
        ALLOW(fsync),
        ALLOW(fdatasync),
        ALLOW(syncfs),
        ALLOW(linkat),
#if defined(SYS_renameat)
        ALLOW(renameat),
#endif
        ALLOW(renameat2),
        ALLOW(unlinkat),
        ALLOW(mkdirat),
        ALLOW(fchmod),
        ALLOW(fchown),
        ALLOW(getxattr),
        ALLOW(fsetxattr),
        ALLOW(ppoll),
        ALLOW_FOR(ioctl, 1, TCGETS, TIOCGWINSZ), /* is it a terminal, how wide */
#if defined(SYS_open)
        ALLOW(open),
        ALLOW(stat),
        ALLOW(lstat),
        ALLOW(access),
        ALLOW(readlink),
        ALLOW(rename),
        ALLOW(link),
        ALLOW(unlink),
        ALLOW(mkdir),
        ALLOW(poll),
        ALLOW(time),
        ALLOW(getrlimit),
#endif
#if SANITIZED
        ALLOW(clone),
        ALLOW(ptrace),
        ALLOW(wait4),
        ALLOW(prctl),
        ALLOW(getppid),
        ALLOW(tkill),
#if defined(SYS_getdents)
        ALLOW(getdents),
#endif
#else
        ALLOW_WITH(clone, 0, CLONE_THREAD), /* threads, no processes */
        FORBID(ptrace),
        ALLOW_FOR(prctl, 0, PR_SET_NAME, 0x53564d41 /* PR_SET_VMA: malloc names its memory */),
#endif
        FORBID(execve),
        FORBID(execveat),
        FORBID(socket),
        FORBID(socketpair),
        FORBID(connect),
        FORBID(bind),
#if defined(SYS_fork)
        FORBID(fork),
        FORBID(vfork),
#endif
        FORBID(setns),
        FORBID(unshare),
        FORBID(mount),
        FORBID(bpf),
        FORBID(process_vm_readv),
        FORBID(process_vm_writev),
        REFUSE(ENOSYS),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? SANDBOX_SECCOMP : 0;
}

#else

static int forbid_calls(void)
{
    return 0;
}

#endif

int sandbox_close(struct sandbox *sandbox)
{
    int means = SANDBOX_NONE;
    /* The C library asks how many cores there are. */
    allow(sandbox, "/sys/devices/system/cpu", RIGHTS_READ);
    allow(sandbox, "/proc/stat", RIGHTS_READ);
    if (SANITIZED)
        allow(sandbox, "/proc", RIGHTS_READ);
    /* Without this promise the kernel takes neither, and with it no program gets more rights. */
    bool promised = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (promised && sandbox->ruleset >= 0 && syscall(RESTRICT_SELF, sandbox->ruleset, 0) == 0)
        means |= SANDBOX_LANDLOCK;
    if (sandbox->ruleset >= 0)
        close(sandbox->ruleset);
    sandbox->ruleset = -1;
    if (promised)
        means |= forbid_calls();
    return means;
}

bool sandbox_is_built(void)
{
    return true;
}
