"""What the store keeps of somebody, besides events on their way."""

from app.storage.keys import OUTBOX
from tests.api.world import World


def kept(world: World, containing: str = "") -> list[tuple[str, str, str]]:
    """Every row that names `containing`, in order."""
    return sorted(row for row in world.rows(containing) if not row[0].startswith(OUTBOX))
