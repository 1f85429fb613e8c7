"""The tables of the catalogue. `migrations/` builds them; a test holds the two together.

Every time is UTC seconds since 1970 as a double, every id a short random string: both read the same in SQLite,
PostgreSQL, JSON and a URL. No foreign key points at `datasets`: answers outlive the files they speak of.
"""

import secrets

import sqlalchemy as sa

REVISION = "0004"
"""The migration that this code is written for."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = sa.MetaData(naming_convention=_NAMES)


def new_id() -> str:
    """Ten characters without look-alikes, 50 random bits: short enough for a link that is read aloud."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("archived", sa.Double),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("args", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("progress", sa.JSON),
    sa.Column("report", sa.JSON),
    sa.Column("holder", sa.Text),
    sa.Column("pid", sa.Integer),
    sa.Column("host", sa.Text),
    sa.Column("lease_until", sa.Double),
    sa.Column("heartbeat", sa.Double),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("finished", sa.Double),
)
# One writer a dataset is kept by the database itself, whatever the processes believe of each other.
sa.Index(
    "uq_jobs_running",
    jobs.c.dataset_id,
    unique=True,
    sqlite_where=jobs.c.state == "running",
    postgresql_where=jobs.c.state == "running",
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("address", sa.Text),
    sa.Index("uq_people_account", "account", unique=True),
)

links = sa.Table(
    "links",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("scope", sa.JSON, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("ends", sa.Double),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("revoked", sa.Double),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("last_used", sa.Double),
    sa.Column("seats", sa.Integer),
    sa.Column("start", sa.Text, nullable=False, server_default=""),
    sa.Column("created_by", sa.Text, nullable=False, server_default=""),
)

# What a browser was let in for. Of the browser's secret only the hash is kept, as of the link's.
grants = sa.Table(
    "grants",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("browser", sa.Text, nullable=False),
    sa.Column("link_id", sa.Text, sa.ForeignKey("links.id"), nullable=False, index=True),
    sa.Column("person_id", sa.Text, sa.ForeignKey("people.id"), nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("last_used", sa.Double),
    sa.Column("given_back", sa.Double),
    sa.UniqueConstraint("browser", "link_id"),
)

# What accounts may do, by address ("ada@museum.org") or domain ("@museum.org").
roles = sa.Table(
    "roles",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("pattern", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("scope", sa.JSON, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("revoked", sa.Double),
)

# Which pictures somebody was handed to answer, and until when nobody else is.
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("question_id", sa.Text, sa.ForeignKey("questions.id"), nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.PrimaryKeyConstraint("question_id", "uid", "person_id"),
)

questions = sa.Table(
    "questions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("archived", sa.Double),
    sa.Column("settings", sa.JSON, nullable=False, server_default="{}"),
)

classes = sa.Table(
    "classes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("question_id", sa.Text, sa.ForeignKey("questions.id"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("merged_into", sa.Text, sa.ForeignKey("classes.id")),
    sa.Column("none", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("examples", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("merged", sa.JSON(none_as_null=True)),
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("client_event_id", sa.Text, nullable=False, unique=True),
    sa.Column("question_id", sa.Text, sa.ForeignKey("questions.id"), nullable=False),
    sa.Column("dataset_id", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("region", sa.JSON(none_as_null=True)),
    sa.Column("class_id", sa.Text, sa.ForeignKey("classes.id")),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("person_id", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("space", sa.Text, nullable=False),
    sa.Column("blind", sa.Boolean, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("probability", sa.Double),
    sa.Column("batch_id", sa.Text),
    sa.Column("undoes", sa.Text),
    sa.Index("ix_answers_question_id_seq", "question_id", "seq"),
    sqlite_autoincrement=True,  # a number is never given twice, not even after a deletion
)

views = sa.Table(
    "views",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

# What was tried on a question. A trial belongs to answers as of `seq`; the same one again is not a second trial.
trials = sa.Table(
    "trials",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("question_id", sa.Text, sa.ForeignKey("questions.id"), nullable=False),
    sa.Column("dataset_id", sa.Text, nullable=False),
    sa.Column("attribute", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("features", sa.JSON, nullable=False),
    sa.Column("steps", sa.JSON, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("space", sa.Text, nullable=False),
    sa.Column("answers", sa.Integer, nullable=False),
    sa.Column("balanced_accuracy", sa.Double, nullable=False),
    sa.Column("low", sa.Double, nullable=False),
    sa.Column("high", sa.Double, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.UniqueConstraint("question_id", "seq", "fingerprint"),
)
