"""A layer has what was named and what that leads to, and is the same bytes every time."""

import hashlib
from pathlib import Path

import pytest

from dev.images.rootfs import MODIFIED, Layer, LayerError, compile_bytecode, main, settle, stanzas


def inside(layer: Layer, path: Path) -> Path:
    return layer.root / path.relative_to("/")


def test_a_link_brings_what_it_leads_to(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "real").mkdir(parents=True)
    (source / "real/lib.so.1.2").write_text("code")
    (source / "real/lib.so.1").symlink_to("lib.so.1.2")
    (source / "real/unrelated").write_text("")
    (source / "merged").symlink_to("real")
    layer = Layer(tmp_path / "layer")

    layer.add(source / "merged/lib.so.1")

    copied = inside(layer, source / "real")
    assert {path.name for path in copied.iterdir()} == {"lib.so.1", "lib.so.1.2"}
    assert (copied / "lib.so.1").readlink() == Path("lib.so.1.2")


def test_a_folder_comes_without_what_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("os.py", "test/test_os.py", "config-3/libpython.a", "json/test.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("")
    layer = Layer(tmp_path / "layer")

    layer.add(source, frozenset({"test", "config-*"}))

    found = {str(p.relative_to(inside(layer, source))) for p in layer.root.rglob("*.*")}
    assert found == {"os.py", "json/test.py"}


def test_what_a_lower_layer_has_is_not_copied_again(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_text("")
    below = Layer(tmp_path / "below")
    below.add(tmp_path / "lib.so")
    layer = Layer(tmp_path / "layer", below.root)

    layer.add(tmp_path / "lib.so")
    layer.add(tmp_path / "absent")

    assert list(layer.root.iterdir()) == []


def test_two_layers_of_the_same_sources_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.py").write_text("NAMES = {'a', 'b'} | {'c'}\n")
    digests = []
    for number in range(2):
        layer = Layer(tmp_path / f"layer-{number}")
        layer.add(tmp_path / "package")
        compile_bytecode(layer)
        settle(layer)
        (bytecode,) = layer.root.rglob("*.pyc")
        digests.append(hashlib.sha256(bytecode.read_bytes()).hexdigest())
        assert {int(path.stat().st_mtime) for path in layer.root.rglob("*")} == {MODIFIED}

    assert digests[0] == digests[1]


def test_a_module_that_does_not_compile_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def\n")
    layer = Layer(tmp_path / "layer")
    layer.add(tmp_path / "module.py")

    with pytest.raises(LayerError, match="could not be compiled"):
        compile_bytecode(layer)


def test_scanners_get_what_dpkg_knew(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(
        "Package: libc6\nVersion: 2.36\n\nPackage: zlib1g\nVersion: 1.2\n"
    )

    assert stanzas(tmp_path) == {
        "libc6": "Package: libc6\nVersion: 2.36\n",
        "zlib1g": "Package: zlib1g\nVersion: 1.2\n",
    }


def test_an_image_has_no_command_that_it_cannot_run(tmp_path: Path) -> None:
    folder = tmp_path / "opt/breakwater/bin"
    folder.mkdir(parents=True)
    for name in ("breakwater", "kubectl-breakwater", "breakwater-operator", "breakwater-runtime"):
        (folder / name).write_text("#!/opt/breakwater/bin/python\n")

    main("application", str(tmp_path), "breakwater-runtime")

    assert [path.name for path in folder.iterdir()] == ["breakwater-runtime"]
