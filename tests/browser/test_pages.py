"""Pages in a headless Chromium: pictures are there, nothing overlaps, text fits, nothing is complained of or asked for.

scripts/test installs the browser. $ONNX_REPVGG_FUSE_PICTURES names a folder to keep the screenshots in.
"""
import os
import pathlib
import struct
import subprocess
import zlib

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.browser import chromium
from tests.cli.test_equalize import network
from tests.cli.test_html import HOSTILE, named_block, refused
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    b = chromium.Browser(tmp_path_factory.mktemp("browser"))
    yield b
    b.close()


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
        browser.evaluate(f"{section}.querySelectorAll('button')[{index}].click()")
        shown = browser.evaluate(f"[...{section}.querySelectorAll('g.box > title')].map((t) => t.textContent)")
        member = group["members"][index]
        names = [page.string(b["name"]) for picture in (member["before"], member["after"]) for b in picture["boxes"]]
        assert len(shown) == len(names) and all(name in tip for name, tip in zip(names, shown))
        pressed = browser.evaluate(f"[...{section}.querySelectorAll('button')].map((b) => b.getAttribute('aria-pressed'))")
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
    assert headings == ["Table", "Regions", "Changed ops", "Weights", "Other changes", "Not counted"]


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


def test_without_scripts(browser, look, tmp_path):
    page = look(fuse(ROOT / "models" / "qarepvgg_block.onnx", tmp_path), script=False)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "fused join_branches" in page.listing
    root = browser.call("DOM.getDocument", depth=-1)["root"]
    listing = browser.call("DOM.querySelector", nodeId=root["nodeId"], selector="noscript > pre")["nodeId"]
    box = browser.call("DOM.getBoxModel", nodeId=listing)["model"]
    assert box["width"] > 300 and box["height"] > 100
