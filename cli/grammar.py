"""The order of words on the command line, as pure functions over argument lists.

In this grammar values stand before the operation (`job-run hello 2 logs -f`), and options that concern every command
may stand anywhere. Click wants the operation and the options of a group first, so words are put in that order before
it sees them.
"""

from collections.abc import Collection, Mapping, Sequence


def split_option(word: str) -> tuple[str, bool]:
    """The option that a word names, and whether it brings its value along (`--url=...`).

    >>> split_option("--url=unix:///x")
    ('--url', True)
    """
    name, equals, _ = word.partition("=")
    return name, bool(equals)


def is_option(word: str) -> bool:
    """Whether a word is an option rather than a value; a lone dash is a value."""
    return word.startswith("-") and word != "-"


def hoist(words: Sequence[str], options: Mapping[str, bool]) -> list[str]:
    """Move options that concern every command to the front; `--` ends the search.

    Args:
        options: Spelling to whether a value follows.

    >>> hoist(["job", "list", "--url", "unix:///x", "--json"], {"--url": True})
    ['--url', 'unix:///x', 'job', 'list', '--json']
    """
    front: list[str] = []
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            return [*front, *rest, word, *queue]
        name, has_value = split_option(word)
        if name not in options:
            rest.append(word)
            continue
        front.append(word)
        if options[name] and not has_value and queue:
            front.append(queue.pop(0))
    return [*front, *rest]


def operation_first(
    words: Sequence[str], operations: Collection[str], default: str, valued_options: Collection[str]
) -> list[str]:
    """Put the operation before its values; none given is the default one.

    If the last value is an operation word it is the operation, as the public client reads it; else the first one is,
    so that `job-run list hello` works too and a job may be called `logs`.

    >>> operation_first(["hello", "2", "logs", "-f"], {"list", "logs"}, "list", ())
    ['logs', 'hello', '2', '-f']
    >>> operation_first(["hello"], {"list", "logs"}, "list", ())
    ['list', 'hello']
    """
    places = _value_places(words, valued_options)
    spoken = [place for place in places if words[place] in operations]
    if not spoken:
        return [default, *words]
    chosen = places[-1] if words[places[-1]] in operations else spoken[0]
    return [words[chosen], *words[:chosen], *words[chosen + 1 :]]


def _value_places(words: Sequence[str], valued_options: Collection[str]) -> list[int]:
    """Where in the list the words are that are neither options nor an option's value."""
    places: list[int] = []
    is_options_value = False
    for place, word in enumerate(words):
        if is_options_value:
            is_options_value = False
        elif word == "--":
            return places
        elif is_option(word):
            name, has_value = split_option(word)
            is_options_value = name in valued_options and not has_value
        else:
            places.append(place)
    return places
