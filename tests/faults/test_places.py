"""Full disks, folders one may not write to, kinds of OUT, runs that meet, links in caches, the sandbox in force."""
import os
import pathlib
import resource
import shutil
import stat
import struct
import subprocess
import tempfile
import time

import onnx
import pytest

from tests.faults.harness import EVERYTHING, LINE, OLD, TEMPORARY, big_model, save_counts, state
from tests.support.tool import ROOT, TOOL, assert_equal_under_ort

NOBODY = 65534
MODEL = ROOT / "models" / "repvgg_small.onnx"
BLOCK = ROOT / "models" / "qarepvgg_block.onnx"
READERS = [["info"], ["dump"], ["diff", BLOCK], ["verify", BLOCK]]


def run(*arguments, **keywords):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60, **keywords)


def good(result):
    assert result.returncode == 0, result.stderr
    return result


def trouble(result, *words):
    assert result.returncode == 2 and LINE.fullmatch(result.stderr), (result.returncode, result.stderr)
    for word in words:
        assert word.lower() in result.stderr.lower(), result.stderr


@pytest.fixture
def place(folder):
    folder.mkdir()
    shutil.copy(BLOCK, folder / "in.onnx")
    return folder


@pytest.fixture
def fused(place):
    good(run(place / "in.onnx", place / "reference.onnx"))
    data = (place / "reference.onnx").read_bytes()
    (place / "reference.onnx").unlink()
    return data


@pytest.fixture
def external(folder):
    """A model whose weights all lie beside it."""
    (folder / "in").mkdir(parents=True)
    onnx.save(big_model(), folder / "in" / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    return folder / "in" / "m.onnx"


# Full disks


def sizes_to_try(size):
    step = max(1, size // (60 if EVERYTHING else 12))
    return [0, 1, 100, *range(step, size, step), size - 1]


@pytest.mark.parametrize("kind", ["inline", "external"])
def test_a_limit_on_the_size_of_files(kind, folder, request):
    source = request.getfixturevalue("external" if kind == "external" else "place")
    source = source if kind == "external" else source / "in.onnx"
    out = folder / "out"
    out.mkdir()
    good(run(source, out / "o.onnx"))
    largest = max(len(data) for data, _ in state(out).values())
    tried = 0
    for limit in sizes_to_try(largest):
        shutil.rmtree(out)
        out.mkdir()
        (out / "o.onnx").write_bytes(OLD)
        result = run(source, out / "o.onnx", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        trouble(result, "o.onnx", "file too large")
        assert {n: d for n, (d, _) in state(out).items()} == {"o.onnx": OLD}, limit
        tried += 1
    result = run(source, out / "o.onnx", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)))
    good(result)
    save_counts("a limit on the size of files", {"scene": kind, "tried": tried})


@pytest.mark.parametrize("kind", ["inline", "external"])
def test_a_full_disk(kind, folder, request):
    source = request.getfixturevalue("external" if kind == "external" else "place")
    source = source if kind == "external" else source / "in.onnx"
    disk = folder / "disk"
    disk.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        tried = 0
        for size in [*range(8, 400, 4 if EVERYTHING else 32)]:
            subprocess.run(["mount", "-o", f"remount,size={size}k", disk], check=True)
            (disk / "o.onnx").write_bytes(OLD)
            result = run(source, disk / "o.onnx")
            if result.returncode == 0:
                assert (disk / "o.onnx").read_bytes() != OLD
                assert not [n for n in os.listdir(disk) if TEMPORARY in n]
                for name in os.listdir(disk):
                    (disk / name).unlink()
                continue
            trouble(result, "o.onnx", "no space left")
            assert {n: d for n, (d, _) in state(disk).items()} == {"o.onnx": OLD}, size
            tried += 1
        assert tried
    finally:
        subprocess.run(["umount", disk], check=True)
    save_counts("a full disk (small tmpfs)", {"scene": kind, "tried": tried})


# Folders


@pytest.fixture
def public():
    """A folder that everybody may pass through; the one of pytest is private."""
    if os.getuid() != 0:
        pytest.skip("needs to become another user")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="onnx-repvgg-fuse-public-"))
    folder.chmod(0o755)
    shutil.copy(TOOL, folder / "tool")
    (folder / "tool").chmod(0o755)
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    shutil.copy(BLOCK, folder / "in.onnx")
    yield folder
    shutil.rmtree(folder)


def as_nobody(folder, *arguments):
    """The tool may lie in a folder that others may not read."""
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    return subprocess.run([folder / "tool", *map(str, arguments)], capture_output=True, text=True, timeout=60, user=NOBODY, group=NOBODY,
                          extra_groups=[], env=environment, cwd=folder)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("options", [(), ("--external-data", "w.bin"), ("--batch",)], ids=["inline", "external", "batch"])
def test_a_folder_that_may_not_be_written_to(old, options, public):
    out = public / "out"
    if old:
        (out / "in.onnx").write_bytes(OLD)
        (out / "in.onnx").chmod(0o666)
    out.chmod(0o555)
    before = state(public)
    if options == ("--batch",):
        result = as_nobody(public, "-q", "--batch", "out", "in.onnx")
    else:
        result = as_nobody(public, *options, "in.onnx", "out/in.onnx")
    trouble(result, "out/", "permission denied")
    assert state(public) == before


def test_a_folder_that_may_be_written_to_but_not_listed(public):
    (public / "out").chmod(0o333)
    good(as_nobody(public, "in.onnx", "out/o.onnx"))
    (public / "out").chmod(0o755)
    assert os.listdir(public / "out") == ["o.onnx"]


def test_a_model_that_may_not_be_read(public):
    (public / "in.onnx").chmod(0)
    trouble(as_nobody(public, "in.onnx", "out/o.onnx"), "in.onnx", "permission denied")
    assert os.listdir(public / "out") == []


# Kinds of OUT


def test_a_link_to_nothing(place):
    (place / "link.onnx").symlink_to("absent/o.onnx")
    trouble(run(place / "in.onnx", place / "link.onnx"), "link.onnx", "symbolic link")
    assert os.readlink(place / "link.onnx") == "absent/o.onnx"
    assert sorted(os.listdir(place)) == ["in.onnx", "link.onnx"]


def test_a_hard_link(place, fused):
    """The other name keeps what it had: nobody asked to change it."""
    (place / "o.onnx").write_bytes(OLD)
    os.link(place / "o.onnx", place / "other.onnx")
    good(run(place / "in.onnx", place / "o.onnx"))
    assert (place / "o.onnx").read_bytes() == fused and (place / "other.onnx").read_bytes() == OLD


@pytest.mark.parametrize("how", ["same", "dots", "hard link", "symbolic link", "absolute"])
def test_out_is_in_under_another_name(how, place, fused):
    other = {"same": "in.onnx", "dots": "./sub/../in.onnx", "absolute": str(place / "in.onnx")}.get(how, "other.onnx")
    (place / "sub").mkdir()
    if how == "hard link":
        os.link(place / "in.onnx", place / "other.onnx")
    elif how == "symbolic link":
        (place / "other.onnx").symlink_to("in.onnx")
    good(run("in.onnx", other, cwd=place))
    assert (place / other).read_bytes() == fused
    assert (place / "in.onnx").read_bytes() == (BLOCK.read_bytes() if how == "hard link" else fused)
    assert sorted(os.listdir(place)) == sorted({"in.onnx", "sub", *(["other.onnx"] if "link" in how else [])})


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
@pytest.mark.parametrize("kind", ["file", "appended", "pipe"])
def test_standard_output_by_its_names(name, kind, place, fused):
    target = place / "o.bin"
    if kind == "pipe":
        result = subprocess.run([TOOL, place / "in.onnx", name], stdout=subprocess.PIPE, timeout=60)
        assert result.returncode == 0 and result.stdout == fused
    else:
        target.write_bytes(b"before")
        with open(target, "ab" if kind == "appended" else "wb") as f:
            inode = os.fstat(f.fileno()).st_ino
            assert subprocess.run([TOOL, place / "in.onnx", name], stdout=f, timeout=60).returncode == 0
        assert target.read_bytes() == (b"before" if kind == "appended" else b"") + fused
        assert target.stat().st_ino == inode, "the file was replaced under its writer"
    assert not [n for n in os.listdir(place) if TEMPORARY in n]


def test_another_descriptor(place, fused):
    read, write = os.pipe()
    process = subprocess.Popen([TOOL, place / "in.onnx", f"/dev/fd/{write}"], pass_fds=[write])
    os.close(write)
    with open(read, "rb") as f:
        assert f.read() == fused
    assert process.wait(10) == 0
    trouble(run(place / "in.onnx", "/dev/fd/987"), "/dev/fd/987", "not open")


def test_a_device(place):
    good(run(place / "in.onnx", "/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    trouble(run(place / "in.onnx", "/dev/full"), "/dev/full", "no space left")


def test_owner_and_access_list_stay(place):
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    out = place / "o.onnx"
    out.write_bytes(OLD)
    os.chown(out, 1234, 2345)
    out.chmod(0o4750)
    entries = [(1, 6, 0xffffffff), (2, 4, 777), (4, 5, 0xffffffff), (0x10, 5, 0xffffffff), (0x20, 0, 0xffffffff)]
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
    try:
        os.setxattr(out, "system.posix_acl_access", access)
    except OSError:
        access = None
    before = out.stat()
    good(run(place / "in.onnx", out))
    after = out.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert access is None or os.getxattr(out, "system.posix_acl_access") == access


def test_what_cannot_be_kept_is_given_to_nobody(public):
    out = public / "out" / "o.onnx"
    out.write_bytes(OLD)
    out.chmod(0o4764)
    good(as_nobody(public, "in.onnx", "out/o.onnx"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o744  # root's group is not nobody's; it was for the owner and the group


def test_report_and_model_are_not_one_file(place):
    for name in ("in.onnx", "o.onnx"):
        trouble(run("--json", name, "in.onnx", "o.onnx", cwd=place), name, "report")
        assert os.listdir(place) == ["in.onnx"] and (place / "in.onnx").read_bytes() == BLOCK.read_bytes()


def test_a_failed_run_leaves_the_old_report(place):
    (place / "bad.onnx").write_bytes(b"nothing")
    (place / "old.json").write_bytes(OLD)
    for report in ("old.json", "new.json"):
        trouble(run("--json", report, "bad.onnx", "o.onnx", cwd=place))
    assert (place / "old.json").read_bytes() == OLD
    assert sorted(os.listdir(place)) == ["bad.onnx", "in.onnx", "old.json"]


# Runs that meet


@pytest.mark.parametrize("kind", ["inline", "external"])
def test_runs_onto_one_file_at_once(kind, folder):
    """Each time the file is one of the results, whole; with external data, data and model belong together."""
    folder.mkdir()
    models, expected = [], []
    for i in range(2):
        (folder / str(i) / "out").mkdir(parents=True)
        model = big_model()
        stays = next(t for t in model.graph.initializer if t.name == "stays")
        stays.raw_data = bytes([i + 1]) * len(stays.raw_data)
        path = folder / str(i) / "m.onnx"
        onnx.save(model, path, **({"save_as_external_data": True, "location": "m.data", "size_threshold": 0} if kind == "external" else {}))
        models.append(path)
        good(run(path, folder / str(i) / "out" / "o.onnx"))
        expected.append(onnx.load(folder / str(i) / "out" / "o.onnx").SerializeToString())
    out = folder / "out"
    out.mkdir()
    rounds = 20 if EVERYTHING else 5
    for _ in range(rounds):
        running = [subprocess.Popen([TOOL, models[i % 2], out / "o.onnx"], stderr=subprocess.PIPE) for i in range(6)]
        for process in running:
            _, message = process.communicate(timeout=60)
            assert process.returncode == 0, message
        assert onnx.load(out / "o.onnx").SerializeToString() in expected
        assert not [n for n in os.listdir(out) if TEMPORARY in n]
    save_counts("six runs onto one OUT at once", {"scene": kind, "tried": rounds * 6})


def test_killed_at_any_time(external):
    """By the clock, as well as at each call (test_faults.py)."""
    out = external.parent.parent / "out"
    out.mkdir()
    tried = 0
    for i in range(60 if EVERYTHING else 15):
        process = subprocess.Popen([TOOL, external, out / "o.onnx"], stderr=subprocess.DEVNULL)
        time.sleep(0.001 * i)
        process.kill()
        process.wait()
        if (out / "o.onnx").exists():
            onnx.load(out / "o.onnx")
        tried += 1
    good(run(external, out / "o.onnx"))
    onnx.load(out / "o.onnx")
    assert not [n for n in os.listdir(out) if TEMPORARY in n]
    save_counts("killed at some moment by the clock", {"scene": "external", "tried": tried})


# External data and links


@pytest.fixture
def cache(external):
    """As the hub of Hugging Face lays out what it downloads: every file is a link to a blob."""
    root = external.parent.parent / "hub"
    (root / "blobs").mkdir(parents=True)
    snapshot = root / "snapshots" / "0123abcd" / "onnx"
    snapshot.mkdir(parents=True)
    for name, blob in (("m.onnx", "aaaa"), ("m.data", "bbbb")):
        shutil.copy(external.parent / name, root / "blobs" / blob)
        (snapshot / name).symlink_to(f"../../../blobs/{blob}")
    return snapshot


def test_links_of_a_cache(cache, external, folder):
    out = folder / "o.onnx"
    trouble(run(cache / "m.onnx", out), "m.data", "symbolic link", "--follow-symlinks")
    assert not out.exists()
    good(run("--follow-symlinks", cache / "m.onnx", out))
    assert_equal_under_ort(onnx.load(external), onnx.load(out))
    batch = folder / "batch"
    assert run("--batch", batch, cache).returncode == 2
    good(run("--follow-symlinks", "--batch", batch, cache))


@pytest.mark.parametrize("command", READERS, ids=lambda c: c[0])
def test_links_of_a_cache_for_other_commands(command, cache, external):
    plain = run(*command, external)
    trouble(run(*command, cache / "m.onnx"), "m.data", "--follow-symlinks")
    linked = run(*command, "--follow-symlinks", cache / "m.onnx")
    assert linked.returncode == plain.returncode in (0, 1), linked.stderr


def test_a_model_that_is_a_link_has_its_data_beside_the_link(external, folder):
    (folder / "blob").write_bytes(external.read_bytes())
    external.unlink()
    external.symlink_to("../blob")
    good(run(external, folder / "o.onnx"))


def test_data_with_a_second_name(external, folder):
    """As onnx does from 1.21 on."""
    data = external.parent / "m.data"
    os.link(data, folder / "second")
    for command in [[external, folder / "o.onnx"], ["--follow-symlinks", external, folder / "o.onnx"], *([*c, external] for c in READERS)]:
        trouble(run(*command), "m.data", "hard link")
    (folder / "second").unlink()
    good(run(external, folder / "o.onnx"))


def test_output_data_never_goes_through_a_link(external, folder):
    """Nor over a file: a name that is there in any form is passed over."""
    victim = folder / "victim"
    victim.write_bytes(OLD)
    out = folder / "out"
    out.mkdir()
    (out / "o.onnx.data").symlink_to(victim)
    os.link(victim, out / "o.onnx.1.data")
    good(run(external, out / "o.onnx"))
    assert victim.read_bytes() == OLD and (out / "o.onnx.2.data").stat().st_size > 1000
    result = run("--external-data", "o.onnx.data", external, out / "p.onnx")
    trouble(result, "exists")


@pytest.mark.parametrize("location", ["../secret", "a/../../secret", "/SECRET", "link", "linked/secret", "pipe", "socket", "device", "."])
@pytest.mark.parametrize("old_kernel", [False, True], ids=["openat2", "walk"])
def test_recipes_of_the_cves(location, old_kernel, external, folder, shim):
    """CVE-2022-25882, CVE-2024-27318, CVE-2026-27489 and their kin, with openat2 and without."""
    secret = folder / "secret"
    shutil.copy(external.parent / "m.data", secret)
    home = external.parent
    (home / "a").mkdir()
    (home / "link").symlink_to(secret)
    (home / "linked").symlink_to(folder)
    os.mkfifo(home / "pipe")
    (home / "device").symlink_to("/dev/zero")
    import socket
    with socket.socket(socket.AF_UNIX) as s:
        back = os.getcwd()
        os.chdir(home)
        s.bind("socket")
        os.chdir(back)
    model = onnx.load(external, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location.replace("/SECRET", str(secret))
    (home / "bad.onnx").write_bytes(model.SerializeToString())
    environment = {**os.environ}
    if old_kernel:
        environment.update(LD_PRELOAD=str(shim), FAULT_ALWAYS="openat2",
                           ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
    for command in [["bad.onnx", "o.onnx"], ["info", "bad.onnx"], ["dump", "bad.onnx"]]:
        trouble(run(*command, cwd=home, env=environment), "external data")
    assert not (home / "o.onnx").exists()


# The sandbox


def status_while_reading(place, *arguments):
    """What /proc says of the tool while it waits for its model on a pipe; then its result."""
    os.mkfifo(place / "pipe")
    process = subprocess.Popen([TOOL, *map(str, arguments)], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open(place / "pipe", "wb") as pipe:
        time.sleep(0.2)
        lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
        pipe.write((place / "in.onnx").read_bytes())
    output, message = process.communicate(timeout=60)
    assert process.returncode in (0, 1), (output, message)
    (place / "pipe").unlink()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.mark.parametrize("arguments", [["pipe", "o.onnx"], ["--batch", "out", "pipe"], ["info", "pipe"], ["dump", "pipe"],
                                       ["diff", "pipe", "in.onnx"], ["verify", "pipe", "in.onnx"]], ids=lambda a: a[0])
def test_the_sandbox_is_in_force(arguments, place):
    status = status_while_reading(place, *arguments)
    if status["Seccomp"] == "0" and os.uname().machine != "x86_64":
        pytest.skip("no filter for this machine")
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("arguments", [["pipe", "o.onnx"], ["--batch", "out", "pipe"], ["info", "pipe"], ["dump", "pipe"],
                                       ["diff", "pipe", "in.onnx"], ["verify", "pipe", "in.onnx"]], ids=lambda a: a[0])
def test_no_sandbox(arguments, place):
    split = 0 if arguments[0] in ("pipe", "--batch") else 1
    assert status_while_reading(place, *arguments[:split], "--no-sandbox", *arguments[split:])["Seccomp"] == "0"


def test_a_kernel_without_landlock(place, fused, shim):
    environment = {**os.environ, "LD_PRELOAD": str(shim), "FAULT_ALWAYS": "landlock",
                   "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    good(run(place / "in.onnx", place / "o.onnx", env=environment))
    assert (place / "o.onnx").read_bytes() == fused


def test_the_sandbox_lets_reports_and_places_be(place, fused):
    """IN, OUT, data and reports each in a folder of its own, some behind links."""
    for name in "abcde":
        (place / name).mkdir()
    shutil.move(place / "in.onnx", place / "a" / "m.onnx")
    (place / "b" / "in.onnx").symlink_to("../a/m.onnx")
    (place / "c" / "o.onnx").write_bytes(OLD)
    (place / "d" / "o.onnx").symlink_to("../c/o.onnx")
    good(run("--json", "e/r.json", "b/in.onnx", "d/o.onnx", cwd=place))
    assert (place / "c" / "o.onnx").read_bytes() == fused and (place / "e" / "r.json").stat().st_size > 100


# Syncing


def calls_of(place, shim_call, shim, *options):
    """How many calls of a kind a run makes: the first that is not struck tells."""
    for at in range(1, 50):
        read, write = os.pipe()
        environment = {**os.environ, "LD_PRELOAD": str(shim), "FAULT_CALL": shim_call, "FAULT_AT": str(at), "FAULT_KIND": "none",
                       "FAULT_FD": str(write), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        good(subprocess.run([TOOL, *options, place / "in.onnx", place / "o.onnx"], env=environment, pass_fds=[write], capture_output=True,
                            text=True, timeout=60))
        os.close(write)
        struck = os.read(read, 1)
        os.close(read)
        if not struck:
            return at - 1
    return None


def test_file_and_folder_are_synced(place, shim):
    assert calls_of(place, "fsync", shim) == 2
    assert calls_of(place, "fsync", shim, "--no-sync") == 0
