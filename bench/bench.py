#!/usr/bin/env python3
"""Compare time and memory of onnx-repvgg-fuse with cp and other ONNX optimizers.

Programs run in turn, each in its own process, so that other load affects all of them. The first
round is not counted, because it brings files and programs into memory. Times are for the whole
process. onnx-repvgg-fuse waits for the disk unless --no-sync is given; cp and the peers do not.
So there are two pairs: --no-sync compared with cp, and the default with cp and sync. Peak memory
is the kernel's count (ru_maxrss), which includes pages of mapped files.

usage: bench.py [--model NAME|FILE.onnx,...] [--rounds N] [--work FOLDER] [--peers PYTHON] [--svg FOLDER]
models:
  small     RepVGG, 20 MB               b3        RepVGG-B3, 492 MB: every weight changes
  external  8 GB in a data file, about 1 % of it changes
  inline3g  3 GB of weights inside the model file, over protobuf's limit: must be refused
  nodes     growth: 1e3 to 1e6 small ops
  bytes     growth: 10 MB to --max-bytes
  wide      10,000 Convs that are summed      nested    Ifs in Ifs
needs: numpy (to make the models); measures the peers that the Python named with --peers has
"""
import argparse
import filecmp
import json
import math
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# Only the standard library in this process: Linux counts the memory of the parent's image, as it
# was at the fork, into the child's peak. numpy, loaded here, would raise every figure.
import chart

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
MB = 10 ** 6

ORT = """
import sys, onnxruntime as o
s = o.SessionOptions()
s.graph_optimization_level = o.GraphOptimizationLevel.ORT_ENABLE_BASIC
s.optimized_model_filepath = sys.argv[2]
o.InferenceSession(sys.argv[1], s, providers=["CPUExecutionProvider"])
"""
ONNXSCRIPT = """
import sys, onnx_ir, onnxscript.optimizer
m = onnx_ir.load(sys.argv[1])
onnxscript.optimizer.optimize_ir(m)
onnx_ir.save(m, sys.argv[2])
"""
PEERS = {  # package: arguments of python
    "onnxruntime": ["-c", ORT],
    "onnxscript": ["-c", ONNXSCRIPT],
    "onnxslim": ["-c", "import sys, onnxslim.cli; sys.exit(onnxslim.cli.main())"],
    "onnxsim": ["-m", "onnxsim"],
    "onnxoptimizer": ["-m", "onnxoptimizer"],
}
MODELS = {
    "small": ("20 MB RepVGG", "repvgg --bytes 20M"),
    "b3": ("492 MB RepVGG-B3", "repvgg"),
    "external": ("8 GB of external data, 1 % changes", "large --bytes {external} --data weights.bin"),
    "inline3g": ("3 GB in one file", "large --bytes 3G"),
    "wide": ("10,000 summed Convs", "wide --leaves 10000 --shape {shape}"),
    "nested": ("nested Ifs", "nested --depth {depth}"),
}


OURS, OURS_SYNC = "fuse --no-sync", "fuse"


def made(a, name, arguments):
    """The folder of a model, made when it is not there yet, and its number of ops."""
    if arguments.endswith(".onnx"):  # a model that is there already, its weights inside it
        folder = a.folder / ("file-" + pathlib.Path(arguments).stem)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").unlink(missing_ok=True)
        (folder / "model.onnx").symlink_to(pathlib.Path(arguments).resolve())
        return folder, int(subprocess.run([sys.executable, HERE / "models.py", "ops", arguments], check=True, capture_output=True, text=True).stdout)
    folder = a.folder / ("model-" + arguments.replace("--", "").replace(" ", "-"))
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"making {name} ...", file=sys.stderr)
        ops = subprocess.run([sys.executable, HERE / "models.py", *arguments.split(), "-o", folder / "model.onnx"], check=True,
                             capture_output=True, text=True).stdout
        done.write_text(ops)
    return folder, int(done.read_text())


def unmade(a, folder):
    if not a.work:  # room for the next one
        shutil.rmtree(folder)


def size_of(folder):
    return sum(f.stat().st_size for f in folder.iterdir() if f.name != "done")


def measure(command, folder, timeout):
    """Seconds, peak bytes, exit status and last line of stderr of one run."""
    log = folder.parent / "stderr"
    start = time.perf_counter()
    pid = os.posix_spawnp(str(command[0]), [str(c) for c in command], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)])
    late = []

    def kill(*_):
        late.append(True)
        os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.alarm(timeout)
    _, status, usage = os.wait4(pid, 0)
    signal.alarm(0)
    seconds = time.perf_counter() - start
    lines = log.read_text(errors="replace").strip().splitlines()
    said = f"stopped after {timeout} s" if late else lines[-1] if lines else ""
    return seconds, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status), said


def subjects(a, folder, out, peers):
    model, target = folder / "model.onnx", out / "model.onnx"
    files = [f for f in folder.iterdir() if f.name != "done"]
    commands = {"cp": ["cp", "--reflink=never", *files, out], OURS: [a.tool, "--quiet", "--no-sync", *a.option, model, target]}
    if a.no_check:
        commands["the same, no check"] = [a.tool, "--quiet", "--no-sync", "--no-check", *a.option, model, target]
    if a.sync:
        commands["cp and sync"] = ["sh", "-c", 'cp --reflink=never -- "$@" "$0" && exec sync "$0"/*', out, *files]
        commands[OURS_SYNC] = [a.tool, "--quiet", *a.option, model, target]
    for p in peers:
        commands[p] = [a.peers, *PEERS[p], model, target]
    return commands


def run(a, title, arguments, peers=(), rounds=None):
    """Measure every subject on one model. Returns the rows, in the order they ran."""
    folder, ops = made(a, title, arguments)
    size, out = size_of(folder), a.folder / "out"
    if size > a.peer_bytes:
        peers = ()
    commands = subjects(a, folder, out, peers)
    runs, rows, failed = {k: [] for k in commands}, [], {}
    after = {"cp": ops}
    for turn in range((rounds or a.rounds) + 1):
        for kind, command in commands.items():
            if kind in failed:
                continue
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            seconds, peak, status, said = measure(command, out, a.timeout)
            if status:
                failed[kind] = f"failed ({'signal ' + str(-status) if status < 0 else 'exit ' + str(status)}): {said}"
            elif turn:
                runs[kind].append((seconds, peak, size_of(out)))
            if not status and kind not in after and (out / "model.onnx").exists():
                after[kind] = int(subprocess.run([sys.executable, HERE / "models.py", "ops", out / "model.onnx"], check=True,
                                                 capture_output=True, text=True).stdout)
    shutil.rmtree(out, ignore_errors=True)
    for kind in commands:
        if kind in failed:
            rows.append({"name": kind, "failed": failed[kind]})
            continue
        seconds = sorted(r[0] for r in runs[kind])
        row = {"name": kind, "seconds": statistics.median(seconds), "range": [seconds[0], seconds[-1]],
               # Run by run against the copy just before it, then the median.
               "ratio": statistics.median(r[0] / c[0] for r, c in zip(runs[kind], runs["cp"])),
               "runs": [r[0] for r in runs[kind]],
               "peak": max(r[1] for r in runs[kind]), "bytes": runs[kind][-1][2], "ops": after.get(kind)}
        rows.append(row)
    unmade(a, folder)
    return {"title": title, "model": arguments, "size": size, "ops": ops, "rows": rows}


def table(result):
    made_by = "" if result["model"].endswith(".onnx") else f"   (models.py {result['model']})"
    print(f"\n{result['title']}: {result['size'] / MB:.1f} MB, {result['ops']} ops{made_by}")
    print(f"| {'program':<16} | {'wall s':>8} | {'range':>15} | {'of cp':>6} | {'peak MB':>8} | {'of model':>8} | {'ops after':>9} | {'MB after':>8} |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for r in result["rows"]:
        if "failed" in r:
            print(f"| {r['name']:<16} | {r['failed']} |")
            continue
        print(f"| {r['name']:<16} | {r['seconds']:>8.3f} | {'{:.3f}-{:.3f}'.format(*r['range']):>15} | {r['ratio']:>6.2f} | {r['peak'] / MB:>8.1f} "
              f"| {r['peak'] / result['size']:>8.2f} | {r['ops'] if r['ops'] is not None else '':>9} | {r['bytes'] / MB:>8.1f} |", flush=True)


def row(result, name=OURS):
    return next((r for r in result["rows"] if r["name"] == name and "failed" not in r), None)


def synced(result):
    """Our time of the copy's, both with the wait for the disk; None when it was not measured."""
    ours, copy = row(result, OURS_SYNC), row(result, "cp and sync")
    return statistics.median(a / b for a, b in zip(ours["runs"], copy["runs"])) if ours and copy else None


def same_for_jobs(a, title, arguments):
    """Whether the output's bytes are the same for every number of jobs."""
    folder, _ = made(a, title, arguments)
    outs = []
    for jobs in (1, 2, 5):
        out = a.folder / f"jobs{jobs}"
        out.mkdir(exist_ok=True)
        subprocess.run([a.tool, "--quiet", "--jobs", str(jobs), *a.option, folder / "model.onnx", out / "model.onnx"], check=True)
        outs.append(out)
    names = [f.name for f in outs[0].iterdir()]
    same = all(filecmp.cmp(outs[0] / n, o / n, shallow=False) for o in outs[1:] for n in names)
    for o in outs:
        shutil.rmtree(o)
    unmade(a, folder)
    return same


def refused(a, title, arguments):
    folder, _ = made(a, title, arguments)
    out = a.folder / "out"
    out.mkdir(exist_ok=True)
    seconds, peak, status, said = measure([a.tool, "--quiet", *a.option, folder / "model.onnx", out / "model.onnx"], out, a.timeout)
    left = sorted(f.name for f in out.iterdir())
    shutil.rmtree(out)
    print(f"\n{title}: {size_of(folder) / MB:.1f} MB   (models.py {arguments})")
    print(f"exit {status} after {seconds:.3f} s, peak {peak / MB:.1f} MB, files left behind: {left or 'none'}\n{said}")
    unmade(a, folder)
    return status == 2 and not left and "2 GiB" in said


def growth(a, label, points, unit):
    """Our time over a growing model. Each point is (how many, title, arguments)."""
    lines = []
    for n, title, arguments in points:
        result = run(a, title, arguments)
        if not row(result):
            table(result)
            continue
        lines.append((n, result, row(result), row(result, "cp")))
    print(f"\nGrowth: {label}")
    print(f"| {unit:>9} | {'wall s':>8} | {'per doubling':>12} | {'of cp':>6} | {'peak MB':>8} | {'ops after':>9} |\n|---:|---:|---:|---:|---:|---:|")
    before = None
    for n, result, r, _ in lines:
        # Between points that are not a factor of two apart: the ratio's geometric share.
        per = f"{(r['seconds'] / before[1]) ** (math.log(2) / math.log(n / before[0])):.2f}" if before else ""
        print(f"| {n:>9} | {r['seconds']:>8.3f} | {per:>12} | {r['ratio']:>6.2f} | {r['peak'] / MB:>8.1f} | {r['ops']:>9} |", flush=True)
        before = (n, r["seconds"])
    return [{"n": n, "seconds": r["seconds"], "peak": r["peak"], "cp": c["seconds"], "size": result["size"]} for n, result, r, c in lines]


def bytes_of(value):
    scale = {"K": 10 ** 3, "M": 10 ** 6, "G": 10 ** 9}.get(value[-1:].upper(), 1)
    return int(float(value[:-1] if scale > 1 else value) * scale)


def installed(python):
    code = ("import importlib.metadata as m, sys\nfor p in sys.argv[1:]:\n"
            "    try: print(p, m.version(p))\n    except m.PackageNotFoundError: pass")
    r = subprocess.run([python, "-c", code, *PEERS], capture_output=True, text=True)
    return dict(line.split() for line in r.stdout.splitlines())


def cpu():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def measure_all(a, peers):
    results, curves, verdicts = {}, {}, []

    def target(text, value, limit, unit=""):
        verdicts.append(f"{'met   ' if value <= limit else 'MISSED'}  {text}: {value:.3g}{unit}, at most {limit:g}{unit}")

    for name in a.model:
        title, arguments = MODELS.get(name, (pathlib.Path(name).name, name))
        if name.endswith(".onnx"):
            table(run(a, title, arguments, peers))
        elif name in ("small", "b3"):
            r = results[name] = run(a, title, arguments, peers)
            table(r)
            ours = row(r)
            if ours and name == "b3":
                target("492 MB, every weight changes: wall time of cp", ours["ratio"], 2, "x")
                if synced(r):
                    target("492 MB, both with sync: wall time of cp and sync", synced(r), 2, "x")
                target("492 MB: peak memory of the model", ours["peak"] / r["size"], 0.25, "x")
            elif ours:
                target("20 MB: whole process", ours["seconds"] * 1000, 50, " ms")
                if row(r, OURS_SYNC):
                    target("20 MB: whole process, with sync", row(r, OURS_SYNC)["seconds"] * 1000, 50, " ms")
                others = [x["seconds"] for x in r["rows"] if x["name"] in PEERS and "failed" not in x]
                if others:
                    target("20 MB: our time of the fastest peer's", ours["seconds"] / min(others), 1 / 20, "x")
            same = same_for_jobs(a, title, arguments)
            verdicts.append(f"{'met   ' if same else 'MISSED'}  {title}: the same bytes for --jobs 1, 2, 5")
        elif name == "external":
            arguments = arguments.format(external=a.external_bytes)
            r = results[name] = run(a, title if a.external_bytes == "8G" else f"{a.external_bytes} of external data", arguments)
            table(r)
            if row(r):
                target(f"{a.external_bytes} external, 1 % changes: wall time of cp", row(r)["ratio"], 1.2, "x")
                if synced(r):
                    target(f"{a.external_bytes} external, both with sync: wall time of cp and sync", synced(r), 1.2, "x")
                target(f"{a.external_bytes} external: peak memory", row(r)["peak"] / MB, 300, " MB")
        elif name == "inline3g":
            good = refused(a, title, arguments)
            verdicts.append(f"{'met   ' if good else 'MISSED'}  3 GB inline: a clear error that names the limit of 2 GiB")
        elif name == "nodes":
            counts = [n for n in (1000, 10000, 100000, 250000, 500000, 1000000) if n <= a.max_nodes]
            for kind, arguments in (("mixed", "chain --mix mixed"), ("plain", "chain --mix plain"), ("blocks", "blocks")):
                what = {"mixed": "a chain, most ops fold", "plain": "a chain, nothing folds", "blocks": "RepVGG blocks of 4 channels"}[kind]
                c = curves[what] = growth(a, what, [(n, f"{n} nodes, {kind}", f"{arguments} --nodes {n}") for n in counts], "nodes")
                if c:
                    target(f"{c[-1]['n']} nodes, {kind}", c[-1]["seconds"], 10, " s")
                if len(c) > 1 and c[-1]["n"] == 2 * c[-2]["n"]:
                    target(f"{c[-1]['n']} nodes, {kind}: time of half the nodes", c[-1]["seconds"] / c[-2]["seconds"], 2.3, "x")
        elif name == "bytes":
            sizes = [s for s in ("10M", "40M", "160M", "640M", "1600M", "4G", "8G") if bytes_of(s) <= bytes_of(a.max_bytes)]
            curves["bytes"] = growth(a, "RepVGG by size, every weight changes", [
                (bytes_of(s) // MB, f"{s} RepVGG", f"repvgg --bytes {s}" + (" --data weights.bin" if bytes_of(s) > 2 * 10 ** 9 else "")) for s in sizes],
                "MB")
        elif name == "wide":
            for shape in ("chain", "tree", "sum"):
                r = results[f"wide {shape}"] = run(a, f"{title}, {shape}", arguments.format(shape=shape))
                table(r)
        elif name == "nested":
            r = results[name] = run(a, f"{title}, {a.depth} deep", arguments.format(depth=a.depth))
            table(r)
    print()
    for v in verdicts:
        print(v)
    return results, curves, verdicts


def pictures(folder, results, curves):
    folder.mkdir(parents=True, exist_ok=True)
    panels = []
    for name in ("small", "b3"):
        if name in results:
            r = results[name]
            rows = [x for x in r["rows"] if "failed" not in x]
            panels.append((f"{r['title']}: seconds", [(x["name"], x["seconds"], f"{x['seconds']:.2f}" if x["seconds"] >= 0.1 else f"{x['seconds']:.3f}") for x in rows]))
            panels.append(("peak memory, MB", [(x["name"], x["peak"] / MB, f"{x['peak'] / MB:.0f}") for x in rows]))
    if panels:
        (folder / "bench.svg").write_text(chart.bars(panels, "Whole process, median; shorter is better"))
    panels = []
    nodes = {k: [(p["n"], p["seconds"]) for p in c] for k, c in curves.items() if k != "bytes" and len(c) > 1}
    if nodes:
        panels.append(("Time over the number of nodes", "nodes", "seconds", nodes))
    if len(curves.get("bytes", ())) > 1:
        c = curves["bytes"]
        panels.append(("Time over the size of the weights", "MB", "seconds", {OURS: [(p["n"], p["seconds"]) for p in c],
                                                                            "cp": [(p["n"], p["cp"]) for p in c]}))
    if panels:
        (folder / "bench-growth.svg").write_text(chart.curves(panels, "Growth: whole process, median"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*MODELS, "nodes", "bytes"]
    p.add_argument("--model", default="small", type=lambda v: v.split(","), help="default: small; all: every one")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--tool", default=os.environ.get("ONNX_REPVGG_FUSE", str(ROOT / "build" / "onnx-repvgg-fuse")))
    p.add_argument("--option", action="append", default=[], help="one more option for onnx-repvgg-fuse, as --option=--jobs=1")
    p.add_argument("--no-check", action="store_true", help="measure it without its self-check too")
    p.add_argument("--sync", action="store_true", help="measure it and cp with the wait for the disk too")
    p.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the Python whose packages are the peers (default: this one)")
    p.add_argument("--no-peers", action="store_true")
    p.add_argument("--peer-bytes", type=bytes_of, default="1G", help="leave peers out on larger models: they take several times the memory")
    p.add_argument("--timeout", type=int, default=600, help="seconds a program may take")
    p.add_argument("--work", type=pathlib.Path, metavar="FOLDER", help="where models and outputs go; the models are kept for the next run")
    p.add_argument("--external-bytes", default="8G", help="of the model 'external'")
    p.add_argument("--max-bytes", default="640M", help="end of the curve 'bytes'; over 2G in a data file")
    p.add_argument("--max-nodes", type=int, default=1000000, help="end of the curve 'nodes'")
    p.add_argument("--depth", type=int, default=10, help="of the model 'nested'")
    p.add_argument("--svg", type=pathlib.Path, metavar="FOLDER", help="write bench.svg (small, b3) and bench-growth.svg (nodes, bytes) there")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every number there")
    a = p.parse_args()
    if a.model == ["all"]:
        a.model = names
    wrong = [m for m in a.model if m not in names and not (m.endswith(".onnx") and os.path.exists(m))]
    if wrong:
        p.error(f"no model {', '.join(wrong)}; there are {', '.join(names)}, and files that end in .onnx")
    if a.rounds < 1:
        p.error("--rounds must be at least 1")
    if not os.access(a.tool, os.X_OK):
        p.error(f"{a.tool} cannot be run: build it first, or name it with --tool")

    versions = {} if a.no_peers else installed(a.peers)
    missing = [] if a.no_peers else [p for p in PEERS if p not in versions]
    version = subprocess.run([a.tool, "--version"], capture_output=True, text=True).stdout.strip()
    print(f"{cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    print(", ".join([version, *(f"{k} {v}" for k, v in versions.items())]))
    if missing:
        print(f"not measured, as {a.peers} lacks them: {', '.join(missing)}")
    if a.work:
        a.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=a.work) as name:
        a.folder = pathlib.Path(a.work or name)
        floor = measure(["true"], a.folder / "true", 60)[1]
        print(f"medians of {a.rounds} interleaved rounds after one that is not counted; peak memory: this way of measuring shows no less than {floor / MB:.1f} MB")
        results, curves, verdicts = measure_all(a, list(versions))
    if a.svg:
        pictures(a.svg, results, curves)
    if a.json:
        a.json.write_text(json.dumps({"results": results, "curves": curves, "verdicts": verdicts}, indent=1) + "\n")
    sys.exit(any(v.startswith("MISSED") for v in verdicts))


if __name__ == "__main__":
    main()
