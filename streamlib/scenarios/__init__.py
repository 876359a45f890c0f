"""The scenarios: one file each, with its events, activities, workflow, and a run for a terminal.

Lists what the background worker serves; scenario 5 (`llm.py`) has a worker of its own.
`python -m streamlib.scenarios order` runs one. Knows nothing of the lab. Next: `order.py`,
scenario 1.
"""

from .hub import HubWorkflow
from .order import TASK_QUEUE, OrderWorkflow, charge_card
from .pipeline import PipelineWorkflow
from .rolling import ForgetfulWorkflow, HandOverWorkflow, RollingWorkflow
from .ticker import TickerWorkflow

WORKFLOWS = [
    OrderWorkflow,
    PipelineWorkflow,
    HubWorkflow,
    TickerWorkflow,
    RollingWorkflow,
    ForgetfulWorkflow,
    HandOverWorkflow,
]
ACTIVITIES = [charge_card]

__all__ = ["ACTIVITIES", "TASK_QUEUE", "WORKFLOWS"]
