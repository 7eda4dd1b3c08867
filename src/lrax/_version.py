"""The version of lrax."""

__version__ = "0.1.0"
