"""Arrays of text and of moments go as buffers: what has changed is one of them, or a part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nosana_jupyter.cell.bundle import Bundle, pack
from nosana_jupyter.cell.held import digest
from nosana_jupyter.wire.rebuild import load


def there(bundle: Bundle) -> Any:
    namespace: dict[str, Any] = {}
    load(bundle.header, [bytearray(each) for each in bundle.buffers], namespace)
    return namespace["value"]


def texts(items: list[Any]) -> Any:
    array = np.empty(len(items), object)
    array[:] = items
    return array


MANY = [f"row {n}" for n in range(50_000)]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(texts(MANY), id="all differ"),
        pytest.param(texts(["a", "ü\0", "", "\ud800"] * 5000), id="few differ"),
        pytest.param(texts([f"{n}\0\n\x03\x1f" for n in range(9000)]), id="nothing to be between"),
        pytest.param(texts(["\0" * n for n in range(200)] * 30), id="what is between"),
        pytest.param(texts(["a", None, 2.5, "b", "", True] * 5000), id="others between"),
        pytest.param(texts(MANY).reshape(100, 500), id="rows"),
        pytest.param(texts(MANY).reshape(100, 500).T, id="columns"),
        pytest.param(texts(MANY).reshape(100, 500)[::2, ::3], id="with gaps"),
        pytest.param(texts([*MANY, {"no": "text"}]), id="something else in it"),
        pytest.param(texts(["x" * 300_000, *[""] * 5000]), id="one long"),
    ],
)
def test_text_is_the_same_there(value: Any) -> None:
    """Arrays of strings, with what may be between them, are there as they are here."""
    found = there(pack({"value": value}, {}))

    assert found.dtype == value.dtype
    assert found.shape == value.shape
    assert found.flags.writeable
    assert [(type(each), each) for each in found.flat] == [
        (type(each), each) for each in value.flat
    ]


def test_an_array_that_holds_itself_is_left_to_numpy() -> None:
    """What is no text is pickled as ever, with what is shared in it."""
    value = texts([*MANY, None])
    value[-1] = value

    found = there(pack({"value": value}, {}))

    assert found[-1] is found
    assert found[5] == "row 5"


@pytest.mark.parametrize("dtype", ["M8[ns]", "M8[D]", "m8[25s]", "f4", "i2,U3"])
@pytest.mark.parametrize("step", [1, -1])
def test_arrays_use_the_memory_they_came_in(dtype: str, step: int) -> None:
    """They are there without a copy, so that the host knows them as long as the cell does."""
    value = np.arange(60_000).reshape(200, 300).astype("i8").astype(dtype)[:, ::step]
    bundle = pack({"value": value.T}, {})
    buffers = [bytearray(each) for each in bundle.buffers]
    namespace: dict[str, Any] = {}
    load(bundle.header, buffers, namespace)

    found = namespace["value"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, value.T)
    assert np.shares_memory(found, np.frombuffer(buffers[0], "u1"))


def test_strings_that_repeat_are_one_string() -> None:
    """A column of few words takes no more memory there than here."""
    found = there(pack({"value": texts(["a word", "another"] * 20_000)}, {}))

    assert len(set(map(id, found))) == 2


@pytest.mark.parametrize("text", ["row x", "a row that is much longer than it was"])
def test_one_string_changes_one_buffer(text: str) -> None:
    """Of a frame in which one string has changed, all but a block is as it was."""
    frame = pd.DataFrame({"n": np.arange(50_000), "text": MANY})
    before = pack({"value": frame}, {})
    frame.loc[20_000, "text"] = text
    after = pack({"value": frame}, {})

    assert len(before.header) < 20_000
    assert before.header == after.header
    pairs = zip(before.buffers, after.buffers, strict=True)
    assert sum(one != other for one, other in pairs) == 1
    pd.testing.assert_frame_equal(there(after), frame)


def test_a_digest_tells_what_has_changed() -> None:
    """What is unchanged has its digest; one element or string that differs has another."""
    frame = pd.DataFrame({"n": np.arange(500_000), "text": [*MANY] * 10})
    first = digest(frame, {})

    assert first
    assert digest(frame, {}) == first
    frame.loc[400_000, "n"] = -1
    second = digest(frame, {})
    frame.loc[400_000, "text"] = "x"

    assert len({first, second, digest(frame, {})}) == 3
