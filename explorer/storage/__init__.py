"""Collections on a storage (any URL that fsspec knows): one machine builds and publishes, replicas fetch and show."""

from explorer.storage.fetch import Follower, fetch
from explorer.storage.publish import Published, publish, publish_after, withdraw
from explorer.storage.remote import Remote

__all__ = ["Follower", "Published", "Remote", "fetch", "publish", "publish_after", "withdraw"]
