"""
Whose sale is it: which look-ups to make, and what they say of each candidate.

`inquire` is a conversation: it yields what it wants looked up, takes what was found, and
returns the decision. It asks for keys only, never for a search, and at most three times:

1. everything observed, exactly;
2. when that names nobody, what a typed phone or a read plate may have been before a slip;
3. the portraits of the candidates: what else is bound to them, their habits, and where their
   apps checked in.

A question whose answer could not change the decision is not asked. Evidence many share names
nobody, and a crowd of candidates ends in "unmatched", never in a guess.

Of a claim it is asked, too, who else drives the car: whoever was seen with it counts as one who
has it. A car's plate and a member's word do not tell one driver of a household from the other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING, TypeAlias

from forecourt.identity import EvidenceKey
from forecourt.keyring import key_id_of
from forecourt.presence import ELSEWHERE, PRESENCE, Presences
from forecourt.values import dataclass
from forecourt.weighing import (
    UNSEEN,
    Candidate,
    Decision,
    Outcome,
    Policy,
    Reason,
    Weights,
    base_of,
    decide,
    posterior_of,
    strong_fields,
    unmatched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from forecourt.behaviour import Behaviour, Fill
    from forecourt.evidence import Observation

ROUND_TRIPS_MAX = 3
CANDIDATES_MAX = 8
SHARED_MAX = 4  # a family; what more members share (a fleet's card) identifies nobody
OBSERVATIONS_MAX = 8
KEYS_MAX = 100  # by one key of the hashes: DynamoDB takes no more in one BatchGetItem
NUMBERS_A_BLOCK = 10_000

TOLERANT_KINDS = ("phone", "plate")  # in this order: phones come closest to the whole batch
KINDS = ("phone", "plate", "payment", "card", "etc_tag")
HABITS = ("station", "hour", "grade", "litres", "rhythm")
CLAIM = "claim"
NOWHERE = Presences()

DEFAULT_POLICY = Policy(
    strong=frozenset(
        {
            ("phone", "same"), ("phone", "close"), ("plate", "same"), ("plate", "close"),
            ("payment", "same"), ("card", "same"), ("etc_tag", "same"),
            ("receipt", "same"), (CLAIM, "same"),
        }
    ),
    dependent=frozenset(
        {("phone", "close"), ("plate", "close"), ("receipt", "same"), (CLAIM, "same")}
    ),
    telling=frozenset({"phone", "payment", "card", "etc_tag", "receipt"}),
    implausible=frozenset({("rhythm", "burst")}),
    alibis=frozenset({(PRESENCE, ELSEWHERE)}),
    vouching=frozenset({("receipt", "same"), (CLAIM, "same")}),
)  # fmt: skip
"""A car may be driven by several members: its plate alone contradicts nobody."""

ONE_CAR_ONE_MEMBER = Policy(
    strong=DEFAULT_POLICY.strong,
    dependent=DEFAULT_POLICY.dependent,
    telling=DEFAULT_POLICY.telling | {"plate"},
    implausible=DEFAULT_POLICY.implausible,
    alibis=DEFAULT_POLICY.alibis,
    vouching=DEFAULT_POLICY.vouching,
)
"""A car is its member's: whoever else fills it is asked."""

POLICIES = {"shared_vehicle": DEFAULT_POLICY, "one_car_one_member": ONE_CAR_ONE_MEMBER}
"""What an operator may choose, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What is known of a member: digests bound to them, by kind, and their habits."""

    identities: Mapping[str, frozenset[str]]
    behaviour: Behaviour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """
    One round trip: the owners of `keys`, the `portraits` of members and their check-ins.

    `with_density` also asks how many members the typed phone's block of numbers has, and
    `with_drivers` who has been seen with the cars among `keys`.
    """

    keys: tuple[EvidenceKey, ...] = ()
    portraits: tuple[str, ...] = ()
    with_density: bool = False
    with_drivers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a round trip found; a key nobody owns and a member without portrait are absent."""

    owners: Mapping[EvidenceKey, Sequence[str]] = field(default_factory=dict)
    drivers: Mapping[EvidenceKey, Iterable[str]] = field(default_factory=dict)
    portraits: Mapping[str, Portrait] = field(default_factory=dict)
    presences: Mapping[str, Presences] = field(default_factory=dict)
    block_members: int = 0


Tolerance: TypeAlias = "Callable[[Observation], Iterable[str]]"
"""Digests of what an observation may have been before one slip, likeliest first."""

_BETTER = {"differs": 0, "close": 1, "same": 2}


def inquire(
    observations: Iterable[Observation],
    fill: Fill,
    *,
    weights: Weights,
    policy: Policy = DEFAULT_POLICY,
    tolerate: Tolerance,
    claimed_by: str | None = None,
) -> Generator[LookUp, Found, Decision]:
    """
    Ask what has to be known of a sale, and return whose it is.

    *claimed_by* is a member who was shown the sale and said it is theirs. More than
    `OBSERVATIONS_MAX` observations are a fault of the station: the rest is not looked at.
    """
    observed = tuple(dict.fromkeys(observations))[:OBSERVATIONS_MAX]
    if not observed:
        return unmatched(Reason.NO_EVIDENCE, weights)
    case = _Case(
        observed=observed,
        fill=fill,
        weights=weights,
        policy=policy,
        tolerate=tolerate,
        claimed_by=claimed_by,
    )
    case.learn((yield case.first_look_up()))
    if not case.somebody_is_identified() and (keys := case.tolerant_keys()):
        case.learn_close((yield LookUp(keys=keys)))
    if not case.members:
        return unmatched(Reason.CROWDED if case.crowded else Reason.UNKNOWN, weights)
    if len(case.members) > CANDIDATES_MAX:
        return unmatched(Reason.CROWDED, weights)
    found = case.candidates()
    decision = decide(found, weights=weights, policy=policy)
    if case.settled(decision, found, weights):
        return decision
    case.meet((yield LookUp(portraits=tuple(sorted(case.members)))))
    return decide(case.candidates(), weights=weights, policy=policy)


def gather(
    observations: Iterable[Observation], fill: Fill, *, tolerate: Tolerance
) -> Generator[LookUp, Found, list[Candidate]]:
    """
    Ask for everything that may be asked, and return the candidates: what weights learn from.

    The same look-ups in the same order as `inquire`, none saved. A crowd is nobody.
    """
    observed = tuple(dict.fromkeys(observations))[:OBSERVATIONS_MAX]
    if not observed:
        return []
    case = _Case(
        observed=observed,
        fill=fill,
        weights=None,
        policy=DEFAULT_POLICY,
        tolerate=tolerate,
        claimed_by=None,
    )
    case.learn((yield case.first_look_up()))
    if not case.somebody_is_identified() and (keys := case.tolerant_keys()):
        case.learn_close((yield LookUp(keys=keys)))
    if not 0 < len(case.members) <= CANDIDATES_MAX:
        return []
    case.meet((yield LookUp(portraits=tuple(sorted(case.members)))))
    return case.candidates()


def compare(
    observations: Sequence[Observation],
    fill: Fill,
    *,
    weights: Weights | None,
    block_members: int,
    owned: Mapping[Observation, str],
    portrait: Portrait | None,
    presences: Presences | None,
    tolerate: Tolerance,
) -> dict[str, str]:
    """
    Return at which level each field agrees for one candidate.

    *owned* says what look-ups found: which observations are the candidate's own, `same` or
    `close`. The rest is compared with the portrait; of what the candidate never bound,
    nothing is known and nothing said. What was not observed at all is a level of its own,
    `none`: guests who are no members seldom type a phone and show no card. The
    circumstances are how densely the phone's block is populated and whether the camera
    doubts its reading. Habits count only for who is not known by the car: whoever shares
    the car shares the pump, the hours and the grade. An app is in one driver's pocket:
    *presences*, once asked for, count for everybody.
    """
    levels: dict[str, str] = {}
    for each in observations:
        level = owned.get(each) or _against(portrait, each, tolerate)
        if level and _BETTER[level] >= _BETTER.get(base_of(levels.get(each.kind, "")), 0):
            circumstance = (
                str(density_class(block_members))
                if each.kind == "phone" and level != "differs"
                else "unsure"
                if each.unsure and level == "differs"
                else ""
            )
            levels[each.kind] = f"{level}.{circumstance}" if circumstance else level
    seen = {each.kind for each in observations}
    levels |= dict.fromkeys((kind for kind in KINDS if kind not in seen), UNSEEN)
    if portrait and portrait.behaviour and not _by_car(levels):
        levels |= portrait.behaviour.levels(fill)
    if presences is not None:
        levels[PRESENCE] = presences.level(fill)
    return weights.known(levels) if weights else levels


def density_class(block_members: int) -> int:
    """Return the class, 0 to 4, of a block of ten thousand numbers with that many members."""
    return min(4, max(0, (block_members.bit_length() - 3) // 2))


class _Case:
    """One sale, and what was found of it so far."""

    def __init__(
        self,
        *,
        observed: tuple[Observation, ...],
        fill: Fill,
        weights: Weights | None,
        policy: Policy,
        tolerate: Tolerance,
        claimed_by: str | None,
    ) -> None:
        self._observed = observed
        self._fill = fill
        self._weights = weights
        self._policy = policy
        self._tolerate = tolerate
        self._claimed_by = claimed_by
        self._block_members = 0
        self._slips: dict[EvidenceKey, Observation] = {}
        self.crowded: set[Observation] = set()
        self.members: dict[str, dict[Observation, str]] = {}
        self._portraits: Mapping[str, Portrait] = {}
        self._presences: Mapping[str, Presences] = {}
        if claimed_by:
            self.members[claimed_by] = {}

    def first_look_up(self) -> LookUp:
        """Return the question for the owners of everything observed."""
        return LookUp(
            keys=tuple(key for each in self._observed for key in each.keys),
            with_density=any(each.kind == "phone" for each in self._observed),
            with_drivers=self._claimed_by is not None,
        )

    def learn(self, found: Found) -> None:
        """Take in who owns what was observed."""
        self._block_members = found.block_members
        for each in self._observed:
            owners = dict.fromkeys(
                member_id
                for key in each.keys
                for member_id in (*found.owners.get(key, ()), *found.drivers.get(key, ()))
            )
            if len(owners) > SHARED_MAX:
                self.crowded.add(each)
                continue
            for member_id in owners:
                self.members.setdefault(member_id, {})[each] = "same"

    def meet(self, found: Found) -> None:
        """Take in who the candidates are; who has never checked in has done so nowhere."""
        self._portraits = found.portraits
        self._presences = {each: found.presences.get(each, NOWHERE) for each in self.members}

    def learn_close(self, found: Found) -> None:
        """Take in who owns what the observed may have been."""
        for key, owners in found.owners.items():
            if len(owners) <= SHARED_MAX:
                for member_id in owners:
                    self.members.setdefault(member_id, {}).setdefault(self._slips[key], "close")

    def somebody_is_identified(self) -> bool:
        """Return whether a look-up found the owner of something that identifies."""
        strong = self._policy.strong
        return any(
            (each.kind, level) in strong
            for owned in self.members.values()
            for each, level in owned.items()
        )

    def tolerant_keys(self) -> tuple[EvidenceKey, ...]:
        """Return the keys one slip away; none when even the best of them would not be weighed."""
        if self._weights and self._slips_are_hopeless(self._weights):
            return ()
        asked: Counter[str] = Counter()
        for kind in TOLERANT_KINDS:
            for each in self._observed:
                if each.kind == kind and each not in self.crowded:
                    for digest in self._tolerate(each):
                        key, key_id = EvidenceKey(kind=kind, digest=digest), key_id_of(digest)
                        if digest in each.digests or asked[key_id] == KEYS_MAX:
                            continue
                        asked[key_id] += key not in self._slips
                        self._slips[key] = each
        return tuple(self._slips)

    def _slips_are_hopeless(self, weights: Weights) -> bool:
        most = weights.prior + weights.best(HABITS)
        for kind in {each.kind for each in self._observed}.intersection(TOLERANT_KINDS):
            levels = weights.levels.get(kind, {})
            most += max(
                (worth for level, worth in levels.items() if base_of(level) == "close"), default=0
            )
        return posterior_of(most) < self._policy.pending_ppm

    def candidates(self) -> list[Candidate]:
        """Return every member found so far, compared with everything known so far."""
        telling = [each for each in self._observed if each not in self.crowded]
        found = []
        for member_id, owned in self.members.items():
            levels = compare(
                telling,
                self._fill,
                weights=self._weights,
                block_members=self._block_members,
                owned=owned,
                portrait=self._portraits.get(member_id),
                presences=self._presences.get(member_id),
                tolerate=self._tolerate,
            )
            if member_id == self._claimed_by and self._weights:
                levels |= self._weights.known({CLAIM: "same"})
            found.append(Candidate(member_id=member_id, levels=levels))
        return found

    def settled(
        self, decision: Decision, candidates: Sequence[Candidate], weights: Weights
    ) -> bool:
        """
        Return whether the portraits could not change *decision*.

        That is so when a single candidate, with two identities that agree, stays credited
        whatever the portrait says against it; or when nobody could even become pending.
        """
        every = {*HABITS, PRESENCE, *(each.kind for each in self._observed)}
        if decision.outcome is Outcome.UNMATCHED:
            return all(
                posterior_of(weights.total(each) + weights.best(every - each.levels.keys()))
                < self._policy.pending_ppm
                for each in candidates
            )
        if decision.outcome is Outcome.PENDING or len(candidates) > 1:
            return False
        (only,) = candidates
        if len(strong_fields(only, self._policy) - self._policy.words) == 1:
            return False
        if _by_car(only.levels):
            every -= {*HABITS}
        least = weights.total(only) + weights.worst(every - only.levels.keys())
        return posterior_of(least) >= self._policy.credit_ppm


def _by_car(levels: Mapping[str, str]) -> bool:
    return base_of(levels.get("plate", "")) in {"same", "close"}


def _against(portrait: Portrait | None, seen: Observation, tolerate: Tolerance) -> str | None:
    bound = portrait.identities.get(seen.kind) if portrait else None
    if not bound:
        return None
    if not bound.isdisjoint(seen.digests):
        return "same"
    if seen.kind in TOLERANT_KINDS and not bound.isdisjoint(tolerate(seen)):
        return "close"
    return "differs"
