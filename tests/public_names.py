"""The public names of schedules, as those who write one by its name have them."""

from typing import Any

import lrax


def public() -> dict[str, Any]:
    """Every name at the top of lrax, and every kind and recipe, by its name."""
    return {name: getattr(room, name) for room in (lrax.schedules, lrax) for name in room.__all__}
