"""
What goes on right now: a file per cell under way, which any process of this user may read.

A kernel writes; the sidebar and other kernels read. What is on the board is lost with the machine
and nobody's money hangs on it: of that, the journal knows.
"""

from .live import POINTS, SAMPLES, TAIL, End, JobCard, Live, Sample, State
from .reading import folder, read

__all__ = [
    "POINTS",
    "SAMPLES",
    "TAIL",
    "End",
    "JobCard",
    "Live",
    "Sample",
    "State",
    "folder",
    "read",
]
