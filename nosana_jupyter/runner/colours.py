"""
What colours a traceback, made once.

IPython and `stack_data` make a lexer, a style and a formatter anew for each traceback, of the same
parts each time. That takes longer than all the rest of it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache, lru_cache
from typing import Any


@cache
def remember() -> None:
    """Let what was made for one traceback serve for all that follow."""
    # Not with the runner: these are loaded when the first error is shown.
    with suppress(ImportError, AttributeError):
        import stack_data
        from pygments import lexer

        styled: Any = lru_cache(maxsize=16)(stack_data.style_with_executing_node)
        stack_data.style_with_executing_node = styled
        lexer.regex_opt = _by_words(lexer.regex_opt)
        _remember_formatters()


def _by_words(made: Any) -> Any:
    known = lru_cache(maxsize=64)(made)

    def regex_opt(words: Any, prefix: str = "", suffix: str = "") -> Any:
        return known(tuple(words), prefix, suffix)

    return regex_opt


def _remember_formatters() -> None:
    from pygments.formatters.terminal256 import Terminal256Formatter

    made: Any = Terminal256Formatter.__init__
    known: dict[Any, dict[str, Any]] = {}

    def init(self: Any, **options: Any) -> None:
        key = (type(self), options.get("style"))
        if options.keys() != {"style"}:
            made(self, **options)
        elif key in known:
            vars(self).update(known[key])
        else:
            made(self, **options)
            known[key] = dict(vars(self))

    setattr(Terminal256Formatter, "__init__", init)  # noqa: B010 - as types have it, none may
