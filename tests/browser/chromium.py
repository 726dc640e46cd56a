"""Drive a headless Chromium over its debugging pipe: JSON messages, each ended by a NUL, on descriptors 3 and 4.

No network, no driver program, no package: what Debian calls `chromium` is enough.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import time

# As scripts/lib.sh has them: scripts/test installs one and names it in $CHROMIUM, so the suite is never skipped there.
PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]


def find():
    """The path of a browser, or None. $CHROMIUM names another."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    def __init__(self, folder, timeout=180):
        self.timeout = timeout
        self.buffer = b""
        self.events = []
        self.number = 0
        self.session = None
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def descriptors():
            # Neither copy may close the other: first out of the way, then to their places.
            a, b = os.dup(to_browser), os.dup(from_browser)
            while a in (3, 4) or b in (3, 4):
                a, b = os.dup(a), os.dup(b)
            os.dup2(a, 3)
            os.dup2(b, 4)

        options = ["--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   "--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                   f"--user-data-dir={folder}"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # it refuses to run as root otherwise
        self.log = open(os.path.join(folder, "chromium.log"), "wb")
        self.process = subprocess.Popen([find(), *options, "about:blank"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        close_fds=False, preexec_fn=descriptors)
        os.close(to_browser)
        os.close(from_browser)

    def close(self):
        try:
            self.call("Browser.close", session=False)
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(30)
        for descriptor in (self.out, self.into):
            os.close(descriptor)
        self.log.close()

    def read(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select.select([self.into], [], [], left)[0]:
                piece = os.read(self.into, 1 << 20)
                assert piece, "the browser ended"
                self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=True, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session and self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        deadline = time.monotonic() + self.timeout
        while True:
            answer = self.read(deadline)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        deadline = time.monotonic() + self.timeout
        while not any(e["method"] == method for e in self.events):
            self.events.append(self.read(deadline))

    def open(self, path, width=1280, height=900, dark=False, script=True):
        """Show a file in a new page. What it complains of is in `complaints`."""
        if self.session:
            self.call("Target.closeTarget", session=False, targetId=self.target)
        self.session = None
        self.target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired")

    @property
    def complaints(self):
        """Errors and warnings on the console, exceptions, and every request but that for the page itself."""
        self.call("Runtime.evaluate", expression="0")  # what was said before has arrived then
        found = []
        for event in self.events:
            method, what = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(what["exceptionDetails"].get("exception", {}).get("description") or what["exceptionDetails"]["text"])
            elif method == "Runtime.consoleAPICalled":
                found.append(str(what["args"]))
            elif method == "Log.entryAdded":
                found.append(what["entry"]["text"])
        requests = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return found + requests[1:]

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def screenshot(self, path=None, clip=None, scale=1):
        """A PNG of the whole page, or of a box {x, y, width, height}."""
        if clip is None:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 15000)}
        data = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip={**clip, "scale": scale})["data"])
        if path:
            path.write_bytes(data)
        return data

    def pdf(self):
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])
