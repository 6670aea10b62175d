"""The analysis never misses a read: random programs run, and what they ask for is compared."""

from __future__ import annotations

import builtins
import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nosana_jupyter.cell.names import find_names

NAMES = ["a", "b", "c", "d"]
FUNCTIONS = ["f", "g"]


class Outside(int):
    """A value that was there before the program."""

    name: str


class Recording(dict[str, Any]):
    """A namespace that remembers which of the names that were there before were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        for number, name in enumerate(NAMES):
            value = Outside(number)
            value.name = name
            self[name] = value

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, Outside) and value.name == name:
            self.asked.add(name)
        return value


names = st.sampled_from(NAMES)
functions = st.sampled_from(FUNCTIONS)


def expressions() -> st.SearchStrategy[str]:
    """Return expressions that read some names."""
    simple = st.one_of(names, st.integers(0, 3).map(str))
    return st.one_of(
        simple,
        st.builds("({} + {})".format, simple, simple),
        st.builds("({} := {})".format, names, simple),
        st.builds("({} and ({} := {}))".format, simple, names, simple),
        st.builds("({} or ({} := {}))".format, simple, names, simple),
        st.builds("({} if {} else {})".format, simple, simple, simple),
        st.builds("sum({0} + {1} for {0} in range({2}) if {1})".format, names, names, simple),
        st.builds("len([{0} := i + {1} for i in range({2})])".format, names, simple, simple),
        st.builds("call({})".format, functions),
        st.builds("{}()".format, functions),
        st.builds("call(lambda {}={}: {} + {})".format, names, names, names, names),
        st.builds("eval('{} + 1')".format, names),
        st.builds("globals()['{}']".format, names),
        st.builds("(1 < {} < ({} := 1))".format, simple, names),
    )


def indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def joined(blocks: list[list[str]]) -> list[str]:
    return [line for block in blocks for line in block] or ["pass"]


def flat() -> st.SearchStrategy[list[str]]:
    """Return statements of one line."""
    one = st.one_of(
        st.builds("{} = {}".format, names, expressions()),
        st.builds("{} += {}".format, names, expressions()),
        st.builds("{}: int = {}".format, names, expressions()),
        st.builds("{0}, {1} = {2}, {0}".format, names, names, expressions()),
        st.builds("del {}".format, names),
        expressions(),
        st.builds("assert {}".format, expressions()),
        st.builds("exec('{} = {} + 1')".format, names, names),
        st.builds("{} = lambda: {}".format, functions, expressions()),
        st.just("fail()"),
        st.builds("if {}: raise ValueError".format, names),
    )
    return one.map(lambda line: [line])


def nested(
    children: st.SearchStrategy[list[str]], *, inside: str = "top"
) -> st.SearchStrategy[list[str]]:
    """Return statements with statements inside."""
    body = st.lists(children, min_size=1, max_size=3).map(joined).map(indent)
    loop = st.tuples(body, st.sampled_from(["pass", "break", "continue"]), names).map(
        lambda parts: [*parts[0], f"    if {parts[2]}: {parts[1]}"]
    )
    return st.one_of(
        st.builds(lambda t, b: [f"if {t}:", *b], expressions(), body),
        st.builds(lambda t, b, c: [f"if {t}:", *b, "else:", *c], expressions(), body, body),
        st.builds(lambda n, b: [f"for {n} in range(2):", *b], names, loop),
        st.builds(lambda n, b, c: [f"for {n} in range(2):", *b, "else:", *c], names, loop, body),
        st.builds(lambda b: ["while True:", "    if tick(): break", *b], loop),
        st.builds(lambda b: ["while True:", *b, "    if tick(): break"], body),
        st.builds(lambda t, b: [f"while {t} and not tick():", *b], expressions(), loop),
        st.builds(lambda b, c: ["try:", *b, "except ValueError:", *c], body, body),
        st.builds(lambda b, c: ["try:", *b, "finally:", *c], body, body),
        st.builds(
            lambda b, n, c, d: ["try:", *b, f"except ValueError as {n}:", *c, "else:", *d],
            body,
            names,
            body,
            body,
        ),
        st.builds(lambda b: ["with suppress(Exception):", *b], body),
        st.builds(lambda f, b: [f"def {f}():", *b], functions, body),
        st.builds(lambda f, n, b: [f"def {f}():", f"    global {n}", *b], functions, names, body),
        st.builds(lambda f, n, m, b: [f"def {f}({n}={m}):", *b], functions, names, names, body),
        st.builds(lambda b: ["@call", "def g():", *b], body),
        st.builds(lambda b: ["class K:", *b], body),
        st.builds(lambda b: ["class K:", "    def m(self):", *indent(b), "K().m()"], body),
        st.builds(
            lambda v, n, m, b, c: [
                f"match {v}:",
                f"    case 1 if {m}:",
                *indent(b),
                f"    case {n}:",
                *indent(c),
            ],
            expressions(),
            names,
            names,
            body,
            body,
        ),
    )


programs = st.lists(st.recursive(flat(), nested, max_leaves=12), min_size=1, max_size=6).map(
    lambda blocks: "\n".join(joined(blocks)) + "\n"
)


def call(function: Any) -> Any:
    """Call a function, as a decorator or a `map` may."""
    result = function()
    return function if result is None else result


@settings(max_examples=300, deadline=None)
@given(programs, st.integers(1, 6), st.integers(1, 6))
def test_no_read_is_missed(source: str, ticks: int, failing: int) -> None:
    """
    What a program asks its namespace for is what the analysis says that it reads.
    """
    try:
        compile(source, "program", "exec")
    except SyntaxError:  # As of `global a` behind a use of `a`.
        return
    counts = {"tick": 0, "fail": 0}

    def tick() -> bool:
        counts["tick"] += 1
        return counts["tick"] % ticks == 0 or counts["tick"] > 50

    def fail() -> None:
        counts["fail"] += 1
        if counts["fail"] % failing == 0:
            raise ValueError

    namespace = Recording()
    tools = {"tick": tick, "fail": fail, "call": call, "suppress": contextlib.suppress}
    # Sums of sums grow fast: without an end, some program would count to 2**60.
    tools["range"] = lambda stop: range(min(stop, 5))
    namespace["__builtins__"] = {**vars(builtins), **tools}
    namespace["__name__"] = "__main__"
    with contextlib.suppress(Exception):
        exec(source, namespace)
    found = find_names(source)

    assert namespace.asked <= {*found.reads, *found.mentions}, source
