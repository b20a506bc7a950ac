"""Text checkpoints of every layout give the vectors that their own libraries give, or say what is wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensor_layer.encoders import text_model
from tensor_layer.encoding.devices import ready
from tensor_layer.encoding.models.loading import Compute
from tensor_layer.encoding.models.sentence_text import SentenceTexts
from tensor_layer.errors import EncoderUnavailable
from tests.unit.tensor_layer.encoding.tiny_checkpoints import tiny_bert, tiny_roberta, tiny_text

CPU = Compute("cpu", "float32")
TEXTS = ["a red circle", "the blue square and the red circle", "", " A  RED", "zebra"]


def saved(folder: Path, transformer: Path, *after: Any, **said: Any) -> Path:
    """A folder as sentence-transformers writes it; ``after`` makes the modules behind the transformer."""
    ready()
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    torch.manual_seed(0)
    network = SentenceTransformer(modules=[Transformer(str(transformer)), *(make() for make in after)], **said)
    network.save(str(folder), create_model_card=False)
    return folder


def pooling(mode: Any, **said: Any) -> Callable[[], Any]:
    def make() -> Any:
        from sentence_transformers.sentence_transformer.modules import Pooling

        return Pooling(16, mode, **said)

    return make


def dense(before: int, after: int) -> Callable[[], Any]:
    def make() -> Any:
        from sentence_transformers.sentence_transformer.modules import Dense

        return Dense(before, after)

    return make


def assert_as_the_library(folder: Path) -> SentenceTexts:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTexts(str(folder), CPU)
    rows = encoder.encode(TEXTS)
    library = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    expected = library.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert rows.shape == expected.shape
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    return encoder


@pytest.mark.parametrize("kind", ["mpnet", "distilbert", "t5"])
def test_a_transformer_of_another_kind_than_bert_needs_no_modules(tmp_path: Path, kind: str):
    assert_as_the_library(tiny_text(tmp_path / kind, kind))


@pytest.mark.parametrize("mode", ["cls", "max", "lasttoken", ("cls", "mean")])
def test_pooling_is_the_folders_own(tmp_path: Path, mode: Any):
    folder = saved(tmp_path / "pooled", tiny_bert(tmp_path / "bert"), pooling(mode))

    encoder = assert_as_the_library(folder)

    assert encoder.card.version.dimension == (32 if isinstance(mode, tuple) else 16)


def test_the_last_dense_layer_says_how_wide_vectors_are(tmp_path: Path):
    folder = saved(tmp_path / "wide", tiny_bert(tmp_path / "bert"), pooling("mean"), dense(16, 8), dense(8, 12))

    assert assert_as_the_library(folder).card.version.dimension == 12


def test_the_default_prompt_is_put_before_every_text(tmp_path: Path):
    said = {"prompts": {"query": "the red "}, "default_prompt_name": "query"}
    folder = saved(tmp_path / "asked", tiny_bert(tmp_path / "bert"), pooling("mean"), **said)

    assert_as_the_library(folder)


def test_prompts_that_are_not_the_default_stay_away(tmp_path: Path):
    folder = saved(tmp_path / "asked", tiny_bert(tmp_path / "bert"), pooling("mean"), prompts={"query": "the red "})

    assert_as_the_library(folder)


def test_a_prompt_that_the_files_do_not_name_is_said_by_whoever_chose_them(tmp_path: Path):
    """As E5 wants: its folder names no prompts, or others."""
    said = {"prompts": {"other": "the blue "}, "default_prompt_name": "other"}
    bert = tiny_bert(tmp_path / "bert")
    folder = saved(tmp_path / "asked", bert, pooling("mean"), **said)
    expected = SentenceTexts(str(bert), CPU).encode([f"the red {text}" for text in TEXTS])

    for asked in (
        SentenceTexts(str(bert), CPU, "the red "),
        text_model(f"sentence-transformers:{folder}", "cpu", None, "the red "),
    ):
        np.testing.assert_allclose(asked.encode(TEXTS), expected, atol=1e-5)
        assert asked.card.version.version != SentenceTexts(str(bert), CPU).card.version.version
    without = SentenceTexts(str(folder), CPU, "")
    assert without.card.version.version == SentenceTexts(str(bert), CPU).card.version.version
    with pytest.raises(EncoderUnavailable, match="text_prompt is for checkpoints"):
        text_model("shipped", prompt="query: ")


@pytest.mark.parametrize("pickled", [False, True])
def test_weights_in_shards_are_those_of_one_file(tmp_path: Path, pickled: bool):
    whole = tiny_bert(tmp_path / "whole")
    folder = in_shards(whole, tmp_path / "shards", pickled=pickled)

    encoder = SentenceTexts(str(folder), CPU)
    np.testing.assert_array_equal(encoder.encode(TEXTS), SentenceTexts(str(whole), CPU).encode(TEXTS))
    first, *others = sorted(file for file in folder.iterdir() if "-of-" in file.name)
    first.write_bytes(first.read_bytes() + b" ")
    assert SentenceTexts(str(folder), CPU).card.version.version != encoder.card.version.version
    others[-1].unlink()
    with pytest.raises(EncoderUnavailable, match=f"lacks {others[-1].name}, named by"):
        SentenceTexts(str(folder), CPU)


@pytest.mark.parametrize("index", ["[", "{}", '{"weight_map": {}}', '{"weight_map": 1}'])
def test_an_index_of_no_shards_is_refused_at_once(tmp_path: Path, index: str):
    folder = tiny_bert(tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)

    with pytest.raises(EncoderUnavailable, match=r"model\.safetensors\.index\.json"):
        SentenceTexts(str(folder), CPU)


def in_shards(whole: Path, folder: Path, *, pickled: bool) -> Path:
    """The same checkpoint with its weights in three files and the index that transformers writes."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(whole, folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem, ending = ("pytorch_model", "bin") if pickled else ("model", "safetensors")
    shards = [f"{stem}-{number:05d}-of-00003.{ending}" for number in (1, 2, 3)]
    placed = {name: shards[place % 3] for place, name in enumerate(weights)}
    for shard in shards:
        part = {name: rows for name, rows in weights.items() if placed[name] == shard}
        if pickled:
            torch.save(part, folder / shard)
        else:
            save_file(part, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {"total_size": sum(rows.nbytes for rows in weights.values())}, "weight_map": placed}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index))
    return folder


def test_a_prompt_that_pooling_leaves_out_is_refused_at_once(tmp_path: Path):
    said = {"prompts": {"query": "the red "}, "default_prompt_name": "query"}
    folder = saved(tmp_path / "a", tiny_bert(tmp_path / "bert"), pooling("mean", include_prompt=False), **said)

    with pytest.raises(EncoderUnavailable, match="pools without its default prompt"):
        SentenceTexts(str(folder), CPU)


def test_a_transformer_in_a_folder_of_its_own_and_pooling_as_it_was_said_before(tmp_path: Path):
    folder = saved(tmp_path / "new", tiny_bert(tmp_path / "bert"), pooling("cls"))
    old = tmp_path / "old"
    shutil.copytree(folder, old / "0_Transformer")
    (old / "1_Pooling").mkdir()
    legacy = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (old / "1_Pooling" / "config.json").write_text(json.dumps(legacy))
    modules = [
        {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (old / "modules.json").write_text(json.dumps(modules))

    encoder = assert_as_the_library(old)

    assert encoder.card.version.version == SentenceTexts(str(folder), CPU).card.version.version


def test_the_same_weights_pooled_otherwise_are_another_version(tmp_path: Path):
    bert = tiny_bert(tmp_path / "bert")
    said = {"prompts": {"query": "the red "}, "default_prompt_name": "query"}
    folders = [
        saved(tmp_path / "cls", bert, pooling("cls")),
        saved(tmp_path / "max", bert, pooling("max")),
        saved(tmp_path / "dense", bert, pooling("mean"), dense(16, 16)),
        saved(tmp_path / "asked", bert, pooling("mean"), **said),
        saved(tmp_path / "mean", bert, pooling("mean")),
    ]

    versions = [SentenceTexts(str(folder), CPU).card.version.version for folder in folders]

    assert len(set(versions)) == 5
    assert versions[-1] == SentenceTexts(str(bert), CPU).card.version.version


@pytest.mark.parametrize("modules", ["[", "[]", "{}", '[{"path": ""}]', '[{"type": "x.StaticEmbedding", "path": ""}]'])
def test_modules_that_say_no_transformer_are_refused_at_once(tmp_path: Path, modules: str):
    folder = tiny_bert(tmp_path / "bert")
    (folder / "modules.json").write_text(modules)

    with pytest.raises(EncoderUnavailable, match=r"modules\.json"):
        SentenceTexts(str(folder), CPU)


@pytest.mark.parametrize("make", [tiny_bert, tiny_roberta])
def test_any_bert_or_roberta_folder_encodes_texts_with_mean_pooling(tmp_path: Path, make: Callable[[Path], Path]):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = make(tmp_path / "tiny-text")
    encoder = SentenceTexts(str(folder), CPU)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    texts = ["a red circle", "the blue square and the red circle", ""]

    rows = encoder.encode(texts)

    assert rows.shape == (3, 16)
    for text, row in zip(texts, rows, strict=True):
        with torch.inference_mode():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            mean = model(input_ids=ids).last_hidden_state[0].mean(0).numpy()
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-5)


def test_a_long_text_is_read_in_windows(tmp_path: Path):
    encoder = SentenceTexts(str(tiny_bert(tmp_path / "bert")), CPU)
    beginning = "a red circle and a red square " * 3
    same, other = encoder.encode([beginning, beginning + "of the blue square " * 4])

    assert not np.allclose(same, other, atol=1e-4)


def test_a_text_checkpoint_that_lacks_weights_is_not_filled_up_with_random_numbers(tmp_path: Path):
    folder = tiny_bert(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))

    with pytest.raises(EncoderUnavailable, match=r"does not load: its weights lack encoder\.layer\.1\."):
        SentenceTexts(str(folder), CPU).encode(["a red circle"])


def test_a_pooler_that_nobody_asks_for_may_be_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    from safetensors.torch import load_file, save_file

    folder = tiny_bert(tmp_path / "bert")
    whole = SentenceTexts(str(folder), CPU).encode(["a red circle"])
    weights = {name: rows for name, rows in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    capfd.readouterr()

    np.testing.assert_array_equal(SentenceTexts(str(folder), CPU).encode(["a red circle"]), whole)
    assert capfd.readouterr() == ("", "")
