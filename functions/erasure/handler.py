"""
Forget a member who asked for it.

Invoked by the bus for every `MemberErased`: the profile is gone by then and nothing can be
bound any more. What they have is frozen, and they leave their pools. Login, identities, questions,
check-ins and portrait go, sales lose every trace of who made them, and no entry changes. The
portrait goes before them and says `erased`: what is judged from then on, `habits` forgets (see
`forecourt.anonymous_sales`). Whose records went into the member's is the same person and goes
along. More sales than one invocation can take are handed on to the next, named by `"rest"`: whose
they are, and behind which entry. Everything may be done twice, and a repeat finds less to do: of
sales that wait the next one simply finds what is left.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from forecourt.anonymous_sales import AnonymousSales, is_theirs
from forecourt.contention import until_settled
from forecourt.decided_sales import ORPHANS_MAX, DecidedSales
from forecourt.erasing import Erasing
from forecourt.identities_table import IdentitiesTable
from forecourt.identity_keys import IdentityKeys
from forecourt.lone_tellings import LoneTellings
from forecourt.parted_sales import PartedSales, is_anothers_to_answer, without
from forecourt.questions_table import QuestionsTable
from forecourt.sales_table import SalesTable
from forecourt.sealing import Sealer
from forecourt.settings import Settings
from forecourt.values import dataclass
from functions.erasure.belongings import Belongings
from functions.erasure.logins import Logins

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from forecourt.hashes import EvidenceKey

PAGE = 50
ENOUGH_MILLISECONDS = 30_000  # for one more page, however slow the tables are


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureSettings(Settings):
    sales_table: str
    loyalty_table: str
    identity_secret_id: str
    ring_remembered_seconds: str
    seal_key_id: str
    user_pool_id: str


settings = ErasureSettings.from_env()
logger = Logger()
metrics = Metrics()


identity_keys = IdentityKeys(
    lambda: boto3.client("secretsmanager"),
    secret_id=settings.identity_secret_id,
    remembered_seconds=int(settings.ring_remembered_seconds),
)


@cache
def logins() -> Logins:
    """
    Return the user pool.

    Its client is opened here and not at import: it is used once an event, and opening one
    costs a cold start some milliseconds.
    """
    return Logins(boto3.client("cognito-idp"), pool_id=settings.user_pool_id)


def block_of(phone: str, key_id: str) -> str:
    """Return the hash of the block a phone number is in, by one of the keys."""
    return identity_keys().block(phone, key_id)


_dynamodb = boto3.client("dynamodb")
_tables = {"sales": settings.sales_table, "loyalty": settings.loyalty_table}
sales = SalesTable(_dynamodb, name=settings.sales_table)
decided = DecidedSales(_dynamodb, **_tables)
erasing = Erasing(_dynamodb, **_tables)
anonymous = AnonymousSales(_dynamodb, **_tables)
parted = PartedSales(_dynamodb, **_tables)
lone = LoneTellings(_dynamodb, name=settings.sales_table)
belongings = Belongings(_dynamodb, name=settings.loyalty_table)
questions = QuestionsTable(_dynamodb, name=settings.loyalty_table)


@cache
def identities() -> IdentitiesTable:
    """Return what is bound to members; opened like `logins`, for what closes its values."""
    return IdentitiesTable(
        _dynamodb,
        name=settings.loyalty_table,
        sealer=Sealer(boto3.client("kms"), key_id=settings.seal_key_id),
        block_of=block_of,
    )


@metrics.log_metrics
@logger.inject_lambda_context
def handle(event: dict[str, Any], context: LambdaContext) -> None:
    member_id = event["detail"]["member_id"]
    erased_at = erasing.asked_at(member_id)
    if erased_at is None:
        raise ValueError(member_id)  # an event without its cause: nobody's data goes for that
    records = [member_id, *erasing.absorbed(member_id)]
    begun, after = event.get("rest", (None, None))
    if begun is None:
        for each in records:
            belongings.close(each, erased_at=erased_at)
            if not forget_person(each, context, records=frozenset(records)):
                hand_on(event, None, function=context.invoked_function_arn)
                return
    else:
        records = records[records.index(begun) :]
    for each in records:
        while True:
            after = forget_sales(each, after, records=frozenset(records))
            if after is None:
                break
            if is_late(context):
                hand_on(event, (each, after), function=context.invoked_function_arn)
                return
    if erasing.finish(member_id):
        metrics.add_metric(name="MembersErased", unit=MetricUnit.Count, value=1)
    logger.info("member erased", member_id=member_id)


def forget_person(member_id: str, context: LambdaContext, *, records: frozenset[str]) -> bool:
    """
    Forget what is stored under a member's id, one of *records*, but for their sales.

    `False`: it has to be begun again, and finds less to do then.
    """
    erasing.forget_profile(member_id)
    erasing.close_portrait(member_id)
    logins().forget(member_id)
    if not forget_keys(member_id, context, records=records):
        return False
    forget_questions(member_id)
    erasing.forget_presence(member_id)
    erasing.forget_portrait(member_id)
    return True


def forget_keys(member_id: str, context: LambdaContext, *, records: frozenset[str]) -> bool:
    """
    Unbind everything, and take from what waits whatever nobody else has.

    `False`: more waits than there is time for.
    """
    keys = list(identities().keys(member_id))
    alone = {key for key in keys if identities().owners(member_id, key) == (member_id,)}
    # What could not be hashed anew names them by the hash of before.
    former = {
        key
        for key in identities().former_keys(member_id)
        if identities().place_of(member_id, key) in alone
    }
    theirs = alone | former
    for each in lone.naming(theirs) if alone else ():
        anonymous.anonymise_telling(each.telling_id)
    for key in keys:
        if key in alone and not forget_orphans(key, context, theirs=theirs, records=records):
            return False
        # A retry of an unbinding will not come: nothing has to remember the hash.
        identities().unbind(
            member_id, key, unbound_at=datetime.now(UTC), known_for=timedelta(seconds=0)
        )
    identities().forget_former(member_id, forgotten_at=datetime.now(UTC))
    return True


def forget_orphans(
    key: EvidenceKey,
    context: LambdaContext,
    *,
    theirs: AbstractSet[EvidenceKey],
    records: frozenset[str],
) -> bool:
    """
    Take from the sales that wait with *key*, one of *theirs*, whatever names *records*.

    `False`: there are more of them than there is time for.
    """
    while True:
        waiting = decided.orphans(key)
        for sale_id in waiting:
            until_settled(partial(forget_orphan, key, sale_id, theirs=theirs, records=records))
        if len(waiting) < ORPHANS_MAX:
            return True
        if is_late(context):
            return False


def forget_orphan(
    key: EvidenceKey,
    sale_id: str,
    *,
    theirs: AbstractSet[EvidenceKey],
    records: frozenset[str],
) -> None:
    """
    Take from a sale that waits with *key* everything it waits with.

    Of one that is another's to answer only *theirs* goes. The pointer that led here is the last:
    whoever begins again finds the sale by it. Raise `StaleWrite` to look at it again.
    """
    stored = sales.sale(sale_id)
    parts = is_anothers_to_answer(stored, records)
    left = without(stored.evidence, theirs) if parts else ()
    gone = {each for piece in stored.evidence if piece not in left for each in piece.keys}
    for each in gone - {key}:
        decided.forget_orphan(each, sale_id)
    if parts:
        parted.part(stored, theirs)
    elif not stored.held:
        anonymous.anonymise(stored)
    decided.forget_orphan(key, sale_id)


def is_late(context: LambdaContext) -> bool:
    """Return whether another invocation had better go on."""
    return context.get_remaining_time_in_millis() < ENOUGH_MILLISECONDS


def forget_questions(member_id: str) -> None:
    """Remove what a member was asked and said; who is asked no more has denied it."""
    for asked in questions.everything(member_id):
        stored = sales.sale(asked.sale_id)
        if stored.asked == member_id:
            decided.deny(stored, member_id, denied_at=datetime.now(UTC))
        erasing.forget_question(member_id, asked.sale_id)


def forget_sales(member_id: str, after: str | None, *, records: frozenset[str]) -> str | None:
    """
    Anonymise a page of a member's sales; return where to go on.

    *records* are all that are forgotten: a sale in flight when two became one is the one's,
    and its entry the other's.
    """
    sale_ids, last = erasing.sale_ids(member_id, after=after, limit=PAGE)
    for stored in sales.sales(sale_ids).values():
        for key in stored.cars:
            erasing.forget_driver(key, member_id)
        if is_theirs(stored, records):
            anonymous.anonymise(stored)
    return last


def hand_on(event: dict[str, Any], rest: tuple[str, str] | None, *, function: str) -> None:
    """
    Let another invocation do the *rest*: whose sales, and behind which entry.

    `None`: it begins again.
    """
    boto3.client("lambda").invoke(
        FunctionName=function,
        InvocationType="Event",
        Payload=json.dumps({**event, "rest": rest} if rest else event),
    )
    logger.info("erasure handed on", member_id=event["detail"]["member_id"])
