"""What the store keeps of somebody, besides what only tells what happened."""

from app.storage.keys import OUTBOX
from tests.api.world import World


def kept(world: World, containing: str = "") -> list[tuple[str, str, str]]:
    """Every row that names `containing`, in order, without events and audit records."""
    return sorted(
        row
        for row in world.rows(containing)
        if not row[0].startswith(OUTBOX) and "#audit#" not in row[0]
    )
