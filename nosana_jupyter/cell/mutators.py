"""
What is known to change a value in place, by its name: methods, functions and words.

There is no end to such lists. What is missed is a change that stays on the host; what is too much
is a value that comes back as it went.
"""

from __future__ import annotations

import ast

_METHODS = frozenset(
    (
        # list, deque, dict, set, bytearray, array
        "append appendleft extend extendleft insert pop popleft popitem remove clear update "
        "setdefault add discard difference_update intersection_update symmetric_difference_update "
        "sort reverse rotate move_to_end subtract push put put_nowait __setitem__ __delitem__ "
        "__setattr__ __delattr__ __iadd__ __ior__ "
        # numpy, pandas, polars
        "fill resize setflags partition itemset setfield insert_column replace_column "
        # models and optimizers
        "fit partial_fit fit_transform fit_predict fit_resample train step compile build adapt "
        "load_state_dict load_weights zero_grad backward train_on_batch fine_tune "
        # streams in memory
        "write writelines truncate"
    ).split()
)
_HANDED_OUT = frozenset("append appendleft extend insert add discard update setdefault put".split())
"""Methods that are passed on, as in `map(x.append, y)`. Others may be mere attributes."""

_PREFIXES = ("add_", "remove_", "set_", "append_", "insert_", "update_", "register_")

_RETURN_ANEW = frozenset(
    (
        "set_index set_axis set_flags add_prefix add_suffix add_categories remove_categories "
        "remove_unused_categories set_categories set_geometry set_crs set_sorted"
    ).split()
)
"""Methods of data frames that are called like those that change something."""

_FIRST_ARGUMENT = frozenset(
    (
        "shuffle heappush heappop heapify heapreplace heappushpop insort insort_left insort_right "
        "place copyto fill_diagonal putmask put_along_axis setattr delattr setitem delitem "
        "iadd ior imul"
    ).split()
)
_CONTAINERS = frozenset({"list", "dict", "set", "bytearray", "deque", "object", "OrderedDict"})

_PARTS = frozenset(
    (
        "setdefault items values keys view reshape ravel squeeze transpose swapaxes diagonal "
        "detach numpy pop popitem popleft parameters named_parameters modules children buffers "
        "state_dict __getitem__ most_common"
    ).split()
)
"""Methods that return parts of their object, or a window on it."""

_WINDOWS = frozenset(
    (
        "iter next reversed getattr vars memoryview asarray asanyarray ascontiguousarray "
        "atleast_1d atleast_2d atleast_3d reshape ravel squeeze transpose broadcast_to from_numpy "
        "as_tensor frombuffer cast"
    ).split()
)
"""Functions that return their first argument, a part of it, or a window on it."""

_NEW_PARTS = frozenset({"iterrows", "itertuples", "groupby", "to_dict", "rolling", "read", "split"})
"""Methods that return what is new down to its parts."""


def changes_object(name: str, call: ast.Call) -> bool:
    """Say whether a call of a method may change the object it is called on."""
    if name == "eval":  # `model.eval()` does; `frame.eval("a + b")` does not.
        return not (call.args or call.keywords)
    if any(word.arg == "inplace" and not is_false(word.value) for word in call.keywords):
        return True
    if name in _METHODS or _is_torch(name):
        return True
    return name.startswith(_PREFIXES) and name not in _RETURN_ANEW


def hands_out_change(name: str) -> bool:
    """Say whether an attribute, where it is not called at once, is likely to be called later."""
    return name in _HANDED_OUT


def changes_argument(name: str, call: ast.Call) -> bool:
    """Say whether a call may change its first argument."""
    function = call.func
    if isinstance(function, ast.Attribute):
        if name == "at":  # `np.add.at(x, …)`
            return isinstance(function.value, ast.Attribute)
        if isinstance(function.value, ast.Name) and function.value.id in _CONTAINERS:
            return name in _METHODS  # `dict.update(x, …)`
        if name == "put":  # Of numpy; a queue has one, too.
            return isinstance(function.value, ast.Name) and function.value.id in {"np", "numpy"}
    return name in _FIRST_ARGUMENT or _is_torch(name)


def gives_part(name: str) -> bool:
    """Say whether a method returns a part of its object, or a window on it."""
    return name in _PARTS or name.startswith("get")


def gives_window(name: str) -> bool:
    """Say whether a function returns its first argument, a part of it, or a window on it."""
    return name in _WINDOWS


def gives_new_parts(name: str) -> bool:
    """Say whether what a method returns shares nothing with its object."""
    return name in _NEW_PARTS


def picks_copies(index: ast.expr) -> bool:
    """Say whether a subscript copies what it picks: `frame[frame.a > 1]`, `frame[["a"]]`."""
    match index:
        case ast.Compare() | ast.List() | ast.ListComp():
            return True
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert()):
            return True
        case ast.Tuple(elts=parts):
            return any(picks_copies(part) for part in parts)
    return False


def is_false(node: ast.expr) -> bool:
    """Say whether an expression is plainly not true."""
    return isinstance(node, ast.Constant) and not node.value


def _is_torch(name: str) -> bool:
    """Say whether this is torch's way to name what works in place: `x.zero_()`."""
    return name.endswith("_") and not name.startswith("_") and len(name) > 1
