"""The package of npm: packed, installed into an empty folder, used there without a network."""
import hashlib
import json
import shutil
import subprocess

import onnx
import pytest

from tests.support.tool import TOOL
from tests.web.built import SMALL, WEB

if not shutil.which("npm"):
    pytest.skip("npm is not here", allow_module_level=True)

# Whatever would ask the network for something ends the program.
ALONE = """const net = require('net'), dns = require('dns');
net.Socket.prototype.connect = dns.lookup = () => { console.error('the network was asked'); process.exit(99); };
globalThis.fetch = net.Socket.prototype.connect;
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    archive, = WEB.glob("onnx-repvgg-fuse-*.tgz")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    subprocess.run(["npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", archive], cwd=folder, check=True, timeout=120)
    (folder / "alone.cjs").write_text(ALONE)
    return folder


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    path = tmp_path_factory.mktemp("native") / "out.onnx"
    subprocess.run([TOOL, "-q", SMALL, path], check=True)
    return path


def node(folder, script, *arguments):
    (folder / "script.js").write_text("import { readFileSync } from 'fs';\nimport * as fuser from 'onnx-repvgg-fuse';\n"
                                      "const data = process.argv.slice(2).map((path) => new Uint8Array(readFileSync(path)));\n"
                                      "const show = (value) => console.log(JSON.stringify(value));\n" + script)
    run = subprocess.run(["node", "--require", "./alone.cjs", "script.js", *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def native(*arguments):
    return subprocess.run([TOOL, *arguments], capture_output=True, text=True, timeout=60)


def test_what_is_in_it(installed):
    place = installed / "node_modules" / "onnx-repvgg-fuse"
    assert {p.name for p in place.iterdir()} == {"LICENSE", "LICENSES.txt", "README.md", "command.cjs", "disk.cjs", "engine.js", "index.d.ts",
                                                 "index.js", "onnx-repvgg-fuse.wasm", "package.json"}
    licences = (place / "LICENSES.txt").read_text()
    assert all(who in licences for who in ("Dave Benson", "The Emscripten Authors", "Rich Felker", "Chris Pettitt"))
    assert "dependencies" not in json.loads((place / "package.json").read_text())


def test_the_command(installed, fused, tmp_path):
    run = subprocess.run(["npx", "--offline", "onnx-repvgg-fuse", SMALL, tmp_path / "out.onnx"], cwd=installed, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stderr.startswith("22 blocks fused, 169 -> 47 ops, wrote ")
    assert (tmp_path / "out.onnx").read_bytes() == fused.read_bytes()
    run = subprocess.run(["npx", "--offline", "onnx-repvgg-fuse", "verify", SMALL, installed / "package.json"], cwd=installed, capture_output=True)
    assert run.returncode == 2


def test_fuse(installed, fused):
    data, = node(installed, """
        import { createHash } from 'crypto';
        const before = data[0].slice();
        const { model, changed, report, explanation, html, files } = await fuser.fuse(data[0], { html: true });
        show({ sha256: createHash('sha256').update(model).digest('hex'), changed, report, explanation, html, files,
               untouched: Buffer.compare(before, data[0]) === 0 });""", SMALL)
    assert data["sha256"] == hashlib.sha256(fused.read_bytes()).hexdigest()
    assert data["changed"] and data["untouched"] and data["files"] == {} and data["html"].startswith("<!DOCTYPE html>")
    assert data["report"]["after"]["ops"] == 47 and data["explanation"].count("fused join_branches") == 22


def test_options(installed, tmp_path):
    """Each kind of value as the command would have it."""
    ours, skipped, dry = node(installed, """
        const options = { skip: ['join_branches', 'fold_after'], maxGrowth: 1.5, equalize: 'channel', inputShape: 'input:2,3,64,64', noCheck: true };
        for (const more of [{}, { only: 'fold_after', skip: undefined }, { dryRun: true }]) {
          const { model, report } = await fuser.fuse(new Blob([data[0]]), { ...options, ...more });
          show([model?.length, report]);
        }""", SMALL)
    shared = ["--max-growth", "1.5", "--equalize", "channel", "--input-shape", "input:2,3,64,64", "--no-check", "-q", "--json", tmp_path / "r.json"]
    for (size, report), passes in ((ours, ["--skip", "join_branches,fold_after"]), (skipped, ["--only", "fold_after"])):
        assert native(*shared, *passes, SMALL, tmp_path / "out.onnx").returncode == 0
        assert size == (tmp_path / "out.onnx").stat().st_size
        wanted = json.loads((tmp_path / "r.json").read_text())
        assert {**wanted, "input": 0, "output": 0, "seconds": 0} == {**report, "input": 0, "output": 0, "seconds": 0}
    assert dry[0] is None and dry[1]["after"] == ours[1]["after"]


def test_compare_and_look(installed, fused):
    diff, same, verify, info = node(installed, """
        const [a, b] = data;
        show(await fuser.diff(a, b));
        show(await fuser.diff(a, a));
        show(await fuser.verify(a, b, { layers: true }));
        show(await fuser.info(a));""", SMALL, fused)
    assert (diff["verdict"], same["verdict"], verify["verdict"]) == ("different", "same", "same")
    for ours, command in ((diff["report"], ["diff", "--format", "json", SMALL, fused]), (info, ["info", "--format", "json", SMALL])):
        wanted = json.loads(native(*command).stdout)
        assert ours.keys() == wanted.keys()
        assert all(ours[key] == value for key, value in wanted.items() if key not in ("input", "a", "b"))


def test_external_data(installed, tmp_path):
    onnx.save_model(onnx.load(SMALL), tmp_path / "in.onnx", save_as_external_data=True, location="in.data", size_threshold=0)
    inline, beside = node(installed, """
        import { createHash } from 'crypto';
        const [model, weights] = data, files = { 'in.data': weights };
        const hashes = (given) => Object.fromEntries(Object.entries(given).map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')]));
        for (const externalData of ['inline', 'new.data']) {
          const fused = await fuser.fuse(model, { files, externalData, name: 'in.onnx' });
          show(hashes({ 'out.onnx': fused.model, ...fused.files }));
        }""", tmp_path / "in.onnx", tmp_path / "in.data")
    for where, ours in (("inline", inline), ("new.data", beside)):
        assert native("-q", "--external-data", where, tmp_path / "in.onnx", "-o", tmp_path / "out.onnx").returncode == 0
        assert ours == {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ours}
    assert set(inline) == {"out.onnx"} and set(beside) == {"out.onnx", "new.data"}


def test_errors(installed, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(SMALL.read_bytes()[:100000])
    messages = node(installed, """
        const fail = (promise) => promise.then(() => show('no error'), (error) => show([error.constructor.name, error.message]));
        await fail(fuser.fuse(data[0], { name: 'broken.onnx' }));
        await fail(fuser.fuse(data[1], { maxGrowth: 0 }));
        await fail(fuser.fuse('model.onnx'));
        await fail(fuser.diff(data[1], data[0], { names: ['good.onnx', 'broken.onnx'] }));
        await fail(fuser.verify(data[1], data[0]));
        await fail(fuser.info(new ArrayBuffer(0)));
        const { status, stderr, files } = await fuser.run(['in.onnx', 'out.onnx'], { 'in.onnx': data[0] });
        show([status, stderr, Object.keys(files)]);""", tmp_path / "broken.onnx", SMALL)
    broken = native(tmp_path / "broken.onnx", tmp_path / "out.onnx").stderr.removeprefix(f"onnx-repvgg-fuse: {tmp_path}/").strip()
    assert messages[:6] == [["Error", broken], ["Error", "--max-growth: '0' is not a number above 0"],
                            ["TypeError", "expected a model as Uint8Array, ArrayBuffer or Blob"], ["Error", broken],
                            ["Error", broken.replace("broken.onnx", "b.onnx")], ["Error", "model.onnx: is empty, expected an ONNX model"]]
    assert messages[6] == [2, f"onnx-repvgg-fuse: {broken.replace('broken.onnx', 'in.onnx')}\n", []]


def test_types(installed):
    """What a user writes passes, and mistakes are found. TypeScript's compiler is fetched once."""
    tsc = WEB / "typescript" / "node_modules" / ".bin" / "tsc"
    if not tsc.exists():
        fetch = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", WEB / "typescript", "typescript@5.9.3"]
        if subprocess.run(fetch, timeout=300).returncode != 0:
            pytest.skip("npm cannot fetch TypeScript's compiler")
    (installed / "good.ts").write_text("""
        import { fuse, diff, verify, info, run } from 'onnx-repvgg-fuse';
        const bytes = new Uint8Array();
        const result = await fuse(bytes, { skip: ['fold_after'], equalize: 'tensor', progress: (step: string, fraction: number) => {} });
        const model: Uint8Array | undefined = result.model;
        const ops: number = result.report.after.ops;
        const same: boolean = (await verify(new Blob(), new ArrayBuffer(8), { layers: true })).verdict === 'undecided';
        const status: number = (await run(['--version'])).status;
        await info(bytes, { files: { 'a.data': bytes } });
        await diff(bytes, bytes, { ignore: 'weight', names: ['a', 'b'] });
        // @ts-expect-error
        await fuse('model.onnx');
        // @ts-expect-error
        await fuse(bytes, { equalize: 'both' });
        // @ts-expect-error
        await fuse(bytes, { noSuchOption: true });
        // @ts-expect-error
        (await diff(bytes, bytes)).verdict === 'undecided';
        """)
    run = subprocess.run([tsc, "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "good.ts"],
                         cwd=installed, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout
