"""What a caller of the changes server is told when something cannot be done."""


class ChangeError(Exception):
    """Something about the change folders stands in the way; the message says what to do."""


class NotAcceptedError(ChangeError):
    """An argument is not of the accepted form; nothing was looked up or written."""


class NotFoundError(ChangeError):
    """There is no such change or document."""
