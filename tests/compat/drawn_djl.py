"""Arguments for the functions of `lrax.compat.djl`, and their formulas."""

from hypothesis import strategies as st

from compat import formulas as f
from compat.drawn import Drawn, delay, factor, length, positive, power, steps_of, words
from lrax.compat import djl

DJL: dict[str, Drawn] = {
    "FixedTracker": Drawn({"value": positive}, lambda t, value: value),
    "FactorTracker": Drawn(
        {"baseValue": positive, "factor": factor, "maxUpdates": st.one_of(st.none(), delay)},
        lambda t, baseValue, factor, maxUpdates: baseValue * factor ** min(t + 1, 10**9 if maxUpdates is None else maxUpdates),
    ),
    "MultiFactorTracker": Drawn(
        {
            "baseValue": positive,
            "steps": st.lists(st.integers(1, 50), min_size=2, max_size=4, unique=True).map(sorted),
            "factor": factor,
        },
        lambda t, baseValue, steps, factor: baseValue * factor ** steps_of(steps, t),
    ),
    "CosineTracker": Drawn(
        {"baseValue": st.floats(0.5, 2.0), "maxUpdates": length, "finalValue": st.floats(0.0, 0.4)},
        lambda t, baseValue, maxUpdates, finalValue: f.cosine(baseValue, finalValue, min(t + 1, maxUpdates) / maxUpdates),
    ),
    "LinearTracker": Drawn(
        {"baseValue": positive, "slope": st.one_of(positive, st.floats(-1.0, -0.01)), "maxUpdates": delay},
        lambda t, baseValue, slope, maxUpdates: baseValue + slope * min(t + 1, maxUpdates),
    ),
    "PolynomialDecayTracker": Drawn(
        {"baseValue": positive, "endLearningRate": positive, "decaySteps": length, "power": power},
        lambda t, baseValue, endLearningRate, decaySteps, power: f.optax_polynomial(
            t + 1, baseValue, endLearningRate, power, decaySteps
        ),
    ),
    "CyclicalTracker": Drawn(
        {
            "baseValue": st.floats(0.01, 0.5),
            "maxValue": st.floats(0.5, 2.0),
            "stepSizeUp": st.integers(1, 20),
            "stepSizeDown": delay,
            "mode": words(["TRIANGULAR", "TRIANGULAR2", "EXP_RANGE"]),
            "gamma": st.floats(0.9, 1.0),
        },
        lambda t, baseValue, maxValue, stepSizeUp, stepSizeDown, mode, gamma: f.djl_cyclical(
            t + 1, baseValue, maxValue, stepSizeUp, stepSizeDown, mode, gamma
        ),
    ),
    "WarmUpTracker": Drawn(
        {
            "baseValue": positive,
            "maxUpdates": length,
            "warmUpSteps": delay,
            "warmUpBeginValue": positive,
            "warmUpMode": words(["LINEAR", "CONSTANT"]),
        },
        lambda t, baseValue, maxUpdates, warmUpSteps, warmUpBeginValue, warmUpMode: f.djl_warmup(
            t + 1,
            lambda n: f.optax_polynomial(n, baseValue, 0.0, 2.0, maxUpdates),
            warmUpSteps,
            warmUpBeginValue,
            warmUpMode,
        ),
        call=lambda drawn: {
            "mainTracker": djl.PolynomialDecayTracker(drawn["baseValue"], 0.0, drawn["maxUpdates"], 2.0),
            **{name: value for name, value in drawn.items() if name.startswith("warmUp")},
        },
    ),
}
