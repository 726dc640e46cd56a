"""A pytest plugin for programs that run many times slower (scripts/valgrind).

Limits of time are wider by PATIENCE, limits of processor time are not set. EVERY=n runs each n-th test only.
"""
import inspect
import os
import resource
import subprocess

PATIENCE = int(os.environ.get("PATIENCE", "30"))
EVERY = int(os.environ.get("EVERY", "1"))


def _wider(function):
    def call(*arguments, **keywords):
        given = inspect.signature(function).bind(*arguments, **keywords)
        if given.arguments.get("timeout"):
            given.arguments["timeout"] *= PATIENCE
        return function(*given.args, **given.kwargs)
    return call


def _setrlimit(kind, limits, set_limit=resource.setrlimit):
    if kind != resource.RLIMIT_CPU:
        set_limit(kind, limits)


# subprocess.run goes through communicate.
subprocess.Popen.communicate = _wider(subprocess.Popen.communicate)
subprocess.Popen.wait = _wider(subprocess.Popen.wait)
resource.setrlimit = _setrlimit


def pytest_collection_modifyitems(items):
    items[:] = items[::EVERY]
