"""Take a page of the tool apart: what its script reads, and that nothing in it is more than it should be."""
import html.parser
import json
import re


class Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], {}, []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag != "meta":
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        while self.open and self.elements[self.open.pop()][0] != tag:
            pass

    def handle_data(self, data):
        if self.open:
            at = self.open[-1]
            self.texts[at] = self.texts.get(at, "") + data

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data!r}")


class Page:
    """`data` is the JSON, `listing` the text for readers without scripts. Fails when the page holds anything unforeseen."""

    TAGS = ["html", "head", "meta", "meta", "meta", "meta", "meta", "title", "style", "body", "noscript", "h1", "p", "pre", "main",
            "script", "script", "script"]

    def __init__(self, text):
        if isinstance(text, bytes):
            text = text.decode()  # strictly: a page is UTF-8 whatever the names were
        self.text = text
        parser = Parser()
        parser.feed(text)
        parser.close()
        self.elements = parser.elements
        tags = [tag for tag, _ in parser.elements]
        assert tags == self.TAGS, tags
        for tag, attributes in parser.elements:
            assert not [a for a in attributes if a.startswith("on") or a in ("src", "href", "style")], (tag, attributes)
        texts = {tag: parser.texts.get(i, "") for i, tag in enumerate(tags)}
        scripts = [i for i, tag in enumerate(tags) if tag == "script"]
        self.title, self.listing = texts["title"], texts["pre"]
        assert parser.elements[scripts[0]][1] == {"type": "application/json", "id": "data"}
        raw = parser.texts[scripts[0]]
        assert not set("<>&\u2028\u2029") & set(raw)
        self.data = json.loads(raw)
        self.policy = next(a["content"] for t, a in parser.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
        assert not re.search(r"https?:", self.policy)

    def string(self, index):
        return self.data["strings"][index]

    def boxes(self, picture, state=None):
        return [b for b in picture["boxes"] if state is None or b["state"] == state]

    def ops(self, picture):
        return sorted(self.string(b["op"]) for b in picture["boxes"] if "op" in b)

    def pictures(self):
        """Of every group the picture that is drawn first: (before, after)."""
        return [(g["members"][0]["before"], g["members"][0]["after"]) for g in self.groups if g["members"]]

    @property
    def groups(self):
        kinds = ["blocks"] if self.data["kind"] == "fuse" else ["regions", "nodes"]
        return [g for kind in kinds for g in self.data[kind]["groups"]]
