"""Who this process is, for requests that name nobody else. Loads Azure's clients only when it is asked."""

from labelbridge.model import Actor
from labelbridge.settings import Settings


async def own_identity(settings: Settings) -> Actor:
    """Whom this process's own Azure credential names."""
    from labelbridge.azure.session import AzureSession

    async with AzureSession(settings) as session:
        identity = await session.identity()
    return Actor(object_id=identity.object_id, name=identity.name)
