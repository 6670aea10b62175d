"""Charts made harmless: figures of plotly are drawn, and lead and load nowhere."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter import charts, sanitize

PICTURE = "data:image/png;base64,AAAA"

FIGURE: dict[str, Any] = {
    "data": [
        {"type": "scatter", "x": [1, 2], "y": {"dtype": "i1", "bdata": "AQI="}, "name": "<b>a</b>"},
        {"type": "heatmap", "z": [[1, 2.5], [None, 4]]},
        {"type": "sankey", "link": {"source": [0, 1], "target": [1, 2], "value": [1, 1]}},
    ],
    "layout": {"title": {"text": "x<sub>2</sub> < 5"}, "images": [{"source": PICTURE}]},
}


def test_a_figure_is_drawn_as_it_is() -> None:
    """A figure that only draws comes through unchanged, but for its settings of the page."""
    figure = copy.deepcopy(FIGURE) | {"config": {"plotlyServerURL": "javascript:alert(1)//"}}

    assert sanitize.bundle({charts.PLOTLY: figure}) == ({charts.PLOTLY: FIGURE}, [])


@pytest.mark.parametrize(
    "layout",
    [
        {"title": {"text": '<a href="javascript:alert(1)">me</a>'}},
        {"title": {"text": '<<a>a href="javascript:alert(1)">me'}},
        {"title": {"text": '<A popup="x" href="https://evil.example">me</A>'}},
        {"title": {"text": '<a\thref="https://evil.example">me'}},
        {"images": [{"source": "https://evil.example/seen.png"}]},
        {"template": {"layout": {"images": [{"source": "//evil.example/seen.png"}]}}},
        {"updatemenus": [{"buttons": [{"args": [{"images[0].source": "http://evil.example"}]}]}]},
        {"updatemenus": [{"buttons": [{"args": [{"a.__proto__.evil.example": 1}]}]}]},
        {"title": {"text": r"$\href{javascript:evil.example}{x}$"}},
    ],
)
def test_nothing_of_a_figure_leads_or_loads(layout: dict[str, Any]) -> None:
    """Links, addresses and what reaches into the page's own objects are taken out."""
    made = charts.plotly({"data": [], "layout": layout})

    text = json.dumps(made)
    assert made is not None
    assert "<a" not in text.lower()
    assert "href{" not in text or "\\u200bhref" in text
    assert "//evil" not in text
    assert "__proto__" not in text


def test_the_script_of_plotly_is_known() -> None:
    """What loads plotly's script before a figure is nobody's loss; a figure as HTML is."""
    loads = (
        "<script>window.PlotlyConfig = {MathJaxConfig: 'local'};</script><script src=x></script>"
    )
    assert charts.is_setup(loads)
    assert not charts.is_setup(f"{loads}<script>Plotly.newPlot('a', [])</script>")
    assert not charts.is_setup(None)


def test_templates_lose_their_maps() -> None:
    """
    Every figure has a template, and that says how maps would look: the rest of it is kept.
    """
    data = {
        kind: [{"type": kind}]
        for kind in ("scatter", "heatmap", "treemap", "scattermap", "scattermapbox", "densitymap")
    }
    layout = {"mapbox": {"style": "light"}, "map": {"style": "light"}, "font": {"color": "red"}}
    figure = {
        "data": [{"type": "scatter", "y": [1, 2]}],
        "layout": {"template": {"data": data, "layout": layout}},
    }
    shown = charts.plotly(figure)
    assert shown is not None
    kept = shown["layout"]["template"]
    assert sorted(kept["data"]) == ["heatmap", "scatter", "treemap"]
    assert kept["layout"] == {"font": {"color": "red"}}


@pytest.mark.parametrize(
    "figure",
    [
        None,
        [],
        {"layout": {}},
        {"data": {}},
        {"data": [{"type": "scattermapbox"}]},
        {"data": [{"type": "densitymap"}]},
        {"data": [], "layout": {"mapbox": {"style": "https://evil.example"}}},
        {"data": [], "layout": {"map2": {}}},
        {"data": [{"type": "choropleth", "x": {"mapbox.layers[0].source": "u"}}]},
    ],
)
def test_maps_of_tiles_are_refused(figure: Any) -> None:
    """What loads tiles, or is no figure, is not drawn."""
    assert charts.plotly(figure) is None
    assert sanitize.bundle({charts.PLOTLY: figure}) == ({}, [charts.PLOTLY])


def test_shapes_are_not_loaded() -> None:
    """Shapes of a map come with the figure, or not at all."""
    here = {"type": "FeatureCollection", "features": []}
    figure = {"data": [{"geojson": "https://evil.example"}, {"geojson": here}]}

    assert charts.plotly(figure) == {"data": [{"geojson": ""}, {"geojson": here}]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("<a href=/>b", max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "source", "images[0].source", "url"]), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_figure_ends_harmless(value: Any) -> None:
    """Whatever a figure holds: what comes out holds no link, and is clean when cleaned again."""
    made = charts.plotly({"data": [value]})

    assert made is not None
    assert not charts._LINK.search(json.dumps(made))
    assert charts.plotly(made) == made


@pytest.mark.parametrize(
    "mime", ["application/vnd.vegalite.v5+json", "application/vnd.vega.v5+json"]
)
def test_programs_are_refused_with_a_way_out(mime: str) -> None:
    """A specification of Vega is a program: it is not shown, and what to do is said."""
    assert sanitize.bundle({mime: {"mark": "bar"}}) == ({}, [mime])
    assert "'png'" in charts.hint(mime)


def test_shapes_of_the_world_are_data() -> None:
    """GeoJSON is shown as what it is."""
    shape = {"type": "Point", "coordinates": [1, 2]}

    assert sanitize.bundle({charts.GEOJSON: shape}) == ({"application/json": shape}, [])


MP4 = "data:video/mp4;base64,AAAA"


@pytest.mark.parametrize(
    "text",
    [
        f'<video controls="" width="5"><source src="{MP4}" type="video/mp4"></video>',
        f'<video src="{MP4}" controls=""></video>',
        '<audio controls=""><source src="data:audio/wav;base64,AAAA" type="audio/wav"></audio>',
    ],
)
def test_what_plays_in_itself_plays(text: str) -> None:
    """Video and audio that the output brings along are shown, with their controls."""
    assert sanitize.bundle({"text/html": text}) == ({"text/html": text}, [])
    assert not sanitize.is_cut({"text/html": text})


@pytest.mark.parametrize(
    "text",
    [
        '<video src="https://evil.example/x.mp4" autoplay></video>',
        "<video><source src=//evil.example/x.mp4></video>",
        '<audio src="data:text/html;base64,AAAA" onplay="x()"></audio>',
        '<video src="data:video/mp4,x" poster="https://evil.example/x"></video>',
        '<video><track src="https://evil.example/x"></video>',
    ],
)
def test_what_is_loaded_to_be_played_is_not(text: str) -> None:
    """Nothing is loaded, and nothing plays by itself."""
    made = sanitize.html(text)

    for word in ("evil", "autoplay", "src", "onplay", "poster", "track"):
        assert word not in made
