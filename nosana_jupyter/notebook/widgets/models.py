"""
The widgets that a stranger may show: which fields each has, and what kind of thing each field is.

It is a table of data. What is not in it is not shown: a field is left out, a widget is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BASE = "@jupyter-widgets/base"
CONTROLS = "@jupyter-widgets/controls"
OUTPUT = "@jupyter-widgets/output"


@dataclass(frozen=True, slots=True)
class Model:
    """A widget that is known."""

    name: str
    module: str
    view: str | None
    view_module: str
    fields: dict[str, str]
    """Names of its fields, and the kind of each: see `states`."""


_GROUPS = {
    "dom": "tooltip:text tabbable:bool layout:ref _dom_classes:classes",
    "described": "+dom description:math style:ref",
    "input": "+described disabled:bool",
    "number": "+input value:number min:number max:number step:number continuous_update:bool",
    "slider": "+number orientation:word readout:bool readout_format:format behavior:word",
    "range": "+input value:numbers min:number max:number step:number continuous_update:bool "
    "orientation:word readout:bool readout_format:format behavior:word",
    "bar": "+described value:number min:number max:number bar_style:word orientation:word",
    "writing": "+input value:text placeholder:text continuous_update:bool",
    "choice": "+input _options_labels:texts index:index",
    "box": "+dom children:refs box_style:word",
    "pages": "+box selected_index:number titles:texts",
    "tags": "+described value:items placeholder:text allowed_tags:items allow_duplicates:bool "
    "tag_style:word",
    "font": "font_family:css font_size:css font_style:css font_variant:css font_weight:css "
    "text_color:css text_decoration:css",
}

# Model, its view where that is not of the same name, and its fields.
_CONTROLS = """
IntText                     +number
FloatText                   +number
BoundedIntText/IntText      +number
BoundedFloatText/FloatText  +number
IntSlider                   +slider
FloatSlider                 +slider
FloatLogSlider              +slider base:number
IntRangeSlider              +range
FloatRangeSlider            +range
IntProgress/Progress        +bar
FloatProgress/Progress      +bar
Play                        +input value:number min:number max:number step:number interval:number \
playing:bool repeat:bool show_repeat:bool
Checkbox                    +input value:bool indent:bool
ToggleButton                +input value:bool button_style:word icon:word
Valid                       +input value:bool readout:text
Button                      +input button_style:word icon:word
Text                        +writing
Textarea                    +writing rows:number
Password                    +writing
Combobox                    +writing options:texts ensure_option:bool
HTML                        +described value:html placeholder:text
HTMLMath                    +described value:html placeholder:text
Label                       +described value:math placeholder:text
Dropdown                    +choice
RadioButtons                +choice orientation:word
Select                      +choice rows:number
SelectMultiple              +choice rows:number
SelectionSlider             +choice orientation:word readout:bool continuous_update:bool \
behavior:word
SelectionRangeSlider        +choice orientation:word readout:bool continuous_update:bool \
behavior:word
ToggleButtons               +choice button_style:word icons:words tooltips:texts
ColorPicker                 +input value:css concise:bool
DatePicker                  +input value:date min:date max:date step:number
Datetime                    +input value:date min:date max:date
NaiveDatetime/Datetime      +input value:date min:date max:date
Time                        +input value:date min:date max:date step:number
TagsInput                   +tags
ColorsInput                 +tags
IntsInput                   +tags min:number max:number format:format
FloatsInput                 +tags min:number max:number format:format
FileUpload                  +input accept:text multiple:bool button_style:word icon:word error:text
Box                         +box
VBox                        +box
HBox                        +box
GridBox                     +box
Accordion                   +pages
Tab                         +pages
Stack                       +pages
Image                       +dom value:bytes format:media width:size height:size
Video                       +dom value:bytes format:media width:size height:size autoplay:bool \
controls:bool loop:bool
Audio                       +dom value:bytes format:media autoplay:bool controls:bool loop:bool
Controller                  +dom index:number name:text mapping:text connected:bool \
timestamp:number buttons:refs axes:refs
ControllerButton            +dom value:number pressed:bool
ControllerAxis              +dom value:number
Link/-                      source:end target:end
DirectionalLink/-           source:end target:end
"""

_STYLES = """
DescriptionStyle    description_width:css
CheckboxStyle       description_width:css background:css
ToggleButtonStyle   description_width:css +font
ButtonStyle         button_color:css +font
SliderStyle         description_width:css handle_color:css
ProgressStyle       description_width:css bar_color:css
ToggleButtonsStyle  description_width:css button_width:css font_weight:css
LabelStyle          description_width:css background:css +font
TextStyle           description_width:css background:css font_size:css text_color:css
HTMLStyle           description_width:css background:css font_size:css text_color:css
HTMLMathStyle       description_width:css background:css font_size:css text_color:css
"""

_LAYOUT = """
align_content align_items align_self border_bottom border_left border_right border_top bottom
display flex flex_flow grid_area grid_auto_columns grid_auto_flow grid_auto_rows grid_column
grid_gap grid_row grid_template_areas grid_template_columns grid_template_rows height
justify_content justify_items left margin max_height max_width min_height min_width object_fit
object_position order overflow padding right top visibility width
"""


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for word in text.split():
        if word.startswith("+"):
            fields |= _fields(_GROUPS[word[1:]])
        else:
            name, _, kind = word.partition(":")
            fields[name] = kind
    return fields


def _table() -> dict[tuple[str, str], Model]:
    models = [
        Model("LayoutModel", BASE, "LayoutView", BASE, dict.fromkeys(_LAYOUT.split(), "css")),
        Model("OutputModel", OUTPUT, "OutputView", OUTPUT, _fields("+dom outputs:outputs")),
    ]
    for text in _CONTROLS.strip().splitlines():
        name, fields = text.split(maxsplit=1)
        model, _, view = name.partition("/")
        shown = None if view == "-" else f"{view or model}View"
        models.append(Model(f"{model}Model", CONTROLS, shown, CONTROLS, _fields(fields)))
    for text in _STYLES.strip().splitlines():
        name, fields = text.split(maxsplit=1)
        models.append(Model(f"{name}Model", CONTROLS, "StyleView", BASE, _fields(fields)))
    return {(each.module, each.name): each for each in models}


MODELS = _table()
"""By module and name."""


def find(state: dict[str, Any]) -> Model | None:
    """Return the model that a widget's first state is of, if it is one of these in all it says."""
    key = (state.get("_model_module"), state.get("_model_name"))
    if not all(isinstance(each, str) for each in key):
        return None
    model = MODELS.get(key)  # type: ignore[arg-type] # two strings
    if model is None or state.get("_view_name") != model.view:
        return None
    return model if state.get("_view_module") in (model.view_module, None) else None
