"""A pytest plugin for programs that run many times slower (scripts/valgrind): limits of time are wider by PATIENCE."""
import os
import resource
import subprocess

PATIENCE = int(os.environ.get("PATIENCE", "30"))


def _wider(function):
    def call(self, *arguments, timeout=None, **keywords):
        return function(self, *arguments, timeout=timeout and timeout * PATIENCE, **keywords)
    return call


def _setrlimit(kind, limits, set_limit=resource.setrlimit):
    if kind != resource.RLIMIT_CPU:
        set_limit(kind, limits)


# subprocess.run goes through communicate, which goes through wait.
subprocess.Popen.communicate = _wider(subprocess.Popen.communicate)
resource.setrlimit = _setrlimit
