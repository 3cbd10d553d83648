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
Nor do they tell a plate from its misread neighbour, or one driver of a fleet from the next. So of
whom only the car and a word speak for it is heard how they fill, and with what they never paid.
What they have paid with before counts as theirs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING

from forecourt.agreement import (
    CARD,
    FLEET,
    HABITS,
    HISTORY,
    MEANS,
    PAYMENT,
    PLATE,
    TOLERANT_KINDS,
    by_car,
    compare,
    heard_against_a_claim,
)
from forecourt.decisions import Decision, Outcome, Reason
from forecourt.fills import mark_of
from forecourt.hashes import EvidenceKey, key_id_of
from forecourt.presence import ELSEWHERE, PRESENCE, Presences
from forecourt.values import dataclass
from forecourt.weighing import (
    Candidate,
    Policy,
    Weights,
    base_of,
    decide,
    posterior_of,
    strong_fields,
    unmatched,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from forecourt.agreement import Portrait, Tolerance
    from forecourt.fills import Fill
    from forecourt.hashes import Observation

ROUND_TRIPS_MAX = 3
CANDIDATES_MAX = 8
SHARED_MAX = 4  # a family; what more members share (a fleet's card) identifies nobody
OBSERVATIONS_MAX = 8
KEYS_MAX = 100  # by one key of the hashes: DynamoDB takes no more in one BatchGetItem
NUMBERS_A_BLOCK = 10_000

CLAIM = "claim"
NOWHERE = Presences()

DEFAULT_POLICY = Policy(
    strong=frozenset(
        {
            ("phone", "same"), ("phone", "close"), ("plate", "same"), ("plate", "close"),
            ("payment", "same"), ("card", "same"), ("etc_tag", "same"), (CLAIM, "same"),
        }
    ),
    dependent=frozenset({("phone", "close"), ("plate", "close"), (CLAIM, "same")}),
    telling=frozenset({"phone", "payment", "card", "etc_tag"}),
    implausible=frozenset({("rhythm", "burst")}),
    alibis=frozenset({(PRESENCE, ELSEWHERE)}),
    doubtful=frozenset(
        {
            ("rhythm", "burst"), ("rhythm", "much_too_early"), ("rhythm", "early"),
            (MEANS, "new"), (FLEET, "same"), (HISTORY, "none"),
        }
    ),
    vouching=frozenset({(CLAIM, "same")}),
)  # fmt: skip
"""A car may be driven by several members: its plate alone contradicts nobody."""

ONE_CAR_ONE_MEMBER = Policy(
    strong=DEFAULT_POLICY.strong,
    dependent=DEFAULT_POLICY.dependent,
    telling=DEFAULT_POLICY.telling | {"plate"},
    implausible=DEFAULT_POLICY.implausible,
    alibis=DEFAULT_POLICY.alibis,
    doubtful=DEFAULT_POLICY.doubtful,
    vouching=DEFAULT_POLICY.vouching,
)
"""A car is its member's: whoever else fills it is asked."""

POLICIES = {"shared_vehicle": DEFAULT_POLICY, "one_car_one_member": ONE_CAR_ONE_MEMBER}
"""What an operator may choose, by name."""


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
    if case.somebody_is_identified():
        if keys := case.cards_of_the_claimant():
            case.learn_colleagues((yield LookUp(keys=keys)))
    elif keys := case.tolerant_keys():
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
        self._in_a_fleet = False
        self.crowded: set[Observation] = set()
        self.members: dict[str, dict[Observation, str]] = {}
        self._portraits: Mapping[str, Portrait] = {}
        self._presences: Mapping[str, Presences] = {}
        if claimed_by:
            self.members[claimed_by] = {}

    def first_look_up(self) -> LookUp:
        """Return the question for the owners of everything observed, and who claims it."""
        return LookUp(
            keys=tuple(key for each in self._observed for key in each.keys),
            portraits=(self._claimed_by,) if self._claimed_by else (),
            with_density=any(each.kind == "phone" for each in self._observed),
            with_drivers=self._claimed_by is not None,
        )

    def learn(self, found: Found) -> None:
        """Take in who owns what was observed."""
        self._block_members = found.block_members
        self._portraits = found.portraits
        for each in self._observed:
            owners = dict.fromkeys(
                member_id
                for key in each.keys
                for member_id in (*found.owners.get(key, ()), *found.drivers.get(key, ()))
            )
            if len(owners) > SHARED_MAX:
                self.crowded.add(each)
                self._in_a_fleet |= each.kind == CARD
                continue
            for member_id in owners:
                self.members.setdefault(member_id, {})[each] = "same"
            if self._claimed_by and not owners and self._paid_as_the_claimant_does(each):
                self.members[self._claimed_by][each] = "same"

    def _paid_as_the_claimant_does(self, seen: Observation) -> bool:
        """Return whether the claimant has paid before with what nobody has linked: it is theirs."""
        portrait = self._portraits.get(self._claimed_by or "")
        if seen.kind != PAYMENT or portrait is None or portrait.behaviour is None:
            return False
        return portrait.behaviour.means_level(tuple(map(mark_of, seen.digests))) == "known"

    def cards_of_the_claimant(self) -> tuple[EvidenceKey, ...]:
        """Return the keys of the cards of whom only the car and a word may speak for."""
        owned = self.members.get(self._claimed_by or "", {})
        portrait = self._portraits.get(self._claimed_by or "")
        if portrait is None or self._in_a_fleet or {each.kind for each in owned} != {PLATE}:
            return ()
        cards = sorted(portrait.identities.get(CARD, ()))
        return tuple(EvidenceKey(kind=CARD, digest=each) for each in cards)

    def learn_colleagues(self, found: Found) -> None:
        """Take in with how many others the claimant shares their cards."""
        self._in_a_fleet |= any(len(each) > SHARED_MAX for each in found.owners.values())

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
            unweighed: dict[str, str] = {}
            if member_id == self._claimed_by and self._weights:
                levels |= self._weights.known({CLAIM: "same"})
                unweighed = heard_against_a_claim(
                    levels,
                    self._fill,
                    portrait=self._portraits.get(member_id),
                    in_a_fleet=self._in_a_fleet,
                )
            loose = {each.kind for each in owned if each.loose}
            certain = {each.kind for each in owned if not each.loose}
            found.append(
                Candidate(
                    member_id=member_id,
                    levels=levels,
                    loose=frozenset(loose - certain),
                    unweighed=unweighed,
                )
            )
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
        if by_car(only.levels):
            every -= {*HABITS}
        least = weights.total(only) + weights.worst(every - only.levels.keys())
        return posterior_of(least) >= self._policy.credit_ppm
