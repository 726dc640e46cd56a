#!/usr/bin/env python3
"""Compare the ops and times of onnx-repvgg-fuse with those of other ONNX optimizers, on each model of the corpus.

The programs optimize the same file in turn, each in its own process. A time is that of the whole process, the minimum of all
rounds, relative to onnx-repvgg-fuse --no-sync. The op counts exclude Constants. If a peer's model has fewer ops, it is listed
at the end with the operators that have fewer nodes, and the exit status is 1.

usage: peers.py [MODEL.onnx...] [--rounds N] [--peers PYTHON] [--keep FOLDER] [--json FILE]
Without models, uses every skeleton of tests/corpus, refilled, and every block of tests/corpus/blocks.
needs: numpy and onnx (to refill); measures the peers that the Python of --peers has
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import bench

CORPUS = bench.ROOT / "tests" / "corpus"
PEERS = ("onnxsim", "onnxslim", "onnxscript", "onnxruntime")
NAMES = {"onnxscript": "onnxscript optimizer", "onnxruntime": "ONNX Runtime basic"}

COUNT = """
import collections, json, sys, onnx
def count(nodes, found):
    for n in nodes:
        found[n.op_type] += 1
        for a in n.attribute:
            for g in [a.g, *a.graphs]:
                count(g.node, found)
    return found
m = onnx.load(sys.argv[1], load_external_data=False)
found = count(m.graph.node, collections.Counter())
for f in m.functions:
    count(f.node, found)
del found["Constant"]
print(json.dumps(found))
"""


def count_ops(path):
    r = subprocess.run([sys.executable, "-c", COUNT, path], check=True, capture_output=True, text=True)
    return collections.Counter(json.loads(r.stdout))


def corpus(folder):
    """Every model of the corpus, refilled ones in the folder."""
    skeletons = sorted(CORPUS.glob("*.onnx.gz"))
    subprocess.run([sys.executable, CORPUS / "refill.py", *skeletons, "-o", folder], check=True, capture_output=True)
    return [*(folder / s.name.removesuffix(".gz") for s in skeletons), *sorted((CORPUS / "blocks").glob("*.onnx"))]


def run(a, model, peers, folder):
    """Program: its ops and the seconds it took, or why it has none."""
    commands = {"fuse": [a.tool, "--quiet", "--no-sync"], **{p: [a.peers, *bench.PEERS[p]] for p in peers}}
    seconds, results = collections.defaultdict(list), {}
    for turn in range(a.rounds):
        for name, command in commands.items():
            if name in results:
                continue
            target = folder / f"{model.stem}.{name}.onnx"
            target.unlink(missing_ok=True)
            took, _, status, said = bench.measure([*command, model, target], folder, a.timeout)
            if status or not target.exists():
                results[name] = {"failed": said or f"exit {status}"}
            seconds[name].append(took)
    for name in commands:
        target = folder / f"{model.stem}.{name}.onnx"
        if name not in results:
            results[name] = {"ops": count_ops(target), "seconds": min(seconds[name])}
        if not a.keep:
            target.unlink(missing_ok=True)
    return results


def cell(result, ours):
    if "failed" in result:
        return "failed"
    return f"{sum(result['ops'].values())} ({result['seconds'] / ours['seconds']:.0f}x)"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="*", type=pathlib.Path)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--tool", default=os.environ.get("ONNX_REPVGG_FUSE", str(bench.ROOT / "build" / "onnx-repvgg-fuse")))
    p.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the Python whose packages are the peers (default: this one)")
    p.add_argument("--timeout", type=int, default=600, help="seconds a program may take")
    p.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="leave what each program makes there")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every number there")
    a = p.parse_args()
    if a.rounds < 1:
        p.error("--rounds must be at least 1")
    versions = bench.installed(a.peers)
    peers = [n for n in PEERS if n in versions]
    print(", ".join([subprocess.run([a.tool, "--version"], capture_output=True, text=True).stdout.strip(),
                     *(f"{n} {versions[n]}" for n in peers)]))
    if len(peers) < len(PEERS):
        print(f"not measured, as {a.peers} lacks them: {', '.join(n for n in PEERS if n not in peers)}")
    print(f"\n| model | train | onnx-repvgg-fuse | {' | '.join(NAMES.get(n, n) for n in peers)} |")
    print("|---|---:|---:|" + "---:|" * len(peers))
    everything, fewer, faster = {}, [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = a.keep or pathlib.Path(scratch) / "out"
        folder.mkdir(parents=True, exist_ok=True)
        for model in a.model or corpus(pathlib.Path(scratch)):
            before, results = count_ops(model), run(a, model, peers, folder)
            ours = results["fuse"]
            name = model.stem.removesuffix(".train")
            everything[name] = {"train": before, **results}
            if "failed" in ours:
                sys.exit(f"{name}: {ours['failed']}")
            print(f"| {name} | {sum(before.values())} | {sum(ours['ops'].values())} ({ours['seconds'] * 1000:.0f} ms) | "
                  f"{' | '.join(cell(results[n], ours) for n in peers)} |", flush=True)
            for n in peers:
                theirs = results[n]
                if "failed" not in theirs and sum(theirs["ops"].values()) < sum(ours["ops"].values()):
                    less = ", ".join(f"{k} {ours['ops'][k]} -> {theirs['ops'][k]}" for k in sorted({*ours["ops"], *theirs["ops"]})
                                     if ours["ops"][k] != theirs["ops"][k])
                    fewer.append(f"{name}: {n} has {sum(theirs['ops'].values())} ops, not {sum(ours['ops'].values())}: {less}")
            times = {n: results[n]["seconds"] for n in peers if "failed" not in results[n]}
            if times and ours["seconds"] > min(times.values()) / 20:
                best = min(times, key=times.get)
                faster.append(f"{name}: {times[best] / ours['seconds']:.1f}x, {best}")
    for title, lines in (("a peer has fewer ops", fewer), ("a peer takes less than 20 times as long", faster)):
        print(f"\n{title}: {len(lines) or 'nowhere'}")
        for line in lines:
            print(f"  {line}")
    if a.json:
        a.json.write_text(json.dumps(everything, indent=1))
    sys.exit(1 if fewer else 0)


if __name__ == "__main__":
    main()
