"""What the routes for weights take and give."""

from typing import Annotated

from pydantic import BaseModel, Field

from forecourt.shapes import Document, Instant, InstantText
from forecourt.weights_table import MAX_VERSION


class WeightsActivationOrder(Document):
    """
    From when a version decides, at once unless told, and instead of which one.

    `replaces` is what would be in force then without this order. When that has changed meanwhile
    the answer is `version_mismatch`.
    """

    replaces: Annotated[int, Field(ge=1, le=MAX_VERSION)]
    effective_at: Instant | None = None


class WeightsActivationView(BaseModel):
    """From `effective_at` on, `version` is in force."""

    version: int
    effective_at: InstantText


class TrialView(BaseModel):
    """
    What weights made of the sales that were held back.

    Of the confirmed ones, `agreeing` were credited to whom people have said, `wrong` to others.
    """

    credited: int
    pending: int
    unmatched: int
    agreeing: int
    wrong: int


class ChangeView(BaseModel):
    """A sale that is decided differently; `same_member`: about the same member."""

    sale_id: str
    before: str
    after: str
    same_member: bool


class ComparisonView(BaseModel):
    """
    A proposal beside the weights it was `compared_with`, on `sales` neither has learnt from.

    `safe`: no more are wrong, and no fewer are credited.
    """

    compared_with: int
    sales: int
    confirmed: int
    in_force: TrialView
    proposed: TrialView
    changed: int
    examples: list[ChangeView]
    safe: bool


class WeightsView(BaseModel):
    """
    A version of the weights: `proposed`, `scheduled`, `in_force` or `retired`.

    Version 1 is shipped and was compared with nothing.
    """

    version: int
    status: str
    run_id: str | None
    proposed_at: InstantText | None
    learnt_from: dict[str, int]
    comparison: ComparisonView | None


class DetailedWeightsView(WeightsView):
    """A version with what each level of each field is worth, in hundredths of a bit."""

    members: int
    prior: int
    levels: dict[str, dict[str, int]]
    activations: list[WeightsActivationView]


class LearningView(BaseModel):
    """
    What a run came to: the `version` it proposed, or the `reason` why it proposed none.

    Of what there is too little of there are `found`, and there have to be `needed`.
    """

    run_id: str
    finished_at: InstantText
    version: int | None
    reason: str | None
    found: int | None
    needed: int | None


class AllWeightsView(BaseModel):
    """A page of versions, latest first, which is in force when, and the latest runs."""

    weights: list[WeightsView]
    timeline: list[WeightsActivationView]
    in_force: int
    learnings: list[LearningView]
    next_cursor: str | None


class LearningStartedView(BaseModel):
    """A run that was started; what it comes to is listed under its id."""

    run_id: str
