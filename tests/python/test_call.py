"""Threads, the GIL, Ctrl-C."""
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import onnx_repvgg_fuse
from onnx_repvgg_fuse import fuse
from tests.python.conftest import make_block
from tests.support.cost import processor_seconds


def test_eight_threads_give_the_bytes_of_one_after_another(model_path):
    """Different models side by side, several times over: every model of the repository among them."""
    models = [path.read_bytes() for path in sorted(model_path.parent.glob("*.onnx"))]
    models += [make_block(channels=8, seed=seed, blocks=3).SerializeToString() for seed in range(16 - len(models))]
    expected = [fuse(model).model for model in models]
    start = threading.Barrier(8)

    def work(index):
        if index < 8:
            start.wait()
        return fuse(models[index % len(models)]).model

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for index, got in enumerate(pool.map(work, range(3 * len(models)))):
            assert got == expected[index % len(models)]


test_eight_threads_give_the_bytes_of_one_after_another = pytest.mark.parametrize(
    "model_path", ["repvgg_small.onnx"], indirect=True)(test_eight_threads_give_the_bytes_of_one_after_another)


GIL = """
import sys, threading, time
import onnx_repvgg_fuse

sys.setswitchinterval(1000)  # a thread that has the GIL keeps it until it lets go itself
data = open(sys.argv[1], "rb").read()
counted, done, deadline = [0], threading.Event(), time.monotonic() + 60

def count():
    while not done.is_set():
        counted[0] += 1
        time.sleep(0)

def work():
    while counted[0] == 0 and time.monotonic() < deadline:
        onnx_repvgg_fuse.fuse(data)
    done.set()

worker, counter = threading.Thread(target=work), threading.Thread(target=count)
worker.start()
counter.start()
worker.join()
print(counted[0] > 0)
"""


def test_the_gil_is_let_go(small):
    """While C works another thread counts."""
    assert subprocess.run([sys.executable, "-c", GIL, small], capture_output=True, text=True, check=True).stdout == "True\n"


def test_progress_can_stop(block, tmp_path):
    path, out = tmp_path / "in.onnx", tmp_path / "out.onnx"
    path.write_bytes(block.SerializeToString())
    with pytest.raises(onnx_repvgg_fuse.Cancelled):
        fuse(path, out, progress=lambda step, fraction: False)
    with pytest.raises(onnx_repvgg_fuse.Cancelled):
        fuse(path, out, progress=lambda step, fraction: step != "writing")
    assert os.listdir(tmp_path) == ["in.onnx"]


def test_an_exception_of_progress_comes_through(block):
    def fail(step, fraction):
        raise LookupError(step)

    with pytest.raises(LookupError, match="reading"):
        fuse(block, progress=fail)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, pytest.raises(LookupError):
        pool.submit(fuse, block, progress=fail).result()


INTERRUPTED = """
import signal, sys, threading, time
import onnx_repvgg_fuse

# A shell may have started all of this in the background, where Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def told(step, fraction):
    # A run that would take an hour.
    if step == "writing" or step == {step!r}:
        print("inside", flush=True)
        time.sleep(0.01)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("stopped", threading.active_count(), flush=True)
"""


@pytest.mark.parametrize("presses", [1, 3])
@pytest.mark.parametrize("step, call", [
    ("planning", "onnx_repvgg_fuse.fuse(sys.argv[1], sys.argv[2], progress=told)"),
    ("writing", "onnx_repvgg_fuse.fuse(sys.argv[1], sys.argv[2], progress=told)"),
    ("planning", "onnx_repvgg_fuse.fuse(open(sys.argv[1], 'rb').read(), progress=told)")])
def test_ctrl_c(step, call, presses, small, tmp_path):
    out = tmp_path / "out.onnx"
    out.write_bytes(b"kept")
    run = subprocess.Popen([sys.executable, "-c", INTERRUPTED.format(step=step, call=call), str(small), str(out)],
                           stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        assert run.stdout.readline() == "inside\n"
        for _ in range(presses):
            run.send_signal(signal.SIGINT)
            time.sleep(0.002)
        began = processor_seconds()
        rest, _ = run.communicate(timeout=20)
    finally:
        run.kill()
    if presses == 1:
        assert rest.splitlines()[-1] == "stopped 1" and run.returncode == 0
    assert processor_seconds() - began < 10
    assert os.listdir(tmp_path) == ["out.onnx"]
    assert out.read_bytes() == b"kept" or b"Conv" in out.read_bytes()  # whole: an earlier round had ended
