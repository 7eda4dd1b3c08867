"""What a benchmark ran on, in one line."""

import importlib.metadata
import os
import pathlib
import platform

import jax


def describe() -> str:
    """Processor, cores, memory, platform of JAX, and versions."""
    processor = platform.processor() or platform.machine()
    information = pathlib.Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "optax", "numpy"))
    devices = jax.devices()
    used = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    return f"{processor}, {os.cpu_count()} cores; {used}; Python {platform.python_version()}, {versions}"
