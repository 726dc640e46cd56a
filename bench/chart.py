"""Two kinds of pictures as plain SVG: bars, and curves on logarithmic axes. Standard library only."""
import html
import math

FONT = 'font-family="system-ui, sans-serif" font-size="13"'
OURS, COPY, OTHER = "#0a7d5a", "#8a8f98", "#c8781e"
COLOURS = (OURS, OTHER, "#2563a8", "#8b3a8f", COPY)


def label(x, y, text, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{html.escape(text)}</text>'


def page(width, height, body, title):
    # Its own background: a reader's dark page would hide black text.
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
                      f'role="img" {FONT}>', f"<title>{html.escape(title)}</title>",
                      f'<rect width="{width}" height="{height}" fill="#ffffff"/>', *body, "</svg>", ""])


def bars(panels, title):
    """panels: [(heading, [(name, value, text)])], each panel on a scale of its own; names repeat between panels of a row of two."""
    left, bar, gap, wide, top = 150, 18, 8, 230, 40
    columns = 2
    body, y = [label(12, 24, title, more='font-weight="600" font-size="15"')], top
    for row in range(0, len(panels), columns):
        height = 0
        for column, (heading, values) in enumerate(panels[row:row + columns]):
            x = left + column * (wide + 90)
            most = max((v for _, v, _ in values), default=1) or 1
            body.append(label(x, y + 14, heading, more='font-weight="600"'))
            for i, (name, value, text) in enumerate(values):
                at = y + 24 + i * (bar + gap)
                colour = OURS if "fuse" in name else COPY if name == "cp" else OTHER
                length = max(1.5, value / most * (wide - 40))
                if not column:
                    body.append(label(left - 8, at + 14, name, "end"))
                body.append(f'<rect x="{x}" y="{at}" width="{length:.1f}" height="{bar}" fill="{colour}"/>')
                body.append(label(x + length + 5, at + 14, text, more='fill="#333333"'))
            height = max(height, 24 + len(values) * (bar + gap))
        y += height + 22
    return page(left + columns * (wide + 90), y, body, title)


def curves(panels, title):
    """panels: [(heading, x label, y label, {series: [(x, y)]})], one beside the other, both axes logarithmic."""
    wide, high, left, top = 300, 220, 70, 70
    body = [label(12, 24, title, more='font-weight="600" font-size="15"')]
    for n, (heading, x_label, y_label, series) in enumerate(panels):
        x0, y0 = left + n * (wide + 90), top
        points = [p for s in series.values() for p in s]
        spans = [(math.floor(math.log10(min(p[k] for p in points)) + 1e-9), math.ceil(math.log10(max(p[k] for p in points)) - 1e-9))
                 for k in (0, 1)]
        (xa, xb), (ya, yb) = ((a, max(b, a + 1)) for a, b in spans)

        def place(p):
            return (x0 + (math.log10(p[0]) - xa) / (xb - xa) * wide, y0 + high - (math.log10(p[1]) - ya) / (yb - ya) * high)

        body.append(label(x0, y0 - 14, heading, more='font-weight="600"'))
        for e in range(xa, xb + 1):
            x, _ = place((10.0 ** e, 10.0 ** ya))
            body.append(f'<path d="M{x:.1f} {y0}V{y0 + high}" stroke="#e3e5e8"/>')
            body.append(label(x, y0 + high + 17, f"{10.0 ** e:g}" if e < 5 else f"1e{e}", "middle"))
        for e in range(ya, yb + 1):
            _, y = place((10.0 ** xa, 10.0 ** e))
            body.append(f'<path d="M{x0} {y:.1f}H{x0 + wide}" stroke="#e3e5e8"/>')
            body.append(label(x0 - 6, y + 4, f"{10.0 ** e:g}", "end"))
        body.append(label(x0 + wide / 2, y0 + high + 36, x_label, "middle"))
        body.append(label(x0 - 50, y0 + high / 2, y_label, "middle", f'transform="rotate(-90 {x0 - 50} {y0 + high / 2})"'))
        for i, (name, line) in enumerate(series.items()):
            colour = COPY if name == "cp" else COLOURS[i % len(COLOURS)]
            spots = [place(p) for p in line]
            body.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in spots)}" fill="none" stroke="{colour}" stroke-width="2"/>')
            body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in spots]
            body.append(label(x0 + 10, y0 + 18 + 17 * i, name, more=f'fill="{colour}" font-weight="600"'))
    return page(left + len(panels) * (wide + 90) - 60, top + high + 50, body, title)
