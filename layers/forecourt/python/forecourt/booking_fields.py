"""Fields that requests to change the books have in common."""

from typing import Annotated

from pydantic import Field

WALLET = r"^[a-z][a-z0-9_-]{0,39}$"

Wallet = Annotated[str, Field(pattern=WALLET, examples=["points", "stored_value"])]
Reason = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="A word for why, of your own list; no names and no numbers of people",
        examples=["goodwill", "wrong_plate"],
    ),
]
Source = Annotated[
    str,
    Field(
        pattern=r"^[a-z]{1,16}:[A-Za-z0-9._-]{1,64}$",
        description="The document behind it",
        examples=["ticket:4711"],
    ),
]
