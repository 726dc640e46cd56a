"""The command: options, files, streams, exit codes, what it prints."""
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.net import Net
from tests.support.tool import PASSES, ROOT, TOOL, count_ops

OPTIONS = ["-o", "--explain", "--json", "--report", "--only", "--skip", "--freeze", "--outputs", "--input-shape", "--list-passes", "--max-growth", "--equalize", "--statistics", "--debug", "--no-check",
           "--tolerance", "--strict", "--batch", "--dry-run", "--external-data", "--follow-symlinks",
           "--no-sync", "--no-sandbox", "--jobs", "--quiet", "--version", "--help"]
BLOCK = (ROOT / "models" / "qarepvgg_block.onnx").read_bytes()
NOBODY = 65534


def run(*arguments, stdin=b"", **keywords):
    return subprocess.run([TOOL, *arguments], input=stdin, capture_output=True, timeout=60, **keywords)


def text(data):
    return data.decode("utf-8")


def conv_count(data):
    return count_ops(onnx.load_model_from_string(data)).get("Conv", 0)


def good(result):
    assert result.returncode == 0, text(result.stderr)
    return result


def says(message, patterns):
    # pytest names its folders after the tests: "test_missing_file0" would satisfy too many patterns.
    message = re.sub(r"\S*/pytest-of-\S*?/test_[^/\s]*", "", message.removeprefix("onnx-repvgg-fuse: "))
    for pattern in patterns:
        assert re.search(pattern, message, re.IGNORECASE), f"{pattern!r} not in {message!r}"


def trouble(result, *patterns):
    """Exit 2, nothing on stdout, one line on stderr that says every one of the patterns."""
    assert result.returncode == 2, (result.returncode, text(result.stdout), text(result.stderr))
    assert result.stdout == b""
    message = text(result.stderr)
    assert re.fullmatch(r"onnx-repvgg-fuse: [^\n]+\n", message), message
    says(message, patterns)


def wrong_usage(result, *patterns):
    """Exit 2 and nothing on stdout; a hint at --help may follow the first line."""
    assert result.returncode == 2, (result.returncode, text(result.stdout), text(result.stderr))
    assert result.stdout == b""
    message = text(result.stderr)
    assert message.startswith("onnx-repvgg-fuse: ") and message.endswith("\n"), message
    says(message, patterns)


def relu_model():
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 5, 7])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 5, 7])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="act")], "plain", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.onnx").write_bytes(BLOCK)
    return tmp_path


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    """What the block becomes."""
    d = tmp_path_factory.mktemp("fused")
    (d / "in.onnx").write_bytes(BLOCK)
    good(run(d / "in.onnx", d / "out.onnx"))
    data = (d / "out.onnx").read_bytes()
    assert conv_count(BLOCK) == 2 and conv_count(data) == 1
    return data


@pytest.fixture
def public_folder():
    """A folder that any user can reach, holding the model."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="onnx-repvgg-fuse-test-"))
    d.chmod(0o755)
    (d / "in.onnx").write_bytes(BLOCK)
    (d / "in.onnx").chmod(0o644)
    yield d
    for inner in d.rglob("*"):
        if inner.is_dir() and not inner.is_symlink():
            inner.chmod(0o755)
    shutil.rmtree(d)


def as_user(*arguments):
    """Run as a user to whom permissions apply: as ourselves, or as nobody when we are root."""
    keywords = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        reachable = run("--version", **keywords).returncode == 0
    except PermissionError:
        reachable = False
    if not reachable:
        pytest.skip("the program lies where another user cannot run it")
    return run(*arguments, **keywords)


# What it says of itself


def test_version():
    r = good(run("--version"))
    header = (ROOT / "src" / "onnx_repvgg_fuse.h").read_text()
    number = ".".join(re.search(rf"ONNX_FUSE_VERSION_{p} (\d+)", header)[1] for p in ("MAJOR", "MINOR", "PATCH"))
    assert (text(r.stdout), r.stderr) == (f"onnx-repvgg-fuse {number}\n", b"")


def test_help():
    r = good(run("--help"))
    out = text(r.stdout)
    assert r.stderr == b""
    assert out.lower().startswith("usage: onnx-repvgg-fuse")
    for option in OPTIONS:
        assert re.search(rf"(^|[\s,]){option}\b", out, re.MULTILINE), option
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("name", ["diff", "verify", "info", "dump"])
def test_the_man_page_knows_the_options_of_subcommands(name):
    page = (ROOT / "docs" / "onnx-repvgg-fuse.1").read_text()
    section = page.split(f".Ss {name}: ")[1].split(".Ss Terminal")[0]
    usage = subprocess.run([TOOL, name, "--help"], capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", usage, re.M))
    assert {"help", "follow-symlinks"} <= options
    for option in options:
        assert f"\\-{option}" in section, option


def test_man_page_names_every_option():
    page = (ROOT / "docs" / "onnx-repvgg-fuse.1").read_text()
    page = re.sub(r"^\.Ss diff: .*?^\.Ss Terminal", "", page, flags=re.MULTILINE | re.DOTALL)  # subcommands: below
    documented = re.findall(r"^\.It Fl (\S+)", page, re.MULTILINE)
    assert sorted("-" + o.replace("\\", "") for o in documented) == sorted(OPTIONS)


def test_list_passes():
    r = good(run("--list-passes"))
    lines = text(r.stdout).splitlines()
    assert r.stderr == b""
    assert [line.split()[0] for line in lines] == PASSES
    assert all(len(line.split()) > 1 for line in lines), "each pass says what it does"


# Wrong usage


def test_no_arguments():
    wrong_usage(run(), r"\bIN\b|input|usage|--help")


def test_in_without_out(folder):
    wrong_usage(run(folder / "in.onnx"), r"\bOUT\b|output|usage|--help")
    assert (folder / "in.onnx").read_bytes() == BLOCK


@pytest.mark.parametrize("arguments, said", [
    (["fuse", "a", "b"], "onnx-repvgg-fuse IN OUT"), (["difff", "a", "b"], "mean diff?"), (["veryfy"], "mean verify?"),
    (["version"], "mean --version?"), (["help"], "mean --help?"), (["-V"], "mean --version?"), (["--explian", "a", "b"], "mean --explain?"),
    (["dump", "--elidee", "3"], "mean --elide? dump --help"), (["diff", "--igore", "doc"], "mean --ignore?"),
    (["info", "--formt", "json"], "mean --format?"), (["verify", "--trails", "3"], "mean --trials?"), (["--zzzz"], "try --help"), (["--jobs"], "try --help"),
    (["-j", "2"], "try --help")])
def test_the_nearest_word_is_named(arguments, said, folder):
    wrong_usage(run(*arguments, cwd=folder), re.escape(said))


def test_a_file_called_like_a_slip_is_a_file(folder):
    shutil.copy(folder / "in.onnx", folder / "help")
    good(run("help", "out.onnx", cwd=folder))


def test_the_second_model_of_a_wildcard_is_not_replaced(folder):
    source, other = folder / "in.onnx", folder / "net.onnx"
    shutil.copy(ROOT / "models" / "dbb_block.onnx", other)
    kept = other.read_bytes()
    trouble(run(source, other), "holds another model.*-o.*--batch")
    assert other.read_bytes() == kept
    good(run(source, "-o", other))                      # as told
    good(run(source, other))                            # an earlier result is replaced, also by that of another model
    shutil.copy(ROOT / "models" / "dbb_block.onnx", source)
    good(run(source, other))
    copied = folder / "plain.onnx"                      # nothing folds in either: a copy replaces its like alone
    good(run(other, copied))
    good(run(other, copied))
    good(run(ROOT / "models" / "acnet_block.onnx", "-o", copied))
    trouble(run(other, copied), "holds another model")
    good(run(copied, "-o", other))
    other.write_bytes(b"no model")
    good(run(source, other))


@pytest.mark.parametrize("option", ["--nonsense", "-Z", "--json-lines"])
def test_unknown_option(folder, option):
    wrong_usage(run(option, folder / "in.onnx", folder / "out.onnx"), re.escape(option.lstrip("-")))
    assert not (folder / "out.onnx").exists()


@pytest.mark.parametrize("option", ["--json", "--only", "--skip", "--max-growth", "--tolerance", "-o"])
def test_option_without_its_value(folder, option):
    wrong_usage(run(folder / "in.onnx", option), re.escape(option.lstrip("-")))


def test_flag_with_a_value(folder):
    wrong_usage(run("--quiet=yes", folder / "in.onnx", folder / "out.onnx"), "quiet")
    assert not (folder / "out.onnx").exists()


def test_too_many_files(folder):
    wrong_usage(run(folder / "in.onnx", folder / "a.onnx", folder / "b.onnx"), r"b\.onnx|usage|--help")
    wrong_usage(run(folder / "in.onnx", folder / "a.onnx", "-o", folder / "b.onnx"), r"[ab]\.onnx|usage|--help|output")
    assert [p.name for p in folder.iterdir()] == ["in.onnx"]


@pytest.mark.parametrize("option", ["--only", "--skip"])
@pytest.mark.parametrize("value", ["nonsense", "join_branches,nonsense", "nonsense,join_branches", "join_branch"])
def test_unknown_pass_is_answered_with_the_list(folder, option, value):
    word = next(w for w in value.split(",") if w not in PASSES)
    wrong_usage(run(option, value, folder / "in.onnx", folder / "out.onnx"), rf"\b{word}\b", *PASSES)
    assert not (folder / "out.onnx").exists()


@pytest.mark.parametrize("option", ["--max-growth", "--tolerance"])
@pytest.mark.parametrize("value", ["", "x", "-1", "nan", "2x", "1,5", " "])
def test_bad_number(folder, option, value):
    wrong_usage(run(option, value, folder / "in.onnx", folder / "out.onnx"), option.lstrip("-").replace("-", "[- _]"))
    assert not (folder / "out.onnx").exists()


def test_json_and_model_cannot_share_stdout(folder):
    wrong_usage(run("--json", "-", folder / "in.onnx", "-"), "json|stdout|standard output")


# Files


@pytest.mark.parametrize("form", ["positional", "option first", "option last", "equals"])
def test_ways_to_name_the_output(folder, fused, form):
    source, target = folder / "in.onnx", folder / "out.onnx"
    arguments = {"positional": [source, target], "option first": ["-o", target, source],
                 "option last": [source, "-o", target], "equals": [source, f"-o{target}"]}[form]
    good(run(*arguments))
    assert target.read_bytes() == fused


def test_options_may_follow_the_files(folder, fused):
    r = good(run(folder / "in.onnx", folder / "out.onnx", "--quiet"))
    assert (r.stdout, r.stderr) == (b"", b"")
    assert (folder / "out.onnx").read_bytes() == fused


def test_two_dashes_end_the_options(folder, fused):
    (folder / "--in.onnx").write_bytes(BLOCK)
    good(run("--", "--in.onnx", "-out.onnx", cwd=folder))
    assert (folder / "-out.onnx").read_bytes() == fused


def test_out_may_be_in(folder, fused):
    path = folder / "in.onnx"
    good(run(path, path))
    assert path.read_bytes() == fused
    good(run(path, f"{folder}/./in.onnx"))
    assert path.read_bytes() == fused
    assert os.listdir(folder) == ["in.onnx"]


def test_names_that_are_odd(tmp_path, fused):
    for name in ("with space.onnx", "ünïcode.onnx", "no_extension", "new\nline.onnx", "%s%n.onnx"):
        path = tmp_path / name
        path.write_bytes(BLOCK)
        good(run(path, path))
        assert path.read_bytes() == fused


def test_stdin_to_stdout(fused, tmp_path):
    r = good(run("-", "-", stdin=BLOCK, cwd=tmp_path))
    assert r.stdout == fused
    assert os.listdir(tmp_path) == []


def test_stdin_to_file(folder, fused):
    good(run("-", folder / "out.onnx", stdin=BLOCK))
    assert (folder / "out.onnx").read_bytes() == fused


def test_file_to_stdout(folder, fused):
    r = good(run(folder / "in.onnx", "-"))
    assert r.stdout == fused
    assert os.listdir(folder) == ["in.onnx"]


def test_explain_makes_way_for_the_model_on_stdout(folder, fused):
    r = good(run("--explain", folder / "in.onnx", "-"))
    assert r.stdout == fused
    assert "join_branches" in text(r.stderr)


def test_stdin_from_a_seekable_file_starts_at_its_position(folder, fused):
    (folder / "shifted").write_bytes(b"12345" + BLOCK)
    with open(folder / "shifted", "rb") as f:
        os.lseek(f.fileno(), 5, os.SEEK_SET)
        r = subprocess.run([TOOL, "-", folder / "out.onnx"], stdin=f, capture_output=True, timeout=60)
    good(r)
    assert (folder / "out.onnx").read_bytes() == fused


def test_empty_stdin():
    trouble(run("-", "-"), r"^-:|stdin|standard input", "empty|no graph")


def test_missing_file(folder):
    trouble(run(folder / "absent.onnx", folder / "out.onnx"), r"absent\.onnx", "no such file")
    assert os.listdir(folder) == ["in.onnx"]


def test_directory_as_input(folder):
    (folder / "models").mkdir()
    trouble(run(folder / "models", folder / "out.onnx"), "models", "directory|folder")
    assert not (folder / "out.onnx").exists()


def test_directory_as_output(folder):
    (folder / "models").mkdir()
    trouble(run(folder / "in.onnx", folder / "models"), "models", "directory|folder")
    assert sorted(os.listdir(folder)) == ["in.onnx", "models"] and os.listdir(folder / "models") == []


@pytest.mark.parametrize("where", ["IN", "OUT"])
def test_empty_name(folder, where):
    r = run("" if where == "IN" else folder / "in.onnx", "" if where == "OUT" else folder / "out.onnx")
    wrong_usage(r)
    assert os.listdir(folder) == ["in.onnx"]


def test_output_in_a_missing_folder(folder):
    trouble(run(folder / "in.onnx", folder / "absent" / "out.onnx"), "absent", "no such file")
    assert os.listdir(folder) == ["in.onnx"]


def test_name_too_long(folder):
    trouble(run(folder / "in.onnx", folder / ("x" * 300)), "x" * 50, "too long")
    assert os.listdir(folder) == ["in.onnx"]


def test_unwritable_folder(public_folder):
    shut = public_folder / "shut"
    shut.mkdir()
    shut.chmod(0o555)
    trouble(as_user(public_folder / "in.onnx", shut / "out.onnx"), "shut", "permission denied")
    assert os.listdir(shut) == []


def test_unreadable_input(public_folder):
    (public_folder / "in.onnx").chmod(0)
    out = public_folder / "open"
    out.mkdir()
    out.chmod(0o777)
    trouble(as_user(public_folder / "in.onnx", out / "out.onnx"), r"in\.onnx", "permission denied")
    assert os.listdir(out) == []


def test_full_device(folder):
    with open("/dev/full", "wb") as full:
        r = subprocess.run([TOOL, folder / "in.onnx", "-"], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert r.returncode == 2
    assert re.fullmatch(r"onnx-repvgg-fuse: [^\n]*no space left[^\n]*\n", text(r.stderr), re.IGNORECASE), r.stderr


def test_closed_pipe(folder):
    """Exit 2 or SIGPIPE, as other filters do; never success."""
    read, write = os.pipe()
    os.close(read)
    r = subprocess.run([TOOL, ROOT / "models" / "repvgg_small.onnx", "-"], stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert r.returncode in (2, -13)


def test_symlink_as_output_is_followed(folder, fused):
    real = folder / "real"
    real.mkdir()
    (real / "target.onnx").write_bytes(b"old")
    link = folder / "link.onnx"
    link.symlink_to("real/target.onnx")
    good(run(folder / "in.onnx", link))
    assert link.is_symlink() and os.readlink(link) == "real/target.onnx"
    assert (real / "target.onnx").read_bytes() == fused
    assert os.listdir(real) == ["target.onnx"]


def test_in_place_through_a_symlink(folder, fused):
    link = folder / "link.onnx"
    link.symlink_to("in.onnx")
    good(run(link, link))
    assert link.is_symlink()
    assert (folder / "in.onnx").read_bytes() == fused


def test_fifo_as_output_is_written_to_not_replaced(folder, fused):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    try:
        good(run(folder / "in.onnx", pipe))
        data, _ = reader.communicate(timeout=10)
    finally:
        reader.kill()
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert data == fused
    assert sorted(os.listdir(folder)) == ["in.onnx", "pipe"]


def test_fifo_as_input(folder, fused):
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", 'cat "$1" >"$2"', "sh", folder / "in.onnx", pipe])
    try:
        good(run(pipe, folder / "out.onnx"))
    finally:
        writer.kill()
        writer.wait()
    assert (folder / "out.onnx").read_bytes() == fused


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permission_bits_survive_an_overwrite(folder, fused, mode):
    out = folder / "out.onnx"
    out.write_bytes(b"old")
    out.chmod(mode)
    good(run(folder / "in.onnx", out))
    assert out.read_bytes() == fused
    assert stat.S_IMODE(out.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_new_file_obeys_the_umask(folder, umask):
    good(run(folder / "in.onnx", folder / "out.onnx", umask=umask))
    assert stat.S_IMODE((folder / "out.onnx").stat().st_mode) == 0o666 & ~umask


def test_no_temporary_file_is_left(folder):
    good(run(folder / "in.onnx", folder / "out.onnx"))
    assert sorted(os.listdir(folder)) == ["in.onnx", "out.onnx"]


def test_input_is_not_touched(folder):
    before = (folder / "in.onnx").stat()
    good(run(folder / "in.onnx", folder / "out.onnx"))
    after = (folder / "in.onnx").stat()
    assert (folder / "in.onnx").read_bytes() == BLOCK
    assert (before.st_mtime_ns, before.st_ino, before.st_mode) == (after.st_mtime_ns, after.st_ino, after.st_mode)


@pytest.mark.parametrize("name", ["repvgg_small", "dbb_block", "if_body"])
def test_same_input_same_bytes(tmp_path, name):
    model = ROOT / "models" / f"{name}.onnx"
    (tmp_path / "elsewhere").mkdir()
    first, second = tmp_path / "a.onnx", tmp_path / "elsewhere" / "another name"
    good(run(model, first))
    good(run(model, second, "--explain"))
    assert first.read_bytes() == second.read_bytes() == good(run("-", "-", stdin=model.read_bytes())).stdout
    assert first.read_bytes() != model.read_bytes()


def test_fusing_twice_changes_nothing_more(folder, fused):
    (folder / "once.onnx").write_bytes(fused)
    good(run(folder / "once.onnx", folder / "twice.onnx"))
    assert (folder / "twice.onnx").read_bytes() == fused


def test_nothing_folds_identical_bytes(tmp_path):
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    plain = relu_model()
    # Unknown fields, and one that proto3 writers leave out, would be lost by unpacking and packing.
    for data in (plain, plain + b"\xf8\x7c\x01", plain + b"\x28\x00"):
        source.write_bytes(data)
        good(run(source, "-o", target))
        assert target.read_bytes() == data
        assert good(run("-", "-", stdin=data)).stdout == data


# Options


def ending(*arguments, **keywords):
    """What a run says last, and what it says before."""
    *before, last = text(good(run(*arguments, **keywords)).stderr).splitlines()
    assert not before
    return last


def test_a_run_ends_with_one_sentence(folder):
    source, out, data = folder / "in.onnx", folder / "out.onnx", (folder / "in.onnx").read_bytes()
    counts = re.fullmatch(r"(\d+) blocks? fused, (\d+) -> (\d+) ops, wrote (.*)", ending(source, out))
    assert counts and int(counts[1]) > 0 and int(counts[2]) > int(counts[3]) and counts[4] == str(out)
    assert ending(out, folder / "again.onnx") == f"nothing to fuse; {folder / 'again.onnx'} is a copy"
    assert ending(out, out) == f"nothing to fuse; {out} is as it was"
    assert ending("--dry-run", out) == "nothing to fuse; a dry run writes nothing"
    assert ending("-", "-", stdin=data).endswith(" ops, wrote standard output")
    assert ending("--json", "-", source, out).endswith(f"wrote {out}")


def test_the_sentence_says_why_nothing_is_fused(folder):
    model = onnx.ModelProto.FromString(relu_model())
    model.opset_import[0].version = 6
    (folder / "old.onnx").write_bytes(model.SerializeToString())
    out = folder / "out.onnx"
    assert ending(folder / "old.onnx", out) == f"nothing to fuse (opset 6 is older than 7, the oldest supported); {out} is a copy"


def test_the_sentence_is_one_line(folder):
    odd = folder / "a\nb\x1b[2J.onnx"
    shutil.copy(folder / "in.onnx", odd)
    assert ending(odd, folder / "out.onnx")
    assert ending(folder / "in.onnx", odd).endswith("a?b?[2J.onnx")


def test_explain_of_a_fused_model_says_that_nothing_is_to_do(folder):
    good(run(folder / "in.onnx", folder / "out.onnx"))
    out = text(good(run("--explain", folder / "out.onnx", folder / "again.onnx")).stdout)
    assert out.startswith("nothing to fuse: no rewrite applies")
    assert "%" not in out


def test_the_table_has_percentages(folder):
    out = text(good(run("--explain", folder / "in.onnx", folder / "out.onnx")).stdout)
    was, now, percent = re.search(r"^ops +(\d+) -> +(\d+) +(-[\d.]+) %$", out, re.M).groups()
    assert float(percent) == pytest.approx(100 * (int(now) - int(was)) / int(was), abs=0.05)
    assert re.search(r"^Add +\d+ -> +0 +-100\.0 %$", out, re.M)


def test_quiet(folder):
    r = good(run("--quiet", folder / "in.onnx", folder / "out.onnx"))
    assert (r.stdout, r.stderr) == (b"", b"")
    trouble(run("--quiet", folder / "absent.onnx", folder / "out.onnx"), "absent")


def test_dry_run_writes_nothing(folder):
    out = folder / "out.onnx"
    good(run("--dry-run", folder / "in.onnx", out))
    assert not out.exists()
    out.write_bytes(b"old")
    good(run("--dry-run", folder / "in.onnx", out))
    assert out.read_bytes() == b"old"
    good(run("--dry-run", folder / "in.onnx", folder / "in.onnx"))
    assert (folder / "in.onnx").read_bytes() == BLOCK
    assert sorted(os.listdir(folder)) == ["in.onnx", "out.onnx"]


def test_dry_run_to_stdout_writes_no_model(folder):
    assert b"main_graph" not in good(run("--dry-run", folder / "in.onnx", "-")).stdout


def test_dry_run_reports_what_a_run_would(folder):
    reports = []
    for flag in ([], ["--dry-run"]):
        good(run(*flag, "--json", folder / "r.json", folder / "in.onnx", folder / "out.onnx"))
        report = json.loads((folder / "r.json").read_text())
        reports.append({k: report[k] for k in ("fusions", "refusals", "warnings", "changed", "before")})
    assert reports[0] == reports[1]
    assert reports[0]["changed"] is True


def test_dry_run_finds_damage(folder):
    (folder / "in.onnx").write_bytes(BLOCK[:-10])
    trouble(run("--dry-run", folder / "in.onnx", folder / "out.onnx"), r"in\.onnx")


def test_explain(folder):
    out = text(good(run("--explain", folder / "in.onnx", folder / "out.onnx")).stdout)
    assert "join_branches" in out
    assert "/bn/BatchNormalization" in out or "/bn/BatchNormalization_output_0" in out
    assert "Conv" in out and "Add" in out


def test_quiet_is_stronger_than_explain(folder):
    r = good(run("--explain", "--quiet", folder / "in.onnx", folder / "out.onnx"))
    assert (r.stdout, r.stderr) == (b"", b"")


def test_explain_tells_equal_reasons_once(tmp_path):
    n = Net(seed=3)
    x = n.input("x", (1, 4, 9, 7))
    for _ in range(5):
        x = n.node("Mul", [n.conv(x, 4, 3), n.conv(x, 4, 1)])
    n.output(n.add(n.convbn(x, 4, 3), n.convbn(x, 4, 1)))
    (tmp_path / "in.onnx").write_bytes(n.model().SerializeToString())
    r = good(run("--explain", "--json", tmp_path / "report.json", tmp_path / "in.onnx", tmp_path / "out.onnx"))
    listed = json.loads((tmp_path / "report.json").read_text())["refusals"]
    assert len(listed) >= 5
    refused = [line for line in r.stdout.decode().splitlines() if line.startswith("refused")]
    assert sum(int(m[1]) + 1 if (m := re.search(r" and (\d+) more ", line)) else 1 for line in refused) == sum(x["counts"] for x in listed)
    alone = re.findall(r"^left alone: (\d+) (\w+): (.*)$", r.stdout.decode(), re.M)
    assert sum(int(count) for count, *_ in alone) == sum(not x["counts"] for x in listed) >= 5
    assert len(refused) + len(alone) < len(listed)


@pytest.mark.parametrize("variance, counts", [(4, False), (-9, True)])
def test_what_nobody_could_want_is_no_refusal_that_counts(variance, counts, tmp_path):
    """A sum of Sigmoids is no linear op. A branch whose variance is negative is a mistake that someone can mend."""
    n = Net(seed=3)
    x = n.input("x", (1, 4, 9, 7))
    stats = [n.const(np.full(4, value, np.float32)) for value in (2, 1, 1, variance)]
    n.output(n.add(n.node("Sigmoid", [n.convbn(x, 4, 3)]), n.bn(n.relu(x), stats=stats)))
    (tmp_path / "in.onnx").write_bytes(n.model().SerializeToString())
    r = good(run("--explain", "--json", tmp_path / "report.json", tmp_path / "in.onnx", tmp_path / "out.onnx"))
    listed = [x for x in json.loads((tmp_path / "report.json").read_text())["refusals"] if x["op"] == "Add"]
    assert [x["counts"] for x in listed] == [counts], listed
    assert ("\nleft alone: 1 Add: no two branches" in text(r.stdout)) != counts


def test_silu_is_no_refusal(tmp_path):
    n = Net(seed=3)
    x = n.conv(n.input("x", (1, 4, 9, 7)), 4, 3)
    n.output(n.conv(n.node("Mul", [x, n.node("Sigmoid", [x])]), 4, 3))
    (tmp_path / "in.onnx").write_bytes(n.model().SerializeToString())
    r = good(run("--explain", tmp_path / "in.onnx", tmp_path / "out.onnx"))
    assert "refused" not in r.stdout.decode()


def test_a_reason_for_the_whole_model_is_no_pass_of_its_own(tmp_path):
    model = onnx.load(ROOT / "models" / "acnet_block.onnx")
    model.training_info.add()
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    r = good(run("--explain", "--json", tmp_path / "report.json", tmp_path / "in.onnx", tmp_path / "out.onnx"))
    assert "refused the whole model: the model has training_info" in r.stdout.decode()
    assert [x["pass"] for x in json.loads((tmp_path / "report.json").read_text())["refusals"]] == ["model"]


def test_explain_names_refusals_and_reasons(tmp_path):
    """Depthwise then pointwise: legal, and a bad trade."""
    source = tmp_path / "in.onnx"
    source.write_bytes(depthwise_pointwise())
    report = tmp_path / "r.json"
    r = good(run("--explain", "--json", report, source, tmp_path / "out.onnx"))
    refusals = json.loads(report.read_text())["refusals"]
    assert any(re.search("grow|cost|multiply|more", f["reason"]) for f in refusals), refusals
    for refusal in refusals:
        assert refusal["reason"] in text(r.stdout)
        assert refusal["node"] in text(r.stdout)


JSON_TOP = {"schema", "tool", "version", "input", "output", "changed", "fusions", "refusals", "warnings", "before",
            "after", "largest_difference", "seconds"}
JSON_FUSION = {"pass", "graph", "node", "output", "source", "replaced", "new", "multiply_adds_before",
               "multiply_adds_after", "parameters_before", "parameters_after", "difference", "channels_checked"}
JSON_REFUSAL = {"pass", "graph", "node", "op", "output", "reason"}
JSON_SIDE = {"ops", "by_type", "parameters", "multiply_adds", "bytes"}


def check_report(report, before, after):
    assert JSON_TOP <= set(report)
    assert report["schema"] == 1 and report["tool"] == "onnx-repvgg-fuse"
    assert re.fullmatch(r"\d+\.\d+\.\d+", report["version"])
    assert report["changed"] is (before != after)
    for fusion in report["fusions"]:
        assert JSON_FUSION <= set(fusion)
        assert fusion["pass"] in PASSES
        assert all(set(r) >= {"op", "node"} for r in fusion["replaced"])
        assert fusion["difference"] is None or fusion["difference"] >= 0
    for refusal in report["refusals"]:
        assert JSON_REFUSAL <= set(refusal) and refusal["reason"]
    for side, data in (("before", before), ("after", after)):
        model = onnx.load_model_from_string(data)
        assert JSON_SIDE <= set(report[side])
        assert report[side]["by_type"] == count_ops(model)
        assert report[side]["ops"] == sum(count_ops(model).values())
        assert report[side]["bytes"] == len(data)
    assert report["seconds"] >= 0


def test_json_to_a_file(folder, fused):
    good(run("--json", folder / "r.json", folder / "in.onnx", folder / "out.onnx"))
    report = json.loads((folder / "r.json").read_text())
    check_report(report, BLOCK, fused)
    assert report["input"] == str(folder / "in.onnx") and report["output"] == str(folder / "out.onnx")
    assert report["fusions"] and report["warnings"] == []
    assert 0 < report["largest_difference"] < 2e-5
    assert sorted(os.listdir(folder)) == ["in.onnx", "out.onnx", "r.json"]


def test_json_numbers(folder):
    """QARepVGG's 12 channels on 15x12: parameters and multiply-adds counted by hand."""
    good(run("--json", folder / "r.json", folder / "in.onnx", folder / "out.onnx"))
    report = json.loads((folder / "r.json").read_text())
    conv3, conv1, bn = 12 * 12 * 9, 12 * 12, 4 * 12
    assert report["before"]["parameters"] == conv3 + conv1 + 2 * bn
    assert report["after"]["parameters"] == conv3 + 12
    assert report["after"]["by_type"] == {"Conv": 1, "Relu": 1}
    assert report["before"]["by_type"] == {"Conv": 2, "BatchNormalization": 2, "Add": 2, "Relu": 1}


def test_json_to_stdout(folder, fused):
    r = good(run("--json", "-", folder / "in.onnx", folder / "out.onnx"))
    check_report(json.loads(r.stdout), BLOCK, fused)


def test_json_beside_a_model_on_stdout(folder, fused):
    r = good(run("--json", folder / "r.json", folder / "in.onnx", "-"))
    assert r.stdout == fused
    check_report(json.loads((folder / "r.json").read_text()), BLOCK, fused)


def test_json_when_nothing_folds(tmp_path):
    source = tmp_path / "in.onnx"
    source.write_bytes(relu_model())
    report = json.loads(good(run("--json", "-", source, tmp_path / "out.onnx")).stdout)
    check_report(report, relu_model(), relu_model())
    assert report["changed"] is False and report["fusions"] == []
    assert report["before"] == report["after"]


def test_json_escapes_names(tmp_path):
    model = onnx.load_model_from_string(BLOCK)
    odd = 'quote " back \\ tab \t newline \n ünïcode \x01'
    model.graph.node[-2].name = odd
    source = tmp_path / 'a"b\\c.onnx'
    source.write_bytes(model.SerializeToString())
    report = json.loads(good(run("--json", "-", source, tmp_path / "out.onnx")).stdout)
    assert report["input"] == str(source)
    assert any(odd == r["node"] for f in report["fusions"] for r in f["replaced"])


def test_json_in_a_missing_folder(folder):
    trouble(run("--json", folder / "absent" / "r.json", folder / "in.onnx", folder / "out.onnx"), r"absent", "no such file")
    assert os.listdir(folder) == ["in.onnx"]


def test_debug(folder):
    plain = good(run("--explain", folder / "in.onnx", folder / "plain.onnx"))
    shown = good(run("--explain", "--debug", "passes,steps,plan", folder / "in.onnx", folder / "out.onnx"))
    assert (folder / "out.onnx").read_bytes() == (folder / "plain.onnx").read_bytes()
    assert [line for line in text(shown.stdout).splitlines() if "time:" not in line] == \
        [line for line in text(plain.stdout).splitlines() if "time:" not in line]
    said = text(shown.stderr)
    assert re.search(r"^round 1, join_branches:\n  [+-] ", said, re.M)
    made, gone = (re.findall(rf"^  \{sign} (\w+) ", said, re.M) for sign in "+-")
    assert made.count("Conv") >= 1 and gone.count("BatchNormalization") == count_ops(onnx.load_model_from_string(BLOCK))["BatchNormalization"]
    assert re.search(r"^steps of main:\n  \w.*\n    conv: ", said, re.M)
    assert re.search(r"^    conv: \w+ \d+ from \d+,.* taps 3 from -1 by 1, stride \d.* of \S+$", said, re.M)
    assert re.search(r"^    matrix: Conv is not a matrix product$", said, re.M)
    assert re.search(r"^plan:\n  join_branches: .* from .*\n    - ", said, re.M)
    only = text(good(run("--debug", "plan", folder / "in.onnx", folder / "out.onnx")).stderr)
    assert only.startswith("plan:\n") and "round" not in only
    trouble(run("--debug", "everything", folder / "in.onnx", folder / "out.onnx"), "everything", "passes, steps and plan")


def test_only_one_pass(folder):
    report = json.loads(good(run("--only", "fold_after", "--json", "-", folder / "in.onnx", folder / "out.onnx")).stdout)
    assert {f["pass"] for f in report["fusions"]} == {"fold_after"}
    assert report["after"]["by_type"]["Conv"] == 2 and report["after"]["by_type"]["Add"] == 2


@pytest.mark.parametrize("arguments", [["--only", "slide_forward,slide_back"], ["--skip", "fold_before,fold_after"]])
def test_nothing_slides_to_where_nothing_folds_it(arguments, folder):
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 17]> g (float[2,3,4] x) => (float[2,4,3] y, float[2,4,3] z)
        <float[3] s = {1, 2, 3}, float[3] m = {4, 5, 6}, float[3] v = {1, 2, 1}, float[3,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 8}>
        { n = BatchNormalization (x, s, s, m, v) t = Transpose <perm = [0, 2, 1]> (n) y = MatMul (t, w)
          u = Transpose <perm = [0, 2, 1]> (x) p = MatMul (u, w) q = Relu (p) z = Mul (q, s) }""")
    onnx.save(model, folder / "in.onnx")
    good(run(*arguments, folder / "in.onnx", folder / "out.onnx"))
    assert (folder / "out.onnx").read_bytes() == (folder / "in.onnx").read_bytes()
    good(run(folder / "in.onnx", folder / "out.onnx"))
    assert not {"Mul", "BatchNormalization"} & set(count_ops(onnx.load(folder / "out.onnx")))


@pytest.mark.parametrize("arguments", [["--only", "remove_dead"], ["--skip", ",".join(PASSES)],
                                       [a for p in PASSES for a in ("--skip", p)],
                                       ["--skip", "join_branches,fold_after", "--skip", "fold_before,compose_chains"],
                                       ["--only", "join_branches", "--skip", "join_branches"]])
def test_passes_left_out(folder, arguments):
    good(run(*arguments, folder / "in.onnx", folder / "out.onnx"))
    assert (folder / "out.onnx").read_bytes() == BLOCK


@pytest.mark.parametrize("arguments", [["--only", ",".join(PASSES)], ["--only", ",".join(reversed(PASSES))],
                                       [a for p in PASSES for a in ("--only", p)]])
def test_all_passes_named_is_the_default(folder, fused, arguments):
    good(run(*arguments, folder / "in.onnx", folder / "out.onnx"))
    assert (folder / "out.onnx").read_bytes() == fused


def depthwise_pointwise():
    rng = np.random.default_rng(1)
    weights = {"dw": (6, 1, 3, 3), "pw": (10, 6, 1, 1)}
    inits = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in weights.items()]
    nodes = [helper.make_node("Conv", ["x", "dw"], ["m"], name="depthwise", group=6),
             helper.make_node("Conv", ["m", "pw"], ["y"], name="pointwise")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6, 9, 11])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10, 7, 9])
    graph = helper.make_graph(nodes, "separable", [x], [y], inits)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("growth, convs", [("1", 2), ("1.5", 2), ("100", 1), ("1e2", 1)])
def test_max_growth(tmp_path, growth, convs):
    """114 parameters become 540: 4.7 times."""
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    source.write_bytes(depthwise_pointwise())
    good(run("--max-growth", growth, source, target))
    assert conv_count(target.read_bytes()) == convs
    assert (target.read_bytes() == source.read_bytes()) is (convs == 2)


def test_a_missed_tolerance_drops_the_rewrite_and_warns(folder):
    """No rewrite of float32 weights is exact to 1e-30."""
    arguments = ["--tolerance", "1e-30", "--only", "join_branches", "--json", folder / "r.json", folder / "in.onnx"]
    good(run(*arguments, folder / "out.onnx"))
    report = json.loads((folder / "r.json").read_text())
    assert report["warnings"] and report["fusions"] == [] and report["changed"] is False
    assert all(w["reason"] for w in report["warnings"])
    assert (folder / "out.onnx").read_bytes() == BLOCK


def test_strict(folder, fused):
    good(run("--strict", folder / "in.onnx", folder / "out.onnx"))
    assert (folder / "out.onnx").read_bytes() == fused
    r = run("--strict", "--tolerance", "1e-30", "--only", "join_branches", folder / "in.onnx", folder / "strict.onnx")
    assert r.returncode == 1, text(r.stderr)
    assert (folder / "strict.onnx").read_bytes() == BLOCK


def test_no_check(folder, fused):
    report = json.loads(good(run("--no-check", "--tolerance", "1e-30", "--json", "-", folder / "in.onnx", folder / "out.onnx")).stdout)
    assert report["fusions"] and report["warnings"] == []
    assert (folder / "out.onnx").read_bytes() == fused


def test_table_on_a_terminal(folder):
    """Under a pseudo-terminal the run ends with the table."""
    primary, secondary = os.openpty()
    p = subprocess.Popen([TOOL, folder / "in.onnx", folder / "out.onnx"], stdin=secondary, stdout=secondary, stderr=secondary)
    os.close(secondary)
    out = b""
    while True:
        try:
            piece = os.read(primary, 4096)
        except OSError:  # Linux says EIO at the end of a terminal
            break
        if not piece:
            break
        out += piece
    os.close(primary)
    assert p.wait(timeout=60) == 0
    lines = text(out).splitlines()
    for word, before, after in (("Conv", 2, 1), ("Add", 2, 0)):
        assert any(re.search(rf"\b{word}\b\D*\b{before}\b\D*\b{after}\b", line) for line in lines), (word, lines)
    for word in ("parameters", "multiply-adds", "bytes", "difference"):
        assert re.search(word, text(out), re.IGNORECASE), word


@pytest.mark.parametrize("name, ops, convs", re.findall(
    r"^\| `(\w+)` \|.*\| \d+ \| \d+ \| (\d+) \| (\d+) \|$", (ROOT / "models" / "README.md").read_text(), re.MULTILINE))
def test_models_reach_the_counts_of_their_readme(tmp_path, name, ops, convs):
    target = tmp_path / "out.onnx"
    good(run(ROOT / "models" / f"{name}.onnx", target))
    counts = count_ops(onnx.load(target))
    assert (sum(counts.values()), counts.get("Conv", 0)) == (int(ops), int(convs)), counts
    onnx.checker.check_model(target, full_check=True)


def test_models_readme_lists_every_model():
    listed = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \| (\d+) \| \d+ \| \d+ \|$", (ROOT / "models" / "README.md").read_text(), re.MULTILINE)
    assert sorted(n for n, _, _ in listed) == sorted(p.stem for p in (ROOT / "models").glob("*.onnx"))
    for name, ops, convs in listed:
        counts = count_ops(onnx.load(ROOT / "models" / f"{name}.onnx"))
        assert (sum(counts.values()), counts["Conv"]) == (int(ops), int(convs)), name


def test_models_are_what_their_script_writes(tmp_path):
    subprocess.run([os.sys.executable, ROOT / "models" / "make_models.py", "-o", tmp_path], check=True, capture_output=True, timeout=120)
    for path in sorted((ROOT / "models").glob("*.onnx")):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 3e6
