"""What the route for presence takes and gives."""

from pydantic import BaseModel

from forecourt.shapes import Document, InstantText, StationId


class CheckInBody(Document):
    """Where the member is; no coordinates, and no time, because it is now."""

    station_id: StationId


class CheckInView(BaseModel):
    """That the member is at a station, as of our clock."""

    station_id: str
    checked_in_at: InstantText
