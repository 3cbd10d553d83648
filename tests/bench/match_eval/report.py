"""What was measured, and which targets were missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.match_eval.calibration import calibrated, rows
from tests.bench.match_eval.evaluation import BASELINES, DEFAULT, POLICIES
from tests.bench.match_eval.speed import PROMISED_AT, ROUND_TRIP_SECONDS
from tests.bench.match_eval.store import Reads

if TYPE_CHECKING:
    from forecourt.trials import Comparison
    from forecourt.weighing import Weights
    from tests.bench.match_eval.evaluation import Result, Tally
    from tests.bench.match_eval.speed import Race

RIGHT_OF_CREDITED = 0.9999
FALSE_PER_MILLION = 15
CREDITED = 0.80
SLIPS_RECOVERED = 0.75
ORPHANS_RECOVERED = 0.50
LIES_BELIEVED = 0.0003  # of orphans: so few that at one lie in a hundred none is to be expected
# Of strangers' sales: three in a hundred drive a member's car, and nobody else's points are lost.
LIES_BELIEVED_OF_STRANGERS = 0.003
DECISIONS_A_SECOND = 20_000
TIMES_FASTER = 10
WITHIN_SECONDS = 30 * 60  # on two cores
WITHIN_GIB = 11.1  # 12 GB


def report(
    result: Result,
    *,
    members: int,
    weights: Weights,
    comparison: Comparison,
    speed: float,
    race: Race | None,
    seconds: float,
    gib: float,
) -> int:
    """Print everything; return how many targets were missed."""
    _print_policies(result)
    _print_weights(weights, comparison)
    _print_reads(result.tallies[DEFAULT].reads)
    if race:
        _print_race(race)
    print("\nCalibration (posterior of the likeliest candidate)")
    for row in rows(result):
        print(f"  {row.name:>16}  {row.decisions:>9,}  right {row.right:.5f}")
    if result.wrong_pieces:
        print("\nWhat spoke for the wrong member at 0.999 and above")
        for signature, count in result.wrong_pieces.most_common(12):
            print(f"  {count:>5}  {signature}")
    tally = result.tallies[DEFAULT]
    orphans = tally.orphans
    reads = sum((each.reads for each in result.tallies.values()), Reads())
    targets = {
        f"right of credited {_right(tally):.6f}": _right(tally) >= RIGHT_OF_CREDITED,
        f"false per million {_false(tally):.1f}": _false(tally) < FALSE_PER_MILLION,
        f"credited of members' sales {_credited(tally):.4f}": _credited(tally) >= CREDITED,
        f"typing errors recovered {_slips(tally):.4f}": _slips(tally) >= SLIPS_RECOVERED,
        f"orphans recovered {_recovered(tally):.4f}": _recovered(tally) >= ORPHANS_RECOVERED,
        f"orphans credited falsely {orphans['false']}": orphans["false"] == 0,
        f"of orphans lost if all lied {_lost(tally):.6f}": _lost(tally) <= LIES_BELIEVED,
        f"of strangers' sales given away if all lied {_given(tally):.6f}": (
            _given(tally) <= LIES_BELIEVED_OF_STRANGERS
        ),
        "posteriors hold in every bucket": calibrated(result),
        f"round trips at most {reads.most_round_trips}": reads.most_round_trips <= 3,
        f"keys in one trip at most {reads.most_keys}": reads.most_keys <= 100,
        f"decisions a second {speed:,.0f}": speed >= DECISIONS_A_SECOND,
        f"seconds until here {seconds:,.0f}": seconds <= WITHIN_SECONDS,
        f"GiB at most {gib:.1f}": gib <= WITHIN_GIB,
    }
    if race and members == PROMISED_AT:
        faster = race.scan_seconds / race.decision_seconds
        targets[f"times faster than a scan {faster:.1f}"] = faster >= TIMES_FASTER
    print(f"\nTargets at {members:,} members, {tally.sales:,} sales")
    for name, met in targets.items():
        print(f"  {'met   ' if met else 'MISSED'}  {name}")
    return sum(not met for met in targets.values())


def _print_policies(result: Result) -> None:
    print(
        f"\n{'policy':<35}{'sales':>9}{'credited':>9}{'pending':>8}{'false/M':>9}{'slips':>7}"
        f"{'orphans':>9}{'recovered':>10}{'false':>6}{'trips':>7}{'units':>6}"
    )
    for name in (*BASELINES, *POLICIES):
        tally = result.tallies[name]
        print(
            f"{name:<35}{tally.sales:>9,}{_credited(tally):>9.4f}"
            f"{tally.pending / max(1, tally.sales):>8.4f}{_false(tally):>9.1f}{_slips(tally):>7.4f}"
            f"{_afterwards(tally) if name in POLICIES else ''}"
        )
    print(
        "  orphans are sales that waited and whose maker is or becomes a member; false are those"
        " somebody else got,\n  and strangers' sales that somebody got; trips and units are those"
        " of a decision"
    )
    default = result.tallies[DEFAULT]
    orphans = default.orphans
    slips = default.slips_pending_right / max(1, default.slips)
    named = default.pending_right / max(1, default.pending)
    print(
        f"pending sales name the right member in {named:.4f}"
        f"; mistyped sales pending with the right member {slips:.4f}\n"
        f"of orphans {orphans['orphans']:,}, recovered {orphans['recovered']:,}, credited falsely"
        f" {orphans['false']}; of strangers' sales, credited to who was asked"
        f" {orphans['strangers']}\n"
        "  if everybody shown another's sale claimed it:"
        f" {orphans['false if claimed']} and {orphans['strangers if claimed']}\n"
        f"  {[(each, n) for each, n in orphans.most_common() if each.startswith('by ')]}\n"
        f"outcomes {dict(result.reasons.most_common())}"
    )
    for each, count in orphans.most_common():
        if each.startswith(("false,", "strangers,")):
            print(f"  {count:>5}  {each}")


def _afterwards(tally: Tally) -> str:
    """Return what became of the sales that waited, and what the decisions read."""
    orphans, reads = tally.orphans, tally.reads
    decisions = max(1, reads.inquiries)
    return (
        f"{orphans['orphans']:>9,}{_recovered(tally):>10.4f}"
        f"{orphans['false'] + orphans['strangers']:>6}"
        f"{reads.round_trips / decisions:>7.3f}{reads.units / decisions:>6.2f}"
    )


def _print_weights(weights: Weights, comparison: Comparison) -> None:
    print(f"\nWeights in bits, prior {weights.prior / 100:+.1f}")
    for name, levels in sorted(weights.levels.items()):
        shown = "  ".join(f"{level} {worth / 100:+.1f}" for level, worth in sorted(levels.items()))
        print(f"  {name:<9} {shown}")
    for name, each in (("a quarter", comparison.active), ("all", comparison.proposed)):
        print(
            f"  learnt from {name} of the training sales, on {each.sales:,} held back:"
            f" credited {each.credited:,}, wrong {each.wrong}, pending {each.pending:,}"
        )
    print(f"  decided differently: {comparison.changed:,}; safe: {comparison.is_safe}")


def _print_reads(reads: Reads) -> None:
    count = max(1, reads.inquiries)
    print(
        f"\nA decision takes {reads.round_trips / count:.3f} round trips (at most"
        f" {reads.most_round_trips}), {reads.keys / count:.2f} keys, {reads.portraits / count:.2f}"
        f" portraits, {reads.units / count:.2f} read units"
    )


def _print_race(race: Race) -> None:
    print(
        f"\nA sale with a phone is decided in {race.decision_seconds * 1000:.3f} ms on one core;"
        f" with {race.round_trips:.3f} round trips of {ROUND_TRIP_SECONDS * 1000:.1f} ms in"
        f" {race.answered_seconds * 1000:.2f} ms"
    )
    for scan, seconds in (
        ("", race.scan_seconds),
        (" by OSA distance, the quicker one,", race.quicker_scan_seconds),
    ):
        print(
            f"  comparing the phone with every member's{scan} takes {seconds * 1000:.2f} ms:"
            f" {seconds / race.decision_seconds:.1f} and {seconds / race.answered_seconds:.1f}"
            " times as long"
        )


def _credited(tally: Tally) -> float:
    """Return the share of members' sales that were credited, rightly or not."""
    return (tally.right + tally.wrong) / max(1, tally.members_sales)


def _right(tally: Tally) -> float:
    return tally.right / max(1, tally.right + tally.wrong)


def _false(tally: Tally) -> float:
    return tally.wrong * 1_000_000 / max(1, tally.sales)


def _slips(tally: Tally) -> float:
    return tally.slips_right / max(1, tally.slips)


def _recovered(tally: Tally) -> float:
    return tally.orphans["recovered"] / max(1, tally.orphans["orphans"])


def _given(tally: Tally) -> float:
    """Return the share of strangers' sales that whoever is shown one would get by claiming it."""
    strangers = tally.sales - tally.members_sales
    return tally.orphans["strangers if claimed"] / max(1, strangers)


def _lost(tally: Tally) -> float:
    """Return the share of orphans that others would get if whoever is shown one claimed it."""
    return tally.orphans["false if claimed"] / max(1, tally.orphans["orphans"])
