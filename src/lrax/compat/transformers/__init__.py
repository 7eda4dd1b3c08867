"""The schedules of Hugging Face's transformers, number for number (transformers 5.24).

They multiply the optimizer's rate, which is the first argument here. Those that watch a loss (`get_reduce_on_plateau_schedule`,
`get_greedy_schedule`) return a transformation for the end of an `optax.chain`, which is given the value to watch.
`get_scheduler` takes the names that `TrainingArguments(lr_scheduler_type=...)` takes.
"""

from lrax.compat.transformers._cosines import (
    get_cosine_schedule_with_warmup,
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
)
from lrax.compat.transformers._names import get_scheduler
from lrax.compat.transformers._plateaus import get_greedy_schedule, get_reduce_on_plateau_schedule
from lrax.compat.transformers._warmed import (
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_wsd_schedule,
)

__all__ = [
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "get_greedy_schedule",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_reduce_on_plateau_schedule",
    "get_scheduler",
    "get_wsd_schedule",
]
