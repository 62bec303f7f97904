"""Fixtures of encoding: a model of fakes on disk, photos, an S3 on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encoded_photos import shelf
from kadr.matcher import bundle
from libraries import colour_matcher


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.save(colour_matcher(), tmp_path_factory.mktemp("model") / "colours")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return shelf(tmp_path / "photos")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Give the address of an S3 on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give an empty bucket, found by the environment as a person's would be."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    made = boto3.resource("s3", region_name="us-east-1").Bucket(f"photos-{os.getpid()}")
    made.create()
    yield made
    made.objects.all().delete()
    made.delete()
