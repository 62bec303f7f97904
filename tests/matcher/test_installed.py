"""Installed models replace and remove nothing that isn't theirs."""

from pathlib import Path

import pytest

import clip_models
from kadr.encoders import menu, onnx_session
from kadr.errors import KadrError
from kadr.matcher import installed


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(menu.FOLDER, str(tmp_path / "models"))
    return tmp_path / "models"


def raw(folder: Path) -> str:
    return f"folder:{clip_models.immich(folder)}"


@pytest.mark.parametrize("name", ["mini", "siglip2-b16"])
def test_a_folder_is_no_model_that_kadr_knows(models: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(KadrError, match="calls another model"):
        installed.pull(raw(tmp_path / name))
    assert not (models / name).exists()


def test_another_folder_of_the_same_name_replaces_nothing(models: Path, tmp_path: Path) -> None:
    first = installed.pull(raw(tmp_path / "a" / "clip"))
    other = raw(tmp_path / "b" / "clip")
    for spec in (installed.pull, installed.resolve):
        with pytest.raises(KadrError, match="kadr models remove clip"):
            spec(other)
    assert installed.show("clip").source == first.source
    assert installed.pull(f"folder:{tmp_path / 'a' / 'clip'}").folder == models / "clip"


def test_a_raw_model_among_the_installed_ones_is_left_alone(models: Path) -> None:
    spec = raw(models / "clip")
    files = sorted(models.rglob("*"))
    for use in (installed.pull, installed.resolve):
        with pytest.raises(KadrError, match="lies among the installed models"):
            use(spec)
    with pytest.raises(KadrError, match="nothing to remove"):
        installed.remove("clip")
    assert sorted(path for path in models.rglob("*") if path.suffix != ".lock") == files


def test_a_folder_of_something_else_stays(models: Path, tmp_path: Path) -> None:
    (models / "clip").mkdir(parents=True)
    (models / "clip" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(KadrError, match="holds something else"):
        installed.pull(raw(tmp_path / "clip"))
    with pytest.raises(KadrError, match="nothing to remove"):
        installed.remove("clip")
    assert (models / "clip" / "notes.txt").exists()


@pytest.mark.parametrize(
    ("device", "there", "taken"),
    [
        ("CPU", ("", "_fp16", "_quantized"), "fp32"),
        ("CPU", ("_fp16", "_quantized"), "int8"),
        ("CUDA", ("", "_fp16", "_quantized"), "fp16"),
        ("CUDA", ("", "_quantized"), "fp32"),
        ("OpenVINO", ("", "_fp16"), "fp32"),
    ],
)
def test_the_precision_is_the_device_s(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    there: tuple[str, ...],
    taken: str,
) -> None:
    """Of those that there are; a model that is installed keeps its own, another can be asked for."""
    spec = f"folder:{clip_models.transformers_js(tmp_path / 'raw', suffixes=there)}"
    with monkeypatch.context() as patched:
        provider = f"{device}ExecutionProvider"
        patched.setattr(onnx_session, "providers", lambda *_: [provider, "CPUExecutionProvider"])
        best = onnx_session.best_precision()
    with monkeypatch.context() as patched:
        patched.setattr(onnx_session, "best_precision", lambda: best)
        assert installed.pull(spec).precision == taken
    assert installed.pull(spec).precision == taken
    asked = there[-1].removeprefix("_").replace("quantized", "int8")
    assert installed.pull(spec, asked).precision == asked  # type: ignore[arg-type]
