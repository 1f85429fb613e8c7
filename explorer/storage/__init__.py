"""Collections on a storage (any URL that fsspec knows): one machine builds and publishes, replicas fetch and show."""

from explorer.storage.fetch import Fetched, Follower, fetch
from explorer.storage.publish import Published, publish, publish_after, withdraw
from explorer.storage.remote import Remote

__all__ = ["Fetched", "Follower", "Published", "Remote", "fetch", "publish", "publish_after", "withdraw"]
