"""Every test runs with strict dtype promotion and without rank promotion; warnings are errors (pyproject.toml)."""

from collections.abc import Iterator

import jax
import pytest

collect_ignore = ["compat/golden", "finder/golden"]  # scripts that import the peers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that builds the site takes as long as many others together, so it begins first."""
    items.sort(key=lambda item: item.path.name != "test_browser.py")


@pytest.fixture(autouse=True)
def _strict(request: pytest.FixtureRequest) -> Iterator[None]:
    """JAX refuses to mix dtypes and ranks without being told; optax's Adam mixes dtypes, so tests that need it are marked."""
    promotion = "standard" if request.node.get_closest_marker("standard_promotion") else "strict"
    with jax.numpy_dtype_promotion(promotion), jax.numpy_rank_promotion("raise"):
        yield
