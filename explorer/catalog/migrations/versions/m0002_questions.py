"""Questions with settings; classes with examples, a "none of these", and who merged them when."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Never by copying the table: SQLite would have to drop it, which the answers' foreign keys forbid.
    with op.batch_alter_table("questions", schema=None, recreate="never") as batch_op:
        batch_op.add_column(sa.Column("settings", sa.JSON(), nullable=False, server_default="{}"))

    with op.batch_alter_table("classes", schema=None, recreate="never") as batch_op:
        batch_op.add_column(sa.Column("none", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("examples", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("merged", sa.JSON(none_as_null=True), nullable=True))
