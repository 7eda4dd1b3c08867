"""Several devices of one CPU, for a process of its own."""

import os


def xla_flags(devices: int) -> str:
    """`XLA_FLAGS` for so many devices, beside what the tests ask of XLA already."""
    return f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
