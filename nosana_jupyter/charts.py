"""
Charts that a front end draws from data: what of a host's data may reach what draws them.

Plotly: a figure is data and layout, and is drawn; but what is read as addresses, as settings of the
page, or as a link is taken out. Its script knows a few tags in texts, and of those only links lead
anywhere. Maps of tiles are refused: they load from where they say, and show HTML of theirs. What a
template, as every figure has one, would make of such maps is taken out of it.

Vega and Vega-Lite are refused as a whole: a specification is a program. Its expressions are
compiled to code of the page, and what it loads is fetched with the user's own cookies, the files
behind the Jupyter server included.

GeoJSON is shown as the JSON it is: what draws it puts its properties into the page as HTML.
"""

from __future__ import annotations

import re
from typing import Any

PLOTLY = "application/vnd.plotly.v1+json"

GEOJSON = "application/geo+json"

HINTS = {
    "vega": "alt.renderers.enable('png') in the cell shows charts as pictures",
}
"""What to do about charts that are not shown, by a word in their MIME types."""

DEEPEST = 60
"""Most levels of a figure."""

_PARTS = ("data", "layout", "frames")
"""What of a figure is kept. Its `config` names servers, and where a click sends the data."""

_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)[;,]", re.I)

_ADDRESS = frozenset({"source", "url", "href", "topojsonurl", "plotlyserverurl"})
"""Keys of what is loaded: of those only pictures in themselves stay."""

_MAP = re.compile(r"(?:mapbox|map)\d*|sourceattribution|accesstoken", re.I)
"""Keys of maps of tiles."""

_MAP_TRACE = re.compile(r"\w*(?:mapbox|map)")
_NO_MAPS = frozenset({"heatmap", "treemap"})

# Paths as `relayout` of buttons takes them: `images[0].source`.
_STEP = re.compile(r"[.\[\]]+")
_PROTOTYPE = frozenset({"__proto__", "prototype", "constructor"})

# MathJax can make links and load extensions.
UNSAFE_LATEX = re.compile(
    r"\\(?:href|url|require|html\w*|class|cssId|style|data|mmlToken|includegraphics)\b", re.I
)

_LINK = re.compile(r"<\s*/?\s*a\b[^<>]*>", re.I)


class Refused(Exception):
    """A figure that cannot be made harmless and stay what it is."""


def plotly(figure: Any) -> dict[str, Any] | None:
    """Return a figure in which nothing loads or leads anywhere, or nothing."""
    if not isinstance(figure, dict) or not isinstance(figure.get("data"), list):
        return None
    try:
        return {part: _clean(figure[part], "", 0) for part in _PARTS if part in figure}
    except Refused:
        return None


def is_setup(html: Any) -> bool:
    """Say whether it is what plotly loads its script with, once and before its first figure."""
    return isinstance(html, str) and "window.PlotlyConfig" in html and "Plotly.new" not in html


def hint(mime: str) -> str:
    """Say what to do about a chart that is not shown; empty if nothing is known."""
    return next((text for word, text in HINTS.items() if word in mime), "")


def _clean(value: Any, key: str, depth: int, *, template: bool = False) -> Any:
    """
    Clean a part of a figure.

    Args:
        value: The part.
        key: Its name.
        depth: Levels above it.
        template: Whether it is of a template: then what it says of maps is left out.

    Raises:
        Refused: It is a map of tiles, or too deep.
    """
    if depth > DEEPEST:
        raise Refused
    if isinstance(value, str):
        return _text(value, key)
    if isinstance(value, list):
        return [_clean(each, key, depth + 1, template=template) for each in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, each in value.items():
        steps = _STEP.split(name)
        if _PROTOTYPE & set(steps):
            continue
        if template and (_MAP.fullmatch(name) or _is_map(name)):
            continue
        if any(_MAP.fullmatch(step) for step in steps):
            raise Refused
        last = next((step for step in reversed(steps) if step and not step.isdigit()), "")
        made[name] = _clean(each, last, depth + 1, template=template or last == "template")
    return made


def _is_map(trace: str) -> bool:
    """Say whether a kind of trace is drawn on a map of tiles."""
    return _MAP_TRACE.fullmatch(trace) is not None and trace not in _NO_MAPS


def _text(text: str, key: str) -> str:
    """Clean a text."""
    if key == "type" and _is_map(text):
        raise Refused
    if key.lower() in _ADDRESS:
        return text if _PICTURE.match(text) else ""
    if key == "geojson":
        # In place of the shapes themselves: where to load them.
        return ""
    while "<" in text and (made := _LINK.sub("", text)) != text:
        # What is left of a tag may make up another one.
        text = made
    return plain_latex(text)


def plain_latex(text: str) -> str:
    """Return a text in which no formula makes links or loads extensions."""
    # The space has no width.
    return UNSAFE_LATEX.sub(lambda match: f"\\\u200b{match[0][1:]}", text)
