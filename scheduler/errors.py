"""The base of every failure that the domain expects and explains."""


class HindcastError(Exception):
    """A refusal with a sentence fit for the person who asked; facts are attributes of the subclass."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(HindcastError):  # noqa: N818 - reads as the refusal it is
    """One or more fields are wrong. `errors` maps a field's name (snake case) to sentences about it."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(" ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items()))
        self.errors = errors
