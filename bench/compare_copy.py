#!/usr/bin/env python3
"""Compare time and memory of onnx-repvgg-fuse with a plain copy of the same file.

The two run in turn, so that other load affects both. Without a model, uses the
largest skeleton of tests/corpus, filled with weights.

usage: compare_copy.py [MODEL.onnx] [--tool PROGRAM] [--runs N] [--folder FOLDER]
needs: onnx and numpy, if no model is given
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# Only the standard library here: Linux counts the memory of the parent's image, as it was at the
# fork, into the child's peak. onnx and numpy, loaded in this process, would raise every figure.

ROOT = pathlib.Path(__file__).resolve().parents[1]
MIB = 1 << 20


def corpus_model(folder):
    """Fill each skeleton in a process of its own; keep the largest model."""
    best = None
    for skeleton in sorted((ROOT / "tests" / "corpus").glob("*.onnx.gz")):
        subprocess.run([sys.executable, ROOT / "tests" / "corpus" / "refill.py", skeleton, "-o", folder], check=True,
                       stdout=subprocess.DEVNULL)
        path = folder / skeleton.name.removesuffix(".gz")
        if best is None or path.stat().st_size > best.stat().st_size:
            if best:
                best.unlink()
            best = path
        else:
            path.unlink()
    return best


def measure(command):
    """Seconds and peak bytes of one run."""
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"compare_copy.py: {command[0]} failed: exit status {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_maxrss * 1024


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="?", type=pathlib.Path)
    p.add_argument("--tool", default=os.environ.get("ONNX_REPVGG_FUSE", str(ROOT / "build" / "onnx-repvgg-fuse")))
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--folder", help="where the files are written (default: the system's folder for temporary files)")
    a = p.parse_args()
    if a.runs < 1:
        p.error("--runs must be at least 1")
    if not os.access(a.tool, os.X_OK):
        p.error(f"{a.tool} cannot be run: build it first, or name it with --tool")

    with tempfile.TemporaryDirectory(prefix="compare-copy-", dir=a.folder) as name:
        folder = pathlib.Path(name)
        model = a.model or corpus_model(folder)
        size = model.stat().st_size
        out = folder / "out.onnx"
        commands = {"copy": ["cp", "--reflink=never", str(model), str(out)],
                    "fuse": [a.tool, "--quiet", str(model), str(out)],
                    "fuse --no-check": [a.tool, "--quiet", "--no-check", str(model), str(out)]}
        results = {k: [] for k in commands}
        for turn in range(a.runs + 1):
            for kind, command in commands.items():
                out.unlink(missing_ok=True)
                result = measure(command)
                if turn:  # the first turn brings the files into memory
                    results[kind].append(result)

        print(f"{model.name}: {size / MIB:.1f} MiB, median of {a.runs} runs")
        print(f"{'':<16}{'seconds':>9}{'of copy':>9}{'range':>15}{'peak MiB':>10}{'of file':>9}")
        for kind, runs in results.items():
            seconds = sorted(s for s, _ in runs)
            # Run by run against the copy just before it, then the median.
            ratio = statistics.median(s / c for (s, _), (c, _) in zip(runs, results["copy"]))
            peak = max(m for _, m in runs)
            print(f"{kind:<16}{statistics.median(seconds):>9.3f}{ratio:>9.2f}{f'{seconds[0]:.3f}-{seconds[-1]:.3f}':>15}"
                  f"{peak / MIB:>10.1f}{peak / size:>9.2f}")


if __name__ == "__main__":
    main()
