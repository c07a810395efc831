"""The one base of every error whose text is ours."""


class PipelineError(Exception):
    """Something that a person can act on: the message says what happened and what to do.

    `permanent`: it will not pass by itself, so nothing repeats it before somebody acted. The text of any
    other exception may hold a row's values; only its type is shown (`shown_text`).
    """

    permanent: bool = True


def shown_text(error: BaseException) -> str:
    """What may be shown of an error: the message of ours, the type of any other."""
    return str(error) if isinstance(error, PipelineError) else type(error).__name__
