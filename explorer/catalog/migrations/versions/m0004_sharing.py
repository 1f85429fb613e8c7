"""Sharing: what browsers and accounts were let in for, and which pictures somebody is answering just now."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("account", sa.Text()))
    op.add_column("people", sa.Column("address", sa.Text()))
    op.create_index("uq_people_account", "people", ["account"], unique=True)
    op.add_column("links", sa.Column("seats", sa.Integer()))
    op.add_column("links", sa.Column("start", sa.Text(), nullable=False, server_default=""))
    op.add_column("links", sa.Column("created_by", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "grants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("last_used", sa.Double()),
        sa.Column("given_back", sa.Double()),
        sa.ForeignKeyConstraint(["link_id"], ["links.id"], name=op.f("fk_grants_link_id_links")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_grants_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("browser", "link_id", name=op.f("uq_grants_browser_link_id")),
    )
    op.create_index(op.f("ix_grants_link_id"), "grants", ["link_id"])
    op.create_table(
        "roles",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("revoked", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
    )
    op.create_table(
        "claims",
        sa.Column("question_id", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name=op.f("fk_claims_question_id_questions")),
        sa.PrimaryKeyConstraint("question_id", "uid", "person_id", name=op.f("pk_claims")),
    )
