"""
What the client sends, made whole again on the host.

This is the one direction in which pickle is used: a user's objects go to a host that the user chose
to run code on. Nothing that a host sends ever comes here.

Functions of the notebook share its namespace, and on the host they share the cell's: `global x` in
one of them is seen by the cell, as at home.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any

NAMESPACE = "namespace"
"""Stands for the notebook's namespace in a header."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, header: bytes, buffers: Iterable[Any], namespace: dict[str, Any]) -> None:
        super().__init__(io.BytesIO(header), buffers=buffers)
        self._namespace = namespace

    def persistent_load(self, pid: Any) -> Any:
        """Return what a mark in the header stands for."""
        if pid == NAMESPACE:
            return self._namespace
        raise pickle.UnpicklingError(f"unknown mark {pid!r}")


def load(header: bytes, buffers: Iterable[Any], namespace: dict[str, Any]) -> None:
    """
    Unpickle a header and put its names into a namespace.

    Args:
        header: What `cell.bundle.pack` made.
        buffers: Its buffers, in order.
        namespace: Where the cell runs.
    """
    namespace.update(_Unpickler(header, buffers, namespace).load())
