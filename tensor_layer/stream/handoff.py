"""Passes tensors between processes: small ones inside the message, large ones as a reference to a mapped file.

The receiver looks the reference up by id in its own folder: a message can never name a path. Called by `processor`.
"""

from schemas.parts import INLINE_LIMIT_BYTES
from schemas.percept import EncoderVersion
from schemas.tensor import TensorMessage
from tensor_layer.errors import TensorDamaged, TensorNotFound
from tensor_layer.stream.mapped_files import MappedFiles
from tensor_layer.stream.reader import unpack
from tensor_layer.stream.tensor import Tensor
from tensor_layer.stream.writer import pack_bytes

PACKED, MAPPED = "aost", "mapped"
"""Codecs of a TensorMessage: frames of ours inside it, or a file in the folder that both processes map."""


def offer(tensor: Tensor, files: MappedFiles, *, encoder: EncoderVersion | None = None) -> TensorMessage:
    """What to send: the tensor is kept by content and may be referred to again. Blocking.

    Raises TensorRefused, BlobStoreUnavailable when the folder has no room.
    """
    if tensor.size_bytes <= INLINE_LIMIT_BYTES:
        frame = pack_bytes(tensor)
        if len(frame) <= INLINE_LIMIT_BYTES:
            return refer(tensor, encoder=encoder).model_copy(update={"codec": PACKED, "frame": frame})
    return refer(files.put(tensor), encoder=encoder)


def offer_once(tensor: Tensor, files: MappedFiles, *, encoder: EncoderVersion | None = None) -> TensorMessage:
    """What to send for one handover: quicker, since large values are not hashed; the receiver drops the file. Blocking.

    Raises as ``offer``.
    """
    if tensor.size_bytes <= INLINE_LIMIT_BYTES:
        return offer(tensor, files, encoder=encoder)
    kept = files.put_once(tensor)
    return refer(kept, encoder=encoder)


def refer(kept: Tensor, *, encoder: EncoderVersion | None = None) -> TensorMessage:
    """The message for a tensor that is in the folder already, such as a sealed draft."""
    return TensorMessage(tensor_id=kept.tensor_id, dtype=kept.dtype, shape=kept.shape, encoder=encoder, codec=MAPPED)


def accept(message: TensorMessage, files: MappedFiles) -> Tensor:
    """The tensor that a message means: a view of the mapped file, or the unpacked frame. Blocking.

    Raises TensorNotFound when the file is not in this process's folder (any more), TensorDamaged.
    """
    if message.codec == MAPPED:
        tensor = files.get(message.tensor_id)
        if tensor is None:
            raise TensorNotFound(f"tensor {message.tensor_id} is not in the shared folder (any more): ask for it again")
    elif message.codec == PACKED and message.frame is not None:
        tensor = unpack([message.frame])
    else:
        raise TensorDamaged(f"a tensor message with codec {message.codec!r} and no frame of it")
    if (tensor.tensor_id, tensor.dtype, tensor.shape) != (message.tensor_id, message.dtype, message.shape):
        raise TensorDamaged(f"message and content of tensor {message.tensor_id} differ")
    return tensor
