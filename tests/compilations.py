"""What JAX compiles while something runs."""

import contextlib

import jax
import jax.monitoring


@contextlib.contextmanager
def compilations():
    """A list that grows by one for each program that XLA compiles: its name, where JAX tells it."""
    names, active = [], [True]

    def listen(event, duration, **kwargs):
        if active[0] and event == "/jax/core/compile/backend_compile_duration":
            names.append(kwargs.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    active[0] = False
