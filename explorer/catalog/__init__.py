"""What must outlive a restart and be shared between processes: questions, answers, jobs, people, links, views."""

from explorer.catalog.database import Catalog

__all__ = ["Catalog"]
