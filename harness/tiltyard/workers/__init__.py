"""Who does the tasks of a run: this process, several of this machine, or actors on many machines."""

from .assignment import Assignment
from .coordinator import coordinate
from .crew import Crew, Here
from .processes import Processes, environments
from .schedule import Schedule
from .task import DONE, Outcome, Step, Task

__all__ = [
    "DONE",
    "Assignment",
    "Crew",
    "Here",
    "Outcome",
    "Processes",
    "Schedule",
    "Step",
    "Task",
    "coordinate",
    "environments",
]
