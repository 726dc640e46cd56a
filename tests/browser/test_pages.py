"""Pages in a headless Chromium: pictures are there, nothing overlaps, text fits, nothing is complained of or asked for.

scripts/test installs the browser. $ONNX_REPVGG_FUSE_PICTURES names a folder to keep the screenshots in.
"""
import base64
import hashlib
import os
import pathlib
import re
import struct
import subprocess
import time
import zlib

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.browser import chromium
from tests.cli.test_equalize import network
from tests.cli.test_html import HOSTILE, named_block, refused
from tests.support.net import Net
from tests.support.page import Page
from tests.support.tool import ROOT, TOOL

if not chromium.find():
    pytest.skip("no Chromium; scripts/test installs it", allow_module_level=True)

# Every picture with the boxes of its parts, in pixels of the page.
MEASURE = """
[...document.querySelectorAll('svg.picture')].map((svg) => {
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  return {
    area: box(svg),
    boxes: [...svg.querySelectorAll('g.box')].map((g) => ({
      area: box(g.querySelector('rect')), name: g.querySelector('title').textContent,
      texts: [...g.querySelectorAll('text')].map((t) => ({area: box(t), text: t.textContent})),
    })),
    labels: [...svg.querySelectorAll('text.edge-text')].map((t) => ({area: box(t), text: t.textContent})),
    reach: [...svg.querySelectorAll('path.edge')].map(box),
    edges: [...svg.querySelectorAll('path.edge')].map((p) => {
      const matrix = p.getScreenCTM();
      const at = (length) => { const q = p.getPointAtLength(length).matrixTransform(matrix); return [q.x, q.y]; };
      const length = p.getTotalLength();
      return Array.from({length: 41}, (_, i) => at(length * i / 40));
    }),
    described: [svg.getAttribute('role'), ...svg.getAttribute('aria-labelledby').split(' ').map((id) => document.getElementById(id).textContent)],
  };
})
"""


@pytest.fixture
def look(browser, tmp_path, request):
    """Open a page and hand back the file's contents; what it complains of is an error."""
    def open_page(data, **options):
        path = tmp_path / "page.html"
        path.write_bytes(data)
        browser.open(path, **options)
        assert browser.complaints == []
        keep = os.environ.get("ONNX_REPVGG_FUSE_PICTURES")
        if keep:
            name = "".join(c if c.isalnum() else "-" for c in request.node.name)
            browser.screenshot(pathlib.Path(keep) / f"{name}.png")
        return Page(data)

    return open_page


def fuse(model, folder, *options):
    if not isinstance(model, os.PathLike):
        (folder / "in.onnx").write_bytes(model.SerializeToString())
        model = folder / "in.onnx"
    subprocess.run([TOOL, "--report", folder / "fuse.html", *options, model, folder / "fused.onnx"], check=True, timeout=60)
    return (folder / "fuse.html").read_bytes()


def diff(a, b):
    r = subprocess.run([TOOL, "diff", "--format", "html", a, b], capture_output=True, timeout=60)
    assert r.returncode in (0, 1), r.stderr
    return r.stdout


def mutated(path, folder):
    """Something of each kind: weights, attributes, an op, an input."""
    model = onnx.load(path)
    rng = np.random.default_rng(1)
    for i in (0, 3, 9):
        t = model.graph.initializer[i]
        array = numpy_helper.to_array(t).copy()
        array += rng.normal(0, 0.01, array.shape).astype(array.dtype) * (rng.random(array.shape) < 0.6)
        t.CopyFrom(numpy_helper.from_array(array, t.name))
    conv = [n for n in model.graph.node if n.op_type == "Conv"][4]
    next(a for a in conv.attribute if a.name == "pads").ints[:] = [0, 0, 2, 2]
    norm = [n for n in model.graph.node if n.op_type == "BatchNormalization"][5]
    next(a for a in norm.attribute if a.name == "epsilon").f = 1e-3
    [n for n in model.graph.node if n.op_type == "Relu"][2].op_type = "LeakyRelu"
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.producer_name = "someone else"
    onnx.save(model, folder / "b.onnx")
    return folder / "b.onnx"


def apart(a, b, slack=0.5):
    return a[2] <= b[0] + slack or b[2] <= a[0] + slack or a[3] <= b[1] + slack or b[3] <= a[1] + slack


def inside(inner, outer, slack=0.5):
    return (inner[0] >= outer[0] - slack and inner[1] >= outer[1] - slack and inner[2] <= outer[2] + slack
            and inner[3] <= outer[3] + slack)


def check_pictures(browser, page):
    """Each picture of the payload is drawn, whole and tidy."""
    drawn = browser.evaluate(MEASURE)
    wanted = [picture for pair in page.pictures() for picture in pair if picture]
    assert len(drawn) == len(wanted)
    for picture, expected in zip(drawn, wanted):
        assert len(picture["boxes"]) == len(expected["boxes"]) > 0
        assert len(picture["edges"]) == len(expected["lines"])
        assert picture["described"][0] == "img" and all(len(text) > 5 for text in picture["described"][1:])
        for i, box in enumerate(picture["boxes"]):
            assert box["area"][2] - box["area"][0] > 20 and box["area"][3] - box["area"][1] > 10
            assert inside(box["area"], picture["area"]), (box, picture["area"])
            for k, text in enumerate(box["texts"]):
                assert text["text"] and inside(text["area"], box["area"]), (text, box["area"])
            for other in picture["boxes"][:i]:
                assert apart(box["area"], other["area"]), (box["name"], other["name"])
        for i, label in enumerate(picture["labels"]):
            assert inside(label["area"], picture["area"])
            for other in [*picture["boxes"], *picture["labels"][:i]]:
                assert apart(label["area"], other["area"]), (label, other)
        assert all(inside(area, picture["area"], 1.5) for area in picture["reach"])
        # A line begins and ends at the edges of the boxes it joins.
        for points, (a, b, *_) in zip(picture["edges"], expected["lines"]):
            for point, index in ((points[0], a), (points[-1], b)):
                box = picture["boxes"][index]["area"]
                assert inside([*point, *point], box, 3), (point, box)
            # On its way it meets no box.
            for box in picture["boxes"]:
                met = [p for p in points[2:-2] if inside([*p, *p], box["area"], -1)]
                assert not met, (met, box, picture["boxes"][a]["name"], picture["boxes"][b]["name"])
    return drawn


def pixels(png):
    """Rows of an 8-bit RGB or RGBA PNG, and bytes per pixel."""
    at, data, size = 8, b"", None
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    width, height, depth, colour = size
    assert depth == 8 and colour in (2, 6)
    step = 3 if colour == 2 else 4
    raw = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * step)
    rows = np.zeros((height + 1, (width + 1) * step), np.uint8)
    for y in range(height):
        kind, line = raw[y, 0], raw[y, 1:]
        if kind == 0:
            rows[y + 1, step:] = line
        elif kind == 2:
            rows[y + 1, step:] = line + rows[y, step:]
        elif kind == 1:
            rows[y + 1, step:] = np.cumsum(line.reshape(width, step), 0, dtype=np.uint8).reshape(-1)
        else:
            above = rows[y].astype(int)
            own = np.zeros((width + 1) * step, int)
            for x in range(step, (width + 1) * step):
                left, up, corner = own[x - step], above[x], above[x - step]
                if kind == 3:
                    guess = (left + up) // 2
                else:
                    guess = min((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))[2]
                own[x] = (line[x - step] + guess) & 255
            rows[y + 1] = own
    return rows[1:, step:].reshape(height, width, step)[:, :, :3]


def check_screenshot(browser, dark=False):
    """The first picture is not blank: the background, and enough of other colours."""
    clip = browser.evaluate("(() => { const r = document.querySelector('svg.picture').getBoundingClientRect();"
                            " return {x: r.x + scrollX, y: r.y + scrollY, width: Math.min(r.width, 400), height: Math.min(r.height, 300)}; })()")
    image = pixels(browser.screenshot(clip=clip)).reshape(-1, 3)
    colours, counts = np.unique(image, axis=0, return_counts=True)
    background = colours[counts.argmax()].astype(int)
    assert (background.mean() < 70) if dark else (background.mean() > 200)
    assert len(colours) > 30 and 0.1 < counts.max() / len(image) < 0.95


WIDE, NARROW = {"width": 1280}, {"width": 400, "height": 800}


@pytest.mark.parametrize("options", [WIDE, {**WIDE, "dark": True}, NARROW, {**NARROW, "dark": True}], ids=["wide", "dark", "narrow", "narrow-dark"])
def test_a_fused_model(options, browser, look, tmp_path):
    page = look(fuse(ROOT / "models" / "repvgg_small.onnx", tmp_path), **options)
    check_pictures(browser, page)
    check_screenshot(browser, options.get("dark", False))
    text = browser.evaluate("document.body.innerText")
    assert "169 \u2192 47" in text and "\u00d7 17 of this shape" in text
    # The page itself never scrolls sideways; what is wide scrolls in its own box.
    assert browser.evaluate("document.documentElement.scrollWidth") <= options["width"]
    tables = browser.evaluate("[...document.querySelectorAll('table')].map((t) => [t.rows.length, t.caption.textContent, t.querySelectorAll('th[scope]').length])")
    assert len(tables) == 3 and all(rows > 2 and caption and heads >= rows for rows, caption, heads in tables)


def test_what_equalisation_would_bring(browser, look, tmp_path):
    """Of info: a plot of each value's channels before and after, for either kind of quantiser."""
    onnx.save(network(), tmp_path / "m.onnx")
    subprocess.run([TOOL, "info", "--report", tmp_path / "page.html", tmp_path / "m.onnx"], check=True, stdout=subprocess.DEVNULL)
    look((tmp_path / "page.html").read_bytes(), width=1000)
    text = browser.evaluate("document.body.innerText")
    assert "INT8 with weights per tensor" in text and "INT8 with weights per channel" in text
    plots = browser.evaluate("[...document.querySelectorAll('figure')].map((f) => f.querySelectorAll('svg').length)")
    assert plots.count(2) == 2
    assert browser.complaints == []


@pytest.mark.parametrize("name", [p.stem for p in sorted((ROOT / "models").glob("*.onnx"))])
def test_every_model(name, browser, look, tmp_path):
    page = look(fuse(ROOT / "models" / f"{name}.onnx", tmp_path), width=1000)
    check_pictures(browser, page)


def test_every_member_of_a_group(browser, look, tmp_path):
    page = look(fuse(ROOT / "models" / "repvgg_small.onnx", tmp_path))
    group = page.groups[1]
    section = "document.querySelectorAll('section.block')[1]"
    browser.evaluate(f"{section}.querySelector('details').open = true")
    for index in (16, 3):
        browser.evaluate(f"{section}.querySelectorAll('button[aria-pressed]')[{index}].click()")
        shown = browser.evaluate(f"[...{section}.querySelectorAll('g.box > title')].map((t) => t.textContent)")
        member = group["members"][index]
        names = [page.string(b["name"]) for picture in (member["before"], member["after"]) for b in picture["boxes"]]
        assert len(shown) == len(names) and all(name in tip for name, tip in zip(names, shown))
        pressed = browser.evaluate(f"[...{section}.querySelectorAll('button[aria-pressed]')].map((b) => b.getAttribute('aria-pressed'))")
        assert [i for i, p in enumerate(pressed) if p == "true"] == [index]
    assert browser.complaints == []


@pytest.mark.parametrize("options", [WIDE, {**NARROW, "dark": True}], ids=["wide", "narrow-dark"])
def test_a_diff(options, browser, look, tmp_path):
    small = ROOT / "models" / "repvgg_small.onnx"
    page = look(diff(small, mutated(small, tmp_path)), **options)
    check_pictures(browser, page)
    check_screenshot(browser, options.get("dark", False))
    plots = browser.evaluate("""[...document.querySelectorAll('svg.plot')].map((svg) => {
      const bars = [...svg.querySelectorAll('rect')].map((r) => r.getBoundingClientRect()), area = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll('text')].map((t) => t.getBoundingClientRect());
      return {bars: bars.length, highest: Math.max(...bars.map((b) => b.height)), apart: bars.every((b, i) => !i || b.left >= bars[i - 1].right - 0.1),
              inside: [...bars, ...texts].every((b) => b.left >= area.left - 1 && b.right <= area.right + 1 && b.top >= area.top - 1 && b.bottom <= area.bottom + 1)};
    })""")
    assert len(plots) == 6 and [p["bars"] for p in plots[::2]] == [25, 25, 25]
    assert all(p["highest"] > 40 and p["apart"] and p["inside"] for p in plots)
    underlined = browser.evaluate("[...document.querySelectorAll('text.differs')].map((t) => t.textContent)")
    assert underlined == ["pads [1, 1, 1, 1]", "pads [0, 0, 2, 2]", "epsilon 0.001"] or underlined == ["pads [0, 0, 2, 2]", "epsilon 0.001"]
    headings = browser.evaluate("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
    assert headings == ["Table", "Graph", "Regions", "Changed ops", "Weights", "Other changes", "Not counted"]


def test_a_diff_of_forms(browser, look, tmp_path):
    small = ROOT / "models" / "mobileone_stack.onnx"
    fuse(small, tmp_path)
    page = look(diff(small, tmp_path / "fused.onnx"), width=1280, dark=True)
    drawn = check_pictures(browser, page)
    assert len(drawn) == 2 * len(page.groups) > 2


def test_a_verdict(browser, look, tmp_path):
    """A bar for each value of one name; those beyond the tolerance are told apart, and the table has them all."""
    model = onnx.load(ROOT / "models" / "repvgg_small.onnx")
    half = onnx.ModelProto.FromString(model.SerializeToString())
    for t in half.graph.initializer:
        if t.data_type == onnx.TensorProto.FLOAT:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16).astype(np.float32), t.name))
    for name, m in ("a", model), ("b", half):
        onnx.save(m, tmp_path / f"{name}.onnx")
    run = subprocess.run([TOOL, "verify", "--layers", "--rtol", "1e-3", "--format", "html", tmp_path / "a.onnx", tmp_path / "b.onnx"],
                         capture_output=True, timeout=60)
    page = look(run.stdout)
    bars = browser.evaluate("[...document.querySelectorAll('svg.drift rect')].map((bar) => [bar.getAttribute('class'), +bar.getAttribute('height')])")
    assert len(bars) == len(page.data["layers"]) > 20
    for (kind, height), layer in zip(bars, page.data["layers"]):
        assert (kind == "bar far") == (layer["ratio"] > 1e-3) and (height > 0) == (layer["ratio"] > 0), layer
    assert browser.evaluate("document.querySelectorAll('main table tbody tr').length") == len(bars) + len(page.data["regions"])


# Three widths: a wide window, a tablet, a phone


def verdict(folder):
    """Of a model and its halved weights: values beyond the tolerance, and within it."""
    model = onnx.load(ROOT / "models" / "repvgg_small.onnx")
    for t in model.graph.initializer:
        if t.data_type == onnx.TensorProto.FLOAT:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16).astype(np.float32), t.name))
    onnx.save(model, folder / "half.onnx")
    return subprocess.run([TOOL, "verify", "--layers", "--rtol", "1e-3", "--format", "html", ROOT / "models" / "repvgg_small.onnx", folder / "half.onnx"],
                          capture_output=True, timeout=60).stdout


def equalized(folder):
    onnx.save(network(), folder / "m.onnx")
    subprocess.run([TOOL, "info", "--report", folder / "info.html", folder / "m.onnx"], check=True, stdout=subprocess.DEVNULL)
    return (folder / "info.html").read_bytes()


SMALL = ROOT / "models" / "repvgg_small.onnx"
PAGES = {
    "fuse": lambda folder: fuse(SMALL, folder), "refused": lambda folder: fuse(refused(70), folder), "info": equalized,
    "diff": lambda folder: diff(SMALL, mutated(SMALL, folder)), "verify": verdict,
    "long names": lambda folder: fuse(named_block("/a/very_long.name:" * 12 + "x" * 80), folder),
}
# What reaches beyond the window, or beyond an ancestor that cuts it off, and does not lie in something that scrolls and shows it.
CUT = """
(() => {
  const cut = [], shown = (box) => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto' && getComputedStyle(box).backgroundImage.includes('gradient');
  for (const element of document.querySelectorAll('main *')) {
    const box = element.getBoundingClientRect(), holder = element.closest('.wide');
    if (!box.width || !element.checkVisibility() || element.closest('.map, .measure, thead, select')) continue;
    if ((box.right > innerWidth + 0.5 || box.left < -0.5) && !(holder && holder !== element && shown(holder))) cut.push(element.outerHTML.slice(0, 200));
    if (holder === element && box.width < element.scrollWidth - 1 && !shown(element)) cut.push('scrolls unseen: ' + element.outerHTML.slice(0, 200));
  }
  return cut;
})()
"""


@pytest.mark.parametrize("width", [1400, 768, 390])
@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_cut(kind, width, browser, look, tmp_path):
    look(PAGES[kind](tmp_path), width=width, dark=width == 768)
    browser.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert browser.evaluate(CUT) == []
    if kind != "verify":  # the table of figures needs no scrolling
        assert browser.evaluate("document.querySelector('table').getBoundingClientRect().right") <= width
    if width == 1400:  # both halves are used
        right = browser.evaluate("document.querySelector('.map-holder').getBoundingClientRect().right")
        assert right > 1300


def test_names_break_where_their_parts_do(browser, look, tmp_path):
    look(fuse(named_block("/stage1/block.0:conv,x_y"), tmp_path), width=390)
    parts = browser.evaluate("[...document.querySelectorAll('bdi.name')].map((n) => n.innerHTML).find((t) => t.includes('stage1'))")
    assert parts.split("<wbr>")[:6] == ["/", "stage1/", "block.", "0:", "conv,", "x_"]
    assert "/stage1/block.0:conv,x_y" in browser.evaluate("document.body.innerText")


# The whole graph

MAP = """
(() => ({
  kinds: [...document.querySelectorAll('.map .op-box')].map((r) => r.getAttribute('class').trim()),
  boxes: [...document.querySelectorAll('.map .op-box')].map((r) => ['x', 'y', 'width', 'height'].map((a) => Number(r.getAttribute(a)))),
  lines: document.querySelector('.map .edge').getTotalLength(), note: document.querySelector('.note').innerText,
  keys: [...document.querySelectorAll('.key')].map((k) => k.innerText), text: [...document.querySelectorAll('.map text')].map((t) => t.textContent),
  move: document.querySelector('.map > g').getAttribute('transform').match(/-?[0-9.]+/g).map(Number),
}))()
"""


def press(browser, *keys):
    for key in keys:
        browser.evaluate(f"document.querySelector('.map-holder').dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true, cancelable: true}}))")
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return browser.evaluate(MAP)


def test_the_overview_marks_what_was_fused(browser, look, tmp_path):
    page = look(fuse(SMALL, tmp_path), width=1400)
    seen, ops = browser.evaluate(MAP), page.data["overview"][0]["ops"]
    assert len(seen["kinds"]) == len(ops) == 171
    assert [kind == "op-box fused" for kind in seen["kinds"]] == [op[2] > 0 for op in ops]
    assert seen["kinds"].count("op-box fused") == 44 + 61 + 39 and seen["keys"] == ["fused", "as it was"]
    areas = [(x, y, x + w, y + h) for x, y, w, h in seen["boxes"]]
    assert all(apart(a, b) for i, a in enumerate(areas) for b in areas[:i]) and seen["lines"] > 1000
    # All of it is in sight.
    assert browser.evaluate("""(() => { const map = document.querySelector('.map').getBoundingClientRect(); return [...document.querySelectorAll('.map .op-box')].every((r) => {
        const b = r.getBoundingClientRect(); return b.left >= map.left && b.right <= map.right && b.top >= map.top && b.bottom <= map.bottom; }); })()""")


def test_the_overview_by_keyboard(browser, look, tmp_path):
    page = look(fuse(SMALL, tmp_path), width=1400)
    all_of_it = browser.evaluate(MAP)
    near = press(browser, "+", "+", "+")
    assert near["move"][2] == pytest.approx(all_of_it["move"][2] * 1.4 ** 3, rel=1e-3) and near["text"]
    moved = press(browser, "ArrowRight", "ArrowDown")
    assert moved["move"][:2] == pytest.approx([near["move"][0] - 60, near["move"][1] - 60], abs=0.1)
    assert press(browser, "ArrowLeft", "ArrowUp")["move"] == near["move"]
    assert press(browser, "-", "-", "-", "-", "-")["move"] == all_of_it["move"] == press(browser, "+", "0")["move"]
    # It never leaves the window empty.
    assert press(browser, *["+"] * 3, *["ArrowLeft"] * 50)["move"][0] == 0
    first = press(browser, "n")
    assert "fused, 2 Conv, 2 BatchNormalization, 1 Add" in first["note"] and "/stage0/" in first["note"]
    assert browser.evaluate("document.querySelectorAll('.map .chosen').length") == 5
    later = press(browser, *["n"] * 40)
    assert later["note"] != first["note"]
    press(browser, "Enter")
    drawn = browser.evaluate("[...document.querySelectorAll('g.box > title')].map((t) => t.textContent).join()")
    assert later["note"].split()[1].rstrip(":") in drawn
    # And back: a block's own button shows its ops.
    browser.evaluate("[...document.querySelectorAll('section.block button')].filter((b) => b.textContent === 'in the graph')[3].click()")
    target = page.groups[0]["members"][3]["id"] + 1
    chosen = browser.evaluate("[...document.querySelectorAll('.map .op-box')].map((r, i) => r.classList.contains('chosen') ? i : -1).filter((i) => i >= 0)")
    assert chosen == [i for i, op in enumerate(page.data["overview"][0]["ops"]) if op[2] == target] != []


def test_the_overview_by_mouse_and_touch(browser, look, tmp_path):
    look(fuse(SMALL, tmp_path), width=390)
    box = browser.evaluate("(() => { const m = document.querySelector('.map'); m.scrollIntoView({block: 'center'}); const b = m.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()")
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    at = lambda: browser.evaluate(MAP)["move"]
    whole, top = at(), browser.evaluate("scrollY")
    browser.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-300, modifiers=2)  # Ctrl
    near = at()
    assert near[2] > whole[2] * 2 and browser.evaluate("scrollY") == top
    # The point under the pointer stays.
    assert (x - box[0] - near[0]) / near[2] == pytest.approx((x - box[0] - whole[0]) / whole[2], abs=1)
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 20), ("mouseMoved", 40), ("mouseReleased", 40)):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x + dx, y=y, button="left", buttons=1, clickCount=1)
    assert at()[0] == pytest.approx(near[0] + 40, abs=1)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    press(browser, "0")
    for kind, apart_by in (("touchStart", 30), ("touchMove", 50), ("touchMove", 90), ("touchEnd", None)):
        points = [] if apart_by is None else [{"x": x - apart_by, "y": y, "id": 0}, {"x": x + apart_by, "y": y, "id": 1}]
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    assert at()[2] == pytest.approx(whole[2] * 3, rel=0.1)


def test_the_overview_of_a_diff_and_of_a_verdict(browser, look, tmp_path):
    look(PAGES["diff"](tmp_path), width=1400)
    seen = browser.evaluate(MAP)
    assert seen["kinds"].count("op-box gone") == 1 and seen["kinds"].count("op-box differs") == 5 and "op-box new" not in seen["kinds"]
    browser.evaluate("(() => { const s = document.querySelector('#graph select'); s.value = 1; s.dispatchEvent(new Event('change')); })()")
    seen = browser.evaluate(MAP)
    assert seen["kinds"].count("op-box new") == 1 and seen["kinds"].count("op-box differs") == 5 and "op-box gone" not in seen["kinds"]
    page = look(PAGES["verify"](tmp_path), width=1400)
    seen = browser.evaluate(MAP)
    far = sum(layer["ratio"] > 1e-3 for layer in page.data["layers"])
    # One more than the bars where the models first depart at a value of two names.
    assert seen["kinds"].count("op-box apart") in (far, far + 1) and far > 0
    assert 0 < seen["kinds"].count("op-box within") <= len(page.data["layers"]) - far


def test_the_overview_of_a_large_graph(browser, look, tmp_path):
    """Blocks of four ops, all of one network: laid out and drawn in seconds."""
    n = Net(seed=1)
    x = n.input("x", ("N", 2, 4, 4))
    early = []
    for i in range(1000):
        x = n.relu(n.add(n.relu(x), n.relu(x)))
        early.append(x)
    for other in early[::50]:
        x = n.add(x, other)
    n.output(x)
    (tmp_path / "in.onnx").write_bytes(n.model().SerializeToString())
    page = fuse(tmp_path / "in.onnx", tmp_path, "--no-check")
    start = time.monotonic()
    look(page, width=1400)
    assert time.monotonic() - start < 30
    areas = [(x, y) for x, y, *_ in browser.evaluate(MAP)["boxes"]]
    assert len(areas) > 4000 and len(set(areas)) == len(areas)


def test_a_graph_of_nothing(browser, look, tmp_path):
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.save(model, tmp_path / "empty.onnx")
    look(diff(tmp_path / "empty.onnx", SMALL))
    assert browser.evaluate("document.querySelectorAll('#graph').length") == 1  # of the other model
    look(diff(tmp_path / "empty.onnx", tmp_path / "empty.onnx"))
    assert browser.evaluate("document.querySelectorAll('#graph').length") == 0
    assert "The models are the same." in browser.evaluate("document.body.innerText")


# Search


def test_search(browser, look, tmp_path):
    page = look(fuse(SMALL, tmp_path), width=1400)
    name = page.groups[1]["members"][5]["output"]

    def search(text):
        browser.evaluate(f"(() => {{ const i = document.querySelector('input[type=search]'); i.value = {text!r}; i.dispatchEvent(new Event('input')); }})()")
        return browser.evaluate("""(() => ({
          sections: [...document.querySelectorAll('section.block')].map((s) => s.checkVisibility()),
          rows: [...document.querySelectorAll('section.block tbody tr')].filter((r) => r.checkVisibility()).length,
          drawn: [...document.querySelectorAll('section.block')].filter((s) => s.checkVisibility()).map((s) => [...s.querySelectorAll('g.box title')].map((t) => t.textContent).join()).join(),
          count: document.querySelector('search span').textContent, dim: document.querySelectorAll('.map .dim').length}))()""")

    found = search(name)
    assert found["sections"] == [False, True] and found["rows"] == 1 and name in found["drawn"] and found["count"] == "1 of 22"
    assert search(name.upper() + " add")["rows"] == 1 and search("no such name")["count"] == "0 of 22"
    found = search("/stage3/5/rbr_1x1/")  # an op that is gone
    assert found["rows"] == 1 and found["dim"] == 171 - 2
    browser.evaluate("document.querySelector('search button').click()")
    found = search("")
    assert found["sections"] == [True, True] and found["count"] == "" and found["dim"] == 0


def pick(browser, label, value):
    """Choose an entry of one of the lists beside the search, and count what is left."""
    browser.evaluate(f"(() => {{ const s = document.querySelector('select[aria-label={label}]'); s.value = '{value}'; s.dispatchEvent(new Event('input')); }})()")
    return browser.evaluate("""(() => { const seen = (q) => [...document.querySelectorAll(q)].filter((e) => e.checkVisibility()).length;
      return [seen('section.block'), seen('.reason'), seen('.plots figure'), document.querySelectorAll('.map .dim').length]; })()""")


def test_filters_of_a_run(browser, look, tmp_path):
    """Blocks of two passes, and a chain that is refused."""
    n = Net(seed=3)
    x = n.input("x", ("N", 4, 9, 9))
    x = n.relu(n.add(n.convbn(x, 4, 3), n.convbn(x, 4, 1)))
    x = n.relu(n.convbn(x, 16, 3))
    n.output(n.relu(n.conv(n.conv(x, 24, 3, pads=0, group=4), 24, 1, pads=0)))
    page = look(fuse(n.model(), tmp_path), width=1400)
    passes = [g["pass"] for g in page.groups]
    reasons = [[r["pass"] for r in page.data[k]["reasons"]] for k in ("refusals", "left_alone")]
    assert len(set(passes)) == 2 and reasons[0]
    every = pick(browser, "pass", "")
    assert every == [len(passes), sum(map(len, reasons)), 0, 0]
    for name in set(passes):
        assert pick(browser, "pass", name)[:2] == [passes.count(name), sum(r.count(name) for r in reasons)]
    pick(browser, "pass", "")
    marks = [op[2] for op in page.data["overview"][0]["ops"]]
    assert pick(browser, "State", "fused") == [len(passes), 0, 0, sum(m <= 0 for m in marks)]
    assert pick(browser, "State", "refusals") == [0, len(reasons[0]), 0, sum(m != -1 for m in marks)]
    assert -1 in marks and pick(browser, "State", "") == every
    note = press(browser, "n", "p")["note"]  # the last mark
    assert "declined, " in note and any(p["reason"] in note for r in page.data["refusals"]["reasons"] for p in r["places"])


def test_filters_and_order_of_a_diff(browser, look, tmp_path):
    page = look(PAGES["diff"](tmp_path), width=1400)
    assert pick(browser, "kind", "weight")[::2] == [0, 3] and pick(browser, "kind", "region")[::2] == [1, 0]
    pick(browser, "kind", "")
    names = lambda: browser.evaluate("[...document.querySelectorAll('.plots figure b')].map((b) => b.textContent)")
    weights = page.data["weights"]
    by = lambda key: [w["subject"] for w in sorted(weights, key=key)]
    assert names() == by(lambda w: -w["largest"]), "the largest change comes first"
    for value, key in enumerate([lambda w: -w["largest"], lambda w: -w["largest_relative"], lambda w: -w["differing"], lambda w: w["subject"]]):
        pick(browser, "Order", value)
        assert names() == by(key)
    assert len({tuple(by(key)) for key in (lambda w: -w["largest"], lambda w: -w["differing"], lambda w: w["subject"])}) > 1


def test_order_of_a_verdict(browser, look, tmp_path):
    page = look(PAGES["verify"](tmp_path), width=1400)
    values = lambda: browser.evaluate("[...document.querySelector('table').querySelectorAll('tbody th')].map((c) => c.textContent)")
    assert values() == [layer["value"] for layer in page.data["layers"]]
    pick(browser, "Order", 1)
    assert values() == [layer["value"] for layer in sorted(page.data["layers"], key=lambda layer: -layer["ratio"])]


def test_the_same(browser, look):
    small = ROOT / "models" / "repvgg_small.onnx"
    look(diff(small, small))
    assert "The models are the same." in browser.evaluate("document.body.innerText")


def test_reasons(browser, look, tmp_path):
    look(fuse(refused(70), tmp_path))
    text = browser.evaluate("document.body.innerText")
    assert "\u00d7 70" in text and "Nothing was fused." in text
    # All of it unfolds on paper, and folds again.
    assert browser.evaluate("[...document.querySelectorAll('details:not([open])')].length") > 0
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF") and len(pdf) > 20000
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("[...document.querySelectorAll('details:not([open])')].length") == 0
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate("[...document.querySelectorAll('details:not([open])')].length") > 0


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(name, browser, look, tmp_path):
    model = named_block(name)
    page = look(fuse(model, tmp_path))
    check_pictures(browser, page)
    other = onnx.ModelProto.FromString(model.SerializeToString())
    other.graph.node[-1].op_type = "Other"
    onnx.save(other, tmp_path / "b.onnx")
    page = look(diff(tmp_path / "in.onnx", tmp_path / "b.onnx"))
    check_pictures(browser, page)
    # Nothing came of it but text.
    assert browser.evaluate("document.querySelectorAll('script').length") == 3
    assert browser.evaluate("document.querySelectorAll('img, b:not(figcaption > b):not(li > b), iframe, [onerror]').length") == 0
    hidden = browser.evaluate("document.getElementById('page').innerText.match(/[\\u202a-\\u202e\\u2066-\\u2069\\u2028\\u2029]/g)")
    assert hidden is None


def test_the_policy_holds(browser, look, tmp_path):
    """Even if markup got in, it could neither run nor call home."""
    look(fuse(ROOT / "models" / "qarepvgg_block.onnx", tmp_path))
    browser.evaluate("""document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.broken = 1">'
        + '<a id="bad" href="javascript:window.broken = 2">x</a><style>h1 { display: none }</style>');
        const script = document.createElement('script'); script.textContent = 'window.broken = 3'; document.body.append(script);
        document.getElementById('bad').click();""")
    assert browser.evaluate("new Promise((done) => setTimeout(() => done(typeof window.broken), 300))") == "undefined"
    assert browser.evaluate("getComputedStyle(document.querySelector('h1')).display") == "block"
    assert browser.evaluate("fetch('https://example.com/').then(() => 'sent', (error) => error.name)") == "TypeError"
    assert any("Content Security Policy" in text for text in browser.complaints)


def test_without_dagre(browser, look, tmp_path):
    """As a program writes it that was built without: each picture is a list of its ops and of what they read."""
    data = fuse(ROOT / "models" / "qarepvgg_block.onnx", tmp_path)
    library = re.search(rb"<script>(/\*\n.*?)</script>", data, re.DOTALL)[1]
    stub = b"/* built without dagre */\n"
    def digest(text):
        return base64.b64encode(hashlib.sha256(text).digest())
    assert digest(library) in data
    page = look(data.replace(library, stub).replace(digest(library), digest(stub)), width=1000)
    lists = browser.evaluate("[...document.querySelectorAll('figure ol')].map((list) => [...list.children].map((item) => item.textContent))")
    wanted = [picture for pair in page.pictures() for picture in pair if picture]
    assert [len(items) for items in lists] == [sum("op" in box for box in picture["boxes"]) for picture in wanted]
    assert any(item.startswith("Conv ") and "; W: " in item and " reads " in item for items in lists for item in items), lists
    assert all(" reads " in item for items in lists for item in items)
    assert browser.evaluate("document.querySelectorAll('svg.picture').length") == 0
    assert "Without dagre" in browser.evaluate("document.querySelector('footer').textContent")


def test_without_scripts(browser, look, tmp_path):
    page = look(fuse(ROOT / "models" / "qarepvgg_block.onnx", tmp_path), script=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "fused join_branches" in page.listing
    root = browser.call("DOM.getDocument", depth=-1)["root"]
    listing = browser.call("DOM.querySelector", nodeId=root["nodeId"], selector="noscript > pre")["nodeId"]
    box = browser.call("DOM.getBoxModel", nodeId=listing)["model"]
    assert box["width"] > 300 and box["height"] > 100
