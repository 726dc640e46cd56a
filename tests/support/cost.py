"""What a command costs: seconds of processor, peak memory of its own.

The kernel's ru_maxrss of a process begins with what its parent had when it was forked, so a small interpreter
stands between, and 11 MB are the least that can be told."""
import collections
import json
import os
import subprocess
import sys

BETWEEN = """
import json, os, resource, sys
result, seconds = int(sys.argv[1]), int(sys.argv[2])
child = os.fork()
if child == 0:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.close(result)
    os.execv(sys.argv[3], sys.argv[3:])
_, status, usage = os.wait4(child, 0)
os.write(result, json.dumps([usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)]).encode())
"""

# The program is so many times slower than usual (scripts/valgrind): limits of time are wider, models smaller.
SLOWER = int(os.environ.get("SLOWER", "1"))

Cost = collections.namedtuple("Cost", "seconds memory code error")


def processor_seconds():
    """Of this process and of its children that have ended: a busy machine does not stretch it."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def cost(arguments, seconds=60):
    """code is negative for a signal; SIGXCPU comes after `seconds`. error: standard error."""
    ours, theirs = os.pipe()
    with os.fdopen(ours) as told:
        p = subprocess.Popen([sys.executable, "-I", "-S", "-c", BETWEEN, str(theirs), str(int(seconds * SLOWER)), *map(str, arguments)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=[theirs])
        os.close(theirs)
        error = p.communicate()[1].decode(errors="replace")
        return Cost(*json.loads(told.read()), error)


def bound(*paths):
    """The most memory that a command may take for these files."""
    return 16 * sum(os.path.getsize(p) for p in paths) + (64 << 20)
