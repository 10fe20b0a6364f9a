"""Which version this is; read from the installed distribution only when asked for."""

_DISTRIBUTION = "dlt-runtime-appliance"


def version() -> str:
    """The installed version, `0` when the code runs without being installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(_DISTRIBUTION)
    except PackageNotFoundError:
        return "0"


def user_agent() -> str:
    """How the client introduces itself."""
    return f"dlt-runtime/{version()}"
