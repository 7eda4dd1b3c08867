"""Further kinds, and further ways, that accuracy is measured on."""

import math

import lrax
from accuracy_cases import ENDS, Measured
from lrax import schedules as kinds

KINDS: dict[str, Measured] = {
    "Rex, beta": Measured(lambda n: [lrax.schedules.Rex(*ends, n, beta) for ends in ENDS for beta in (0.01, 3.0)]),
    "Hyperbolic": Measured(
        lambda n: (
            [kinds.Hyperbolic(*ends, n - n // 3, n) for ends in ENDS]
            + [kinds.Hyperbolic(0.3, 0.0, n, n), kinds.Hyperbolic(0.3, 0.1, max(n // 3, 1), n)]
        ),
        changes=lambda n: [n // 3, n - n // 3, n],
    ),
    "ExpHyperbolic": Measured(
        lambda n: [kinds.ExpHyperbolic(0.3, 1e-6, steps, n) for steps in (max(n // 3, 1), n - n // 3, n)],
        lambda s: 8 + 2 * abs(math.log(float(s.low) / float(s.start))),
        lambda n: [n // 3, n - n // 3, n],
    ),
    "Spline": Measured(
        lambda n: [
            lrax.Spline(values, [3, n // 5, n // 2, n - 1])
            for values in ([0.0, 0.3, 0.1, 0.0], [0.3, 0.1, 0.1, 0.2], [0.0, 1e-6, 0.1, 0.3], [0.3, 0.299, 0.298, 0.0])
        ],
        16,
        lambda n: [n // 5, n // 2, n - 1],
    ),
    "Stretch, not whole": Measured(
        lambda n: [lrax.Stretch(lrax.Linear(*ends, max(n // 2, 1)), every) for ends in ENDS for every in (1.5, 0.7, 1.9999)],
        4,
        lambda n: [n // 4 * 3, n // 2 * 2, n // 10 * 7],
    ),
    "Warmup, logarithmic": Measured(
        lambda n: [lrax.Warmup(lrax.Constant(0.3), n // 2, start, "logarithmic") for start in (0.0, 0.01)],
        changes=lambda n: [n // 2],
    ),
    "Warmup and Cooldown, powers": Measured(
        lambda n: [
            schedule
            for mode in ("linear", "cosine", "one_minus_sqrt")
            for power in (0.5, 3.0)
            for schedule in (
                lrax.Warmup(lrax.Constant(0.3), n // 2, 0.0, mode, power),
                lrax.Cooldown(lrax.Constant(0.3), n // 3, n // 2, 0.0, mode, power),
            )
        ],
        lambda s: 12 + 4 * float(s.power),
        lambda n: [n // 2, n // 3, n // 3 + n // 2],
    ),
}
