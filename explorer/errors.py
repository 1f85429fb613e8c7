"""Errors that a person can act on: each message names the thing, the reason and the way out."""


class ExplorerError(Exception):
    """Base of every error whose message is meant for the screen."""


class BadInput(ExplorerError):
    """What was given cannot be used."""


class NotFound(ExplorerError):
    """What was asked for is not there (any more)."""


class Refused(ExplorerError):
    """The asker may not do this."""


class Busy(ExplorerError):
    """Somebody else is writing; try again when they have finished."""


class Unavailable(ExplorerError):
    """The database, or room on the disk, is away for now: nothing was stored; the same again will do later."""


class Unreadable(ExplorerError):
    """One picture cannot be read; the message is the reason shown under Problems."""


class Missing(ExplorerError):
    """An optional package, a weight file or a program is not there; the message says how to get it."""


class Cancelled(ExplorerError):
    """The person who started the work stopped it."""
