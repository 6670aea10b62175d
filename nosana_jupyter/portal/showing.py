"""
A cell on the board from its beginning to its end, however that comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..board.story import ENDS, Story
from ..errors import NosanaError, TakenOver
from ..outcome import Outcome

if TYPE_CHECKING:
    from ..board.writing import Board
    from ..line.control import Control

T = TypeVar("T")


@contextmanager
def shown(story: Story, board: Board, control: Control) -> Iterator[Callable[[T], T]]:
    """
    Show a cell to others, and how it ends.

    Yields:
        What takes that which came of it.
    """
    board.touch(story)

    def note(result: T) -> T:
        ends = [end for _, end in getattr(result, "ends", ())]
        outcome = result if isinstance(result, Outcome) else ends[-1] if ends else None
        if outcome is None:
            # A session is open, and has cells of its own.
            story.over = True
            board.remove(story)
        else:
            story.end(ENDS.get(outcome.status, "interrupted"), str(outcome.failure or ""))
        return result

    try:
        yield note
    except TakenOver:
        story.over = True  # Who has it now shows it.
        board.remove(story)
        raise
    except NosanaError as error:
        story.end("broken", str(error).partition("\n")[0])
        raise
    except asyncio.CancelledError:
        if control.left:
            story.leave()
        else:
            story.end("interrupted")
        raise
    except BaseException as error:
        story.end("broken", type(error).__name__)
        raise
    finally:
        board.close(story)
