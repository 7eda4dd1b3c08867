"""Whether `accumulate` is the number of batches that `optax.MultiSteps` makes one optimizer step of, read off its counts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lrax.fields._errors import argument_error, check_whole, is_key, is_traced
from lrax.training._programs import Program
from lrax.training._updates import Updates

LONGEST = 256
"""Batches that are tried, at most, to tell how many make a step."""


class Counts(NamedTuple):
    """Where an `optax.MultiSteps` is.

    Attributes:
      place: of its state.
      mini_step, gradient_step: its counts.
      outer: whether there is another inside it, whose steps count in place of its own.
      inner: whether it is inside another.
      skips: whether it may skip batches.
    """

    place: str
    mini_step: Any
    gradient_step: Any
    outer: bool
    inner: bool
    skips: bool

    def has_made(self, begun: "Counts") -> bool:
        """Whether a round of batches that began there has ended here, with one step."""
        return bool(self.mini_step == begun.mini_step and self.gradient_step - begun.gradient_step == 1)


def check_accumulate(caller: str, updates: Updates, accumulate: int) -> None:
    """Raises if an `optax.MultiSteps` in the state does not make one optimizer step of `accumulate` batches.

    Its counts tell, wherever in a state it is and whoever calls it: after these batches its `gradient_step` has grown by 1
    and its `mini_step` is where it was. Where one is inside another, the inner one has to have made one step. The counts go on
    from the state at hand, so a number of batches that changes along the run is checked for the first step alone. Nothing is
    said of one that skips a batch by its own rule, or that the update does not call.
    """
    check_whole(caller, "accumulate", accumulate)
    if not multi_steps(updates.states[0], "state"):
        return
    counting = Counting(updates)
    begun, rounds = counting.counts, [counting.next() for _ in range(accumulate)]
    whole = 0  # the place of the outermost of those that are inside one another
    for i, before in enumerate(begun):
        whole = whole if before.inner else i
        still = [one[whole] == last[whole] for last, one in zip([begun, *rounds], rounds, strict=False)]
        right = rounds[-1][i].has_made(before) if not before.outer else rounds[-1][i].mini_step == before.mini_step
        if right or all(still) or (begun[whole].skips and any(still)):
            continue
        innermost = next(j for j in range(i, len(begun)) if not begun[j].outer)
        while not any(one[innermost].has_made(begun[innermost]) for one in rounds) and len(rounds) < LONGEST:
            rounds.append(counting.next())
        made = (str(n) for n, one in enumerate(rounds, 1) if one[innermost].has_made(begun[innermost]))
        needs = f"{next(made, f'more than {LONGEST}')}, the batches of step {begun[innermost].gradient_step} of the "
        remedy = "give the number of batches to one optimizer step"
        raise argument_error(ValueError, caller, "accumulate", f"{needs}optax.MultiSteps at {before.place}", accumulate, remedy)


class Counting:
    """The counts of a learner's `optax.MultiSteps` as batches go by; nothing is trained.

    Arrays that are traced count as zeros: the counts of a fresh state.

    Attributes:
      counts: of each, now.
    """

    def __init__(self, updates: Updates) -> None:
        program, consts, self._source = updates.first_call()
        with jax.ensure_compile_time_eval():
            self._consts, self._state = jax.tree.map(_stand_in, (consts, updates.states[0]))
        self._call, self._batches = program.jitted(_counted), 0
        self.counts = [
            one._replace(mini_step=int(one.mini_step), gradient_step=int(one.gradient_step))
            for one in multi_steps(self._state, "state")
        ]

    def next(self) -> list[Counts]:
        """The counts after one more batch."""
        pairs = [(one.mini_step, one.gradient_step) for one in self.counts]
        with jax.ensure_compile_time_eval():
            source = jax.tree.map(_stand_in, self._source(self._batches))
            found = jax.device_get(self._call(self._consts, self._state, pairs, source))
        self._batches += 1
        both = zip(self.counts, found, strict=True)
        self.counts = [one._replace(mini_step=int(mini), gradient_step=int(step)) for one, (mini, step) in both]
        return self.counts


def multi_steps(tree: Any, place: str, inner: bool = False) -> list[Counts]:
    """The states of `optax.MultiSteps` in a pytree, each followed by those inside it."""
    found = []
    for path, node in jax.tree.leaves_with_path(tree, is_leaf=_is_multi_steps):
        if _is_multi_steps(node):
            where = place + jax.tree_util.keystr(path)
            inside = multi_steps(node.inner_opt_state, f"{where}.inner_opt_state", inner=True)
            skips = bool(jax.tree.leaves(node.skip_state))
            found += [Counts(where, node.mini_step, node.gradient_step, bool(inside), inner, skips), *inside]
    return found


def _is_multi_steps(node: Any) -> bool:
    return isinstance(node, optax.MultiStepsState)


def _counted(program: Program, consts: list[Any], state: Any, pairs: list[Any], source: Any) -> list[Any]:
    """The counts after a batch, begun from `pairs`. The compiler drops the rest of the update, which they do not depend on."""
    rest = iter(pairs)

    def put(node: Any) -> Any:
        if not _is_multi_steps(node):
            return node
        mini_step, gradient_step = (jnp.asarray(new, old.dtype) for new, old in zip(next(rest), node[:2], strict=True))
        inner = jax.tree.map(put, node.inner_opt_state, is_leaf=_is_multi_steps)
        return node._replace(mini_step=mini_step, gradient_step=gradient_step, inner_opt_state=inner)

    new, _ = program(consts, jax.tree.map(put, state, is_leaf=_is_multi_steps), jnp.zeros((), jnp.float32), source)
    return [(one.mini_step, one.gradient_step) for one in multi_steps(new, "")]


def _stand_in(leaf: Any) -> Any:
    """A concrete array, or zeros in the place of a traced one."""
    if not is_traced(leaf):
        return leaf
    return jax.random.key(0, impl=jax.random.key_impl(leaf)) if is_key(leaf) else jnp.zeros(leaf.shape, leaf.dtype)
