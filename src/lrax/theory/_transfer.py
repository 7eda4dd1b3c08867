"""Rates and weight decay carried from one run to another: over tokens, batch sizes and lengths.

All of these are laws that were fitted, or derived for a model of training. Log-linear laws bend where they are taken far (On
the nonlinearity of learning rate scaling, arXiv 2606.29158): the best rates of large runs lay above the line through small
ones. Check a rate that was carried more than a factor of ten, by a short sweep around it.
"""

from typing import Any, Literal

from lrax.fields._words import choice


def over_tokens(rate: Any, tokens: Any, base_tokens: Any, exponent: Any = 0.32) -> Any:
    r"""The rate for a run over more tokens, with the model and the batch size the same.

    $$\eta = rate \cdot (tokens / base\_tokens)^{-exponent}$$

    Fitted for transformers of 50 million to 2.7 billion parameters on 25 to 800 billion tokens with AdamW and cosines. Others
    found that the best rate *grows* with the tokens where the batch size grows along (step law, arXiv 2503.04715, exponent
    +0.31), and on small tasks exponents from 0 to 1.5 were measured: fit your own from two lengths.

    Args:
      rate: the best one for `base_tokens`; a number or an array, which may be traced.
      tokens: that the new run sees; examples or updates do as well, for only the ratio counts.
      base_tokens: that the run with `rate` saw.
      exponent: by which rates fall; 0.5 is what `lr_ratio` says of one schedule over two lengths.

    Returns: the rate, of the type that arithmetic makes of the arguments.

    Source: Bjorck, Benhaim, Chaudhary, Wei & Song 2025, Scaling optimal LR across token horizons (arXiv 2409.19913).

    >>> print(f"{over_tokens(1e-3, tokens=100e9, base_tokens=10e9):.2e}")
    4.79e-04
    """
    return rate * (tokens / base_tokens) ** -exponent


def over_batch(
    rate: Any, batch_size: Any, base_batch_size: Any, noise_scale: Any, optimizer: Literal["sgd", "adam"] = "sgd"
) -> Any:
    r"""The rate for another batch size, from the noise scale $B_n$ of the gradients.

    $$\text{sgd: } \eta \propto \frac{1}{1 + B_n / B} \qquad \text{adam: } \eta \propto \frac{2}{\sqrt{B_n / B} + \sqrt{B /
    B_n}}$$

    Far below the noise scale these are the linear and the square-root rule; at the noise scale the first levels off and the
    second turns down, which `linear_scaling` and `sqrt_scaling` cannot know. The noise scale grows as the loss falls, by ten
    and more in a run, so a rate that is right for the start of a run may be low for its end; measure it where most of the run
    is.

    Args:
      rate: the best one for `base_batch_size`; a number or an array, which may be traced.
      batch_size: examples an update in the new run.
      base_batch_size: examples an update in the run with `rate`.
      noise_scale: in examples, such as `noise_scale(...).scale`; infinite gives the linear rule for SGD.
      optimizer: `"sgd"`, with or without momentum, or `"adam"` for all whose updates are near the sign of the gradient: Adam,
        AdamW, RMSprop, Lion, Adafactor.

    Returns: the rate, of the type that arithmetic makes of the arguments.

    Raises: TypeError or ValueError for another optimizer.

    Source: McCandlish, Kaplan, Amodei et al. 2018, An empirical model of large-batch training (arXiv 1812.06162), equation
      2.10; Li et al. 2024, Surge phenomenon in optimal learning rate and batch size scaling (arXiv 2405.14578).

    >>> rates = [over_batch(0.1, 256, base_batch_size=64, noise_scale=64, optimizer=one) for one in ("sgd", "adam")]
    >>> print(np.round(rates, 3))
    [0.16 0.08]
    """
    if choice("over_batch", "optimizer", optimizer, ("sgd", "adam")) == "sgd":
        return rate * ((1 / noise_scale + 1 / base_batch_size) / (1 / noise_scale + 1 / batch_size))
    shift, base_shift = batch_size / noise_scale, base_batch_size / noise_scale
    return rate * ((base_shift**-0.5 + base_shift**0.5) / (shift**-0.5 + shift**0.5))


def timescale(peak: Any, weight_decay: Any, total_steps: Any) -> Any:
    r"""AdamW's memory as a part of the run: over how much of it the weights are a running mean of the updates.

    $$\tau = \frac{1}{\eta \lambda T}$$ which is $B / (\eta \lambda D)$ over $D$ tokens in batches of $B$.

    Runs of one kind have their best weight decay at one timescale, whatever the rate, the batch size and the dataset; best
    values are around 0.05 to 0.3 where there are 20 to 200 tokens a parameter, and fall as the tokens a parameter to the power
    of -0.53. Measured for language models of 0.1 to 3.3 billion parameters with AdamW, rates by μP and a straight fall to 0.

    Args:
      peak: the highest rate, a number or an array, which may be traced.
      weight_decay: of `optax.adamw`, which multiplies it by the rate.
      total_steps: the length of the run in updates.

    Returns: the timescale; `decay_for` is its inverse, and `over_tokens(timescale, per_parameter, base_per_parameter, 0.53)` is
      what it is for more tokens a parameter.

    Source: Wang & Aitchison 2024, How to set AdamW's weight decay as you scale model and dataset size (arXiv 2405.13698);
      Bergsma et al. 2025, Power lines (arXiv 2505.13738).

    >>> print(timescale(peak=1e-3, weight_decay=0.1, total_steps=50_000))
    0.2
    """
    return 1 / (peak * weight_decay * total_steps)


def decay_for(timescale: Any, peak: Any, total_steps: Any) -> Any:
    r"""The weight decay that gives AdamW this timescale: $\lambda = 1 / (\tau \eta T)$.

    Args:
      timescale: as a part of the run; see `lrax.theory.timescale`, which says what is known of it.
      peak: the highest rate, a number or an array, which may be traced.
      total_steps: the length of the run in updates.

    Returns: the weight decay for `optax.adamw`.

    Source: Bergsma et al. 2025, Power lines (arXiv 2505.13738).

    >>> print(decay_for(0.2, peak=1e-3, total_steps=50_000))
    0.1
    """
    return 1 / (timescale * peak * total_steps)


def decoupled(weight_decay: Any, peak: Any) -> Any:
    r"""A weight decay that does not depend on the rate, as the number that `optax.adamw` is to be given.

    $$\lambda = weight\_decay / peak$$

    `optax.adamw` multiplies the decay by the rate: an update at rate $\eta_t$ shrinks the weights by $\eta_t \lambda$. With
    this it shrinks them by $weight\_decay \cdot \eta_t / peak$: a sweep over peaks then moves the rate alone, and best rates
    keep their place when models grow wider. It is a matter of what is held while the rate is tuned, no better training by
    itself.

    Args:
      weight_decay: the part of the weights that an update at the peak takes away, such as 1e-4; a number or an array.
      peak: the highest rate of the schedule; one rate or many, which may be traced.

    Returns: the weight decay for `optax.adamw`.

    Source: Loshchilov & Hutter 2019, Decoupled weight decay regularization; Kosson et al. 2025, Weight decay may matter more
      than muP for learning rate transfer in practice (arXiv 2510.19093).

    >>> tx = optax.adamw(lrax.Linear(0.01, 0.0, 100), weight_decay=decoupled(1e-4, peak=0.01))
    """
    return weight_decay / peak
