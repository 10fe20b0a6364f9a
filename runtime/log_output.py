"""How the daemon's own log looks: one line an event on stderr, for people on a terminal, as JSON for machines."""

import logging
import sys

import structlog

from runtime.settings import Settings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(settings: Settings) -> None:
    """Send structlog's events and the standard library's to stderr in one form.

    `auto` is `console` on a terminal and JSON elsewhere, under systemd for one.
    """
    is_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor = (
        # The plain formatter: the default one prints local variables, and those may be secrets.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_console
        else structlog.processors.JSONRenderer()
    )
    exceptions: list[structlog.typing.Processor] = [] if is_console else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *exceptions, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, renderer],
        )
    )
    logging.basicConfig(level=max(_LEVELS[settings.log_level], logging.WARNING), handlers=[handler], force=True)
    # Its warnings are about what strangers send that is no HTTP: a line each would fill the journal for them.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
