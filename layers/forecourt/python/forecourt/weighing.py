"""
Whose sale is it: evidence weighed.

After Fellegi and Sunter (1969). A piece of evidence, seen at some *level* (a phone may be the
same, one slip away, another), is worth log2(m / u): how much likelier that level is when the
candidate made the sale than when somebody else did. Weights add up with the prior to log
odds; the candidates and "none of them" share one unit of belief.

All in integers: a centibit is a hundredth of a bit, a posterior is in millionths and rounded
down. Neither fields nor levels are known here, they come with the weights.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING

from forecourt.decisions import Decision, Outcome, Piece, Reason
from forecourt.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CENTIBITS_A_BIT = 100
CERTAIN_PPM = 1_000_000
MAX_CENTIBITS = 6_000  # beyond 60 bits either way no decision changes

_FRACTION_BITS = 32
_BITS_BELOW_ZERO = MAX_CENTIBITS // CENTIBITS_A_BIT + 1
_POWERS = tuple(
    round(2 ** (part / CENTIBITS_A_BIT) * (1 << _FRACTION_BITS)) for part in range(CENTIBITS_A_BIT)
)
_EVEN_ODDS = 1 << (_FRACTION_BITS + _BITS_BELOW_ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    A member who may have made the sale, and how each field that says anything agrees.

    `unweighed` are levels that must not speak for the member, because another piece has said as
    much already; they are heard against a member's word. `loose` are fields in which only what
    may be of another sale agrees.
    """

    member_id: str
    levels: Mapping[str, str]
    loose: frozenset[str] = frozenset()
    unweighed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """
    What each level of each field is worth, in centibits.

    `prior` is the log odds that one given member of `members` made a sale, before any
    evidence. A level `same.2` is the base level `same` under circumstance 2 (say, a phone
    from a densely populated block of numbers).
    """

    version: int
    members: int
    prior: int
    levels: Mapping[str, Mapping[str, int]]

    def known(self, levels: Mapping[str, str]) -> dict[str, str]:
        """Return those levels that have a weight, under their circumstance or without it."""
        found = {}
        for name, level in levels.items():
            weighed = self.levels.get(name)
            if weighed is None:
                continue
            if level in weighed:
                found[name] = level
            elif base_of(level) in weighed:
                found[name] = base_of(level)
        return found

    def total(self, candidate: Candidate) -> int:
        """Return the log odds of *candidate*, all of whose levels have a weight."""
        worth = self.levels
        return self.prior + sum(worth[name][level] for name, level in candidate.levels.items())

    def best(self, fields: Iterable[str]) -> int:
        """Return the most that *fields* can add to a candidate."""
        return sum(max(0, *self.levels[each].values()) for each in fields if each in self.levels)

    def worst(self, fields: Iterable[str]) -> int:
        """Return the most that *fields* can take from a candidate, as a negative number."""
        return sum(min(0, *self.levels[each].values()) for each in fields if each in self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What the operator asks of a decision.

    `strong` are (field, base level) pairs that identify somebody. `dependent` ones never
    suffice without another strong one, and neither do loose ones before the member has vouched
    for the sale. `telling` fields contradict when another candidate
    agrees strongly in one where the leader does not. `implausible` levels send a sale that one
    identity alone speaks for to a person. With a `vouching` level the member has answered what a
    pending sale asks, and `vouched_ppm` is enough, unless somebody else has all that identifies
    the member. Against an *alibi* (`alibis`) that word is no second identity, nor against
    unweighed levels that are `doubtful` or altogether speak against the member.
    """

    credit_ppm: int = 999_900
    pending_ppm: int = 900_000
    strong: frozenset[tuple[str, str]] = frozenset()
    dependent: frozenset[tuple[str, str]] = frozenset()
    telling: frozenset[str] = frozenset()
    implausible: frozenset[tuple[str, str]] = frozenset()
    alibis: frozenset[tuple[str, str]] = frozenset()
    doubtful: frozenset[tuple[str, str]] = frozenset()
    vouching: frozenset[tuple[str, str]] = frozenset()
    vouched_ppm: int = 999_000

    @property
    def words(self) -> frozenset[str]:
        """Return the fields in which a member speaks for themselves."""
        return frozenset(name for name, _ in self.vouching)

    def __post_init__(self) -> None:
        """Refuse thresholds that leave no room between nothing and certainty."""
        if not 0 < self.pending_ppm <= self.credit_ppm < CERTAIN_PPM:
            raise ValueError((self.pending_ppm, self.credit_ppm))
        if not 0 < self.vouched_ppm < CERTAIN_PPM:
            raise ValueError(self.vouched_ppm)


def decide(candidates: Sequence[Candidate], *, weights: Weights, policy: Policy) -> Decision:
    """Return whose sale it is, given everybody it may belong to; their order is of no account."""
    if not candidates:
        return unmatched(Reason.UNKNOWN, weights)
    prior, worth = weights.prior, weights.levels
    odds: list[int] = []
    for candidate in candidates:
        total = prior  # `weights.total`, inlined: this loop is most of the work
        for name, level in candidate.levels.items():
            total += worth[name][level]
        odds.append(odds_of(total))
    whole = sum(odds) + _EVEN_ODDS
    best = max(odds)
    posterior = best * CERTAIN_PPM // whole
    if posterior < policy.pending_ppm:
        # The likeliest of several is still nobody: say who was weighed, name no one.
        return Decision(
            outcome=Outcome.UNMATCHED,
            weights_version=weights.version,
            posterior_ppm=posterior,
            reason=Reason.UNCONVINCING,
            alternatives=_ranked(candidates, odds, whole, leader=None),
        )
    place = min(
        (place for place, each in enumerate(odds) if each == best),
        key=lambda place: candidates[place].member_id,
    )
    leader = candidates[place]
    reason = _objection(leader, candidates, weights, policy)
    if reason is None and posterior < _threshold(leader, candidates, policy):
        reason = Reason.UNSURE
    return Decision(
        outcome=Outcome.PENDING if reason else Outcome.CREDITED,
        weights_version=weights.version,
        member_id=leader.member_id,
        posterior_ppm=posterior,
        reason=reason,
        pieces=(
            *(Piece(name, level, worth[name][level]) for name, level in leader.levels.items()),
            *(Piece(name, level, 0) for name, level in leader.unweighed.items()),
        ),
        alternatives=_ranked(candidates, odds, whole, leader=leader) if len(odds) > 1 else (),
    )


def unmatched(reason: Reason, weights: Weights) -> Decision:
    """Return that the sale is nobody's for *reason*, without having weighed anybody."""
    return Decision(outcome=Outcome.UNMATCHED, weights_version=weights.version, reason=reason)


def odds_of(centibits: int) -> int:
    """Return 2 ** (centibits / 100) as an integer of a fixed scale, for sums and quotients."""
    bounded = max(-MAX_CENTIBITS, min(MAX_CENTIBITS, centibits))
    bits, part = divmod(bounded, CENTIBITS_A_BIT)
    return _POWERS[part] << (bits + _BITS_BELOW_ZERO)


def posterior_of(centibits: int) -> int:
    """Return the posterior, in millionths, of an only candidate with these log odds."""
    odds = odds_of(centibits)
    return odds * CERTAIN_PPM // (odds + _EVEN_ODDS)


@lru_cache(maxsize=1024)
def base_of(level: str) -> str:
    """Return a level without its circumstance: `same` for `same.2`."""
    return level.partition(".")[0]


def strong_fields(candidate: Candidate, policy: Policy) -> set[str]:
    """Return the fields in which *candidate* is identified."""
    strong = policy.strong
    return {name for name, level in candidate.levels.items() if (name, base_of(level)) in strong}


def _threshold(leader: Candidate, candidates: Sequence[Candidate], policy: Policy) -> int:
    if policy.vouching.isdisjoint(leader.levels.items()):
        return policy.credit_ppm
    identities = strong_fields(leader, policy) - policy.words
    shared = any(
        identities <= strong_fields(each, policy) for each in candidates if each is not leader
    )
    return policy.credit_ppm if shared else policy.vouched_ppm


def _objection(
    leader: Candidate, candidates: Sequence[Candidate], weights: Weights, policy: Policy
) -> Reason | None:
    bases = {(name, base_of(level)) for name, level in leader.levels.items()}
    identities = bases & policy.strong
    vouched = not policy.vouching.isdisjoint(leader.levels.items())
    loose = frozenset[str]() if vouched else leader.loose
    if {each for each in identities if each[0] not in loose} <= policy.dependent:
        return Reason.NEEDS_SECOND_IDENTITY
    strong = {name for name, _ in identities}
    if len(strong) == 1 and not bases.isdisjoint(policy.implausible):
        return Reason.IMPLAUSIBLE
    if len(strong - policy.words) == 1 and (
        not bases.isdisjoint(policy.alibis)
        or (not policy.words.isdisjoint(strong) and _is_doubtful(leader, weights, policy))
    ):
        return Reason.IMPLAUSIBLE
    telling = policy.telling - strong
    for rival in candidates:
        if rival is not leader and not telling.isdisjoint(strong_fields(rival, policy)):
            return Reason.CONTRADICTION
    return None


def _is_doubtful(leader: Candidate, weights: Weights, policy: Policy) -> bool:
    """Return whether what is not weighed speaks against the word of *leader*."""
    if not policy.doubtful.isdisjoint(leader.unweighed.items()):
        return True
    return sum(weights.levels[n][level] for n, level in weights.known(leader.unweighed).items()) < 0


def _ranked(
    candidates: Sequence[Candidate], odds: Sequence[int], whole: int, *, leader: Candidate | None
) -> tuple[tuple[str, int], ...]:
    others = [
        (each.member_id, share * CERTAIN_PPM // whole)
        for each, share in zip(candidates, odds, strict=True)
        if each is not leader
    ]
    return tuple(sorted(others, key=lambda other: (-other[1], other[0])))
