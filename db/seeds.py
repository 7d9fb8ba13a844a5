"""The rows that every database has from its migration on."""

from uuid import UUID

from model.ids import PoolName, TeamId, UserId

DEFAULT_POOL = PoolName("default")
DEFAULT_TEAM = TeamId(UUID("01900000-0000-7000-8000-000000000001"))
LOCAL_USER = UserId(UUID("01900000-0000-7000-8000-000000000002"))
"""The owner of the laptop: an admin."""
PREFECT_USER = UserId(UUID("01900000-0000-7000-8000-000000000003"))
"""The service user that runs started in Prefect count for, unless their deployment is bound to another one."""
