"""Query parameters of paged lists."""

from typing import Annotated

from fastapi import Query

After = Annotated[str | None, Query(description="Return items after this id.")]
Limit = Annotated[int, Query(ge=1, le=100)]
