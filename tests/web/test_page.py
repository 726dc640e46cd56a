"""The page in a headless Chromium, opened as a file: what is dropped, shown and saved, and that nothing is asked of a network.

$ONNX_REPVGG_FUSE_PICTURES names a folder to keep screenshots in.
"""
import functools
import hashlib
import http.server
import os
import pathlib
import re
import subprocess
import threading
import time

import pytest

from tests.browser import chromium
from tests.support.tool import ROOT, TOOL
from tests.web.built import NPM, PAGE, SMALL, model_of

if not chromium.find():
    pytest.skip("no Chromium; scripts/test installs it", allow_module_level=True)


class Page:
    def __init__(self, browser, folder):
        self.browser, self.folder = browser, folder

    def open(self, **options):
        self.browser.open(PAGE, **options)
        self.browser.call("Browser.setDownloadBehavior", session=False, behavior="allow", downloadPath=str(self.folder), eventsEnabled=False)

    def ask(self, expression):
        return self.browser.evaluate(expression)

    def until(self, expression, seconds=120):
        deadline = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < deadline, (expression, self.status)
            time.sleep(0.1)

    def done(self):
        self.until("document.getElementById('cancel').disabled && document.getElementById('status').textContent !== ''")

    @property
    def status(self):
        return self.ask("document.getElementById('status').textContent")

    def choose(self, *paths):
        """As the dialog of the file input does."""
        self.ask("document.getElementById('status').textContent = ''")
        root = self.browser.call("DOM.getDocument")["root"]["nodeId"]
        node = self.browser.call("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
        self.browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])
        self.done()

    def drop(self, *paths):
        self.ask("document.getElementById('status').textContent = ''")
        for kind in ("dragEnter", "dragOver", "drop"):
            self.browser.call("Input.dispatchDragEvent", type=kind, x=200, y=250,
                              data={"items": [], "files": [str(p) for p in paths], "dragOperationsMask": 1})
        self.done()

    def set(self, name, value):
        self.ask(f"document.getElementById('{name}').value = '{value}'")

    def run(self, task=None):
        if task:
            self.set("task", task)
        self.ask("document.getElementById('run').click()")
        self.done()

    def save(self, name):
        """What a click on its link puts on the disk."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        self.ask(f"[...document.querySelectorAll('#downloads a')].find((link) => link.download === '{name}').click()")
        deadline = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < deadline, sorted(self.folder.iterdir())
            time.sleep(0.1)
        return path.read_bytes()

    def key(self, key, code, text=None):
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key if len(key) > 1 else "Space", windowsVirtualKeyCode=code,
                              **({"text": text} if text and kind == "keyDown" else {}))

    def report(self, expression):
        """In the frame, which is a process of its own: no script of the page can look into it."""
        browser, deadline = self.browser, time.monotonic() + 60
        outer = browser.session
        while True:
            targets = browser.call("Target.getTargets", session=False)["targetInfos"]
            frames = [t["targetId"] for t in targets if t["type"] == "iframe"]
            if frames:
                assert len(frames) == 1
                browser.session = browser.call("Target.attachToTarget", session=False, targetId=frames[0], flatten=True)["sessionId"]
                try:
                    if browser.evaluate("document.readyState === 'complete' && Boolean(document.querySelector('#page'))"):
                        return browser.evaluate(expression)
                finally:
                    browser.call("Target.detachFromTarget", session=False, sessionId=browser.session)
                    browser.session = outer
            assert time.monotonic() < deadline, targets
            time.sleep(0.1)

    def asked(self):
        """Every address that was asked for, and what was complained of."""
        complaints = self.browser.complaints
        return [c for c in complaints if not c.startswith(("blob:", PAGE.parent.as_uri()))]


@pytest.fixture
def page(browser, tmp_path, request):
    p = Page(browser, tmp_path)
    p.open()
    yield p
    keep = os.environ.get("ONNX_REPVGG_FUSE_PICTURES")
    if keep:
        browser.screenshot(pathlib.Path(keep) / f"{''.join(c if c.isalnum() else '-' for c in request.node.name)}.png")
    assert p.asked() == []


def native(folder, model, *options):
    out = folder / "native.onnx"
    run = subprocess.run([TOOL, "-q", "--no-sync", *options, model, out], capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return out.read_bytes()


def test_a_drop(page, tmp_path):
    page.drop(SMALL)
    assert page.status == "22 blocks fused, 169 -> 47 ops, wrote repvgg_small.fused.onnx"
    assert page.save("repvgg_small.fused.onnx") == native(tmp_path, SMALL)
    said = subprocess.run([TOOL, "--explain", SMALL, "-o", tmp_path / "o.onnx"], capture_output=True, text=True).stdout
    explanation, table = said.split("\n" + " " * 30, 1)
    assert page.ask("document.getElementById('explanation').textContent").strip() == explanation
    rows = page.ask("[...document.querySelectorAll('#counts tr')].map((row) => [...row.children].map((cell) => cell.textContent).filter(Boolean))")
    assert rows[1:] == [re.split(" -> +| {2,}", line) for line in table.splitlines() if "->" in line]
    assert page.ask("document.getElementById('text').textContent").startswith("largest relative difference of the self-check: 6.4e-08\n")
    # The report draws, in a frame that may do nothing else.
    assert page.report("document.querySelectorAll('svg.picture').length") > 1
    assert page.report("self.origin") == "null"
    assert page.ask("document.querySelector('iframe').contentDocument") is None
    assert page.save("repvgg_small.report.html").startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("size", ["20M", "100M"])
def test_large_models(size, page, tmp_path):
    model = model_of(size)
    page.ask("""window.seen = []; new MutationObserver(() => seen.push(document.getElementById('status').textContent))
        .observe(document.getElementById('status'), {childList: true, characterData: true, subtree: true})""")
    page.choose(model)
    assert "blocks fused" in page.status
    assert "reading 100 %" in page.ask("seen")
    assert page.save(f"{model.stem}.fused.onnx") == native(tmp_path, model)


def test_more_than_it_takes(page, tmp_path):
    with open(tmp_path / "huge.onnx", "wb") as file:
        file.truncate((1 << 30) + 1)
    page.choose(tmp_path / "huge.onnx")
    assert "huge.onnx has 1.0 GB" in page.status and "onnx-repvgg-fuse huge.onnx huge.fused.onnx" in page.status
    page.choose(SMALL)
    assert "22 blocks fused" in page.status


def test_a_broken_file(page, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(SMALL.read_bytes()[:100000])
    page.choose(SMALL)
    page.choose(broken)
    error = subprocess.run([TOOL, "broken.onnx", "out.onnx"], cwd=tmp_path, capture_output=True, text=True).stderr
    assert error == f"onnx-repvgg-fuse: {page.status}\n"
    assert page.ask("document.getElementById('status').className") == "bad"
    assert page.ask("document.getElementById('result').hidden")
    page.choose(SMALL)
    assert "22 blocks fused" in page.status and page.ask("document.getElementById('status').className") == ""


def test_out_of_memory(page):
    """Memory that does not grow is told, and the page goes on."""
    page.ask("const Whole = Blob; Blob = class extends Whole { constructor(parts, of) {"
             " super(of?.type === 'text/javascript' ? ['WebAssembly.Memory.prototype.grow = () => { throw new RangeError(\"no\"); };', ...parts] : parts, of); } };"
             "source = URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' })); Blob = Whole;")
    page.choose(model_of("20M"))
    assert "out of memory" in page.status and page.ask("document.getElementById('status').className") == "bad"
    page.ask("source = URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' }))")
    page.choose(SMALL)
    assert "22 blocks fused" in page.status


def test_cancel(page):
    """A run that does not end is ended, and the next one is none the worse."""
    page.ask("source = URL.createObjectURL(new Blob(['']))")
    page.ask("document.getElementById('demo').click()")
    page.until("!document.getElementById('cancel').disabled")
    page.ask("document.getElementById('cancel').click()")
    page.done()
    page.until("document.getElementById('progress').hidden")
    assert page.status == "cancelled" and page.ask("document.getElementById('result').hidden")
    page.ask("source = URL.createObjectURL(new Blob([WORKER], { type: 'text/javascript' }))")
    page.choose(SMALL)
    assert "22 blocks fused" in page.status


def test_options(page, tmp_path):
    page.choose(SMALL)
    page.ask("document.getElementById('options').open = true")
    page.until("document.querySelectorAll('#passes input').length > 10")
    passes = subprocess.run([TOOL, "--list-passes"], capture_output=True, text=True).stdout.split("\n")
    assert page.ask("[...document.querySelectorAll('#passes input')].map((box) => box.value)") == [line.split()[0] for line in passes if line]
    page.set("equalize", "channel")
    page.set("input-shape", "input:2,3,64,64")
    page.ask("document.querySelector('#passes input[value=fold_after]').click()")
    page.run()
    options = ["--equalize", "channel", "--input-shape", "input:2,3,64,64", "--skip", "fold_after"]
    assert page.save("repvgg_small.fused.onnx") == native(tmp_path, SMALL, *options)
    page.set("outputs", "nix")
    page.run()
    assert "nix" in page.status and page.ask("document.getElementById('status').className") == "bad"


def test_two_models(page, tmp_path):
    fused = tmp_path / "b.onnx"
    fused.write_bytes(native(tmp_path, SMALL))
    page.drop(SMALL, fused)
    assert page.status == "different"
    wanted = subprocess.run([TOOL, "diff", SMALL.name, fused], cwd=SMALL.parent, capture_output=True, text=True).stdout
    assert page.ask("document.getElementById('text').textContent") == wanted.replace(str(fused), fused.name)
    assert page.report("document.querySelectorAll('svg.picture').length") > 0
    page.run("verify")
    assert page.status == "they compute the same"
    page.ask("document.getElementById('swap').click()")
    page.done()
    assert page.ask("document.getElementById('names').textContent") == "b.onnx → repvgg_small.onnx"
    page.choose(SMALL, SMALL.parent / "dbb_block.onnx", fused)
    assert page.status == "3 models: expected one to fuse, or two to compare"


def test_info_and_the_demo(page):
    page.ask("document.getElementById('status').textContent = ''; document.getElementById('demo').click()")
    page.done()
    assert page.status == "22 blocks fused, 169 -> 47 ops, wrote repvgg_small.fused.onnx"
    page.run("info")
    wanted = subprocess.run([TOOL, "info", SMALL.name], cwd=SMALL.parent, capture_output=True, text=True).stdout
    assert page.ask("document.getElementById('text').textContent") == wanted


def test_the_keyboard(page):
    """Tab leads to everything in order, Enter and Space do what a click does, and what has the focus shows it."""
    page.ask("document.getElementById('options').open = true")
    page.until("document.querySelectorAll('#passes input').length > 10")
    found = []
    for _ in range(4):
        page.key("Tab", 9)
        found.append(page.ask("document.activeElement.id || document.activeElement.tagName"))
    assert found == ["files", "demo", "SUMMARY", "equalize"]
    page.ask("document.getElementById('files').focus()")
    page.key("Tab", 9)
    page.ask("document.getElementById('status').textContent = ''")
    page.key("Enter", 13, "\r")
    page.done()
    assert "22 blocks fused" in page.status
    for wanted in ("task", "run"):
        page.key("Tab", 9)
        assert page.ask("document.activeElement.id") == wanted
    page.ask("document.getElementById('status').textContent = ''")
    page.key(" ", 32, " ")
    page.done()
    assert "22 blocks fused" in page.status
    page.ask("document.getElementById('demo').focus()")
    for kind in ("rawKeyDown", "keyUp"):
        page.browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9, modifiers=8)
    assert page.ask("document.activeElement.id") == "files"
    assert page.ask("getComputedStyle(document.getElementById('drop')).outlineStyle") == "solid"


@pytest.mark.parametrize("dark", [False, True])
def test_a_telephone(dark, page):
    """390 pixels: nothing is wider than the screen, and letters can be told from paper."""
    page.open(width=390, height=844, dark=dark)
    page.ask("document.getElementById('options').open = true")
    page.choose(ROOT / "models" / "mobileone_stack.onnx")
    assert page.ask("document.documentElement.scrollWidth") == 390
    wide = page.ask("""[...document.querySelectorAll('main *')].filter((e) => !e.closest('pre, iframe') && e.getClientRects().length
        && (e.getBoundingClientRect().right > 390 || e.getBoundingClientRect().left < 0)).map((e) => e.outerHTML)""")
    assert wide == []
    assert page.report("document.documentElement.scrollWidth <= innerWidth")
    light = page.ask("""['color', 'backgroundColor'].map((what) => getComputedStyle(document.body)[what].match(/\\d+/g).slice(0, 3)
        .reduce((sum, part) => sum + +part, 0))""")
    assert (light[0] > 500 and light[1] < 150) if dark else (light[0] < 150 and light[1] > 500)


def test_the_policy(page):
    """No script of the page can reach a network, in the worker neither."""
    assert page.ask("fetch('https://example.com/').then(() => 'sent', (error) => error.name)") == "TypeError"
    assert page.ask("""new Promise((done) => {
        const worker = new Worker(URL.createObjectURL(new Blob(["fetch('https://example.com/').then(() => postMessage('sent'), (e) => postMessage(e.name))"])));
        worker.onmessage = ({ data }) => done(data);
    })""") == "TypeError"
    assert any("Content Security Policy" in text for text in page.asked())
    page.browser.events.clear()


def test_the_package(browser, tmp_path):
    """The package's functions in a page, by its modules as they are, from a server on this machine."""
    for path in NPM.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.onnx").write_bytes(SMALL.read_bytes())
    (tmp_path / "page.html").write_text("""<!DOCTYPE html><link rel="icon" href="data:,"><script type="module">
        import { fuse } from './index.js';
        const model = await (await fetch('model.onnx')).blob();
        const fused = await fuse(model);
        const hash = await crypto.subtle.digest('SHA-256', fused.model);
        window.told = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
        </script>""")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *words: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(PAGE)
        browser.call("Page.navigate", url=f"http://127.0.0.1:{server.server_port}/page.html")
        deadline = time.monotonic() + 20
        while not (told := browser.evaluate("window.told")):
            assert time.monotonic() < deadline, browser.complaints
            time.sleep(0.1)
        server.shutdown()
    assert told == hashlib.sha256(native(tmp_path, SMALL)).hexdigest()
