"""Charts in files: rows as .csv, pictures as .svg and .png, and one page of .html that needs nothing else."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plural_nb.charts.theme import INK, PAPER
from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.charts.chart import Chart

FORMATS = {"csv": "text/csv", "svg": "image/svg+xml", "png": "image/png", "html": "text/html"}
_PIXELS_PER_UNIT = 2.0
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Section = tuple[str, str]


def save(chart: Chart, path: str | os.PathLike[str], *, sections: Sequence[Section] = ()) -> Path:
    """Write a chart to a file of the kind its ending says; PluralError for another ending or a folder not there."""
    file = Path(path).expanduser()
    kind = file.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise PluralError(f"{file.name} ends in {file.suffix or 'nothing'!r}; a chart is saved as {known}.")
    data = as_bytes(chart, kind, sections=sections)
    try:
        file.write_bytes(data)
    except OSError as error:
        raise PluralError(f"{file} cannot be written ({error.strerror}). Choose another folder or name.") from None
    return file


def as_bytes(chart: Chart, kind: str, *, sections: Sequence[Section] = ()) -> bytes:
    """Return the file of a chart in one of FORMATS.

    sections: (heading, text) that follow the chart on a page of HTML: the prompt, the code, and so on.
    """
    if kind == "csv":
        return chart.frame.write_csv().encode("utf-8")
    if kind == "svg":
        return svg(chart).encode("utf-8")
    if kind == "png":
        import vl_convert

        return bytes(vl_convert.svg_to_png(svg(chart), scale=_PIXELS_PER_UNIT))
    if kind == "html":
        return page(chart, sections=sections).encode("utf-8")
    raise PluralError(f"Unknown format {kind!r}. {nearest(kind, FORMATS)}")


def svg(chart: Chart, *, ink: str = INK, paper: str = PAPER, titled: bool = True) -> str:
    """Return the chart as a picture; a file stands on no page, so its colours are written out.

    ink, paper: colours of text and background; "currentColor" and "transparent" leave both to the page around it.
    """
    import vl_convert

    spec = chart.figure(titled=titled)
    if titled:
        spec["padding"] = {side: max(16, size) for side, size in spec["padding"].items()}
    picture = vl_convert.vegalite_to_svg(_coloured(spec, ink, paper), vl_version=vega_lite_version())
    return str(picture)


def vega_lite_version() -> str:
    """The newest Vega-Lite 6 that vl-convert carries ("6.4"); charts are written in it."""
    import vl_convert

    return str(next(v for v in reversed(vl_convert.get_vegalite_versions()) if v.startswith("6.")))


def page(chart: Chart, *, sections: Sequence[Section] = ()) -> str:
    """Return one HTML page with the chart, its words, its table and `sections`; it loads nothing and runs nothing."""
    picture = svg(chart, ink="currentColor", paper="transparent", titled=False)
    # The words beside it say the same to a screen reader, so the picture is one image with one name.
    picture = picture.replace("<svg ", f'<svg role="img" aria-label="{html.escape(chart.summary)}" ', 1)
    head = "".join(f'<th scope="col">{html.escape(title)}</th>' for _, title in chart.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(row.get(name) or ''))}</td>" for name, _ in chart.columns) + "</tr>"
        for row in chart.rows
    )
    keys = "".join(f"<li>{html.escape(f'{key.name}: {key.whisker}')}</li>" for key in chart.keys if key.whisker)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in chart.notes)
    # The first section says what was found, so it stands open; the others are there to look up.
    filled = [(html.escape(title), html.escape(text)) for title, text in sections if text]
    more = "".join(
        f"<details{'' if i else ' open'}><summary>{title}</summary><pre>{text}</pre></details>"
        for i, (title, text) in enumerate(filled)
    )
    title = html.escape(chart.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="of">{html.escape(chart.subtitle)}</p>
<figure>{picture}</figure>
<ul>{keys}{notes}</ul>
<p>{html.escape(chart.summary)}</p>
<table><caption>The rows of the chart</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
{more}
</main>
</body>
</html>
"""


def _coloured(spec: dict[str, object], ink: str, paper: str) -> dict[str, object]:
    text = json.dumps(_drawable(spec))
    text = text.replace('"currentColor"', json.dumps(ink)).replace('"transparent"', json.dumps(paper))
    coloured: dict[str, object] = json.loads(text)
    return coloured


def _drawable(value: Any) -> Any:
    """The same with U+FFFD for characters that no XML may hold; for one of them vl-convert ends the kernel."""
    if isinstance(value, str):
        return _NOT_XML.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_drawable(name): _drawable(item) for name, item in value.items()}
    return [_drawable(item) for item in value] if isinstance(value, list | tuple) else value


_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --line: #d5d9de; --quiet: #57606a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16181b; --line: #3a3f45; --quiet: #9aa4ae; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Liberation Sans", Arial, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0; font-weight: 600; text-wrap: balance; }
.of { color: var(--quiet); margin: .35rem 0 1.5rem; }
figure { margin: 0 0 1.25rem; }
figure svg { max-width: 100%; height: auto; display: block; overflow: visible; }
ul { padding-left: 1.1rem; color: var(--quiet); }
ul:empty { display: none; }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; font-size: .93rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .4rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:nth-child(3), td:nth-child(4) { white-space: nowrap; }
details { border-top: 1px solid var(--line); padding: .6rem 0; }
summary { cursor: pointer; font-weight: 600; }
summary:focus-visible { outline: 2px solid #0072B2; outline-offset: 3px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas,
  "Liberation Mono", monospace; }
"""
