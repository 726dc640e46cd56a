"""Pages: --report FILE of fuse and --format html of diff. What is in them, hostile names, files, exit codes.

tests/browser looks at them in a browser.
"""
import json
import os
import re
import stat
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.net import Net
from tests.support.page import Page
from tests.support.tool import ROOT, TOOL

MODELS = sorted((ROOT / "models").glob("*.onnx"))
BLOCK = ROOT / "models" / "qarepvgg_block.onnx"
HOSTILE = [
    "</script><script>alert(1)</script>", "<!--<script>", "]]>", "</noscript><img src=x onerror=alert(1)>", "</title><b>", "\u2028\u2029",
    "\u202egnp.exe", "&lt;b&gt; &amp;", "\"'`${}\\", "x" * 5000, "\u00e9" * 400, "line\nbreak\ttab\x01\x7f", "\U0001f9e0", "__proto__", "constructor",
]


def run(*arguments, **keywords):
    return subprocess.run([TOOL, *arguments], capture_output=True, timeout=60, **keywords)


def good(result, code=0):
    assert result.returncode == code, result.stderr
    return result


def page_of(model, folder, *options):
    """The page and the JSON report of one run."""
    out = folder / "page.html"
    if not isinstance(model, os.PathLike):
        (folder / "in.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        model = folder / "in.onnx"
    good(run("--report", out, "--json", folder / "r.json", *options, model, folder / "out.onnx"))
    return Page(out.read_bytes()), json.loads((folder / "r.json").read_text())


def diff_page(a, b, folder, *options, code=1):
    paths = []
    for name, model in (("a.onnx", a), ("b.onnx", b)):
        if not isinstance(model, os.PathLike):
            (folder / name).write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
            model = folder / name
        paths.append(model)
    return Page(good(run("diff", "--format", "html", *options, *paths), code).stdout)


def one(items):
    assert len(items) == 1, items
    return items[0]


# Fuse


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_a_page_holds_what_the_json_report_holds(path, tmp_path):
    page, report = page_of(path, tmp_path)
    members = [m for g in page.data["blocks"]["groups"] for m in g["members"]]
    key = ["graph", "node", "output", "source"]
    assert sorted([m[k] for k in key] for m in members) == sorted([f[k] for k in key] for f in report["fusions"])
    by_output = {(f["graph"], f["output"]): f for f in report["fusions"]}
    for member in members:
        fusion = by_output[member["graph"], member["output"]]
        assert member["difference"] == fusion["difference"] and member["parameters_after"] == fusion["parameters_after"]
        assert page.ops(member["before"]) == sorted(r["op"] for r in fusion["replaced"])
        assert page.ops(member["after"]) == sorted(fusion["new"])
        for picture in (member["before"], member["after"]):
            # Everything is joined to something, and what comes in and goes out is drawn.
            ends = {end for line in picture["lines"] for end in line[:2]}
            assert ends == set(range(len(picture["boxes"])))
            assert page.boxes(picture, "source") and page.boxes(picture, "target")
            assert page.string(page.boxes(picture, "target")[0]["name"]) == member["output"]
    assert page.data["before"] == report["before"] and page.data["after"] == report["after"]
    assert page.data["largest_difference"] == report["largest_difference"]
    assert page.data["refusals"]["count"] == sum(r["counts"] for r in report["refusals"])
    assert page.data["left_alone"]["count"] == sum(not r["counts"] for r in report["refusals"])
    assert sum(r["count"] for r in page.data["refusals"]["reasons"]) == len(report["refusals"])
    for refusal in report["refusals"]:
        assert refusal["reason"] in page.text or refusal["reason"] in [
            p["reason"] for r in page.data["refusals"]["reasons"] for p in r["places"]]
        assert refusal["output"] in page.listing
    assert str(path) in page.title and "seconds" not in page.data


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_the_overview_is_the_graph_of_the_file(path, tmp_path):
    page, report = page_of(path, tmp_path)
    model = onnx.load(path)
    main = page.data["overview"][0]
    ops = [(page.string(op), page.string(name)) for op, name, *_ in main["ops"]]
    nodes = [n for n in model.graph.node if n.op_type != "Constant"]
    constants = {t.name for t in model.graph.initializer}
    inputs = [("", i.name) for i in model.graph.input if i.name not in constants]
    assert ops == [*inputs, *((n.op_type, n.name) for n in nodes), *(("", o.name) for o in model.graph.output)] and main["left_out"] == 0
    made = {name: i for i, (_, name) in enumerate(inputs)} | {o: len(inputs) + i for i, n in enumerate(nodes) for o in n.output}
    for node, (_, _, mark, *makers) in zip(nodes, main["ops"][len(inputs):]):
        bodies = [a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
        assert makers == [made[i] for i in node.input if i in made] or bodies
    replaced = {(r["op"], r["node"]) for f in report["fusions"] if f["graph"] == "main" for r in f["replaced"]}
    assert {op for op, entry in zip(ops, main["ops"]) if entry[2] > 0} == replaced
    ids = [m["id"] for g in page.data["blocks"]["groups"] for m in g["members"]]
    assert len(ids) == len(set(ids)) and set(ids) >= {op[2] - 1 for g in page.data["overview"] for op in g["ops"] if op[2] > 0}


def test_an_overview_of_many_lines_says_what_it_leaves_out(tmp_path):
    many, sums = 1000, 26
    nodes = [helper.make_node("Sigmoid", ["x"], [f"s{i}"]) for i in range(many)]
    nodes += [helper.make_node("Max", [f"s{i}" for i in range(many)], [f"y{k}"]) for k in range(sums)]
    ends = [helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, [1]) for k in range(sums)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    page, _ = page_of(model, tmp_path, "--only", "fold_after")
    main = page.data["overview"][0]
    lines = sum(len(op) - 3 for op in main["ops"])
    assert lines == 24000 and lines + main["lines_left_out"] == many + sums * many + sums and main["left_out"] == 0


def test_a_block_in_detail(tmp_path):
    page, _ = page_of(BLOCK, tmp_path)
    group = one(page.data["blocks"]["groups"])
    assert group["title"].endswith(" \u2192 Conv") and "2 Conv" in group["title"]
    before, after = one(group["members"])["before"], one(group["members"])["after"]
    source = one(page.boxes(before, "source"))
    assert page.string(source["name"]) == "input"
    convs = [b for b in before["boxes"] if "op" in b and page.string(b["op"]) == "Conv"]
    weights = sorted([page.string(i) for i in b["weights"][0][:2]] for b in convs)
    assert [w[0] for w in weights] == ["W", "W"] and [w[1].split("\u00d7", 2)[2] for w in weights] == ["1\u00d71", "3\u00d73"]
    made = one([b for b in after["boxes"] if "op" in b])
    assert [page.string(i[0]) for i in made["weights"]] == ["W", "B"]
    model = onnx.load(tmp_path / "out.onnx")
    assert [page.string(i[2]) for i in made["weights"]] == list(one([n for n in model.graph.node if n.op_type == "Conv"]).input)[1:]
    # The identity branch: the source is read by the convolutions and by the sum.
    reads = [page.string(before["boxes"][to]["op"]) for start, to, *_ in before["lines"] if "op" not in before["boxes"][start]]
    assert sorted(reads) == ["Add", "Conv", "Conv"]


def stack(blocks, channels):
    n = Net(seed=1)
    x = n.input("x", ("N", channels[0], 9, 11))
    for i in range(blocks):
        c = channels[i % len(channels)]
        x = n.relu(n.add(n.convbn(x, c, 3), n.convbn(x, c, 1)))
    n.output(x)
    return n.model()


def test_equal_blocks_are_one_picture(tmp_path):
    page, report = page_of(stack(12, [4, 6, 8]), tmp_path)
    assert len(report["fusions"]) == 12
    assert [len(g["members"]) for g in page.data["blocks"]["groups"]] == [12]
    names = [m["output"] for m in one(page.data["blocks"]["groups"])["members"]]
    assert len(set(names)) == 12
    assert all(m["before"] and m["after"] for m in one(page.data["blocks"]["groups"])["members"])


def test_other_windows_are_another_picture(tmp_path):
    n = Net(seed=1)
    x = n.input("x", ("N", 4, 9, 11))
    for k in (3, 5, 3):
        x = n.relu(n.add(n.convbn(x, 4, k), n.convbn(x, 4, 1)))
    n.output(x)
    page, _ = page_of(n.model(), tmp_path)
    assert [len(g["members"]) for g in page.data["blocks"]["groups"]] == [2, 1]


def test_many_blocks_keep_the_page_small(tmp_path):
    page, report = page_of(stack(640, [2]), tmp_path, "--no-check")
    group = one(page.data["blocks"]["groups"])
    assert group["count"] == page.data["fused"] == len(report["fusions"]) == 640
    assert len(group["members"]) == 600 and all(m["before"] and m["after"] for m in group["members"])
    assert len(page.text) < 2_000_000


def test_many_kinds_are_named_only(tmp_path):
    n = Net(seed=1)
    x = n.input("x", ("N", 1, 70))
    for k in range(1, 150, 2):
        x = n.relu(n.add(n.conv(x, 1, k), n.conv(x, 1, 1)))
    n.output(x)
    page, report = page_of(n.model(), tmp_path, "--no-check")
    assert page.data["fused"] == page.data["blocks"]["count"] == len(report["fusions"]) > 70
    listed = [bool(g["members"]) for g in page.data["blocks"]["groups"]]
    assert listed == [True] * 60 + [False] * (len(report["fusions"]) - 60)


def test_a_large_block_is_cut(tmp_path):
    n = Net(seed=2)
    x = n.input("x", ("N", 3, 5, 5))
    n.output(n.add(*[n.conv(x, 3, 3, bias=True) for _ in range(60)]))
    page, report = page_of(n.model(), tmp_path)
    picture = one(one(page.data["blocks"]["groups"])["members"])["before"]
    assert picture["left_out"] == len(one(report["fusions"])["replaced"]) - 40
    assert len([b for b in picture["boxes"] if "op" in b]) == 40


def refused(count):
    n = Net(seed=4)
    x = n.input("x", ("N", 4, 6, 6))
    for _ in range(count):
        a, b = n.conv(x, 4, 3), n.node("Sigmoid", [x])
        x = n.binary("Mul", a, b)
    n.output(x)
    return n.model()


def test_equal_reasons_are_one(tmp_path):
    page, report = page_of(refused(70), tmp_path)
    assert len(report["refusals"]) >= 70
    assert page.data["refusals"]["count"] == sum(r["counts"] for r in report["refusals"])
    assert page.data["left_alone"]["count"] == sum(not r["counts"] for r in report["refusals"])
    largest = max(page.data["left_alone"]["reasons"], key=lambda r: r["count"])
    assert largest["count"] >= 70 and len(largest["places"]) == 60
    assert len(page.data["left_alone"]["reasons"]) <= 3


def test_reasons_that_differ_in_names_and_numbers_are_one(tmp_path):
    n = Net(seed=4)
    x = n.input("x", ("N", 4, 6, 6))
    for c in (16, 24):
        x = n.relu(n.conv(n.conv(x, c, 3, pads=0, group=4), c, 1, pads=0))
    n.output(x)
    page, report = page_of(n.model(), tmp_path)
    costs = [r["reason"] for r in report["refusals"] if "cost" in r["reason"]]
    assert len(set(costs)) == 2
    group = one([r for r in page.data["refusals"]["reasons"] if "cost" in r["reason"]])
    assert group["count"] == 2 and [p["reason"] for p in group["places"]] == costs and "N" in group["reason"]


def test_warnings(tmp_path):
    page, report = page_of(BLOCK, tmp_path, "--tolerance", "1e-30", "--only", "join_branches")
    assert page.data["warnings"]["count"] == len(report["warnings"]) >= 1
    assert page.data["warnings"]["reasons"][0]["places"][0]["output"] == report["warnings"][0]["output"]
    assert not page.data["blocks"]["groups"]


def test_nothing_folds(tmp_path):
    page, report = page_of(relu_model(), tmp_path)
    assert page.data["blocks"]["groups"] == [] and page.data["changed"] is False and page.data["largest_difference"] is None
    assert page.data["before"] == report["before"]


def relu_model():
    n = Net()
    n.output(n.relu(n.input("x", ("N", 3, 5, 7))))
    return n.model()


def test_a_stored_constant_and_a_body(tmp_path):
    n = Net(seed=5)
    x = n.input("x", ("N", 4, 6, 6))
    w = n.node("Transpose", [n.const(np.ones((3, 3, 4, 4), np.float32))], perm=[3, 2, 0, 1])
    n.output(n.relu(n.conv(x, 4, 3, weight=w)))
    page, _ = page_of(n.model(), tmp_path)
    group = one([g for g in page.data["blocks"]["groups"] if g["pass"] == "fold_constants"])
    assert "stored constant" in group["title"]
    box = one(one(group["members"])["after"]["boxes"])
    assert box["state"] == "stored" and page.string(box["shape"]) == "4\u00d74\u00d73\u00d73"
    page, _ = page_of(ROOT / "models" / "if_body.onnx", tmp_path)
    assert {m["graph"] for g in page.data["blocks"]["groups"] for m in g["members"]} != {"main"}


def test_attributes_that_are_strings(tmp_path):
    n = Net(seed=5)
    x = n.input("x", ("N", 4, 6, 6))
    n.output(n.add(n.conv(n.pad(x, [1, 1, 1, 1]), 4, 3, pads=0), n.conv(x, 4, 1, auto_pad="VALID")))
    page, _ = page_of(n.model(), tmp_path)
    assert 'auto_pad "VALID"' in page.data["strings"]


# Diff


def test_a_diff_of_the_same(tmp_path):
    page = diff_page(BLOCK, BLOCK, tmp_path, code=0)
    assert page.data["different"] is False and page.data["counted"] == 0
    assert page.groups == [] and all(page.data[k] == [] for k in ("weights", "others", "uncounted", "kinds"))
    assert page.listing == "The models are the same.\n"


def test_a_diff_of_train_and_deploy_form(tmp_path):
    good(run(ROOT / "models" / "repvgg_small.onnx", tmp_path / "b.onnx"))
    page = diff_page(ROOT / "models" / "repvgg_small.onnx", tmp_path / "b.onnx", tmp_path)
    assert page.data["counted"] == sum(len(g["members"]) for g in page.data["regions"]["groups"]) == 22
    assert page.data["before"]["ops"] == 169 and page.data["after"]["ops"] == 47
    for group in page.data["regions"]["groups"]:
        before, after = group["members"][0]["before"], group["members"][0]["after"]
        changed = [page.string(b["op"]) for b in page.boxes(before, "changed")]
        assert changed.count("Conv") == 2 and changed.count("Add") == len(changed) - 2 - changed.count("BatchNormalization")
        assert [page.string(b["op"]) for b in page.boxes(after, "changed")] == ["Conv"]
        assert [page.string(b["op"]) for b in page.boxes(after, "context")][-1] == "Relu"
        assert "became" in group["title"]


def mutant(change):
    n = Net(seed=3)
    x = n.input("x", ("N", 4, 11, 9))
    y = n.relu(n.conv(x, 6, 3, bias=True))
    n.output(n.conv(n.relu(n.bn(y)), 4, 1, bias=True))
    a = n.model()
    b = onnx.ModelProto.FromString(a.SerializeToString())
    change(b)
    return a, b


def weight_of(model, index=0):
    name = [n for n in model.graph.node if n.op_type == "Conv"][0].input[1]
    return one([t for t in model.graph.initializer if t.name == name])


def test_a_changed_weight(tmp_path):
    def change(model):
        t = weight_of(model)
        array = numpy_helper.to_array(t).copy()
        array[4, 1, 2, 0] += 0.5
        array[2] -= 0.125
        t.CopyFrom(numpy_helper.from_array(array, t.name))

    page = diff_page(*mutant(change), tmp_path)
    weight = one(page.data["weights"])
    assert (weight["count"], weight["differing"], weight["channels"]) == (216, 37, 6)
    assert weight["largest"] == pytest.approx(0.5, 1e-6) and sum(weight["bins"]) == 37 and len(weight["bins"]) == 25
    assert weight["bars"] == pytest.approx([0, 0, 0.125, 0, 0.5, 0], abs=1e-6)
    assert page.groups == page.data["others"] == []


def test_a_weight_that_is_not_finite(tmp_path):
    def change(model):
        t = weight_of(model)
        array = numpy_helper.to_array(t).copy()
        array[0, 0, 0, 0] = np.inf
        t.CopyFrom(numpy_helper.from_array(array, t.name))

    weight = one(diff_page(*mutant(change), tmp_path).data["weights"])
    assert weight["largest"] is None and weight["differing"] == 1


def test_a_changed_attribute(tmp_path):
    def change(model):
        node = [n for n in model.graph.node if n.op_type == "Conv"][0]
        one([a for a in node.attribute if a.name == "pads"]).ints[:] = [2, 0, 0, 2]

    page = diff_page(*mutant(change), tmp_path)
    member = one(one(page.data["nodes"]["groups"])["members"])
    assert "pads [1, 1, 1, 1] -> [2, 0, 0, 2]" in member["texts"][0]
    for picture, pads in ((member["before"], "pads [1, 1, 1, 1]"), (member["after"], "pads [2, 0, 0, 2]")):
        box = one(page.boxes(picture, "changed"))
        assert pads in [page.string(i) for i in box["attributes"]]
        assert [page.string(b["op"]) for b in page.boxes(picture, "context")] == ["Relu"]


def test_other_changes(tmp_path):
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 13
        model.opset_import[0].version += 1
        model.producer_name = "someone else"

    page = diff_page(*mutant(change), tmp_path)
    assert sorted(o["kind"] for o in page.data["others"]) == ["input", "opset"]
    assert [o["kind"] for o in page.data["uncounted"]] == ["metadata"]
    strict = diff_page(*mutant(change), tmp_path, "--strict")
    assert "metadata" in [o["kind"] for o in strict.data["others"]] and strict.data["uncounted"] == []


def test_a_node_taken_out(tmp_path):
    def change(model):
        relu = [n for n in model.graph.node if n.op_type == "Relu"][0]
        for n in model.graph.node:
            n.input[:] = [relu.input[0] if i == relu.output[0] else i for i in n.input]
        model.graph.node.remove(relu)

    page = diff_page(*mutant(change), tmp_path)
    member = one(one(page.data["regions"]["groups"])["members"])
    assert page.ops(member["before"]) == ["BatchNormalization", "Conv", "Relu"] and member["after"] is None


def test_many_changed_weights_are_cut(tmp_path):
    n = Net(seed=3)
    x = n.input("x", ("N", 2, 5, 5))
    for _ in range(450):
        x = n.relu(n.conv(x, 2, 1))
    n.output(x)
    a = n.model()
    b = onnx.ModelProto.FromString(a.SerializeToString())
    for t in b.graph.initializer:
        t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t) + np.float32(1), t.name))
    page = diff_page(a, b, tmp_path)
    assert page.data["weights_in_all"] == 450 and len(page.data["weights"]) == 400
    assert sum("bins" in w for w in page.data["weights"]) == 60


# Hostile names


def named_block(name):
    """A block in which everything has the name, or one that begins with it."""
    n = Net(seed=7)
    x = n.input(name, ("N", 3, 7, 7))
    n.output(n.relu(n.add(n.convbn(x, 3, 3), n.convbn(x, 3, 1))))
    model = n.model()
    renames = {x: name}
    for i, node in enumerate(model.graph.node):
        node.name = f"{name}{i}"
        for k, output in enumerate(node.output):
            renames[output] = f"{name}:{i}"
    for i, t in enumerate(model.graph.initializer):
        renames[t.name] = t.name = f"{name}#{i}"
    for node in model.graph.node:
        node.input[:] = [renames.get(i, i) for i in node.input]
        node.output[:] = [renames.get(o, o) for o in node.output]
    for v in [*model.graph.output, *model.graph.value_info]:
        v.name = renames.get(v.name, v.name)
    model.graph.node.append(helper.make_node(name, [renames[x]], [f"{name}?"], name=name, domain=name))
    model.graph.output.append(helper.make_tensor_value_info(f"{name}?", TensorProto.FLOAT, None))
    model.opset_import.append(helper.make_opsetid(name, 1))
    return model


def shown(name):
    """As the JSON holds it: cut at a character near byte 300."""
    data = name.encode()
    return name if len(data) <= 300 else data[:300].decode(errors="ignore")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(name, tmp_path):
    model = named_block(name)
    page, report = page_of(model, tmp_path)
    assert len(report["fusions"]) == 1
    member = one(one(page.data["blocks"]["groups"])["members"])
    assert member["source"].startswith(shown(name)) and member["node"].startswith(shown(name))
    assert all(len(s.encode()) < 340 for s in page.data["strings"])
    if len(name) < 100:
        assert name in page.data["before"]["by_type"]
    other = onnx.ModelProto.FromString(model.SerializeToString())
    other.graph.node[0].attribute.append(helper.make_attribute(name, name))
    other.graph.node[-1].op_type = "Other"
    page = diff_page(model, other, tmp_path)
    assert any(shown(name) in text for g in page.groups for m in g["members"] for text in m["texts"]) or len(name) > 250 \
        or re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", name)


def test_names_that_are_no_utf8(tmp_path):
    data = named_block("Q" * 9).SerializeToString().replace(b"Q" * 9, b"\xff<\xc0\x80\xed\xa0\x80\xf5>")
    page, _ = page_of(data, tmp_path)
    source = one(one(page.data["blocks"]["groups"])["members"])["source"]
    assert re.fullmatch("\ufffd<\ufffd+>", source)
    diff_page(data, named_block("x"), tmp_path)


def test_a_path_in_the_title(tmp_path):
    path = tmp_path / "<b>&'\".onnx"
    path.write_bytes(BLOCK.read_bytes())
    page, _ = page_of(path, tmp_path)
    assert page.title.endswith("<b>&'\".onnx")


# Files and exit codes


def test_the_same_bytes(tmp_path):
    (tmp_path / "in.onnx").write_bytes((ROOT / "models" / "repvgg_small.onnx").read_bytes())
    pages = []
    for jobs in ("1", "2", "3"):
        good(run("--report", "p.html", "--jobs", jobs, "in.onnx", "out.onnx", cwd=tmp_path))
        pages.append((tmp_path / "p.html").read_bytes())
    assert pages[0] == pages[1] == pages[2]
    assert sorted(os.listdir(tmp_path)) == ["in.onnx", "out.onnx", "p.html"]
    a = run("diff", "--format", "html", "in.onnx", "out.onnx", cwd=tmp_path)
    assert a.stdout == good(run("diff", "--format", "html", "in.onnx", "out.onnx", cwd=tmp_path), 1).stdout


def test_the_model_is_as_without_a_report(tmp_path):
    good(run(BLOCK, tmp_path / "a.onnx"))
    good(run("--report", tmp_path / "p.html", BLOCK, tmp_path / "b.onnx"))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_page_on_stdout(tmp_path):
    r = good(run("--report", "-", "--explain", BLOCK, tmp_path / "out.onnx"))
    assert one(Page(r.stdout).groups) and b"fused join_branches" in r.stderr
    r = run("--report", "-", BLOCK, "-")
    assert r.returncode == 2 and b"--report" in r.stderr and r.stdout == b""


def test_dry_run_writes_the_page_only(tmp_path):
    good(run("--report", tmp_path / "p.html", "--dry-run", BLOCK))
    assert os.listdir(tmp_path) == ["p.html"]
    assert len(Page((tmp_path / "p.html").read_bytes()).groups) == 1


def test_a_page_that_is_replaced_keeps_its_mode(tmp_path):
    (tmp_path / "p.html").write_text("old")
    (tmp_path / "p.html").chmod(0o600)
    good(run("--report", tmp_path / "p.html", BLOCK, tmp_path / "out.onnx"))
    assert stat.S_IMODE((tmp_path / "p.html").stat().st_mode) == 0o600
    Page((tmp_path / "p.html").read_bytes())


@pytest.mark.parametrize("report,says", [("absent/p.html", "absent"), (".", "folder"), ("/dev/full", "/dev/full"), ("", "report")])
def test_a_page_that_cannot_be_written(report, says, tmp_path):
    (tmp_path / "out.onnx").write_bytes(b"as it was")
    r = run("--report", report, BLOCK, "out.onnx", cwd=tmp_path)
    assert r.returncode == 2 and re.search(says, r.stderr.decode()), r.stderr
    assert len(r.stderr.splitlines()) == 1
    assert (tmp_path / "out.onnx").read_bytes() == b"as it was" and os.listdir(tmp_path) == ["out.onnx"]


@pytest.mark.parametrize("report", ["out.onnx", "./out.onnx", "in.onnx", "sub/../in.onnx", "link.onnx"])
def test_a_page_never_replaces_a_model(report, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "in.onnx").write_bytes(BLOCK.read_bytes())
    (tmp_path / "link.onnx").symlink_to("in.onnx")
    before = sorted(os.listdir(tmp_path))
    r = run("--report", report, "in.onnx", "out.onnx", cwd=tmp_path)
    assert r.returncode == 2 and b"another file for the report" in r.stderr, r.stderr
    assert sorted(os.listdir(tmp_path)) == before and (tmp_path / "in.onnx").read_bytes() == BLOCK.read_bytes()


def test_a_bad_model_leaves_the_old_page(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"\xff\xff")
    (tmp_path / "p.html").write_text("old")
    r = run("--report", tmp_path / "p.html", tmp_path / "bad.onnx", tmp_path / "out.onnx")
    assert r.returncode == 2
    assert (tmp_path / "p.html").read_text() == "old" and sorted(os.listdir(tmp_path)) == ["bad.onnx", "p.html"]


def test_report_and_other_options(tmp_path):
    assert run("--report", tmp_path / "x", "--json", tmp_path / "x", BLOCK, tmp_path / "o").returncode == 2
    r = run("--report", tmp_path / "x", "--batch", tmp_path, BLOCK)
    assert r.returncode == 2 and b"--report" in r.stderr
    r = run("diff", "--format", "xhtml", BLOCK, BLOCK)
    assert r.returncode == 2 and b"html" in r.stderr


def test_strict_with_a_page(tmp_path):
    r = run("--strict", "--tolerance", "1e-30", "--only", "join_branches", "--report", tmp_path / "p.html", BLOCK, tmp_path / "o.onnx")
    assert r.returncode == 1
    Page((tmp_path / "p.html").read_bytes())
