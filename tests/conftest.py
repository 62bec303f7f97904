"""Fixtures that several test files share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kadr.data import dataset
from kadr.photos import object_store
from kadr.types import Dataset

settings.register_profile("kadr", deadline=None, max_examples=50)  # no test depends on the clock
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("kadr")
os.environ["KADR_CONFIG"] = os.devnull  # no test depends on the settings of whoever runs it,
os.environ["LC_ALL"] = "C.UTF-8"  # nor on their language


@pytest.fixture(scope="session")
def archive() -> Path:
    """Give the folder of the real archive; skip the test where there is none."""
    data = os.environ.get("KADR_DATA")
    if not data:
        pytest.skip("KADR_DATA is unset: it names the folder that holds search_by_query/")
    folder = Path(data) / "search_by_query"
    if not folder.is_dir():
        pytest.fail(f"KADR_DATA names {data}, which holds no search_by_query/")
    return folder


@pytest.fixture
def plain_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let photos be named by their numbers, for tests that know the order of indexing."""
    monkeypatch.setattr("kadr.stores.ids.IdCipher.encrypt", lambda _, number: number)
    monkeypatch.setattr("kadr.stores.ids.IdCipher.decrypt", lambda _, number: number)


@pytest.fixture(scope="session")
def real(archive: Path) -> Dataset:
    """Give the real archive, read."""
    return dataset.load(archive)


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
    object_store._kept.cache_clear()
    yield made
    made.objects.all().delete()
    made.delete()
