"""Logs: one JSON object a line."""

import logging
import sys
from typing import Final

from pythonjsonlogger.json import JsonFormatter

LOGGERS: Final = ("kadr.access", "kadr.service", "uvicorn.error")


def begin(level: int = logging.INFO) -> None:
    """Write the service's logs to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{message}{levelname}{name}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp=True,
            json_ensure_ascii=False,
        )
    )
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
