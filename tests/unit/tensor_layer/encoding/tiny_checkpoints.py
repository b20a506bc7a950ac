"""Checkpoints of real architectures with random weights and a few thousand parameters, in the forms that hubs carry."""

import json
from pathlib import Path

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


def tiny_whisper(file: Path) -> Path:
    ready()
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    model = Whisper(ModelDimensions(**WHISPER_DIMS))
    torch.save({"dims": WHISPER_DIMS, "model_state_dict": model.state_dict()}, file)
    return file


def tiny_transformers_whisper(folder: Path) -> Path:
    ready()
    import torch
    from transformers import WhisperConfig, WhisperModel

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=64, num_mel_bins=80, d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=64, max_source_positions=50,
        max_target_positions=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(folder)
    return folder


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
    return _tiny_text(folder, "roberta")


def tiny_bert(folder: Path) -> Path:
    return _tiny_text(folder, "bert")


def _tiny_text(folder: Path, kind: str) -> Path:
    ready()
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    torch.manual_seed(0)
    words = ["<s>", "<pad>", "</s>", "<unk>", "a", "red", "blue", "circle", "square", "and", "the", "of"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        cls_token="<s>", sep_token="</s>", model_max_length=16,
    )  # fmt: skip
    sizes = {
        "vocab_size": 12,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 20,
        "pad_token_id": 1,
    }
    model = RobertaModel(RobertaConfig(**sizes)) if kind == "roberta" else BertModel(BertConfig(**sizes))
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
