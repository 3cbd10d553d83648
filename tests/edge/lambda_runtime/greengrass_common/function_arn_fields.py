"""Parts of a function's name."""


class FunctionArnFields:
    """The SDK imports it; publishing does not use it."""

    def __init__(self, arn: str) -> None:
        self.unqualified_arn = arn
        self.name = arn.rpartition(":")[2]
        self.qualifier = ""
