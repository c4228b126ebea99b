"""Whether a dataset can be worked on in a bucket as the bucket is now: what keeps its versions keeps their names."""

from __future__ import annotations

from retentiond.connectors.s3.bucket import Bucket, Versioning
from retentiond.domain.dataset import Dataset
from retentiond.errors import DatasetRefused

_REMEDY = (
    "enable versioning; or, where the application never uploads under a key that it used before, declare "
    "`keys: write-once`"
)


def refusal(dataset: Dataset, versioning: Versioning, where: str) -> DatasetRefused | None:
    """Return why a dataset cannot be worked on under a bucket's versioning; None where it can."""
    if versioning is Versioning.ENABLED:
        return None
    if dataset.tombstone is not None:
        what = "the bucket adds no versions, so a delete marker would take the place of what it hides"
        return DatasetRefused(what, where=where, remedy="enable versioning, or leave out `tombstone`")
    if dataset.write_once:
        return None
    what = {
        Versioning.SUSPENDED: "versioning is suspended: an upload takes the place of the version named `null`, "
        "whatever its age",
        Versioning.NEVER: "the bucket keeps no versions: no condition protects an object that is uploaded again "
        "under its key",
    }[versioning]
    return DatasetRefused(what, where=where, remedy=_REMEDY)


def check_fitness(dataset: Dataset, bucket: Bucket) -> Versioning:
    """Return a bucket's versioning of now, under which the dataset can be worked on.

    Raises:
        ConnectorError: The bucket does not say.
        DatasetRefused: The dataset cannot be worked on safely.
    """
    versioning = bucket.versioning()
    refused = refusal(dataset, versioning, f"{dataset.name}, {bucket.where}")
    if refused:
        raise refused
    return versioning
