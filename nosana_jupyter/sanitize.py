"""
What a host sends, made harmless before it is shown.

Outputs of a cell that a user ran are trusted by front ends: a script in one of them would run with
the user's rights. So nothing that can run gets through: HTML is cleaned by a list of what may stay,
scripts and unknown formats are dropped, terminal escapes are reduced to colours.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from . import charts

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")

LARGEST = 32 << 20
"""Most characters of one representation."""

DEEPEST = 400
"""Most elements that HTML may leave open at a time: reading it takes the square of that."""

MOST_TAGS = 200_000
"""Most tags of one piece of HTML."""

PASSES = 4
"""Most times that one piece of HTML is cleaned."""

LARGEST_MARKDOWN = 1 << 20
"""Most characters of Markdown."""

# Everything that begins with ESC or a C1 control, but for colours: CSI … m.
_ESCAPE = re.compile(
    r"\x1b\[[0-9;:]*m"
    r"|\x1b[PX^_\]].*?(?:\x1b\\|\x07|\x9c|$)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]?"
    r"|[\x90\x98\x9d-\x9f].*?(?:\x1b\\|\x07|\x9c|$)"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]",
    re.DOTALL,
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

_TAGS = frozenset(
    "a abbr b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn div "
    "dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark meter ol p pre "
    "progress q rp rt ruby s samp section small span strike strong sub summary sup table tbody td "
    "tfoot th thead time tr tt u ul var audio source video".split()
)
_COMMON = frozenset({"class", "style", "title", "align", "valign", "dir", "lang"})
_MORE = {
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "col": {"span", "width"},
    "table": {"border", "width"},
    "font": {"color", "size"},
    "ol": {"start", "type"},
    "progress": {"value", "max"},
    "meter": {"value", "min", "max"},
    "details": {"open"},
    "time": {"datetime"},
    "audio": {"src", "controls", "loop", "muted"},
    "video": {"src", "controls", "loop", "muted", "width", "height"},
    "source": {"src", "type"},
}
_STYLES = frozenset(
    "background background-color border border-bottom border-collapse border-color border-left "
    "border-radius border-right border-spacing border-style border-top border-width color display "
    "font-family font-size font-style font-variant font-weight height letter-spacing line-height "
    "list-style-type margin margin-bottom margin-left margin-right margin-top max-height max-width "
    "min-height min-width opacity overflow overflow-x overflow-y padding padding-bottom "
    "padding-left padding-right padding-top text-align text-decoration text-indent text-transform "
    "vertical-align white-space width word-break word-wrap".split()
)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]*", re.I)
_MEDIA = re.compile(r"data:(?:audio|video)/[\w.+-]+;base64,[A-Za-z0-9+/=\s]*", re.I)
_MEDIA_TYPE = re.compile(r"(?:audio|video)/[\w.+-]+(?:; ?codecs=\"?[\w., ]+\"?)?", re.I)
_LINK = re.compile(r"(?:https?://|mailto:|#)", re.I)

# Front ends style their own dialogs by class: a host must not draw one of those over the page.
_CLASS = re.compile(
    r"dataframe|highlight|hll|data|blank|null|(?:col|row)_heading|index_name"
    r"|(?:level|row|col)\d+|table(?:-(?:striped|bordered|hover|sm))?|[a-z]{1,2}\d?"
)

# No address, no escape, no comment, nothing that shifts content out of its place.
_STYLE = re.compile(
    r"(?:(?:rgba?|hsla?|linear-gradient)\(|[\w\s#%.,'\"!+/)]|-(?![\d.]))*", re.I | re.ASCII
)

# What pandas writes for a styled table: one rule for each cell, found by its id.
_BLOCK = re.compile(r"<style(?:\s[^<>]*)?>(.*?)</style\s*>", re.I | re.DOTALL)
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_IDENT = re.compile(r"(?<=\s)id=\"([\w-]+)\"")

# What a reader would miss of HTML: what moves, plays, or shows another page.
_ACTIVE = re.compile(
    r"<(?:script|iframe|embed|object|applet|canvas)\b"
    r"|<(?:video|audio|source)\b[^<>]*\ssrc\s*=\s*[\"']?(?!\s*data:(?:audio|video)/)[^\"']"
    r"|<[a-z][^<>]*\son[a-z]+\s*=",
    re.I,
)
_MARK = re.compile(r"<[^<>]*>")
_PICTURES = re.compile(
    r"<(?:(?:img|hr|progress|meter)\b|(?:audio|video|source)\s[^<>]*\bsrc=)", re.I
)

_TAG = re.compile(r"<(/?)([a-z][^\s/>]*)", re.I)
# Elements that end without being closed, or have no end.
_LIGHT = frozenset("br hr img col input link meta source track wbr li p td th tr dd dt".split())


def line(text: str) -> str:
    """
    Return text as one line of what can be seen, for names and reasons in our own sentences.

    What turns the direction of writing, has no width or is no character yet is left out, too.
    """
    words = " ".join(_COLOUR.sub("", terminal(text)).replace("\b", "").split())
    return words if words.isprintable() else "".join(filter(str.isprintable, words))


def terminal(text: str) -> str:
    """Return text whose only escapes are colours, and whose controls are \\b, \\t, \\n and \\r."""
    return _ESCAPE.sub(lambda match: match[0] if _COLOUR.fullmatch(match[0]) else "", text)


def plain(text: str) -> str:
    """Return text as `terminal` does, without its colours."""
    return _COLOUR.sub("", terminal(text))


def html(text: str) -> str:
    """Return HTML in which nothing runs, loads or leads where it does not say."""
    import nh3

    made = _inlined(text)
    # Elements that were let go may have parted others: what is read again must read the same.
    for _ in range(PASSES):
        before, made = (
            made,
            nh3.clean(
                made,
                tags=set(_TAGS),
                attributes={tag: set(_COMMON | _MORE.get(tag, set())) for tag in _TAGS},
                attribute_filter=_attribute,
                url_schemes={"http", "https", "mailto", "data"},
                link_rel="noopener noreferrer",
                strip_comments=True,
            ),
        )
        if made == before:
            break
    # Front ends typeset the formulas of HTML too.
    return charts.plain_latex(made)


def bundle(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """
    Clean the representations of one output.

    Args:
        data: MIME types and contents, as they came.

    Returns:
        What may be shown, and the MIME types that were dropped, or of which nothing is left to see.
    """
    clean: dict[str, Any] = {}
    dropped = []
    for mime, content in data.items():
        rule = _RULES.get(mime)
        made = rule(content) if rule is not None and _small(content) else None
        if made is not None and made[0] == "text/html" and not _is_seen(made[1]):
            if _is_empty(content):
                continue
            made = None
        if made is None:
            dropped.append(terminal(str(mime))[:80])
        else:
            shown, value = made
            clean.setdefault(shown, value)
    return clean, dropped


def too_large(data: dict[str, Any]) -> set[str]:
    """Return those MIME types of an output, as `bundle` drops them, of which there is too much."""
    return {
        terminal(str(mime))[:80]
        for mime, content in data.items()
        if not _small(content) or (mime == "text/markdown" and len(str(content)) > LARGEST_MARKDOWN)
    }


def is_cut(data: dict[str, Any]) -> bool:
    """Say whether something of an output's HTML runs or plays, and so will be missing."""
    content = data.get("text/html")
    return isinstance(content, str) and _small(content) and bool(_ACTIVE.search(content))


Made = tuple[str, Any] | None
"""The MIME type under which something may be shown, and its content."""


def _plain(content: Any) -> Made:
    return ("text/plain", terminal(content)) if isinstance(content, str) else None


def _html(content: Any) -> Made:
    if not isinstance(content, str) or _is_heavy(content):
        return None
    return "text/html", html(content)


def _markdown(content: Any) -> Made:
    """Markdown may hold HTML, and links of any kind: it is shown as the HTML it means."""
    if not isinstance(content, str) or len(content) > LARGEST_MARKDOWN:
        return None
    import mistune

    return _html(str(mistune.html(content)))


def _latex(content: Any) -> Made:
    if not isinstance(content, str) or charts.UNSAFE_LATEX.search(content):
        return None
    return "text/latex", terminal(content)


def _json(content: Any) -> Made:
    try:
        text = json.dumps(content, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return ("application/json", content) if len(text) <= LARGEST else None


def _plotly(content: Any) -> Made:
    made = charts.plotly(content)
    return (charts.PLOTLY, made) if made is not None and _json(made) else None


def _svg(content: Any) -> Made:
    """An image element runs no scripts of the image it shows."""
    if not isinstance(content, str):
        return None
    picture = base64.b64encode(content.encode()).decode()
    return "text/html", f'<img src="data:image/svg+xml;base64,{picture}">'


def _image(mime: str) -> Callable[[Any], Made]:
    def rule(content: Any) -> Made:
        if not isinstance(content, str):
            return None
        try:
            base64.b64decode("".join(content.split()), validate=True)
        except (binascii.Error, ValueError):
            return None
        return mime, content

    return rule


_RULES: dict[str, Callable[[Any], Made]] = {
    "text/plain": _plain,
    "text/html": _html,
    "text/markdown": _markdown,
    "text/latex": _latex,
    "application/json": _json,
    "image/svg+xml": _svg,
    charts.PLOTLY: _plotly,
    charts.GEOJSON: _json,
    **{mime: _image(mime) for mime in IMAGES},
}


def metadata(data: dict[str, Any]) -> dict[str, Any]:
    """Return what may stay of an output's metadata: sizes of images."""
    clean = {}
    for mime in IMAGES:
        entry = data.get(mime)
        if isinstance(entry, dict):
            clean[mime] = {
                name: entry[name]
                for name in ("width", "height")
                if isinstance(entry.get(name), int | float) and math.isfinite(entry[name])
            }
    return clean


def _attribute(tag: str, name: str, value: str) -> str | None:
    match name:
        case "src":
            # Only what it plays or shows in itself: nothing is loaded.
            kind = _PICTURE if tag == "img" else _MEDIA
            return value if kind.fullmatch(value) else None
        case "type" if tag == "source":
            return value if _MEDIA_TYPE.fullmatch(value) else None
        case "href":
            return value if _LINK.match(value) else None
        case "class":
            return " ".join(word for word in value.split() if _CLASS.fullmatch(word)) or None
        case "style":
            return ";".join(filter(None, map(_style, value.split(";")))) or None
    return value


def _style(declaration: str) -> str:
    """Return one declaration of a style, or nothing."""
    name, value = (part.strip() for part in declaration.partition(":")[::2])
    # A quote left open would hold what follows.
    closed = not (value.count('"') % 2 or value.count("'") % 2)
    fine = value and closed and name.lower() in _STYLES and _STYLE.fullmatch(value)
    return f"{name.lower()}:{value}" if fine else ""


def _inlined(text: str) -> str:
    """Put the rules of style blocks onto the elements they name by id; the blocks will be lost."""
    styles: dict[str, str] = {}
    for block in _BLOCK.finditer(text):
        for selectors, body in _RULE.findall(block[1]):
            for selector in selectors.split(","):
                ident = selector.strip().removeprefix("#")
                if '"' not in body and ident != selector.strip():
                    styles[ident] = styles.get(ident, "") + " ".join(body.split())
    if not styles:
        return text
    # This is text put into text: only what is cleaned after it makes it safe.
    return _IDENT.sub(
        lambda match: f'style="{styles[match[1]]}"' if match[1] in styles else match[0], text
    )


def _is_heavy(text: str) -> bool:
    """Say whether HTML would take long to read."""
    if text.count("<") > MOST_TAGS:
        return True
    depths: Counter[str] = Counter()
    depth = 0
    for closing, written in _TAG.findall(text):
        name = written.lower()
        if name in _LIGHT:
            continue
        if not closing:
            depths[name] += 1
            depth += 1
        elif depths[name]:
            depths[name] -= 1
            depth -= 1
        if depth > DEEPEST:
            return True
    return False


def _is_seen(text: str) -> bool:
    """Say whether there is anything to see of clean HTML."""
    return bool(_PICTURES.search(text) or _MARK.sub("", text).strip())


def _is_empty(text: str) -> bool:
    """Say whether there was nothing to see of HTML in the first place."""
    return {name.lower() for _, name in _TAG.findall(text)} <= _TAGS and not _is_seen(text)


def _small(content: Any) -> bool:
    return not isinstance(content, str) or len(content) <= LARGEST
