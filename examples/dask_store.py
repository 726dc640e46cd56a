#!/usr/bin/env python3
"""Fuse a folder full of models on many machines, with Dask.

The script fuses every *.onnx under STORE into the same place under OUTDIR. All workers must share both
folders (a network file system) and have the command. One task is one model: `onnx-repvgg-fuse --jobs 1`,
so the cluster's threads work on different models. If a task fails or its worker dies, Dask runs it again;
this is safe, because the command replaces its output only when it is complete. The script prints one
line per model and a summary, and exits with 2 if a model failed.

usage: dask_store.py STORE OUTDIR [--scheduler ADDRESS] [--retries N] [--timeout SECONDS]
       [--summary FILE] [--tool PROGRAM] [-- OPTION...]      (options of onnx-repvgg-fuse)

Without --scheduler, the script starts a cluster on this machine, with one worker process per core.
needs: dask[distributed]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def fuse(tool, source, target, options, timeout):
    """Runs on a worker. Returns a dict from the report; a failure is an exception, and Dask retries."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        run = subprocess.run([tool, "--quiet", "--jobs", "1", *options, "--json", report, source, target],
                             capture_output=True, text=True, errors="replace", timeout=timeout)
        if run.returncode:
            said = run.stderr.strip().splitlines()
            raise RuntimeError(said[-1] if said else f"{tool}: ended with status {run.returncode}")
        with open(report, encoding="utf-8") as f:
            r = json.load(f)
    return {"changed": r["changed"], "fusions": len(r["fusions"]), "ops": [r["before"]["ops"], r["after"]["ops"]],
            "largest_difference": r["largest_difference"], "seconds": r["seconds"]}


def run(client, models, store, outdir, tool="onnx-repvgg-fuse", options=(), retries=2, timeout=3600, say=print):
    """Fuse `models` (paths under store) on the cluster. Returns {path: result, or {"error": text}}."""
    from dask.distributed import as_completed

    futures = {client.submit(fuse, tool, str(store / m), str(outdir / m), list(options), timeout,
                             # The key does not depend on the contents, so Dask must not reuse the result of an earlier run.
                             pure=False, retries=retries): m for m in models}
    results = {}
    for future in as_completed(futures):
        name = str(futures[future])
        if future.status == "finished":
            r = results[name] = future.result()
            say(f"{name}: {r['ops'][0]} -> {r['ops'][1]} ops, {r['fusions']} fusions" if r["changed"] else f"{name}: nothing to fuse")
        else:
            error = future.exception() if future.status == "error" else future.status
            results[name] = {"error": str(error)}
            say(f"{name}: FAILED: {error}")
        future.release()  # the scheduler may forget it
    return results


def main():
    own, options = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, options = own[:at], own[at + 1:]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("store", type=pathlib.Path)
    p.add_argument("outdir", type=pathlib.Path)
    p.add_argument("--scheduler", help="address of a running cluster, such as tcp://host:8786")
    p.add_argument("--retries", type=int, default=2)
    p.add_argument("--timeout", type=float, default=3600, help="seconds one model may take")
    p.add_argument("--summary", type=pathlib.Path, metavar="FILE", help="write every result there as JSON")
    p.add_argument("--tool", default=os.environ.get("ONNX_REPVGG_FUSE", "onnx-repvgg-fuse"), help="the command on the workers")
    a = p.parse_args(own)
    store, outdir = a.store.resolve(), a.outdir.resolve()
    if not store.is_dir():
        p.error(f"{store} is not a folder")
    models = sorted(m.relative_to(store) for m in store.rglob("*.onnx") if outdir not in m.parents)
    if not models:
        p.error(f"no *.onnx under {store}")

    from dask.distributed import Client, LocalCluster

    if a.scheduler:
        cluster, client = None, Client(a.scheduler)
    else:
        # No dashboard: it would need more packages and a free port.
        cluster = LocalCluster(n_workers=os.cpu_count(), threads_per_worker=1, dashboard_address=None)
        client = Client(cluster)
    try:
        results = run(client, models, store, outdir, a.tool, options, a.retries, a.timeout)
    finally:
        client.close()
        if cluster:
            cluster.close()
    failed = sum("error" in r for r in results.values())
    changed = sum(r.get("changed", False) for r in results.values())
    print(f"{len(results)} models: {changed} fused, {len(results) - changed - failed} unchanged, {failed} failed")
    if a.summary:
        a.summary.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
    sys.exit(2 if failed else 0)


if __name__ == "__main__":
    main()
