"""Checkpoints of real architectures with random weights and a few thousand parameters, in the forms that hubs carry."""

import json
from pathlib import Path
from typing import Any

from tensor_layer.encoding.devices import ready


def tiny_open_clip(folder: Path) -> Path:
    ready()
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model_cfg = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    }
    model = open_clip.CLIP(**model_cfg)
    folder.mkdir()
    preprocess = {"mean": [0.48, 0.45, 0.40], "std": [0.26, 0.26, 0.27]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model_cfg, "preprocess_cfg": preprocess}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


WHISPER_DIMS = {
    "n_mels": 80,
    "n_audio_ctx": 50,
    "n_audio_state": 16,
    "n_audio_head": 2,
    "n_audio_layer": 2,
    "n_vocab": 64,
    "n_text_ctx": 8,
    "n_text_state": 16,
    "n_text_head": 2,
    "n_text_layer": 1,
}


def tiny_whisper(file: Path, *, bands: int = 80, half: bool = False) -> Path:
    ready()
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    dims = WHISPER_DIMS | {"n_mels": bands}
    model = Whisper(ModelDimensions(**dims))
    torch.save({"dims": dims, "model_state_dict": (model.half() if half else model).state_dict()}, file)
    return file


def tiny_transformers_whisper(folder: Path) -> Path:
    ready()
    import torch
    from transformers import WhisperModel

    torch.manual_seed(0)
    WhisperModel(_whisper_config(80)).save_pretrained(folder)
    return folder


_FROM_OPENAI = {
    ".blocks.": ".layers.",
    ".attn.query.": ".self_attn.q_proj.",
    ".attn.key.": ".self_attn.k_proj.",
    ".attn.value.": ".self_attn.v_proj.",
    ".attn.out.": ".self_attn.out_proj.",
    ".attn_ln.": ".self_attn_layer_norm.",
    ".mlp.0.": ".fc1.",
    ".mlp.2.": ".fc2.",
    ".mlp_ln.": ".final_layer_norm.",
    ".ln_post.": ".layer_norm.",
    ".positional_embedding": ".embed_positions.weight",
}


def hub_whisper(folder: Path, file: Path, *, pickled: bool = False) -> Path:
    """openai's file as hubs have it: ``WhisperForConditionalGeneration``, decoder included, in the file's precision."""
    ready()
    import torch
    from transformers import WhisperForConditionalGeneration

    openai = torch.load(file, weights_only=True)
    model = WhisperForConditionalGeneration(_whisper_config(openai["dims"]["n_mels"]))
    renamed = {}
    for name, tensor in openai["model_state_dict"].items():
        if name.startswith("encoder."):
            for theirs, ours in _FROM_OPENAI.items():
                name = name.replace(theirs, ours)
            renamed[f"model.{name}"] = tensor
    left = model.load_state_dict(renamed, strict=False)
    assert not left.unexpected_keys
    assert not [name for name in left.missing_keys if "encoder." in name.replace("encoder_attn", "")]
    model.to(next(iter(renamed.values())).dtype).save_pretrained(folder)
    if pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder


def _whisper_config(bands: int) -> Any:
    from transformers import WhisperConfig

    return WhisperConfig(
        vocab_size=64, num_mel_bins=bands, d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=64, max_source_positions=50,
        max_target_positions=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip


def tiny_wav2vec2(folder: Path) -> Path:
    ready()
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, vocab_size=16,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def tiny_roberta(folder: Path) -> Path:
    return tiny_text(folder, "roberta")


def tiny_bert(folder: Path) -> Path:
    return tiny_text(folder, "bert")


def tiny_text(folder: Path, kind: str) -> Path:
    ready()
    import torch

    torch.manual_seed(0)
    _text_model(kind).save_pretrained(folder)
    _text_tokenizer().save_pretrained(folder)
    return folder


def _text_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "<pad>", "</s>", "<unk>", "a", "red", "blue", "circle", "square", "and", "the", "of"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        cls_token="<s>", sep_token="</s>", model_max_length=16,
    )  # fmt: skip


def _text_model(kind: str) -> Any:
    import transformers as kinds

    named = {"vocab_size": 12, "pad_token_id": 1}
    if kind == "distilbert":
        sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 20}
        return kinds.DistilBertModel(kinds.DistilBertConfig(**named, **sizes))
    if kind == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        return kinds.T5EncoderModel(kinds.T5Config(**named, **sizes))
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 20,
    }
    make, config = {
        "bert": (kinds.BertModel, kinds.BertConfig),
        "roberta": (kinds.RobertaModel, kinds.RobertaConfig),
        "mpnet": (kinds.MPNetModel, kinds.MPNetConfig),
    }[kind]
    return make(config(**named, **sizes))
