"""
A template's parameters as a form of ipywidgets: each change is in the cell below it at once.

The form shows the cell to copy, and the line that puts it below, in which the values stand for all
to read. Where the sidebar's extension is, a click puts it there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import UsageError
from ..sanitize import line, plain
from ..templates.form import Template
from ..templates.parameters import Parameter, Value

WIDE = {"description_width": "10em"}

Check = Callable[[str], None]
"""Raises where the line of a cell asks for what a template may not ask for."""


class Form:
    """
    What is asked for, as widgets, and as text where there are none.

    Args:
        template: Of a cell.
        given: Values to begin with.
        small: Whether the rest is what it is tried with.
        check: Sees the cell's text before it is shown.
    """

    def __init__(
        self, template: Template, given: Mapping[str, object], *, small: bool, check: Check
    ) -> None:
        self.template = template
        self._start = template.values(given, small=small)
        self._small = small
        self._check = check
        self.values: dict[str, Value] = dict(self._start)
        self.line, self.text, self.wrong = "", "", ""
        self._make()

    def change(self, name: str, value: object) -> None:
        """Take another value. One that cannot be is said, and the last that could be stays."""
        [parameter] = [each for each in self.template.info.parameters if each.name == name]
        try:
            self.values[name] = parameter.check(value)
        except UsageError as error:
            self.wrong = f"{error}. {error.hint}"
            return
        self._make()

    def _make(self) -> None:
        try:
            text = self.template.cell(self.values, small=self._small)
            self._check(text)
        except UsageError as error:
            self.wrong = f"{error}. {error.hint}"
            return
        self.text, self.wrong = text, ""
        plainly = self.template.values({}, small=self._small)
        words = [
            shlex.quote(f"{name}={value}")
            for name, value in self.values.items()
            if value != plainly[name]
        ]
        small = ["--small"] if self._small else []
        self.line = " ".join(["%nosana template use", self.template.name, *words, *small])

    def __repr__(self) -> str:
        rows = [
            f"  {each.name} = {self.values[each.name]!r}  {line(each.help)}{_allowed(each)}"
            for each in self.template.info.parameters
        ]
        return "\n".join([line(self.template.info.title), *rows, f"To put it below: {self.line}"])

    def _ipython_display_(self) -> None:
        from .widgets import cells

        cells.show(self.widget(), repr(self))

    def widget(self) -> Any:
        """Return the form as a widget."""
        import ipywidgets

        from .widgets import cells

        made = {each.name: _widget(each, self.values[each.name]) for each in
                self.template.info.parameters}  # fmt: skip
        put = ipywidgets.Textarea(
            description="Puts it below", disabled=True, rows=2, style=WIDE, layout={"width": "auto"}
        )
        cell = ipywidgets.Textarea(
            description="The cell", disabled=True, rows=12, style=WIDE, layout={"width": "auto"}
        )
        wrong = ipywidgets.HTML()

        def show() -> None:
            put.value, cell.value = self.line, plain(self.text)
            wrong.value = _paragraph(self.wrong) if self.wrong else ""

        for name, each in made.items():

            def changed(change: Any, name: str = name) -> None:
                self.change(name, change["new"])
                show()

            each.observe(changed, names="value")
        show()
        info = self.template.info
        head = ipywidgets.HTML(
            f"<b>{_escaped(line(info.title))}</b> {_paragraph(line(info.description))}"
        )
        rows = [ipywidgets.VBox([each, _help(parameter)]) for each, parameter in
                zip(made.values(), info.parameters, strict=True)]  # fmt: skip
        buttons = cells.buttons(lambda: self.text)
        return ipywidgets.VBox([head, *rows, wrong, put, cell, *buttons])


def _widget(parameter: Parameter, value: Value) -> Any:
    """Return the widget that asks for a parameter."""
    import ipywidgets

    how = {"description": line(parameter.name), "style": WIDE, "layout": {"width": "30em"}}
    if parameter.choices:
        options = [(str(each), each) for each in parameter.choices]
        return ipywidgets.Dropdown(options=options, value=value, **how)
    if parameter.type == "bool":
        return ipywidgets.Checkbox(value=value, indent=True, **how)
    # Numbers are text as well: bounds are told with their reason, and none is changed unsaid.
    return ipywidgets.Text(value=str(value), continuous_update=False, **how)


def _help(parameter: Parameter) -> Any:
    import ipywidgets

    text = _escaped(f"{line(parameter.help)}{_allowed(parameter)}")
    return ipywidgets.HTML(
        f'<span style="opacity: .7">{text}</span>', layout={"margin": "0 0 0 10.5em"}
    )


def rows(
    template: Template, given: Mapping[str, object] | None, *, small: bool
) -> list[tuple[str, str]]:
    """Return the parameters as labels and texts: what each is now, and what else it can be."""
    values = {} if template.kind == "definition" else template.values(given or {}, small=small)
    found = []
    for number, each in enumerate(template.info.parameters):
        value = values.get(each.name, each.default)
        other = "" if value == each.default else f"; by default {each.default!r}"
        choices = ", ".join(repr(choice) for choice in each.choices if choice != value)
        text = f"{each.name} = {value!r}  {line(each.help)}{_allowed(each)}{other}"
        text += f"; or {line(choices)}" if choices else ""
        found.append(("" if number else "parameters", text))
    return found


def others(template: Template) -> str:
    """Say how a template is used with other values."""
    info = template.info
    if not info.parameters:
        return ""
    use = f"%nosana template use {template.name}"
    form = f", or in a form: {use} --form" if template.kind == "cell" else ""
    return f"Other values: {use} {info.parameters[0].name}=VALUE{form}"


def _allowed(parameter: Parameter) -> str:
    """Say which numbers can be."""
    least = "" if parameter.min is None else f" from {parameter.min:g}"
    most = "" if parameter.max is None else f" to {parameter.max:g}"
    return f" ({least}{most})".replace("( ", "(") if least or most else ""


def _paragraph(text: str) -> str:
    return f"<p>{_escaped(text)}</p>"


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
