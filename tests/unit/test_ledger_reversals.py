"""Refunds and reversals: what was given is taken back, what was taken is given back, once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from forecourt.ledger import Books, Shortfall, decide
from forecourt.ledger import commands as c
from forecourt.ledger.entries import BREAKAGE, DEBT, EntryKind
from forecourt.ledger.notes import parked_from_record, parked_to_record
from forecourt.ledger.refusals import (
    AlreadyReversed,
    NothingToReverse,
    NotReversible,
    OverReversed,
    PrincipalSpent,
    TooMany,
)
from tests.unit.books import DECEMBER, JUNE, TODAY, Ledger


def test_reversing_what_is_spent_leaves_a_debt_that_the_next_earns_pay() -> None:
    books = Ledger(shortfall=Shortfall.DEBT)
    sale = books.earn(100)
    books.spend(80)

    books.reverse(sale)

    assert (books.has(), books.account().debt) == (0, 80)
    books.earn(50)
    assert (books.has(), books.account().debt) == (0, 30)
    books.earn(50)
    assert (books.has(), books.account().debt) == (20, 0)


def test_within_balance_takes_what_is_there_and_reports_the_rest() -> None:
    books = Ledger(shortfall=Shortfall.WITHIN_BALANCE)
    sale = books.earn(100)
    books.spend(80)

    entry = books.reverse(sale)

    assert (entry.points, entry.uncovered) == (-20, 80)
    assert (books.has(), books.account().debt) == (0, 0)


def test_only_pending_takes_nothing_that_is_active() -> None:
    books = Ledger(shortfall=Shortfall.ONLY_PENDING)
    sale = books.earn(100)
    books.spend(80)

    entry = books.reverse(sale)

    assert (entry.points, entry.uncovered, books.has()) == (0, 100, 20)


@pytest.mark.parametrize("shortfall", list(Shortfall))
def test_reversing_what_is_pending_cancels_it_and_touches_nothing_active(
    shortfall: Shortfall,
) -> None:
    books = Ledger(shortfall=shortfall)
    books.earn(10)
    sale = books.earn(100, activates_on=TODAY + timedelta(days=7))

    entry = books.reverse(sale)

    assert (books.has(), books.account().pending, entry.uncovered) == (10, {}, 0)


def test_reversing_what_was_pending_and_is_active_takes_it_from_its_bucket() -> None:
    books = Ledger()
    sale = books.earn(100, activates_on=TODAY + timedelta(days=7))
    books.pass_days(7)
    books.earn(10, TODAY + timedelta(days=9))

    books.reverse(sale)

    assert books.account().buckets == {TODAY + timedelta(days=9): 10}


def test_three_thirds_of_a_refund_revoke_exactly_what_was_earned() -> None:
    books = Ledger()
    sale = books.earn(100)

    parts = [
        -books.reverse(sale, c.Share(part=part, whole=10_000)).points for part in (3333, 3333, 3334)
    ]

    assert parts == [33, 33, 34]
    assert books.notes[sale.entry_id].complete


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (c.Exactly(points=90), c.Exactly(points=50)),
        (c.Share(part=90, whole=100), c.Share(part=50, whole=100)),
    ],
)
def test_refunds_of_more_than_was_given_are_refused(first: c.Part, second: c.Part) -> None:
    books = Ledger()
    sale = books.earn(100)
    books.reverse(sale, first)

    with pytest.raises(OverReversed) as caught:
        books.reverse(sale, second)

    assert (caught.value.given, caught.value.reversed, caught.value.requested) == (100, 90, 50)
    assert books.has() == 10


@pytest.mark.parametrize(
    ("whole", "parts", "taken"),
    [
        (400, (150, 150), [33, 29, 38]),  # a receipt told of more than the fuel
        (300, (100, 100), [33, 33, 34]),
        (250, (75, 75), [33, 37, 30]),  # or of a discount
        (110, (5, 5), [33, 62, 5]),
    ],
)
def test_shares_are_of_the_whole_that_was_named_last_and_all_of_it_is_all(
    whole: int, parts: tuple[int, ...], taken: list[int]
) -> None:
    books = Ledger()
    sale = books.earn(100)
    shares = [c.Share(part=100, whole=300), *(c.Share(part=part, whole=whole) for part in parts)]

    assert [-books.reverse(sale, share).points for share in shares] == taken
    assert books.notes[sale.entry_id].complete


def test_a_share_takes_nothing_while_the_whole_is_more_than_was_thought() -> None:
    books = Ledger()
    sale = books.earn(100)
    books.reverse(sale, c.Share(part=100, whole=200))

    taken = [
        -books.reverse(sale, c.Share(part=part, whole=1000)).points for part in (300, 100, 500)
    ]

    assert taken == [0, 0, 50]
    assert books.notes[sale.entry_id].complete


@pytest.mark.parametrize("before", [1, 2])
def test_a_share_is_of_what_other_reversals_left_and_all_shares_are_all_of_it(before: int) -> None:
    books = Ledger()
    sale = books.earn(39)
    parts: list[c.Part] = [c.Share(part=1, whole=2), c.Share(part=1, whole=2)]
    parts.insert(before - 1, c.Exactly(points=10))

    taken = [-books.reverse(sale, part).points for part in parts]

    assert taken == ([10, 14, 15] if before == 1 else [19, 10, 10])
    assert books.notes[sale.entry_id].complete


def test_a_share_takes_nothing_when_an_earlier_share_took_more_than_is_due_by_now() -> None:
    books = Ledger()
    sale = books.earn(40)
    books.reverse(sale, c.Share(part=2, whole=4))
    books.reverse(sale, c.Exactly(points=19))

    assert books.reverse(sale, c.Share(part=1, whole=4)).points == 0
    assert books.has() == 1


def test_one_refund_document_has_one_effect_under_any_id() -> None:
    books = Ledger()
    sale = books.earn(100)
    books.reverse(sale, c.Exactly(points=30), document="refund:7")

    with pytest.raises(AlreadyReversed) as caught:
        books.reverse(sale, c.Exactly(points=30), document="refund:7")

    assert (caught.value.document, books.has()) == ("refund:7", 70)


def test_a_refund_before_its_sale_waits_visibly_and_is_applied_with_it() -> None:
    books = Ledger()
    sale = books.command(c.Earn, points=100, expires_on=JUNE)
    waiting = books.run(
        c.Reverse,
        reverses=sale.entry_id,
        document="refund:1",
        part=c.Share(part=1, whole=4),
    )
    assert (waiting.kind, waiting.points) == (EntryKind.PARK, 0)
    assert (books.account().parked, list(books.parked)) == (1, [sale.entry_id])

    decision = books.carry_out(sale)

    (posting,) = decision.postings
    assert (decision.instead, decision.entry.entry_id) == (None, sale.entry_id)
    assert [entry.points for entry in posting.entries] == [100, -25]
    assert (books.has(), books.account().parked, books.parked) == (75, 0, {})


def test_a_refund_that_waited_and_is_more_than_the_sale_gave_is_noted_and_moves_nothing() -> None:
    books = Ledger()
    sale = books.command(c.Earn, points=10, expires_on=JUNE)
    for number in (1, 2):
        books.run(
            c.Reverse,
            reverses=sale.entry_id,
            document=f"refund:{number}",
            part=c.Exactly(points=8),
        )

    decision = books.carry_out(sale)

    entries = decision.postings[0].entries
    assert [(entry.points, entry.reason) for entry in entries[1:]] == [
        (-8, "test"),
        (0, "over_reversed"),
    ]
    assert (books.has(), books.account().parked) == (2, 0)


def test_the_same_document_does_not_wait_twice() -> None:
    books = Ledger()
    books.run(c.Reverse, reverses="later", document="refund:1")

    with pytest.raises(AlreadyReversed):
        books.run(c.Reverse, reverses="later", document="refund:1")


def test_what_waits_for_points_that_never_come_is_answered_and_waits_no_longer() -> None:
    books = Ledger()
    books.earn(10)
    for number in (1, 2):
        books.run(c.Reverse, reverses="later", document=f"refund:{number}")

    decision = books.carry_out(books.command(c.EarnNothing, entry_id="later"))

    (posting,) = decision.postings
    assert [
        (each.kind, each.legs, each.reason, each.refers_to, each.entry_id.endswith(".applied"))
        for each in posting.entries
    ] == [(EntryKind.REVERSE, (), "nothing_to_reverse", "later", True)] * 2
    assert decision.instead is not None
    assert (decision.instead.owner, decision.instead.entry_id) == ("ann", "later")
    assert (books.has(), books.account().parked, books.parked) == (10, 0, {})


def test_points_that_never_come_move_no_account_for_which_nothing_waits() -> None:
    books = Ledger()
    books.earn(10)
    books.run(c.Reverse, reverses="another", document="refund:1")
    before = books.account()

    decision = books.carry_out(books.command(c.EarnNothing, entry_id="later"))

    assert (decision.postings, decision.unmoved) == ((), before)
    assert (books.account(), list(books.parked)) == (before, ["another"])


def test_a_refund_of_a_sale_that_never_comes_stays_parked() -> None:
    books = Ledger()
    books.run(c.Reverse, reverses="never", document="refund:1")
    books.earn(100)
    books.pass_days(400)

    assert (books.account().parked, books.view().parked) == (1, 1)


def test_so_many_refunds_may_wait_and_no_more() -> None:
    books = Ledger()
    for number in range(16):
        books.run(c.Reverse, reverses="later", document=f"refund:{number}")

    with pytest.raises(TooMany):
        books.run(c.Reverse, reverses="later", document="one more")


def test_so_many_parts_of_one_sale_are_refunded_and_no_more() -> None:
    books = Ledger()
    sale = books.earn(100)
    for number in range(40):
        books.reverse(sale, c.Exactly(points=1), document=f"refund:{number}")

    with pytest.raises(TooMany):
        books.reverse(sale, c.Exactly(points=1))


def test_a_refund_after_the_last_day_takes_nothing_and_owes_nothing() -> None:
    books = Ledger()
    sale = books.earn(100, TODAY)
    books.pass_days(1)
    books.earn(30)

    entry = books.reverse(sale)

    assert (entry.points, entry.uncovered) == (0, 100)
    assert (books.has(), books.account().debt) == (30, 0)


def test_a_refund_after_the_last_day_may_be_made_to_owe() -> None:
    books = Ledger(debt_for_expired=True)
    sale = books.earn(100, TODAY)
    books.pass_days(1)

    books.reverse(sale)

    assert books.account().debt == 100


def test_what_was_spent_returns_to_the_last_days_it_came_from() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(100, DECEMBER)
    bought = books.spend(50)
    assert bought.taken() == [((JUNE, False), 30), ((DECEMBER, False), 20)]

    entry = books.reverse(bought)

    assert sorted(entry.returned()) == [((JUNE, False), 30), ((DECEMBER, False), 20)]
    assert books.account().buckets == {JUNE: 30, DECEMBER: 100}


def test_parts_given_back_add_up_to_what_was_taken_from_each_day() -> None:
    books = Ledger()
    books.earn(30, JUNE)
    books.earn(100, DECEMBER)
    bought = books.spend(50)

    for part in (7, 20, 23):
        books.reverse(bought, c.Exactly(points=part))

    assert books.account().buckets == {JUNE: 30, DECEMBER: 100}


@pytest.mark.parametrize(
    ("grace_days", "buckets"),
    [(None, {}), (0, {TODAY + timedelta(3): 40}), (30, {TODAY + timedelta(33): 40})],
)
def test_what_returns_after_its_last_day_is_good_for_the_grace_or_lost(
    grace_days: int | None, buckets: dict[date, int]
) -> None:
    books = Ledger(grace_days=grace_days)
    books.earn(40, TODAY)
    bought = books.spend(40)
    books.pass_days(3)

    entry = books.reverse(bought)

    assert books.account().buckets == buckets
    assert entry.uncovered == (0 if buckets else 40)
    assert sum(leg.points for leg in entry.legs if leg.account == BREAKAGE) == entry.uncovered


def test_a_sale_that_earned_and_spent_is_refunded_to_exactly_the_balance_before() -> None:
    books = Ledger()
    books.earn(80, JUNE)
    before = books.account().buckets
    earned, spent = books.earn(150, DECEMBER), books.spend(70)

    books.reverse(earned)
    books.reverse(spent)

    assert books.account().buckets == before


def test_a_partial_refund_prorates_what_was_earned_and_what_was_spent_apart() -> None:
    books = Ledger()
    books.earn(500)
    earned, spent = books.earn(70), books.spend(150)

    half = c.Share(part=1, whole=2)

    assert (books.reverse(earned, half).points, books.reverse(spent, half).points) == (-35, 75)


def test_of_a_line_no_more_is_taken_than_other_refunds_have_left() -> None:
    books = Ledger()
    sale = books.earn(100, items={"1": 70, "2": 30})
    books.reverse(sale, c.Exactly(points=50))

    assert books.reverse(sale, c.Line(item="1")).points == -50
    with pytest.raises(NothingToReverse):
        books.reverse(sale, c.Line(item="2"))
    assert (books.has(), books.account().debt) == (0, 0)


def test_what_a_line_earned_is_what_the_entry_says_and_the_command_only_where_it_says_nothing() -> (
    None
):
    books = Ledger()
    says, silent = books.earn(100, items={"1": 70}), books.earn(100)

    assert books.reverse(says, c.Line(item="1", points=5)).points == -70
    assert books.reverse(silent, c.Line(item="1", points=5)).points == -5
    for sale, line in ((says, "2"), (silent, "1")):
        with pytest.raises(NothingToReverse):
            books.reverse(sale, c.Line(item=line, points=5))


def test_a_refund_of_one_line_takes_what_that_line_earned() -> None:
    books = Ledger()
    sale = books.earn(100, items={"diesel": 70, "wash": 30})

    assert books.reverse(sale, c.Line(item="wash")).points == -30
    for line in ("wash", "coffee"):
        with pytest.raises(NothingToReverse):
            books.reverse(sale, c.Line(item=line))
    assert books.has() == 70


def test_a_reversal_is_not_reversed() -> None:
    books = Ledger()
    sale = books.earn(100)
    reversal = books.reverse(sale)

    assert (sale.given, reversal.given) == (100, 0)
    with pytest.raises(NotReversible) as caught:
        books.reverse(reversal)

    assert caught.value.kind == "reverse"


def test_what_is_wholly_reversed_has_nothing_left() -> None:
    books = Ledger()
    sale = books.earn(100)
    books.reverse(sale)

    with pytest.raises(NothingToReverse):
        books.reverse(sale)


def test_a_sale_cancelled_and_completed_again_is_awarded_once() -> None:
    books = Ledger()
    books.reverse(books.earn(100))
    books.earn(100)

    assert books.has() == 100


def test_a_purchase_from_two_wallets_returns_to_each() -> None:
    books = Ledger()
    books.earn(100)
    books.earn(50, wallet="partner")
    first, second = books.spend(60), books.spend(20, wallet="partner")

    books.reverse(first)
    books.reverse(second)

    assert (books.has(), books.has(wallet="partner")) == (100, 50)


def test_a_refund_today_returns_the_limit_of_today_and_tomorrow_nothing() -> None:
    books = Ledger(member_limits={"bo": 100})
    books.earn(500)
    first, second = books.spend(60, spender="bo"), books.spend(40, spender="bo")

    books.reverse(first)
    assert books.account().used == {"spent:bo": 40}
    books.pass_days(1)
    books.reverse(second)

    assert books.spend(100, spender="bo").effect.uses == {"spent:bo": 100}


def test_a_deposit_refunded_after_its_bonus_was_spent_claws_the_bonus_back() -> None:
    books = Ledger(bonus_first=True)
    deposit = books.earn(1000, None, bonus=100)
    books.spend(100)
    assert (books.account().buckets, books.account().bonus) == ({None: 1000}, {})

    books.reverse(deposit)

    assert (books.has(), books.account().debt) == (0, 100)


@pytest.mark.parametrize("parts", [(500, 500), (1, 999), (333, 333, 334), (999, 1), (1000,)])
def test_a_deposit_refunded_in_parts_gives_up_its_bonus_in_proportion(
    parts: tuple[int, ...],
) -> None:
    books = Ledger(principal_only=True)
    deposit = books.earn(1000, None, bonus=100)

    refunded = 0
    for number, fen in enumerate(parts):
        books.reverse(deposit, c.Share(part=fen, whole=1000), document=str(number))
        refunded += fen
        account = books.account()
        left = (account.buckets.get(None, 0), account.bonus.get(None, 0))
        assert left == (1000 - refunded, 100 - 100 * refunded // 1000)

    assert (books.has(), books.account().debt) == (0, 0)


@pytest.mark.parametrize(("bonus_first", "unspent"), [(True, 800), (False, 700)])
def test_of_a_deposit_only_what_is_left_of_the_money_is_refunded(
    *, bonus_first: bool, unspent: int
) -> None:
    books = Ledger(principal_only=True, bonus_first=bonus_first)
    deposit = books.earn(1000, None, bonus=100)
    books.spend(300)
    before = books.account()

    for part, requested in (
        (c.Remainder(), 1000),
        (c.Share(part=unspent + 1, whole=1000), unspent + 1),
    ):
        with pytest.raises(PrincipalSpent) as caught:
            books.reverse(deposit, part)
        assert caught.value.facts() == {"requested": requested, "left": unspent}

    assert books.account() == before
    books.reverse(deposit, c.Share(part=unspent, whole=1000))
    assert books.account().buckets == {}
    # What was given on top and is spent is owed; the money was not lent.
    assert books.account().debt == (80 if bonus_first else 0)
    assert books.account().bonus == ({} if bonus_first else {None: 30})


def test_money_that_is_held_is_not_refunded() -> None:
    books = Ledger(principal_only=True)
    deposit = books.earn(100, None)
    books.hold(30)

    with pytest.raises(PrincipalSpent) as caught:
        books.reverse(deposit)

    assert (caught.value.requested, caught.value.left) == (100, 70)
    books.reverse(deposit, c.Share(part=70, whole=100))
    assert (books.has(), books.account().total, books.account().debt) == (0, 30, 0)


def test_money_that_paid_a_debt_is_not_refunded() -> None:
    books = Ledger(principal_only=True, bonus_first=True)
    first = books.earn(100, None, bonus=50)
    books.spend(50)
    books.reverse(first)
    assert books.account().debt == 50
    second = books.earn(200, None)

    with pytest.raises(PrincipalSpent) as caught:
        books.reverse(second)

    assert (caught.value.requested, caught.value.left) == (200, 150)


def test_a_refund_that_waited_for_its_deposit_is_not_in_its_way() -> None:
    books = Ledger(principal_only=True)
    books.run(c.Reverse, reverses="later", document="R-1")

    books.earn(100, None, bonus=10, entry_id="later")

    assert (books.has(), books.account().debt, books.account().parked) == (0, 0, 0)


def test_what_paid_a_debt_is_owed_again_when_it_is_reversed() -> None:
    books = Ledger()
    first = books.earn(100)
    books.spend(100)
    books.reverse(first)
    second = books.earn(70)
    assert [leg.points for leg in second.legs if leg.account == DEBT] == [70]

    books.reverse(second)

    assert books.account().debt == 100


def test_a_refund_reaches_points_that_moved_with_a_merged_member() -> None:
    books = Ledger()
    sale = books.earn(100)
    books.run(c.Merge, into="bo")

    books.reverse(sale, owner="bo", reverses_owner="ann")

    assert (books.has("bo"), books.has("ann")) == (0, 0)


def test_a_refund_that_waits_for_a_merged_members_sale_reads_as_it_was_written() -> None:
    books = Ledger()
    decision = books.carry_out(
        books.command(
            c.Reverse, owner="bo", reverses_owner="ann", reverses="later", document="refund:1"
        )
    )
    parked = books.parked["later"]

    record = parked_to_record(parked)

    assert parked_from_record(record, owner="bo", entry_id="later") == parked
    assert decision.absent == ("ann", "later")


def test_an_id_that_was_answered_with_nothing_has_nothing_to_reverse() -> None:
    books = Ledger()
    command = books.command(c.Reverse, reverses="zero", document="refund:1")

    with pytest.raises(NothingToReverse):
        decide(
            command,
            Books(account=books.account(), void=True),
            now=books.now,
            policies=books.policies,
        )


@pytest.mark.parametrize(
    "part",
    [
        c.Remainder(),
        c.Exactly(points=7),
        c.Share(part=1, whole=3),
        c.Line(item="2"),
        c.Line(item="2", points=7),
    ],
    ids=str,
)
def test_every_part_of_a_refund_that_waits_reads_as_it_was_written(part: c.Part) -> None:
    books = Ledger()
    books.run(c.Reverse, reverses="later", document="refund:1", part=part)
    parked = books.parked["later"]

    record = parked_to_record(parked)

    assert parked_from_record(record, owner="ann", entry_id="later") == parked
