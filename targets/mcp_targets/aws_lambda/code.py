"""The function's code on its way to AWS: within the request, by a bucket, or as the name of an image."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mcp_packager.errors import Place, Problem, UserError, WorldError
from mcp_packager.target import Identity, Value
from mcp_targets._aws.errors import speaking
from mcp_targets._aws.session import Aws
from mcp_targets.aws_lambda.package import MOST_DIRECT

Published = Callable[[str], bytes | None]
"""The zip of that SHA-256 out of a version that has it; ``None`` where none has."""

_FILE: Final = "function.zip"


class Code:
    """Where a deploy finds the zip. ``output`` holds it; ``bucket`` is for one that is too large for a request."""

    def __init__(self, aws: Aws, identity: Identity, output: Path | None, bucket: str | None) -> None:
        self._aws = aws
        self._identity = identity
        self._output = output
        self._bucket = bucket

    @contextmanager
    def sent(self, wanted: Mapping[str, Value], published: Published) -> Iterator[Mapping[str, Any]]:
        """What Lambda is told of the code, good for as long as the context is.

        ``published`` is asked for a zip that this machine does not have.

        Raises:
            UserError: it is too large for a request, and no bucket is named.
            WorldError: the zip is not at hand.
        """
        if "image" in wanted:
            yield {"ImageUri": wanted["image"]}
            return
        data = self._data(str(wanted["sha256"]), published)
        if len(data) <= MOST_DIRECT:
            yield {"ZipFile": data}
            return
        if self._bucket is None:
            raise no_bucket()
        key = f"mcp-pack/{self._identity.audience}/{wanted['sha256']}.zip"
        with speaking(f"put the code into the bucket {self._bucket}"):
            self._aws.client("s3").put_object(Bucket=self._bucket, Key=key, Body=data)
        try:
            yield {"S3Bucket": self._bucket, "S3Key": key}
        finally:
            # Lambda keeps a copy of its own; one that could not be removed is the bucket's to let expire.
            with contextlib.suppress(WorldError), speaking(f"remove the code from the bucket {self._bucket}"):
                self._aws.client("s3").delete_object(Bucket=self._bucket, Key=key)

    def _data(self, sha256: str, published: Published) -> bytes:
        path = None if self._output is None else self._output / _FILE
        data = path.read_bytes() if path is not None and path.exists() else None
        if not _is(data, sha256):
            data = published(sha256)
        if data is None or not _is(data, sha256):
            raise WorldError(
                Problem(
                    f"the zip {sha256[:12]} is not at hand, and the function has no version of it any more",
                    "build and deploy that version again",
                    Place() if path is None else Place(str(path)),
                )
            )
        return data


def _is(data: bytes | None, sha256: str) -> bool:
    return data is not None and hashlib.sha256(data).hexdigest() == sha256


def no_bucket() -> UserError:
    """The refusal of a zip that is too large for a request."""
    return UserError(
        Problem(
            f"the zip is larger than {MOST_DIRECT // 2**20} MB, which is the most that Lambda takes in a request",
            'name a bucket of the function\'s region: bucket = "…" under [target.lambda]; or set package = "image"',
            Place(key="target.lambda.bucket"),
        )
    )
