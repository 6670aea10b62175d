"""Templates are read as people write them, and as strangers do."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import UsageError
from nosana_jupyter.templates import reading

INFO = {
    "title": "Train",
    "vram": 8,
    "options": "--pip {lib}",
    "parameters": [
        {"name": "lib", "default": "torch"},
        {"name": "epochs", "type": "int", "default": 3, "help": "how often"},
    ],
}

DEFINITION = {
    "version": "0.1",
    "type": "container",
    "meta": {"system_requirements": {"vram_total_mb": 17408}},
    "ops": [{"id": "serve", "type": "container/run", "args": {"image": "vllm", "expose": 8000}}],
}


def folder(path: Path, **files: object) -> Path:
    path.mkdir()
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return path


def test_a_folder_is_a_cell(tmp_path: Path) -> None:
    """Its info makes the magic line and the first lines, its code is below."""
    place = folder(tmp_path / "Train", info__json=INFO, cell__py="\nprint(epochs)\n\n")

    template = reading.read(place)

    assert template.name == "train"
    assert template.cell({"epochs": "5", "lib": "a b"}) == (
        "%%nosana --vram 8 --pip 'a b'\nlib = 'a b'\nepochs = 5  # how often\n\nprint(epochs)\n"
    )


def test_a_single_script_says_what_it_is(tmp_path: Path) -> None:
    """A comment at its top is its info, and is not in the cell."""
    path = tmp_path / "sleep.py"
    path.write_bytes(
        b'#!/usr/bin/env python\r\n# /// nosana\r\n# title = "Sleep"\r\n'
        b'# options = "--timeout 5m"\r\n'
        b"#\r\n# [[parameters]]\r\n"
        b'# name = "n"\r\n# type = "int"\r\n# default = 2\r\n# ///\r\nprint(n)\r\n'
    )

    cell = reading.read(path).cell({})

    assert cell == "%%nosana --timeout 5m\nn = 2\n\n#!/usr/bin/env python\nprint(n)\n"


def test_a_notebook_has_its_parameters_below_its_own(tmp_path: Path) -> None:
    """Values come after the cell that is tagged for them; the file is not changed."""
    made = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    made.cells = [
        nbformat.v4.new_code_cell("n = 1", metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
        nbformat.v4.new_code_cell("print(n)"),  # type: ignore[no-untyped-call]
    ]
    made.metadata["nosana"] = {
        "title": "Count", "parameters": [{"name": "n", "type": "int", "default": 1}]
    }  # fmt: skip
    path = tmp_path / "count.ipynb"
    nbformat.write(made, path)  # type: ignore[no-untyped-call]

    filled = reading.read(path).notebook({"n": "7"})

    assert [each.source for each in filled.cells] == ["n = 1", "# Parameters\nn = 7", "print(n)"]
    nbformat.validate(filled)


def test_the_catalogue_is_read_as_it_is(tmp_path: Path) -> None:
    """A template of Nosana's own catalogue, with its variants; VRAM comes from the definition."""
    info = {
        "id": "gemma3",
        "name": "Gemma 3",
        "icon": "https://x/y.png",
        "category": ["LLM"],
        "variants": [
            {"id": name, "name": name, "job_definition": f"job-definition-{name}.json"}
            for name in ("4b", "12b")
        ],
    }
    place = folder(tmp_path / "gemma3", info__json=info, README__md="x")
    for name in ("4b", "12b"):
        made = {**DEFINITION, "ops": [{**DEFINITION["ops"][0], "id": name}]}  # type: ignore[dict-item]
        (place / f"job-definition-{name}.json").write_text(json.dumps(made))

    template = reading.read(place)

    assert (template.kind, template.info.title, template.info.vram) == ("definition", "Gemma 3", 17)
    assert template.definition()["ops"][0]["id"] == "4b"
    assert template.definition("12b")["ops"][0]["id"] == "12b"
    with pytest.raises(UsageError, match="no variant '70b'"):
        template.definition("70b")


@pytest.mark.parametrize(
    ("meta", "vram"),
    [({"system_requirements": {"required_vram": 24}}, 24), ({"required_vram": 16}, 16),
     ({"system_requirements": {"vram_total_mb": 4096}}, 4), ({}, 0),
     ({"system_requirements": {"vram_total_mb": 1 << 40}}, 0)],
)  # fmt: skip
def test_vram_is_found_where_the_catalogue_says_it(
    tmp_path: Path, meta: dict[str, object], vram: int
) -> None:
    """Each of the three keys that are in use, and none."""
    path = tmp_path / "one.json"
    path.write_text(json.dumps({**DEFINITION, "meta": meta}))

    assert reading.read(path).info.vram == vram


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"cell.py": "x"}, "no info.json"),
        ({"info.json": "{"}, "not JSON"),
        ({"info.json": '{"title": "x"}'}, "nothing that runs"),
        ({"info.json": '{"title": "x"}', "cell.py": "", "notebook.ipynb": ""}, "cell.py and"),
        ({"info.json": '{"title": "x", "wram": 8}', "cell.py": ""}, "wram"),
        ({"info.json": '{"title": "x", "vram": -1}', "cell.py": ""}, "no card has"),
        ({"info.json": '{"title": "x", "options": "a\\u2028b"}', "cell.py": ""}, "one line"),
        ({"info.json": '{"title": "x"}', "cell.py": "a = 1 #\u202e"}, r"U\+202E"),
        ({"info.json": '{"title": "x"}', "cell.py": "print('\x1b[2J')"}, r"U\+001B"),
        ({"info.json": '{"title": "x"}', "notebook.ipynb": "[]"}, "no notebook"),
        ({"info.json": '{"title": "x"}', "job-definition.json": '{"ops": []}'}, "not a job"),
        ({"info.json": '{"id": "x", "name": "y", "variants": [{"id": "a", "name": "a", '
          '"job_definition": "../../etc/passwd"}]}'}, "which its info.json names"),
    ],
)  # fmt: skip
def test_what_is_no_template_says_why(tmp_path: Path, files: dict[str, str], why: str) -> None:
    """Each is a UsageError that names the file."""
    place = tmp_path / "bad"
    place.mkdir()
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=why):
        reading.read(place)


def test_nothing_is_read_through_links(tmp_path: Path) -> None:
    """A file that leads elsewhere is none of a template's."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    place = folder(tmp_path / "bad", info__json={"title": "x"})
    (place / "cell.py").symlink_to(secret)

    with pytest.raises(UsageError, match="is a link"):
        reading.read(place)


@given(
    st.dictionaries(
        st.sampled_from(["info.json", "cell.py", "notebook.ipynb", "job-definition.json", "x"]),
        st.one_of(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(),
                lambda inner: st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["title", "id", "name", "variants", "parameters", "default",
                                     "cells", "nbformat", "ops", "version", "meta"]),
                    inner,
                ),
            ).map(json.dumps),
        ),
    )
)  # fmt: skip
def test_any_files_are_a_template_or_a_named_error(files: dict[str, str]) -> None:
    """Whatever strangers write, nothing but UsageError is raised."""
    try:
        template = reading.made("any", files)
    except UsageError:
        return
    assert template.kind in ("cell", "notebook", "definition")
